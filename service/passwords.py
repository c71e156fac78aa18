"""Passwords as they are stored: by a slow, salted hash, so that whoever gets the file cannot try many."""

import hashlib
import hmac
import secrets

COST, BLOCK, LANES = 2**14, 8, 5  # of scrypt: some half a second and 16 MiB a guess
MEMORY = 64 * 2**20  # most that scrypt may take
FEWEST_CHARACTERS, MOST_CHARACTERS = 8, 200


def hashed(password: str) -> str:
    """Return a password's hash with all that is needed to compare another one: "scrypt$16384$8$5$salt$digest"."""
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), salt.hex(), _digest(password, salt).hex()])


def matches(password: str, stored: str) -> bool:
    """Return whether a password is the one whose hash was stored; it takes as long for a wrong one."""
    _, cost, block, lanes, salt, digest = stored.split("$")
    found = _digest(password, bytes.fromhex(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(found, bytes.fromhex(digest))


def same(password: str, right: str) -> bool:
    """Return whether two passwords are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(password.encode(errors="replace"), right.encode(errors="replace"))


def _digest(password: str, salt: bytes, cost: int = COST, block: int = BLOCK, lanes: int = LANES) -> bytes:
    secret = password.encode(errors="replace")
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, maxmem=MEMORY)
