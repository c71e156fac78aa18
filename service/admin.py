"""Who may do what an admin does: the password, the tokens given for it, and the wait after wrong ones."""

import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from alignment.errors import AccessError, ConfigError
from service.passwords import matches, same
from storage.events import ACTING, ADMIN

TOKEN_SECONDS = 12 * 3600.0
FREE_TRIES = 3  # wrong passwords from one place before the next one has to wait
LONGEST_WAIT = 300.0  # seconds
MOST_PLACES = 10_000  # whose wrong passwords are remembered; those of longest ago are forgotten first


@dataclass(frozen=True)
class Failures:
    """Wrong passwords in a row from one place, and until when it has to wait."""

    count: int = 0
    until: float = 0.0


class AdminSessions:
    """The admin's password and the tokens given for it. All methods may be called from any thread.

    Tokens end after twelve hours, at logout, when the password changes, and with the process.
    """

    def __init__(
        self, given: str = "", stored: str = "", *, fixed: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take a password as it is, or the hash of one that was stored; a `fixed` one cannot be changed."""
        self._given, self._stored, self._fixed = given, stored, fixed
        self._clock = clock
        self._lock = threading.Lock()
        self._expiry: dict[str, float] = {}
        self._holders: dict[str, str] = {}  # annotators by token
        self._invited: dict[str, tuple[int, str]] = {}  # invitations by token, and for whom they are
        self._failures: dict[str, Failures] = {}

    def login(self, password: str, place: str = "") -> str:
        """Return a new token for the right password, else raise AccessError.

        `place` is where the caller sits, such as an address: after a few wrong passwords from there the next one has
        to wait, twice as long each time. Passwords are tried one after another, whoever sends them.
        """
        with self._lock:
            failed = self._failures.get(place, Failures())
            if (wait := failed.until - self._clock()) > 0:
                raise AccessError(f"{failed.count} wrong passwords came from here; try again in {math.ceil(wait)} s")
            if not self._is_right(str(password)):
                self._note_failure(place, failed.count + 1)
                raise AccessError("wrong password; it was set by whoever runs this app, or printed when it started")
            self._failures.pop(place, None)
            return self._new_token()

    def grant(self, annotator: str, invitation: int, name: str) -> str:
        """Return a new token for an annotator who came by an admin's invitation; the audit trail has the name."""
        with self._lock:
            token = self._new_token()
            self._invited[token] = invitation, name
            self._holders[token] = annotator
            return token

    def end_invited(self, invitation: int | None = None) -> None:
        """End the tokens that were given for an invitation, without one those for all of them."""
        with self._lock:
            for token, (by, _) in list(self._invited.items()):
                if invitation in (None, by):
                    self._end(token)

    def logout(self, token: str | None) -> None:
        """Forget a token; an unknown one is forgotten already."""
        with self._lock:
            self._end(str(token))

    def is_valid(self, token: str | None) -> bool:
        """Return whether the token was given out and has not ended."""
        return self._expiry.get(str(token), -math.inf) > self._clock()

    def note_holder(self, token: str, annotator: str) -> None:
        """Remember which annotator a token was given to."""
        self._holders[token] = annotator

    def is_held_by(self, annotator: str) -> bool:
        """Return whether an annotator holds a token that has not ended."""
        return any(held == annotator and self.is_valid(token) for token, held in list(self._holders.items()))

    def require(self, token: str | None) -> None:
        """Raise AccessError unless the token is valid."""
        if not self.is_valid(token):
            raise AccessError("this needs the admin's token, and the one given is missing or has ended; log in first")
        number, name = self._invited.get(str(token), (0, ""))
        ACTING.set(f"{name} (invitation {number})" if number else ADMIN)

    def confirm(self, password: str) -> None:
        """Raise AccessError unless this is the password."""
        with self._lock:
            if not self._is_right(str(password)):
                raise AccessError("the present password is another one; nothing was changed")

    def change_password(self, stored: str) -> None:
        """Let only the password with this hash be right from here on; all tokens end.

        Raises ConfigError for a fixed one.
        """
        if self._fixed:
            raise ConfigError(
                "the password was set in TRIPTYCH_ADMIN_PASSWORD when the app started; change it there, or start "
                "without it"
            )
        with self._lock:
            self._given, self._stored = "", stored
            self._expiry.clear()
            self._holders.clear()
            self._invited.clear()

    def _is_right(self, password: str) -> bool:
        if self._given:
            return same(password, self._given)
        return bool(self._stored) and matches(password, self._stored)

    def _note_failure(self, place: str, count: int) -> None:
        wait = min(LONGEST_WAIT, 2.0 ** min(count - FREE_TRIES, 20)) if count >= FREE_TRIES else 0.0
        self._failures.pop(place, None)
        self._failures[place] = Failures(count, self._clock() + wait)
        while len(self._failures) > MOST_PLACES:
            del self._failures[next(iter(self._failures))]

    def _new_token(self) -> str:
        now, token = self._clock(), secrets.token_urlsafe(32)
        for ended in [one for one, end in self._expiry.items() if end <= now]:
            self._end(ended)
        self._expiry[token] = now + TOKEN_SECONDS
        return token

    def _end(self, token: str) -> None:
        self._expiry.pop(token, None)
        self._holders.pop(token, None)
        self._invited.pop(token, None)
