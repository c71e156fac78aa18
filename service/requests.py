"""What callers ask for, checked in one place: the bounds stand beside the fields, a refusal is one sentence."""

from collections.abc import Callable
from dataclasses import replace
from reprlib import repr as brief
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass

from alignment.errors import ConfigError
from alignment.models.sampling import Sampling
from alignment.settings import MAX_BEST_OF, MAX_COMPLETION_CHARACTERS, MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS
from storage.messages import Messages, messages_from_json, one_turn

T = TypeVar("T")
ROLES = ("base", "sft", "rlhf")
MAX_COLUMNS = 6
MAX_ROWS = 24  # completions that are written at once for one comparison
MAX_SEED = 2**31 - 1
MAX_CONVERSATION_CHARACTERS = 400_000  # more than any model reads; it keeps what is sent by hand from filling the disk
ASK_ADVICE = "write a question or pick one of the examples"
PREVIEW_SAMPLES = 4  # of which a preview shows the best
PREVIEW_TEMPERATURE = 0.8  # at least, unless one is asked for: a model's own way may be nearly greedy
PREVIEW_TOP_P = 0.95
LONGEST_SCHEDULE = 100_000  # new votes


def _text(name: str, value: Any, longest: int, advice: str) -> str:
    """Return a text as it is; raise ConfigError for one that is blank, too long or cannot be stored."""
    if not isinstance(value, str):
        raise ConfigError(f"the {name} must be text, got {brief(value)}; {advice}")
    if not value.strip():
        raise ConfigError(f"the {name} is empty; {advice}")
    if len(value) > longest:
        raise ConfigError(f"the {name} has {len(value):,} characters, {longest:,} are allowed; shorten it")
    return _whole(name, value)


def _whole(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the {name} holds half a character ({error.reason}); write it anew") from error
    return value


def text(longest: int, advice: str, *, optional: bool = False) -> BeforeValidator:
    """Return a validator of text that has at most so many characters and is not blank; with `optional`, None stays."""

    def check(value: Any, info: ValidationInfo) -> str | None:
        if value is None and optional:
            return None
        return _text(str(info.field_name), value, longest, advice)

    return BeforeValidator(check)


def number(low: float, high: float, *, whole: bool = False, optional: bool = False) -> BeforeValidator:
    """Return a validator of a number from `low` to `high`; with `optional`, None stays None."""

    def check(value: Any, info: ValidationInfo) -> float | int | None:
        if value is None and optional:
            return None
        fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if not fits or (whole and value != int(value)):
            kind = "whole number" if whole else "number"
            raise ConfigError(f"{info.field_name} must be a {kind} from {low:,} to {high:,}, got {brief(value)}")
        return int(value) if whole else float(value)

    return BeforeValidator(check)


def _flag(value: Any, info: ValidationInfo) -> bool:
    if value not in (True, False, None):
        raise ConfigError(f"{info.field_name} must be true or false, got {brief(value)}")
    return bool(value)


def _column_names(value: Any) -> tuple[str, ...]:
    names = ROLES if value is None else value
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not listed or not 1 <= len(names) <= MAX_COLUMNS or len(set(names)) < len(names):
        raise ConfigError(
            f"columns must be 1 to {MAX_COLUMNS} different names out of base, sft, rlhf, v1, v2 …, got {brief(names)}"
        )
    return tuple(names)


def _conversation(value: Any, info: ValidationInfo) -> Messages:
    """Return a prompt given as text or as a list of messages."""
    if isinstance(value, str):
        return one_turn(_text("prompt", value, MAX_PROMPT_CHARACTERS, ASK_ADVICE))
    if not isinstance(value, list | tuple):
        raise ConfigError(f"the prompt must be text or a list of messages, got {brief(value)}")
    for place, message in enumerate(value, 1):
        _require_message(message, place)
    turns = [message["role"] for message in value]
    turns = turns[1:] if turns[:1] == ["system"] else turns
    if len(turns) % 2 == 0 or turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
        raise ConfigError(
            "the messages of a prompt must be the user's and the assistant's in turn, after a system message if there "
            f"is one, and end with the user's; got {brief([message['role'] for message in value])}"
        )
    if (length := sum(len(message["content"]) for message in value)) > MAX_CONVERSATION_CHARACTERS:
        raise ConfigError(
            f"the messages of the prompt have {length:,} characters, {MAX_CONVERSATION_CHARACTERS:,} are allowed; "
            "leave earlier ones out"
        )
    return messages_from_json(value)


def _require_message(message: Any, place: int) -> None:
    """Raise ConfigError for what is no message of a conversation."""
    is_one = isinstance(message, dict) and message.keys() == {"role", "content"}
    if not is_one or message["role"] not in ("system", "user", "assistant") or not isinstance(message["content"], str):
        raise ConfigError(
            f'message {place} of the prompt must be {{"role": "system", "user" or "assistant", "content": text}}, '
            f"got {brief(message)}"
        )
    name = f"content of message {place}"
    if message["role"] == "assistant":  # a model may have said nothing, or much
        _whole(name, message["content"])
    else:
        _text(name, message["content"], MAX_PROMPT_CHARACTERS, "leave the message out or write something")


Prompt = Annotated[str, text(MAX_PROMPT_CHARACTERS, ASK_ADVICE)]
Conversation = Annotated[Messages, BeforeValidator(_conversation)]
Source = Literal["human", "simulated"]


@dataclass(frozen=True)
class CompareRequest:
    """One prompt, the conversation that it goes on with, and how it is to be answered."""

    prompt: Prompt
    columns: Annotated[tuple[str, ...], BeforeValidator(_column_names)] = ROLES  # roles, or versions such as "v3"
    temperature: Annotated[float | None, number(0, 2, optional=True)] = None  # 0: greedy; None: the model's own
    max_new_tokens: Annotated[int | None, number(1, MAX_NEW_TOKENS, whole=True, optional=True)] = None
    seed: Annotated[int | None, number(0, MAX_SEED, whole=True, optional=True)] = None  # None: drawn
    blind: Annotated[bool, BeforeValidator(_flag)] = False  # names are hidden until the vote
    best_of: Annotated[int, number(1, MAX_BEST_OF, whole=True)] = 1  # completions of which a policy shows the best
    conversation_id: Annotated[
        str | None, text(100, "it is what /compare returns, left out to begin a conversation", optional=True)
    ] = None
    continue_from: Any = None  # a slot of the turn before; None: the one that was voted best
    system: Annotated[
        str | None, text(MAX_PROMPT_CHARACTERS, "leave it out or say how the models should answer", optional=True)
    ] = None
    top_p: Annotated[float | None, number(0.01, 1, optional=True)] = None
    preview: Annotated[bool, BeforeValidator(_flag)] = False  # "rlhf" shows the best of a few by the votes so far

    def __post_init__(self) -> None:
        if self.preview and self.best_of > 1:
            raise ConfigError(
                f"preview and best_of {self.best_of} both pick the answer that is shown; ask with one of them"
            )
        if (rows := sum(self.copies(column, self.temperature) for column in self.columns)) > MAX_ROWS:
            raise ConfigError(
                f"best_of {self.best_of} of so many policies is {rows} answers, {MAX_ROWS} are allowed at once; ask "
                "fewer columns or a smaller best_of"
            )

    def copies(self, column: str, temperature: float | None) -> int:
        """Return how many completions are written for a column; at temperature 0 they would all be the same."""
        return self.best_of if column not in ("base", "sft") and temperature != 0 else 1

    def sampling(self, own: Sampling) -> Sampling:
        """Return how completions are drawn: as asked, and for the rest as is the model's own way."""
        asked = {"temperature": self.temperature, "max_new_tokens": self.max_new_tokens, "top_p": self.top_p}
        changed: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        return replace(own, **changed)

    def preview_sampling(self, own: Sampling) -> Sampling:
        """Return how the samples of a preview are drawn: varied enough that there is something to pick from."""
        asked = self.sampling(own)
        if self.temperature is not None:
            return asked
        top_p = PREVIEW_TOP_P if self.top_p is None else self.top_p
        return replace(asked, temperature=max(own.temperature, PREVIEW_TEMPERATURE), top_p=top_p)


@dataclass(frozen=True)
class VoteRequest:
    """A judgement of a comparison: a slot such as "A", "tie" or "all_bad"."""

    comparison_id: Annotated[str, text(MAX_PROMPT_CHARACTERS, "it is what /compare returns")]
    choice: Any  # which slots there are is known by the comparison alone
    source: Source = "human"


@dataclass(frozen=True)
class WithdrawRequest:
    """Which vote is taken back."""

    preference_id: Annotated[int, number(1, 2**53, whole=True)]


@dataclass(frozen=True)
class DemonstrateRequest:
    """What the models should have answered to a prompt."""

    prompt: Conversation
    completion: Annotated[str, text(MAX_COMPLETION_CHARACTERS, "write what the model should have answered")]
    source: Source = "human"


@dataclass(frozen=True)
class RunRequest:
    """Which run is meant."""

    run_id: Annotated[int, number(1, 2**53, whole=True)]


def checked(request: Callable[..., T], **arguments: Any) -> T:
    """Return a request made from a caller's arguments; raise ConfigError for the first one that does not fit.

    Example: `checked(VoteRequest, comparison_id="x", choice="A")`.
    """
    try:
        return request(**arguments)
    except ValidationError as refused:
        first = refused.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            raise cause from None
        name, expected = first["loc"][0], first.get("ctx", {}).get("expected", first["msg"])
        words = str(expected).replace("'", '"')
        raise ConfigError(f"{name} must be {words}, got {brief(first['input'])}") from None


def checked_schedule(votes: Any) -> int:
    """Return after how many new votes training starts by itself, or raise ConfigError."""
    fits = isinstance(votes, int | float) and not isinstance(votes, bool) and 0 <= votes <= LONGEST_SCHEDULE
    if not fits or votes != int(votes):
        raise ConfigError(
            f"the number of votes must be whole, from 0 to {LONGEST_SCHEDULE:,} (0 = never), got {brief(votes)}"
        )
    return int(votes)
