"""The named endpoints: the page, `gradio_client` and `curl` all come through these functions."""

import random
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as brief
from typing import Any, Literal

import gradio as gr

from alignment.errors import ConfigError, ModelLoadError
from alignment.models.model_folder import Example
from alignment.runs.supervisor import Supervisor
from alignment.serving.policy_server import PolicyServer, RowRequest, RowState, policy_ref
from alignment.settings import MAX_BEST_OF, MAX_COMPLETION_CHARACTERS, MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS
from storage import demonstrations, policies, preferences, runs
from storage.records import Comparison, Completion, PreferenceKind
from ui.access import AdminSessions, annotator_id
from ui.spoken import in_plain_words, spoken

COLUMNS = ("base", "sft", "rlhf")
MAX_COLUMNS = 6
MAX_ROWS = 24  # answers that are written at once for one comparison


@dataclass(frozen=True)
class Services:
    """What the handlers of the page work with."""

    db: Path
    server: PolicyServer
    supervisor: Supervisor
    admin: AdminSessions
    examples: list[Example]
    seeds: random.Random  # draws the seed of a comparison for which none is given


def _requested_columns(services: Services, columns: list[str] | None) -> list[RowRequest]:
    names = list(COLUMNS) if columns is None else columns
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not named or not 1 <= len(names) <= MAX_COLUMNS or len(set(names)) < len(names):
        raise ConfigError(
            f"columns must be 1 to {MAX_COLUMNS} different names out of base, sft, rlhf, v1, v2 …, got {brief(names)}"
        )
    known = {f"v{policy.version}": policy for policy in policies.list_policies(services.db)}
    rows = []
    for name in names:
        if name == "base":
            rows.append(RowRequest("base", 0))
        elif name == "sft":
            live = services.server.live
            rows.append(RowRequest("sft", 0, live if live.own_sft else None))
        elif name == "rlhf":
            rows.append(RowRequest("rlhf", 0, services.server.live))
        elif name in known:
            policy = known[name]
            rows.append(
                RowRequest("rlhf", 0, policy_ref(policy.version, services.db.parent / policy.path, policy.sha256))
            )
        else:
            raise ConfigError(
                f"there is no column {brief(name)}; there are base, sft, rlhf and {', '.join(sorted(known))}"
            )
    return rows


def _checked_prompt(prompt: Any) -> str:
    return _checked_text("prompt", prompt, MAX_PROMPT_CHARACTERS, "write a question or pick one of the examples")


def _checked_text(name: str, text: Any, longest: int, advice: str) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"the {name} must be text, got {brief(text)}; {advice}")
    if not text.strip():
        raise ConfigError(f"the {name} is empty; {advice}")
    if len(text) > longest:
        raise ConfigError(f"the {name} has {len(text):,} characters, {longest:,} are allowed; shorten it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the {name} holds half a character ({error.reason}); write it anew") from error
    return text.strip()


def _checked_source(source: Any) -> Literal["human", "simulated"]:
    if source not in ("human", "simulated"):
        raise ConfigError(f'source must be "human" or "simulated", got {brief(source)}')
    return source  # type: ignore[no-any-return]  # it is one of the two


def _checked_number(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not good or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise ConfigError(f"{name} must be a {kind} from {low:,} to {high:,}, got {brief(value)}")
    return float(value)


def _answer(comparison_id: str, rows: list[RowRequest], states: list[RowState], blind: bool) -> dict[str, Any]:
    longest = max(state.seconds for state in states)  # that of one would tell who was picked out of several
    return {
        "comparison_id": comparison_id,
        "completions": [
            {
                "slot": chr(ord("A") + i),
                "role": None if blind else row.role,
                "policy_version": row.policy.version if row.policy and not blind else None,
                "text": state.text,
                "tokens": len(state.token_ids),
                "finish_reason": state.finish_reason,
                "seconds": round(longest if blind else state.seconds, 3),
                "seed": row.seed,
            }
            for i, (row, state) in enumerate(zip(rows, states, strict=True))
        ],
    }


def _stored(
    comparison_id: str,
    prompt: str,
    rows: list[RowRequest],
    states: list[RowState],
    blind: bool,
    sampling: dict[str, Any],
) -> Comparison:
    completions = [
        Completion(
            slot=chr(ord("A") + i),
            role=row.role,
            policy_version=row.policy.version if row.policy else None,
            text=state.text,
            token_ids=list(state.token_ids),
            seed=row.seed,
            sampling=sampling | ({"best_of": row.best_of} if row.best_of > 1 else {}),
            finish_reason=state.finish_reason or "failed",
            first_token_seconds=state.first_token_seconds,
            seconds=state.seconds,
        )
        for i, (row, state) in enumerate(zip(rows, states, strict=True))
    ]
    return Comparison(comparison_id, prompt, "compare", blind, completions)


async def compare(
    services: Services,
    prompt: str,
    columns: list[str] | None = None,
    temperature: float = 0.7,
    max_new_tokens: int = 96,
    seed: int | None = None,
    blind: bool = False,
    best_of: int = 1,
) -> AsyncIterator[dict[str, Any]]:
    """Stream the answers of all columns; the last item is stored and may be voted on.

    A policy's answer is the best of `best_of` completions by its run's reward model together with the shipped one, all
    of it at once; at temperature 0, where all are the same, there is one.
    While others are served first, items carry `{"waiting": place in line}`; while the model loads,
    `{"loading": seconds}`.
    """
    prompt = _checked_prompt(prompt)
    _checked_number("temperature", temperature, 0, 2)
    _checked_number("max_new_tokens", max_new_tokens, 1, MAX_NEW_TOKENS, whole=True)
    if seed is not None:
        _checked_number("seed", seed, 0, 2**31 - 1, whole=True)
    _checked_number("best_of", best_of, 1, MAX_BEST_OF, whole=True)
    if blind not in (True, False, None):
        raise ConfigError(f"blind must be true or false, got {brief(blind)}")
    blind = bool(blind)
    rows = _requested_columns(services, columns)
    first_seed = int(seed) if seed is not None else services.seeds.randrange(2**31 - MAX_COLUMNS)
    if blind:
        random.SystemRandom().shuffle(rows)  # a seed must not tell who is who
    rows = [
        RowRequest(row.role, first_seed + i, row.policy, int(best_of) if row.role == "rlhf" and temperature else 1)
        for i, row in enumerate(rows)
    ]
    if sum(row.best_of for row in rows) > MAX_ROWS:
        raise ConfigError(
            f"best_of {int(best_of)} of so many policies is {sum(row.best_of for row in rows)} answers, {MAX_ROWS} are "
            "allowed at once; ask fewer columns or a smaller best_of"
        )
    comparison_id = preferences.new_comparison_id()
    states = [RowState() for _ in rows]
    if services.server.state.status == "loading":
        yield {"loading": round(services.server.state.seconds, 1), **_answer(comparison_id, rows, states, blind)}
    if held_back := blind and best_of > 1:
        yield _answer(comparison_id, rows, states, blind)  # all answers come at once, else the slow one would be known
    async for item in services.server.stream(prompt, rows, float(temperature), int(max_new_tokens)):
        if isinstance(item, int):
            yield {"waiting": item, **_answer(comparison_id, rows, states, blind)}
            continue
        states = item
        if not all(state.finish_reason for state in states) and not held_back:
            yield _answer(comparison_id, rows, states, blind)
    if not all(state.finish_reason in ("stop", "length") for state in states):
        raise ModelLoadError("the answer was stopped before it was finished; ask again")
    sampling = {"temperature": float(temperature), "max_new_tokens": int(max_new_tokens)}
    preferences.save_comparison(services.db, _stored(comparison_id, prompt, rows, states, blind, sampling))
    yield _answer(comparison_id, rows, states, blind)


def vote(
    services: Services,
    annotator: str,
    comparison_id: str,
    choice: str,
    source: Literal["human", "simulated"] = "human",
    decision_seconds: float | None = None,
) -> dict[str, Any]:
    """Store one judgement and return it with what the names behind the slots are. The same vote twice counts once."""
    source = _checked_source(source)
    comparison_id = _checked_text("comparison_id", comparison_id, MAX_PROMPT_CHARACTERS, "it is what /compare returns")
    comparison = preferences.get_comparison(services.db, comparison_id)
    slots = [completion.slot for completion in comparison.completions]
    kind: PreferenceKind
    if choice == "tie":
        tiers, kind = [slots], "tie"
    elif choice == "all_bad":
        tiers, kind = [], "all_bad"
    elif choice in slots:
        tiers, kind = [[choice], [slot for slot in slots if slot != choice]], "choice"
    else:
        raise ConfigError(f'choice must be one of {", ".join(slots)}, "tie" or "all_bad", got {brief(choice)}')
    try:
        preference_id = preferences.save_preference(
            services.db,
            comparison_id=comparison.id,
            annotator_id=annotator,
            tiers=tiers,
            kind=kind,
            source=source,
            decision_seconds=decision_seconds,
        )
    except preferences.DuplicateVoteError as duplicate:
        if duplicate.preference.tiers != tiers or duplicate.preference.kind != kind:
            raise
        preference_id = duplicate.preference.id
    return {
        "preference_id": preference_id,
        "pairs": preferences.count_pairs_of(services.db, preference_id),
        "new_since_last_run": preferences.new_since_last_run(services.db),
        "reveal": {completion.slot: completion.role for completion in comparison.completions},
    }


def demonstrate(
    services: Services,
    annotator: str,
    prompt: str,
    completion: str,
    source: Literal["human", "simulated"] = "human",
) -> dict[str, Any]:
    """Store what the models should have answered and return its id. The same one twice counts once.

    While the model loads, nobody knows how much it reads; what turns out too long is left out by the run.
    """
    prompt = _checked_prompt(prompt)
    completion = _checked_text(
        "completion", completion, MAX_COMPLETION_CHARACTERS, "write what the model should have answered"
    )
    source = _checked_source(source)
    services.server.require_readable(prompt, completion)
    demonstration_id = demonstrations.save_demonstration(
        services.db, prompt=prompt, completion=completion, annotator_id=annotator, source=source
    )
    return {"demonstration_id": demonstration_id}


def _run_number(value: Any) -> int:
    return int(_checked_number("run_id", value, 1, 2**53, whole=True))


def run_state(services: Services, run_id: int) -> dict[str, Any]:
    """Return where a run stands, with everything it measured as `{name: [[step, value], …]}`."""
    run = runs.get_run(services.db, _run_number(run_id))
    series: dict[str, list[list[float]]] = {}
    for metric in sorted(runs.metrics(services.db, run.id), key=lambda one: one.step):
        series.setdefault(metric.name, []).append([metric.step, metric.value])
    produced = policies.candidate_of(services.db, run.id)
    return {
        "run_id": run.id,
        "status": run.status,
        "stage": run.stage,
        "progress": run.progress,
        "metrics": series,
        "policy_version": produced.version if produced else None,
        "gate": produced.evaluation.get("gate") if produced else None,
        "error": run.error,
    }


def policy_list(services: Services) -> list[dict[str, Any]]:
    """Return all policy versions, newest first, without their paths."""
    return [
        {name: value for name, value in asdict(policy).items() if name not in ("path", "sha256")}
        for policy in policies.list_policies(services.db)
    ]


def register(services: Services) -> None:
    """Register the named endpoints on the Blocks being built."""

    async def compare_endpoint(
        prompt: str,
        columns: list[str] | None = None,
        temperature: float = 0.7,
        max_new_tokens: int = 96,
        seed: int | None = None,
        blind: bool = False,
        best_of: int = 1,
    ) -> AsyncIterator[dict[str, Any]]:
        """Stream what base, sft and rlhf answer to one prompt; the last item may be voted on."""
        try:
            async for item in compare(services, prompt, columns, temperature, max_new_tokens, seed, blind, best_of):
                yield item
        except Exception as error:
            raise in_plain_words(error) from error

    @spoken
    def vote_endpoint(
        comparison_id: str, choice: str, source: str = "human", request: gr.Request | None = None
    ) -> dict[str, Any]:
        """Store which completion is best: a slot, "tie" or "all_bad"."""
        return vote(services, annotator_id(request), comparison_id, choice, source)  # type: ignore[arg-type]

    @spoken
    def demonstrate_endpoint(
        prompt: str, completion: str, source: str = "human", request: gr.Request | None = None
    ) -> dict[str, Any]:
        """Store a completion that a person wrote; the next training begins with learning it."""
        return demonstrate(services, annotator_id(request), prompt, completion, source)  # type: ignore[arg-type]

    @spoken
    def login_endpoint(password: str) -> dict[str, Any]:
        """Return a token for the admin's password."""
        return {"token": services.admin.login(password)}

    @spoken
    def logout_endpoint(token: str) -> dict[str, Any]:
        """Forget a token."""
        services.admin.logout(token)
        return {}

    @spoken
    def retrain_endpoint(token: str, method: str = "ppo", settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """Queue a training run over all votes."""
        services.admin.require(token)
        return {"run_id": services.supervisor.retrain(method, settings)}

    @spoken
    def run_endpoint(run_id: int) -> dict[str, Any]:
        """Return where a run stands."""
        return run_state(services, run_id)

    @spoken
    def cancel_endpoint(token: str, run_id: int) -> dict[str, Any]:
        """End an open run at once."""
        services.admin.require(token)
        return {"status": services.supervisor.cancel(_run_number(run_id)).status}

    @spoken
    def resume_endpoint(token: str, run_id: int) -> dict[str, Any]:
        """Queue a failed or cancelled run again; it goes on from its last checkpoint, if it has one."""
        services.admin.require(token)
        return {"status": services.supervisor.resume(_run_number(run_id)).status}

    @spoken
    def policies_endpoint() -> dict[str, Any]:
        """Return all policy versions, the live one marked by its status."""
        return {"live": services.server.live.version, "policies": policy_list(services)}

    gr.api(compare_endpoint, api_name="compare", concurrency_limit=16)
    gr.api(vote_endpoint, api_name="vote", concurrency_limit=16)
    gr.api(demonstrate_endpoint, api_name="demonstrate", concurrency_limit=16)
    gr.api(login_endpoint, api_name="login")
    gr.api(logout_endpoint, api_name="logout")
    gr.api(retrain_endpoint, api_name="retrain")
    gr.api(run_endpoint, api_name="run", concurrency_limit=16)
    gr.api(cancel_endpoint, api_name="cancel")
    gr.api(resume_endpoint, api_name="resume")
    gr.api(policies_endpoint, api_name="policies", concurrency_limit=16)
