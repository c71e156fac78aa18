"""A recorded example: three answers that a model once gave, which new visitors see before they ask anything.

It lies beside the model, or in the folder of assets of its preset, and was written by `scripts/record_example.py`. It
belongs to the weights and the first policy that gave the answers: with others it is not shown.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from alignment.errors import ModelLoadError
from alignment.models.model_folder import fingerprint
from alignment.settings import ModelConfig
from service.completions import ShownCompletion, shown
from storage import policies
from storage.records import Completion

FILE = "recorded-example.json"


@dataclass(frozen=True)
class RecordedExample:
    """A question with the three answers that it got."""

    model: str  # fingerprint of the model that answered
    policy: str  # SHA-256 of the policy version that answered
    recorded: str  # the day, as in "2026-11-29"
    prompt: str
    completions: tuple[Completion, ...]

    @property
    def shown(self) -> tuple[ShownCompletion, ...]:
        """The answers as people see them."""
        return shown(self.completions, reveal=True)


def path_beside(config: ModelConfig) -> Path:
    """Return where the recorded example of a model lies, if it has one."""
    return Path(config.beside) / FILE


def recorded_example(config: ModelConfig, db: Path) -> RecordedExample | None:
    """Return the recorded example of a model, with the number that its policy has in a data folder.

    None for a model without one, and where the weights, the way they are held or the first policy are not those that
    gave the answers. Raises ModelLoadError for a file that does not hold one.
    """
    path = path_beside(config)
    if not path.is_file() or config.quantize != "none" or config.base:
        return None
    example = _read(path)
    answered = (example.policy, example.model)
    versions = [one.version for one in policies.list_policies(db) if (one.sha256, one.model) == answered]
    if not versions or example.model != fingerprint(config):
        return None
    answers = (replace(one, policy_version=min(versions)) if one.role == "rlhf" else one for one in example.completions)
    return replace(example, completions=tuple(answers))


def write(path: Path, example: RecordedExample) -> None:
    """Write a recorded example as JSON, an answer a line."""
    values = asdict(example)
    answers = [json.dumps(one, ensure_ascii=False) for one in values.pop("completions")]
    head = json.dumps(values, ensure_ascii=False, indent=1).removesuffix("\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + ',\n "completions": [\n' + ",\n".join(answers) + "\n ]\n}\n", encoding="utf-8")


def _read(path: Path) -> RecordedExample:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        answers = tuple(Completion(**one) for one in values.pop("completions"))
        return RecordedExample(**values, completions=answers)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelLoadError(f"{path} holds no recorded example ({error}); write it anew or delete it") from error
