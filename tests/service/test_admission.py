"""Keys, limits and how often strangers may ask, without a server."""

import hashlib
from dataclasses import replace

import pytest

from alignment.errors import AccessError, ConfigError
from alignment.serving.settings import USUAL, ServingLimits
from service import admission, keys
from service.admission import MOST_KNOWN, Admission, TooOftenError, stored_limits
from service.annotators import annotator_of
from service.keys import PREFIX, InvalidKeyError, KeyRequest, RevokeRequest, identify
from storage.api_keys import UnknownKeyError
from storage.database import read
from tests.harness.scripted import PASSWORD, Backstage


def bearing(secret: str) -> dict[str, object]:
    """Return the scope of a request that brings a key."""
    return {"headers": [(b"authorization", f"Bearer {secret}".encode())], "client": ("10.0.0.1", 5)}


@pytest.mark.parametrize("bad", [None, "", "made up"])
def test_keys_and_limits_are_the_admins_alone(behind: Backstage, bad: str | None) -> None:
    for act in (
        lambda: keys.make_key(behind.services, bad, KeyRequest("x")),
        lambda: keys.keys(behind.services, bad),
        lambda: keys.revoke_key(behind.services, bad, RevokeRequest(1)),
        lambda: admission.limits(behind.services, bad),
        lambda: admission.limits(behind.services, bad, {"rows": 1}),
    ):
        with pytest.raises(AccessError):
            act()
    assert stored_limits(behind.db) == USUAL


def test_of_a_key_a_hash_and_its_first_characters_are_stored_and_no_more(behind: Backstage) -> None:
    token = behind.services.admin.login(PASSWORD)
    made = keys.make_key(behind.services, token, KeyRequest("class 4b"))
    assert made.secret.startswith(PREFIX) and len(made.secret) > 50
    with read(behind.db) as db:
        dump = "\n".join(db.conn.iterdump())
    assert made.secret not in dump and made.secret[len(made.stored.beginning) :] not in dump
    assert hashlib.sha256(made.secret.encode()).hexdigest() in dump
    (listed,) = keys.keys(behind.services, token)
    assert (listed.name, listed.last_used, listed.revoked) == ("class 4b", None, None)
    assert made.secret.startswith(listed.beginning)


def test_a_key_names_its_holder_until_it_is_revoked(behind: Backstage) -> None:
    token = behind.services.admin.login(PASSWORD)
    made, other = (keys.make_key(behind.services, token, KeyRequest(name)) for name in ("one", "two"))
    scope = bearing(made.secret)
    identify(behind.services, scope)
    assert annotator_of(scope) == made.stored.annotator_id != other.stored.annotator_id
    assert keys.keys(behind.services, token)[-1].last_used is not None
    for _ in range(2):
        assert keys.revoke_key(behind.services, token, RevokeRequest(made.stored.id)).revoked
    with pytest.raises(InvalidKeyError, match="was revoked"):
        identify(behind.services, bearing(made.secret))
    identify(behind.services, bearing(other.secret), needed=True)
    with pytest.raises(UnknownKeyError, match="there is no key 99"):
        keys.revoke_key(behind.services, token, RevokeRequest(99))


def test_what_is_no_key_of_ours_is_a_stranger_unless_a_key_is_needed(behind: Backstage) -> None:
    for headers in ([], [(b"authorization", b"Bearer none")], [(b"authorization", b"Basic dHJpcHR5Y2gtOng=")]):
        scope = {"headers": headers, "client": ("10.0.0.1", 5)}
        identify(behind.services, scope)
        assert annotator_of(scope).startswith("host-")
        with pytest.raises(InvalidKeyError, match="an API key is needed here"):
            identify(behind.services, scope, needed=True)


def test_limits_hold_at_once_and_after_a_restart_and_what_does_not_fit_changes_nothing(behind: Backstage) -> None:
    token = behind.services.admin.login(PASSWORD)
    assert admission.limits(behind.services, token) == USUAL
    wanted = replace(USUAL, rows=6, key_required=True)
    assert admission.limits(behind.services, token, {"rows": 6, "key_required": True}) == wanted
    for bad, words in (
        ({"rows": 0}, "settings.rows must be between 1 and 4096, got 0"),
        ({"rows": 2.5}, "settings.rows must be a whole number"),
        ({"key_required": 1}, "settings.key_required must be true or false"),
        ({"speed": 1}, "settings has no field 'speed'"),
    ):
        with pytest.raises(ConfigError, match=words):
            admission.limits(behind.services, token, bad)
    assert stored_limits(behind.db) == behind.services.admission.limits == behind.engine.limited == wanted


def test_an_allowance_fills_up_again_and_each_stranger_has_one_of_their_own() -> None:
    now = [0.0]
    door = Admission(ServingLimits(requests_a_minute=6), lambda: now[0])
    for _ in range(6):
        door.admit("a-1")
    with pytest.raises(TooOftenError, match="ask again in 10 s"):
        door.admit("a-1")
    door.admit("a-2")
    now[0] = 5.0
    with pytest.raises(TooOftenError, match="ask again in 5 s"):
        door.admit("a-1")
    now[0] = 10.0
    door.admit("a-1")
    for _ in range(20):
        door.admit("key-1")


def test_not_more_strangers_are_remembered_than_memory_is_meant_for() -> None:
    door = Admission(ServingLimits(requests_a_minute=1))
    for number in range(MOST_KNOWN + 5):
        door.admit(f"a-{number}")
    assert len(door._left) == MOST_KNOWN
