"""What clients of OpenAI's API send. Fields that change nothing here are let pass, others are refused by name."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from alignment.errors import ConfigError
from alignment.models.message_lists import ending_with_question
from alignment.settings import MAX_NEW_TOKENS
from api.errors import UnsupportedError
from service.complete import CompleteRequest
from service.requests import MAX_CONVERSATION_CHARACTERS, MAX_SEED, Source
from storage.messages import Message, MessageRole, Messages, one_turn

ROLES: dict[str, MessageRole] = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
# Fields that mean something, the values that mean nothing, and what to do instead.
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "tools": ((None, []), "these models call no tools"),
    "functions": ((None, []), "these models call no functions"),
    "response_format": ((None, {"type": "text"}), "ask for the form in the prompt"),
    "top_logprobs": ((None, 0), "here logprobs itself is the number of likeliest tokens"),
    "logit_bias": ((None, {}), "leave it out"),
    "frequency_penalty": ((None, 0), "leave it out"),
    "presence_penalty": ((None, 0), "leave it out"),
    "modalities": ((None, ["text"]), "there is text alone"),
    "audio": ((None,), "there is text alone"),
    "top_k": ((None, 0, -1), "use top_p"),
    "min_p": ((None, 0), "use top_p"),
    "repetition_penalty": ((None, 1), "leave it out"),
    "store": ((None, False), "only answers of /v1/chat/completions are stored"),
    "suffix": ((None, ""), "these models only write on"),
    "echo": ((None, False), "put the prompt before the text yourself"),
    "best_of": ((None, 1), "ask for n and pick the best"),
}


class StreamOptions(BaseModel):
    """How a stream ends."""

    include_usage: bool = False


class Asked(BaseModel):
    """What both endpoints take."""

    model_config = ConfigDict(extra="allow")

    model: str
    n: Annotated[int, Field(ge=1, le=24)] = 1
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=MAX_NEW_TOKENS)] = None
    seed: Annotated[int | None, Field(ge=0, le=MAX_SEED)] = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = False
    return_token_ids: bool | None = False  # vLLM's: each choice tells its tokens' ids
    stream_options: StreamOptions | None = None

    def require_known(self) -> None:
        """Raise UnsupportedError for a field that means something and is not done here."""
        for name, value in (self.model_extra or {}).items():
            if name in REFUSED and value not in REFUSED[name][0]:
                raise UnsupportedError(name, REFUSED[name][1])

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts at which a completion ends."""
        listed = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in listed if text)

    @property
    def ends_with_usage(self) -> bool:
        """Whether a stream tells its tokens at the end."""
        return self.stream_options is not None and self.stream_options.include_usage

    def request(
        self, prompts: list[Messages], *, templated: bool, max_new_tokens: int | None, top_log_probs: int | None
    ) -> CompleteRequest:
        """Return it as the service takes it."""
        self.require_known()
        for text in (*self.stops, *(message.content for messages in prompts for message in messages)):
            _require_whole(text)
        if sum(len(message.content) for messages in prompts for message in messages) > MAX_CONVERSATION_CHARACTERS:
            raise ConfigError(f"a prompt may have {MAX_CONVERSATION_CHARACTERS:,} characters in all; send less")
        return CompleteRequest(
            self.model,
            prompts,
            templated,
            self.n,
            self.temperature,
            self.top_p,
            max_new_tokens,
            self.seed,
            self.stops,
            top_log_probs,
        )


def _require_whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"a text holds half a character ({error.reason}); write it anew") from error


class Part(BaseModel):
    """A part of a message."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """A message of a conversation."""

    role: str
    content: str | list[Part] | None = None

    def message(self) -> Message:
        """Return it as models are given it; raise ConfigError for a role or a part that is none of theirs."""
        if self.role not in ROLES:
            raise ConfigError(f"a message's role must be one of {', '.join(ROLES)}, got {self.role!r}")
        parts = self.content if isinstance(self.content, list) else []
        for part in parts:
            if part.type not in ("text", "input_text"):
                raise UnsupportedError("messages.content", f"these models read text alone, got a part {part.type!r}")
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in parts)
        return Message(ROLES[self.role], content)


class ChatAsked(Asked):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int | None, Field(ge=1, le=MAX_NEW_TOKENS)] = None
    store: bool | None = False  # so that there may be feedback on the answer
    logprobs: bool | None = False
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None

    def complete_request(self) -> CompleteRequest:
        """Return what is to be written; raise ConfigError for messages that no answer follows on."""
        messages = ending_with_question(tuple(one.message() for one in self.messages), "messages")
        if blank := [i for i, one in enumerate(messages) if one.role == "user" and not one.content.strip()]:
            raise ConfigError(f"the content of messages[{blank[0]}] is empty; write what is asked")
        if self.top_logprobs and not self.logprobs:
            raise ConfigError("top_logprobs needs logprobs to be true; set it, or leave both out")
        longest = self.max_completion_tokens or self.max_tokens
        told = (self.top_logprobs or 0) if self.logprobs else None
        return self.request([messages], templated=True, max_new_tokens=longest, top_log_probs=told)


class TextAsked(Asked):
    """The body of `/v1/completions`: bare text that is continued."""

    prompt: str | Annotated[list[str], Field(min_length=1)]
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None  # likeliest tokens told of each place

    def complete_request(self) -> CompleteRequest:
        """Return what is to be written."""
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if not all(prompts):
            raise ConfigError("a prompt is empty; write what is to be continued")
        turns = [one_turn(text) for text in prompts]
        return self.request(turns, templated=False, max_new_tokens=self.max_tokens, top_log_probs=self.logprobs)


class Feedback(BaseModel):
    """The body of `/v1/feedback`: what somebody thinks of a stored answer."""

    model_config = ConfigDict(extra="forbid")

    id: str
    index: Annotated[int, Field(ge=0)] = 0  # of the choice
    rating: Literal["up", "down"] | None = None
    better: str | None = None  # what the answer should have been
    source: Source = "human"


Kind = Literal["chat", "text"]
