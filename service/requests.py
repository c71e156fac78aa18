"""What callers ask for, checked in one place: the bounds stand beside the fields, a refusal is one sentence."""

from collections.abc import Callable
from reprlib import repr as brief
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass

from alignment.errors import ConfigError
from alignment.settings import MAX_BEST_OF, MAX_COMPLETION_CHARACTERS, MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS

T = TypeVar("T")
ROLES = ("base", "sft", "rlhf")
MAX_COLUMNS = 6
MAX_ROWS = 24  # completions that are written at once for one comparison
MAX_SEED = 2**31 - 1
LONGEST_SCHEDULE = 100_000  # new votes


def text(longest: int, advice: str) -> BeforeValidator:
    """Return a validator of text that has at most so many characters and is not blank; it strips the ends."""

    def check(value: Any, info: ValidationInfo) -> str:
        name = info.field_name
        if not isinstance(value, str):
            raise ConfigError(f"the {name} must be text, got {brief(value)}; {advice}")
        if not value.strip():
            raise ConfigError(f"the {name} is empty; {advice}")
        if len(value) > longest:
            raise ConfigError(f"the {name} has {len(value):,} characters, {longest:,} are allowed; shorten it")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"the {name} holds half a character ({error.reason}); write it anew") from error
        return value.strip()

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


Prompt = Annotated[str, text(MAX_PROMPT_CHARACTERS, "write a question or pick one of the examples")]
Source = Literal["human", "simulated"]


@dataclass(frozen=True)
class CompareRequest:
    """One prompt and how it is to be answered."""

    prompt: Prompt
    columns: Annotated[tuple[str, ...], BeforeValidator(_column_names)] = ROLES  # roles, or versions such as "v3"
    temperature: Annotated[float, number(0, 2)] = 0.7  # 0 = the likeliest token every time
    max_new_tokens: Annotated[int, number(1, MAX_NEW_TOKENS, whole=True)] = 96
    seed: Annotated[int | None, number(0, MAX_SEED, whole=True, optional=True)] = None  # None: drawn
    blind: Annotated[bool, BeforeValidator(_flag)] = False  # names are hidden until the vote
    best_of: Annotated[int, number(1, MAX_BEST_OF, whole=True)] = 1  # completions of which a policy shows the best

    def __post_init__(self) -> None:
        if (rows := sum(map(self.copies, self.columns))) > MAX_ROWS:
            raise ConfigError(
                f"best_of {self.best_of} of so many policies is {rows} answers, {MAX_ROWS} are allowed at once; ask "
                "fewer columns or a smaller best_of"
            )

    def copies(self, column: str) -> int:
        """Return how many completions are written for a column; at temperature 0 they would all be the same."""
        return self.best_of if column not in ("base", "sft") and self.temperature else 1


@dataclass(frozen=True)
class VoteRequest:
    """A judgement of a comparison: a slot such as "A", "tie" or "all_bad"."""

    comparison_id: Annotated[str, text(MAX_PROMPT_CHARACTERS, "it is what /compare returns")]
    choice: Any  # which slots there are is known by the comparison alone
    source: Source = "human"


@dataclass(frozen=True)
class DemonstrateRequest:
    """What the models should have answered to a prompt."""

    prompt: Prompt
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
