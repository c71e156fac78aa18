"""The admin's password and the tokens given for it."""

import hmac
import secrets
import time

from alignment.errors import AccessError

TOKEN_SECONDS = 12 * 3600.0


class AdminSessions:
    """The admin's password and the tokens given for it; tokens end after twelve hours or with the process."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._expiry: dict[str, float] = {}

    def login(self, password: str) -> str:
        """Return a new token for the right password, else raise AccessError."""
        if not hmac.compare_digest(str(password).encode(errors="replace"), self._password.encode()):
            raise AccessError("wrong password; the one in force was printed when the app started")
        token = secrets.token_urlsafe(32)
        self._expiry[token] = time.monotonic() + TOKEN_SECONDS
        return token

    def logout(self, token: str | None) -> None:
        """Forget a token; an unknown one is forgotten already."""
        self._expiry.pop(str(token), None)

    def is_valid(self, token: str | None) -> bool:
        """Return whether the token was given out and has not ended."""
        return self._expiry.get(str(token), 0.0) > time.monotonic()

    def require(self, token: str | None) -> None:
        """Raise AccessError unless the token is valid."""
        if not self.is_valid(token):
            raise AccessError("this needs the admin's token, and the one given is missing or has ended; log in first")
