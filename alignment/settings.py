"""Settings of models, the bounds that all settings share, and how fields are replaced by what a person gives."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from reprlib import repr as brief
from typing import Any, Literal

from alignment.errors import ConfigError

Quantize = Literal["none", "nf4", "int8"]
POCKET = Path(__file__).parents[1] / "assets" / "pocket"
MAX_PROMPT_CHARACTERS = 4000
MAX_COMPLETION_CHARACTERS = 2000  # of one that a person writes
MAX_NEW_TOKENS = 256
MAX_BEST_OF = 16  # completions of which the reward model picks what a person sees
MOST_STEPS = 1_000_000  # of whatever training does one after another
MOST_ROWS = 10_000  # texts that it holds at once, as ids in passes
MOST_DRAWN = 100_000  # texts that are drawn for all steps before the first one


@dataclass(frozen=True)
class ModelConfig:
    """Which base model and which instruction-tuned adapter are served and trained."""

    base: str = str(POCKET)  # folder of a causal LM with its tokenizer
    sft: str = str(POCKET / "sft")  # folder of the instruction-tuned LoRA adapter
    quantize: Quantize = "none"  # how the base is held in memory


def replaced(settings: Any, overrides: Any, path: str) -> Any:
    """Return settings with some fields replaced, or raise ConfigError; `path` is what they are called in messages."""
    if not isinstance(overrides, dict):
        raise ConfigError(f"{path} must be an object of fields, got {brief(overrides)}")
    known = {f.name: getattr(settings, f.name) for f in fields(settings)}
    changes: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in known:
            raise ConfigError(f"{path} has no field {brief(name)}; it has {', '.join(sorted(known))}")
        changes[name] = _coerced(known[name], value, f"{path}.{name}")
    try:
        return replace(settings, **changes)
    except ConfigError as error:  # by the names that the caller wrote
        raise ConfigError(str(error).replace(f"{type(settings).__name__}.", f"{path}.")) from None


def _coerced(default: Any, value: Any, path: str) -> Any:
    if hasattr(default, "__dataclass_fields__"):
        return replaced(default, value, path)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{path} must be true or false, got {brief(value)}")
        return value
    if isinstance(value, bool) or not isinstance(value, int if isinstance(default, int) else (int, float)):
        raise ConfigError(
            f"{path} must be {'a whole number' if isinstance(default, int) else 'a number'}, got {brief(value)}"
        )
    try:
        return type(default)(value)
    except OverflowError as error:
        raise ConfigError(f"{path} is too large: {brief(value)}") from error


def within(owner: str, settings: Any, low: float, high: float, *names: str, also: str = "") -> None:
    """Raise ConfigError unless each of the named fields is from `low` to `high`."""
    for name in names:
        if not low <= getattr(settings, name) <= high:
            got = brief(getattr(settings, name))
            raise ConfigError(f"{owner}.{name} must be {also}between {low} and {high}, got {got}")


def drawn_at_once(owner: str, settings: Any) -> None:
    """Raise ConfigError if more than `MOST_DRAWN` texts would be drawn before the first step."""
    if settings.steps * settings.batch_size > MOST_DRAWN:
        got = f"{settings.steps} and {settings.batch_size}"
        raise ConfigError(f"{owner}.steps times batch_size must be at most {MOST_DRAWN}, got {got}")
