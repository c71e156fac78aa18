"""The one record that all services work with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Example
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import Adapter, Engine
from service.admin import AdminSessions
from service.admission import Admission
from service.early import EarlyVotes
from service.lent import LentAdapters
from service.preview import Preview
from service.recorded_example import RecordedExample
from service.roles import Roles
from service.status import Status


@dataclass(frozen=True)
class ServedModel:
    """What people are told of the model that answers, and how it answers unless they say otherwise."""

    name: str  # "SmolLM2-135M-Instruct"
    base_name: str  # the pretrained checkpoint that it was made from, "" where that is not known
    shape: Literal["adapter", "chat", "chat and base"]  # as in ModelConfig; "chat" has no base of its own
    sampling: Sampling  # the model's own
    max_tokens: int  # that it reads, prompt and completion together
    own_template: bool  # whether it ships a chat template
    served_by: str = ""  # the servers that write, "" for this process
    fingerprint: str = ""  # of the model's weights
    base_fingerprint: str = ""  # of what answers in the first panel: the same unless it is a checkpoint of its own
    untrained: frozenset[int] = frozenset()  # versions that are the instruction-tuned model unchanged


@dataclass(frozen=True)
class Services:
    """Where the data lies, who answers and who trains."""

    data_dir: Path
    db: Path
    engine: Engine
    model: ServedModel
    sft: Adapter | None  # the model's own instruction-tuned adapter; None for a chat checkpoint
    supervisor: Supervisor
    admin: AdminSessions
    examples: Sequence[Example]  # prompts that the page offers
    seeds: random.Random  # draws the seed of a comparison for which none is given
    status: Status
    preview: Preview
    admission: Admission = field(default_factory=Admission)
    lent: LentAdapters = field(default_factory=LentAdapters)  # adapters of another app, which is served here
    roles: Roles = field(default_factory=Roles)
    early: EarlyVotes = field(default_factory=EarlyVotes)  # on comparisons that are still being answered
    fold_harmful: bool = False  # whether untrained answers to what sounds harmful are folded until they are clicked
    recorded: RecordedExample | None = None  # what new visitors see
    key: str = ""  # the folder's secret, of which pseudonyms are made

    @property
    def example_groups(self) -> dict[str, list[str]]:
        """The examples' prompts by the name of their group."""
        groups: dict[str, list[str]] = {}
        for example in self.examples:
            groups.setdefault(example.group, []).append(example.prompt)
        return groups
