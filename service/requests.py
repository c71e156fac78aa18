"""What callers ask for, checked in one place: the bounds stand beside the fields, a refusal is one sentence."""

from collections.abc import Callable
from dataclasses import replace
from reprlib import repr as brief
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass

from alignment.errors import ConfigError
from alignment.models.message_lists import messages_of
from alignment.models.sampling import Sampling
from alignment.settings import MAX_BEST_OF, MAX_COMPLETION_CHARACTERS, MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS
from storage.messages import Message, Messages, one_turn

T = TypeVar("T")
ROLES = ("base", "sft", "rlhf")
MAX_COLUMNS = 6
MAX_ROWS = 24  # completions that are written at once for one comparison
MAX_SEED = 2**31 - 1
MAX_CONVERSATION_CHARACTERS = 400_000  # more than any model reads; it keeps what is sent by hand from filling the disk
ASK_ADVICE = "write a question or pick one of the examples"
PREVIEW_TEMPERATURE = 0.8  # at least, unless one is asked for: a model's own way may be nearly greedy
PREVIEW_TOP_P = 0.95
MAX_HISTORY = 200  # conversations in one page of the history
LONGEST_REASON = 200  # characters


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


def flag(value: Any, info: ValidationInfo) -> bool:
    """Return a value that is true or false; none is false."""
    if value not in (True, False, None):
        raise ConfigError(f"{info.field_name} must be true or false, got {brief(value)}")
    return bool(value)


def _search(value: Any) -> str:
    if value is None or value == "":
        return ""
    return _text("search", value, MAX_PROMPT_CHARACTERS, "leave it out to find all") if str(value).strip() else ""


def _column_names(value: Any) -> tuple[str, ...]:
    names = ROLES if value is None else value
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not listed or not 1 <= len(names) <= MAX_COLUMNS or len(set(names)) < len(names):
        raise ConfigError(
            f"columns must be 1 to {MAX_COLUMNS} different names out of base, sft, rlhf, v1, v2 …, got {brief(names)}"
        )
    return tuple(names)


def _conversation(value: Any) -> Messages:
    """Return a prompt given as text or as a list of messages."""
    if isinstance(value, str):
        return one_turn(_text("prompt", value, MAX_PROMPT_CHARACTERS, ASK_ADVICE))
    messages = messages_of(value, "prompt")
    roles = [message.role for message in messages]
    turns = roles[1:] if roles[0] == "system" else roles
    if turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
        raise ConfigError(
            "the messages of a prompt must be the user's and the assistant's in turn, after a system message if there "
            f"is one, and end with the user's; got {brief(roles)}"
        )
    if (length := sum(len(message.content) for message in messages)) > MAX_CONVERSATION_CHARACTERS:
        raise ConfigError(
            f"the messages of the prompt have {length:,} characters, {MAX_CONVERSATION_CHARACTERS:,} are allowed; "
            "leave earlier ones out"
        )
    for place, message in enumerate(messages):
        _require_content(message, f"content of prompt[{place}]")
    return messages


def _require_content(message: Message, name: str) -> None:
    """Raise ConfigError for a text that its role may not say: a model may have said nothing, or much."""
    if message.role == "assistant":
        _whole(name, message.content)
    else:
        _text(name, message.content, MAX_PROMPT_CHARACTERS, "leave the message out or write something")


def _reason(value: Any) -> str:
    """Return a reason as it is; none is an empty one."""
    return _text("reason", value, LONGEST_REASON, "leave it out or say it shorter") if value else ""


Prompt = Annotated[str, text(MAX_PROMPT_CHARACTERS, ASK_ADVICE)]
Conversation = Annotated[Messages, BeforeValidator(_conversation)]
AnyConversation = Annotated[Messages | None, BeforeValidator(lambda one: None if one is None else _conversation(one))]
Reason = Annotated[str, BeforeValidator(_reason)]
Source = Literal["human", "simulated"]


@dataclass(frozen=True)
class CompareRequest:
    """One prompt, the conversation that it goes on with, and how it is to be answered."""

    prompt: Prompt
    columns: Annotated[tuple[str, ...], BeforeValidator(_column_names)] = ROLES  # roles, or versions such as "v3"
    temperature: Annotated[float | None, number(0, 2, optional=True)] = None  # 0: greedy; None: the model's own
    max_new_tokens: Annotated[int | None, number(1, MAX_NEW_TOKENS, whole=True, optional=True)] = None
    seed: Annotated[int | None, number(0, MAX_SEED, whole=True, optional=True)] = None  # None: drawn
    blind: Annotated[bool, BeforeValidator(flag)] = False  # names are hidden until the vote
    best_of: Annotated[int, number(1, MAX_BEST_OF, whole=True)] = 1  # completions of which a policy shows the best
    conversation_id: Annotated[
        str | None, text(100, "it is what /compare returns, left out to begin a conversation", optional=True)
    ] = None
    continue_from: Any = None  # a slot of the turn before; None: the one that was voted best
    system: Annotated[
        str | None, text(MAX_PROMPT_CHARACTERS, "leave it out or say how the models should answer", optional=True)
    ] = None
    top_p: Annotated[float | None, number(0.01, 1, optional=True)] = None
    preview: Annotated[bool, BeforeValidator(flag)] = False  # "rlhf" shows the best of a few by the votes so far
    # a comparison of one's own: the prompt is asked in place of its question, which begins a branch
    instead_of: Annotated[str | None, text(100, "it is what /compare returned", optional=True)] = None

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
    reason: Reason = ""  # in a few words


@dataclass(frozen=True)
class WithdrawRequest:
    """Which vote is taken back."""

    preference_id: Annotated[int, number(1, 2**53, whole=True)]


@dataclass(frozen=True)
class HistoryRequest:
    """Which of one's own conversations are looked for."""

    search: Annotated[str, BeforeValidator(_search)] = ""  # in questions and answers; "" finds all
    limit: Annotated[int, number(1, MAX_HISTORY, whole=True)] = 50  # conversations in one page
    before: Annotated[str | None, text(100, "it is what /history returned as next", optional=True)] = None
    conversation_id: Annotated[str | None, text(100, "leave it out to get them all", optional=True)] = None
    reason: Reason = ""  # of a vote in them; "any" for whatever it is


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
