"""The bounds of the check at the end of a run: read and changed by the admin."""

from typing import Any

from alignment.runs.bounds import change_bounds, with_bounds
from alignment.runs.settings import GateConfig
from service.context import Services


def bounds(services: Services, token: str | None, changes: dict[str, Any] | None = None) -> GateConfig:
    """Change some bounds, if any are given, and return all; they hold for the runs that are queued from then on.

    Raises AccessError without the admin's token, ConfigError for what does not fit; nothing is changed then.
    """
    services.admin.require(token)
    defaults = services.supervisor.defaults
    return change_bounds(services.db, defaults, changes) if changes else with_bounds(services.db, defaults).gate
