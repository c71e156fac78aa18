"""Calls of the app's endpoints, as `gradio_client` makes them."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gradio_client import Client

from tests.harness.app import PASSWORD

T = TypeVar("T")
PANELS = ("base", "sft", "rlhf")
MAX_NEW_TOKENS = 96
POLL_SECONDS = 1.0  # asking costs time that the run would have


def compare(
    client: Client, prompt: str, columns: Sequence[str] = PANELS, seed: int = 0, temperature: float = 0.7
) -> dict[str, Any]:
    """Return the finished comparison of `/compare`: `{"comparison_id": …, "completions": [{"text": …}, …]}`."""
    arguments = (prompt, list(columns), temperature, MAX_NEW_TOKENS, seed, False)
    result: dict[str, Any] = client.predict(*arguments, api_name="/compare")
    return result


def texts(client: Client, prompt: str, columns: Sequence[str], seed: int, temperature: float = 0.7) -> list[str]:
    """Return what the columns answer, in their order."""
    return [one["text"] for one in compare(client, prompt, columns, seed, temperature)["completions"]]


def admin_token(client: Client) -> str:
    """Return a token of an admin who has just logged in."""
    return str(client.predict(PASSWORD, api_name="/login")["token"])


def retrain(client: Client, method: str, settings: dict[str, Any] | None = None) -> int:
    """Queue a run, as an admin; return its number. Fields that `settings` lacks have their defaults."""
    reply = client.predict(admin_token(client), method, settings, api_name="/retrain")
    return int(reply["run_id"])


def run_state(client: Client, run_id: int) -> dict[str, Any]:
    """Return what `/run` says of a run."""
    state: dict[str, Any] = client.predict(run_id, api_name="/run")
    return state


def wait_for_run(client: Client, run_id: int, timeout: float = 900) -> dict[str, Any]:
    """Return the last state of a run, once it has ended, with `stage_seconds`: the seconds until each stage began.

    Raises TimeoutError if it takes longer than `timeout` seconds.
    """
    started = time.monotonic()
    stages: dict[str, float] = {}

    def ended() -> dict[str, Any] | None:
        state = run_state(client, run_id)
        stages.setdefault(state["stage"] or "queued", round(time.monotonic() - started, 1))
        return None if state["status"] in ("queued", "running") else state

    return wait_for(ended, f"run {run_id} to end", timeout, POLL_SECONDS) | {"stage_seconds": stages}


def wait_for(look: Callable[[], T | None], what: str, timeout: float = 120, pause: float = 0.1) -> T:
    """Return the first answer of `look` that is not None; raise TimeoutError after `timeout` seconds without one."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(pause)
    raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
