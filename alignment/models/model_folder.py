"""What lies beside a base model's weights: adapters, comparisons, prompts, checks. Reads files, needs no torch."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from reprlib import repr as brief
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from alignment.errors import AdapterError, ConfigError, ModelLoadError
from alignment.settings import ModelConfig
from alignment.validation import STRICT, Text, Whole, from_json, refuses_in_words

T = TypeVar("T")
REWARD = "reward"  # folder of a reward adapter with its heads: beside a model, in a version, in a run
SCORED_BY = "settings.json"  # in a version's, the fields of RewardConfig by which its run scored
SFT = "sft"  # folder of an SFT adapter: beside a model, and in a version whose run went on with instruction tuning
UNCHANGED = "unchanged.json"  # in a version that is the instruction-tuned model itself, in place of an adapter
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
Written = Annotated[Text, Field(min_length=1)]
CheckKind = Literal["contains", "refuses", "helps", "abstains"]


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedRanking:
    """A comparison that ships with a model; its source says that the labeler was simulated."""

    prompt: Text
    completions: tuple[Text, ...]
    tiers: tuple[tuple[Whole, ...], ...]  # positions in `completions`, best first; equally good ones share a tier
    source: Text = ""  # "simulated"
    guideline: Text = ""  # what the labeler was asked to prefer

    @model_validator(mode="after")
    def _tiers_hold_each_completion_once(self) -> Self:
        places = [place for tier in self.tiers for place in tier]
        if not set(places) <= set(range(len(self.completions))):
            raise ValueError(
                f"tiers must hold positions of the {len(self.completions)} completions, got {brief(self.tiers)}"
            )
        if len(set(places)) < len(places):
            raise ValueError(f"tiers must hold each completion once, got {brief(self.tiers)}")
        return self

    @property
    def tied(self) -> bool:
        """Whether completions of one tier are equally good: these labelers compare all of them."""
        return True


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedPair:
    """The other form of a line of comparisons: a ranking of two."""

    prompt: Text
    chosen: Text
    rejected: Text
    source: Text = ""
    guideline: Text = ""

    def as_ranking(self) -> ShippedRanking:
        """Return the same as a ranking."""
        texts = (self.chosen, self.rejected)
        return ShippedRanking(self.prompt, texts, ((0,), (1,)), self.source, self.guideline)


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedDemonstration:
    """A demonstration that ships with a model."""

    prompt: Written
    completion: Written


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedPrompt:
    """A prompt for the rollouts of runs that ships with a model."""

    prompt: Text


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class Check:
    """A prompt with what a right answer must do: contain texts, refuse, help, or admit that it does not know."""

    prompt: Text
    kind: CheckKind
    expect: tuple[Written, ...] = ()  # all of them, for the kind "contains"

    @model_validator(mode="after")
    def _could_fail(self) -> Self:
        if self.kind == "contains" and not self.expect:
            raise ValueError('expect must hold a text for the kind "contains", else every answer would pass')
        return self


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class Example:
    """A prompt that the page offers, under the name of its group."""

    group: Text
    prompt: Text


def check_base(folder: str | Path) -> Path:
    """Return the folder if it holds a causal LM, else raise ModelLoadError; nothing is looked up elsewhere."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"no model at {folder} (config.json is missing); give --model a folder with a causal LM in the "
            "Hugging Face layout, or leave it out for the bundled one"
        )
    return folder


def check_adapter(folder: str | Path) -> Path:
    """Return the folder if it holds a plain LoRA adapter, else raise AdapterError."""
    folder = Path(folder)
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            raise AdapterError(f"no adapter at {folder} ({name} is missing); give --sft the folder of a LoRA adapter")
    try:
        config = dict(json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise AdapterError(f"{folder / ADAPTER_FILES[0]} is not a JSON object: {error}") from error
    unlike = [name for name in ("use_dora", "lora_bias", "modules_to_save") if config.get(name)]
    if config.get("bias", "none") != "none":
        unlike.append("bias")
    if unlike:
        raise AdapterError(
            f"the adapter at {folder} is more than LoRA matrices ({', '.join(unlike)} in its configuration), and such "
            "adapters cannot answer side by side on one base; train it as plain LoRA"
        )
    return folder


def fingerprint(config: ModelConfig) -> str:
    """Return what policies belong to: a SHA-256 over the model's files."""
    parts = [
        config.gguf and str(Path(config.gguf).stat().st_size),
        config.sft and older_fingerprint(config.model, config.sft),
    ]
    if not config.gguf:
        parts += [(path.name, path.stat().st_size) for path in sorted(Path(config.model).glob("*.safetensors"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def older_fingerprint(base: str | Path, sft: str | Path) -> str:
    """Return a SHA-256 over the base's configuration, its weights' sizes and the SFT adapter: what policies belong to.

    The weights themselves would take minutes to read where they are large.
    """
    config = json.loads((Path(base) / "config.json").read_text(encoding="utf-8"))
    sizes = sorted((path.name, path.stat().st_size) for path in Path(base).glob("*.safetensors"))
    digest = hashlib.sha256(json.dumps([config, sizes], sort_keys=True).encode())
    for name in ADAPTER_FILES:
        digest.update((Path(sft) / name).read_bytes())
    return digest.hexdigest()


def first_policy(base: str | Path, sft: str | Path) -> Path:
    """Return the adapter that version 1 is a copy of: the model's own policy if it ships one, else the SFT adapter."""
    shipped = Path(base) / "policy"
    return check_adapter(shipped if shipped.is_dir() else sft)


def own_sft(version: str | Path) -> Path | None:
    """Return the SFT adapter of a published version, or None for one that goes with the model's."""
    return _shipped(version, SFT)


def shipped_reward(base: str | Path) -> Path | None:
    """Return the reward adapter that ships with the model, or None."""
    return _shipped(base, REWARD)


def shipped_critic(base: str | Path) -> Path | None:
    """Return the value adapter that ships with the model, the critic of its policy, or None."""
    return _shipped(base, "value")


def _shipped(base: str | Path, name: str) -> Path | None:
    shipped = Path(base) / name
    return check_adapter(shipped) if shipped.is_dir() else None


def comparisons(base: str | Path) -> list[ShippedRanking]:
    """Return the comparisons that ship with the model: none for a model without `comparisons.jsonl`.

    A line holds `completions` and `tiers`, or `chosen` and `rejected`, which is a ranking of two.
    """

    def ranking(values: Any) -> ShippedRanking:
        if isinstance(values, dict) and values.keys() & {"chosen", "rejected"}:
            return from_json(ShippedPair, values, "pair").as_ranking()
        return from_json(ShippedRanking, values, "ranking")

    return _lines(Path(base) / "comparisons.jsonl", ranking)


def demonstrations(base: str | Path) -> list[ShippedDemonstration]:
    """Return the demonstrations that ship with the model: none for a model without `demonstrations.jsonl`."""
    path = Path(base) / "demonstrations.jsonl"
    return _lines(path, lambda values: from_json(ShippedDemonstration, values, "demonstration"))


def prompts(base: str | Path) -> list[str]:
    """Return the prompts for rollouts that ship with the model (`prompts.jsonl`)."""
    lines = _lines(Path(base) / "prompts.jsonl", lambda values: from_json(ShippedPrompt, values, "line"))
    return [line.prompt for line in lines]


def checks(base: str | Path) -> list[Check]:
    """Return the gate's prompts that ship with the model (`checks.jsonl`)."""
    return _lines(Path(base) / "checks.jsonl", lambda values: from_json(Check, values, "check"))


def examples(base: str | Path) -> list[Example]:
    """Return the prompts that the page offers (`examples.jsonl`)."""
    return _lines(Path(base) / "examples.jsonl", lambda values: from_json(Example, values, "example"))


def shipped_evaluation(base: str | Path) -> dict[str, Any]:
    """Return what the shipped policy measured on the checks when it was built (`policy-evaluation.json`), or {}."""
    path = Path(base) / "policy-evaluation.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _lines(path: Path, record: Callable[[Any], T]) -> list[T]:
    """Return what `record` makes of each line of a file of JSON lines; raise ModelLoadError with the line's number."""
    if not path.is_file():
        return []
    records: list[T] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            records.append(record(json.loads(line)))
        except json.JSONDecodeError as error:
            raise ModelLoadError(f"{path}, line {number} is not JSON: {error}") from error
        except ConfigError as error:
            raise ModelLoadError(f"{path}, line {number} has fields that do not fit: {error}") from error
    return records
