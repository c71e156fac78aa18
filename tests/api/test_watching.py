"""Health and metrics."""

import httpx

from alignment.serving.engine import EngineState
from tests.harness.scripted import Site


def figures(served: Site) -> dict[str, float]:
    lines = httpx.get(f"{served.url}/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def test_health_says_what_the_model_is_doing(served: Site) -> None:
    assert httpx.get(f"{served.url}/healthz").json() == {"status": "ready", "message": "Ready"}
    served.behind.engine.state = EngineState("failed", "The weights are gone", 2.0)
    found = httpx.get(f"{served.url}/healthz")
    assert (found.status_code, found.json()["message"]) == (503, "The weights are gone")


def test_calls_and_tokens_are_counted(served: Site) -> None:
    asked = {"model": "sft", "messages": [{"role": "user", "content": "Hi there"}]}
    assert httpx.post(f"{served.url}/v1/chat/completions", json=asked).status_code == 200
    assert httpx.post(f"{served.url}/v1/chat/completions", json={**asked, "model": "none"}).status_code == 404
    found = figures(served)
    assert found['triptych_requests_total{status="200"}'] == found['triptych_requests_total{status="404"}'] == 1
    assert found['triptych_prompt_tokens_total{model="sft"}'] == 2
    assert found['triptych_completion_tokens_total{model="sft"}'] == 4
    assert (found["triptych_live_version"], found["triptych_model_ready"], found["triptych_training"]) == (1, 1, 0)
