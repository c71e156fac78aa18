"""What lies beside a base model's weights: adapters, comparisons, prompts, checks. Reads files, needs no torch."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from alignment.errors import AdapterError, ModelLoadError

T = TypeVar("T")
REWARD = "reward"  # folder of a reward adapter with its heads: beside a model, in a version, in a run
SCORED_BY = "settings.json"  # in a version's, the fields of RewardConfig by which its run scored
SFT = "sft"  # folder of an SFT adapter: beside a model, and in a version whose run went on with instruction tuning
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
CheckKind = Literal["contains", "refuses", "helps", "abstains"]


@dataclass(frozen=True)
class ShippedRanking:
    """A comparison that ships with a model; its source says that the labeler was simulated."""

    prompt: str
    completions: tuple[str, ...]
    tiers: tuple[tuple[int, ...], ...]  # positions in `completions`, best first; equally good ones share a tier
    source: str  # "simulated"
    guideline: str  # what the labeler was told to prefer

    @property
    def tied(self) -> bool:
        """Whether completions of one tier are equally good: these labelers compare all of them."""
        return True


@dataclass(frozen=True)
class ShippedDemonstration:
    """A demonstration that ships with a model."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Check:
    """A prompt with what a right answer must do: contain texts, refuse, help, or admit that it does not know."""

    prompt: str
    kind: CheckKind
    expect: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """A prompt that the page offers, under the name of its group."""

    group: str
    prompt: str


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


def fingerprint(base: str | Path, sft: str | Path) -> str:
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
    return _lines(Path(base) / "comparisons.jsonl", _ranking)


def _ranking(
    prompt: str,
    completions: Sequence[str] | None = None,
    tiers: Sequence[Sequence[int]] | None = None,
    chosen: str | None = None,
    rejected: str | None = None,
    source: str = "",
    guideline: str = "",
) -> ShippedRanking:
    if completions is None and tiers is None:
        completions, tiers = [chosen, rejected], [[0], [1]]  # type: ignore[list-item]  # None is refused below
    if not isinstance(completions, list) or not all(isinstance(text, str) for text in [prompt, *completions]):
        raise TypeError(f"a prompt with a list of completions, or with chosen and rejected, must be texts: {prompt!r}")
    places = [place for tier in tiers or [] for place in tier]
    if not all(isinstance(place, int) for place in places) or not set(places) <= set(range(len(completions))):
        raise TypeError(f'"tiers" must hold positions of the {len(completions)} completions, got {tiers!r}')
    if len(set(places)) < len(places):
        raise TypeError(f'"tiers" must hold each completion once, got {tiers!r}')
    return ShippedRanking(prompt, tuple(completions), tuple(map(tuple, tiers or [])), source, guideline)


def demonstrations(base: str | Path) -> list[ShippedDemonstration]:
    """Return the demonstrations that ship with the model: none for a model without `demonstrations.jsonl`."""
    return _lines(Path(base) / "demonstrations.jsonl", _demonstration)


def _demonstration(prompt: str, completion: str) -> ShippedDemonstration:
    if not all(isinstance(text, str) and text for text in (prompt, completion)):
        raise TypeError(f"a prompt and a completion must be texts, and not empty: {prompt!r}, {completion!r}")
    return ShippedDemonstration(prompt, completion)


def prompts(base: str | Path) -> list[str]:
    """Return the prompts for rollouts that ship with the model (`prompts.jsonl`)."""
    return _lines(Path(base) / "prompts.jsonl", lambda prompt: prompt)


def checks(base: str | Path) -> list[Check]:
    """Return the gate's prompts that ship with the model (`checks.jsonl`)."""
    return _lines(Path(base) / "checks.jsonl", _check)


def _check(prompt: str, kind: CheckKind, expect: Sequence[str] = ()) -> Check:
    if kind not in get_args(CheckKind):
        raise TypeError(f'"kind" must be one of {", ".join(get_args(CheckKind))}, got {kind!r}')
    if not isinstance(expect, list | tuple) or not all(isinstance(text, str) and text for text in expect):
        raise TypeError(f'"expect" must be a list of texts, none of them empty, got {expect!r}')
    if kind == "contains" and not expect:
        raise TypeError('a check of the kind "contains" needs a text in "expect", else every answer would pass')
    return Check(prompt, kind, tuple(expect))


def examples(base: str | Path) -> list[Example]:
    """Return the prompts that the page offers (`examples.jsonl`)."""
    return _lines(Path(base) / "examples.jsonl", Example)


def shipped_evaluation(base: str | Path) -> dict[str, Any]:
    """Return what the shipped policy measured on the checks when it was built (`policy-evaluation.json`), or {}."""
    path = Path(base) / "policy-evaluation.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _lines(path: Path, record: Callable[..., T]) -> list[T]:
    if not path.is_file():
        return []
    records: list[T] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            records.append(record(**json.loads(line)))
        except json.JSONDecodeError as error:
            raise ModelLoadError(f"{path}, line {number} is not JSON: {error}") from error
        except TypeError as error:
            raise ModelLoadError(f"{path}, line {number} has fields that do not fit: {error}") from error
    return records
