"""Who may ask now: the limits as they stand, and how often strangers have asked lately."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment.errors import AlignmentError
from alignment.serving.settings import USUAL, ServingLimits
from alignment.validation import with_changes
from service.annotators import holds_key
from storage.kept_settings import keep_settings, kept_settings

if TYPE_CHECKING:
    from service.context import Services

LIMITS = "limits"  # under which they are kept
MOST_KNOWN = 10_000  # strangers that are remembered; those who have not asked lately are forgotten first


class TooOftenError(AlignmentError):
    """A stranger asks more often than is allowed; `seconds` later one may ask again."""

    def __init__(self, allowed: int, seconds: int) -> None:
        super().__init__(
            f"you have asked more often than {allowed:,} times a minute, which is the limit without a key; "
            f"ask again in {seconds} s"
        )
        self.seconds = seconds


class Admission:
    """Counts what strangers ask, each against an allowance that fills up again. From any thread."""

    def __init__(self, limits: ServingLimits = USUAL, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # by annotator: questions left, and when that was so

    def admit(self, annotator: str) -> None:
        """Count a question; raise TooOftenError, and count nothing, for a stranger who has none left."""
        allowed = self.limits.requests_a_minute
        if not allowed or holds_key(annotator):
            return
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(annotator, (float(allowed), now))
            left = min(float(allowed), left + (now - since) * allowed / 60)
            self._left[annotator] = (left - 1 if left >= 1 else left, now)
            while len(self._left) > MOST_KNOWN:
                del self._left[next(iter(self._left))]
        if left < 1:
            raise TooOftenError(allowed, math.ceil((1 - left) * 60 / allowed))


def stored_limits(db: Path) -> ServingLimits:
    """Return the limits that were set last, or the usual ones."""
    return with_changes(USUAL, kept_settings(db, LIMITS) or {}, LIMITS)


def limits(services: "Services", token: str | None, changes: dict[str, Any] | None = None) -> ServingLimits:
    """Change some limits, if any are given, and return all; they hold at once and after a restart.

    Raises AccessError without the admin's token, ConfigError for what does not fit; nothing is changed then.
    """
    services.admin.require(token)
    if changes:
        changed = with_changes(services.admission.limits, changes, "settings")
        keep_settings(services.db, LIMITS, asdict(changed), event="limits")
        services.admission.limits = changed
        services.engine.restrict(changed)
    return services.admission.limits
