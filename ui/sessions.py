"""What Gradio keeps of each session, forgotten once nobody comes back to it.

Gradio keeps up to 10,000 sessions with the configuration of every component, which is 0.6 MB here. Each call by a
program is a session of its own, and a page that was closed stays one.
"""

import re
import time
from datetime import datetime, timedelta

from gradio.state_holder import SessionState, StateHolder

CALL = re.compile(r"[0-9a-f]{32}")  # the session of a call that named none is called like its event
CALL_KEPT = timedelta(minutes=1)  # since its last step; a slower call only begins a new session
PAGE_KEPT = timedelta(hours=1)  # after it was closed, as long as Gradio keeps what its states hold
LOOK_SECONDS = 20.0


class Sessions(StateHolder):  # type: ignore[misc]  # Gradio's is untyped
    """Gradio's sessions, of which those are dropped that nobody comes back to."""

    looked = 0.0  # on the monotonic clock

    def __getitem__(self, session_id: str) -> SessionState:
        """Return a session, a new one if it is not known; now and then drop those that are over."""
        if time.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = time.monotonic()
            self.drop_idle(datetime.now())
        return super().__getitem__(session_id)

    def drop_idle(self, now: datetime) -> None:
        """Drop calls that ended, and pages that were closed, long ago."""
        with self.lock:
            for session_id, used in list(self.time_last_used.items()):
                session = self.session_data.get(session_id)
                closed = session is None or session.is_closed
                kept = PAGE_KEPT if closed else CALL_KEPT if CALL.fullmatch(session_id) else None
                if kept is not None and now - used > kept:
                    self.session_data.pop(session_id, None)
                    self.time_last_used.pop(session_id, None)
