"""The one record that all services work with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.models.model_folder import Example
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import Adapter, Engine
from service.admin import AdminSessions
from service.status import Status


@dataclass(frozen=True)
class Services:
    """Where the data lies, who answers and who trains."""

    data_dir: Path
    db: Path
    engine: Engine
    sft: Adapter  # the model's own instruction-tuned adapter
    supervisor: Supervisor
    admin: AdminSessions
    examples: Sequence[Example]  # prompts that the page offers
    seeds: random.Random  # draws the seed of a comparison for which none is given
    status: Status

    @property
    def example_groups(self) -> dict[str, list[str]]:
        """The examples' prompts by the name of their group."""
        groups: dict[str, list[str]] = {}
        for example in self.examples:
            groups.setdefault(example.group, []).append(example.prompt)
        return groups
