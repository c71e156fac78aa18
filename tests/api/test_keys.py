"""Keys and limits as clients of OpenAI's API meet them."""

import openai
import pytest
from openai import OpenAI

from alignment.serving.settings import ServingLimits
from service import admission, keys
from service.invitations import InvitationsRequest, invitations
from service.keys import KeyRequest, RevokeRequest
from storage.database import read
from storage.overview import overview
from tests.harness.scripted import PASSWORD, Site

HI = [{"role": "user", "content": "Hi"}]


def client(served: Site, key: str) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)


def made_key(served: Site, name: str = "a script") -> keys.NewKey:
    services = served.behind.services
    return keys.make_key(services, services.admin.login(PASSWORD), KeyRequest(name))


def set_limits(served: Site, **changes: object) -> None:
    services = served.behind.services
    admission.limits(services, services.admin.login(PASSWORD), changes)


def test_a_key_is_asked_for_only_where_the_admin_says_so(served: Site) -> None:
    assert client(served, "none").models.list()
    set_limits(served, key_required=True)
    with pytest.raises(openai.AuthenticationError, match="an API key is needed here") as refused:
        client(served, "none").chat.completions.create(model="sft", messages=HI)
    assert refused.value.body == {
        "message": refused.value.body["message"],  # type: ignore[index]
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    key = made_key(served).secret
    assert client(served, key).chat.completions.create(model="sft", messages=HI).choices[0].message.content


def test_a_key_that_was_revoked_or_made_up_is_refused_also_where_none_is_asked_for(served: Site) -> None:
    services, made = served.behind.services, made_key(served)
    keys.revoke_key(services, services.admin.login(PASSWORD), RevokeRequest(made.stored.id))
    for key in (made.secret, "triptych-guessed"):
        with pytest.raises(openai.AuthenticationError, match="is not known here or was revoked"):
            client(served, key).models.list()


def test_the_holder_of_a_key_is_an_annotator_of_its_own(served: Site) -> None:
    made = made_key(served)
    with client(served, made.secret) as asking:
        answer = asking.chat.completions.create(model="rlhf", messages=HI, store=True)
        asking.post("/feedback", body={"id": answer.id, "rating": "up"}, cast_to=object)
    with read(served.behind.db) as db:
        assert [row["annotator"] for row in db["preferences"].rows] == [made.stored.annotator_id]
        assert [row["name"] for row in db["annotators"].rows] == ["a script"]


def test_strangers_who_ask_too_often_are_told_when_to_come_back_and_holders_of_a_key_are_not(served: Site) -> None:
    set_limits(served, requests_a_minute=2)
    key = made_key(served).secret
    for _ in range(3):
        client(served, key).chat.completions.create(model="sft", messages=HI)
    for _ in range(2):
        client(served, "none").chat.completions.create(model="sft", messages=HI)
    with pytest.raises(openai.RateLimitError, match="more often than 2 times a minute") as refused:
        client(served, "none").chat.completions.create(model="sft", messages=HI, stream=True)
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 30
    assert refused.value.code == "rate_limit_exceeded"
    set_limits(served, requests_a_minute=0)
    assert client(served, "none").chat.completions.create(model="sft", messages=HI)
    assert served.behind.engine.limited == ServingLimits(requests_a_minute=0)


def test_with_roles_on_strangers_may_look_at_models_and_no_more(served: Site) -> None:
    services, key = served.behind.services, made_key(served).secret
    stored = client(served, "none").chat.completions.create(model="sft", messages=HI, store=True).id
    invitations(services, services.admin.login(PASSWORD), InvitationsRequest("on"))
    assert client(served, "none").models.list()
    before = overview(served.behind.db)
    for path, body in (
        ("/chat/completions", {"model": "sft", "messages": HI}),
        ("/chat/completions", {"model": "sft", "messages": HI, "stream": True}),
        ("/completions", {"model": "sft", "prompt": "Hi"}),
        ("/feedback", {"id": stored, "rating": "up"}),
        ("/feedback", {"id": stored, "better": "Hello."}),
        ("/load_lora_adapter", {"lora_name": "x", "lora_path": "/"}),
    ):
        with pytest.raises(openai.PermissionDeniedError, match="for an API key"):
            client(served, "none").post(path, body=body, cast_to=object)
    assert overview(served.behind.db) == before
    assert client(served, key).chat.completions.create(model="sft", messages=HI)
