"""Completions by one model by its name, for clients that hold their own conversations; stored where they ask for it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

from alignment.errors import AlignmentError, ConfigError
from alignment.models.sampling import Sampling
from alignment.serving.engine import Finished, Grown, Row, RowState
from alignment.serving.engine import TokenLogProb as TokenLogProb
from service.compare import SEED_STEP, STOPPED, Column, column_named
from service.context import Services
from service.requests import MAX_ROWS, MAX_SEED
from service.roles import require_annotator
from storage import policies, preferences
from storage.messages import Messages
from storage.records import Comparison, Completion

End = Literal["stop", "length"]


class UnknownModelError(ConfigError, LookupError):
    """No model of that name is served."""


@dataclass(frozen=True)
class CompleteRequest:
    """What one model is to write."""

    model: str  # "base", "sft", "rlhf" or a version such as "v3"
    prompts: Sequence[Messages]
    templated: bool = True  # through the chat template; otherwise each prompt is bare text to be continued
    copies: int = 1  # completions of each prompt
    temperature: float | None = None  # None: the model's own, as for the two below
    top_p: float | None = None
    max_new_tokens: int | None = None
    seed: int | None = None  # None: drawn
    stop: tuple[str, ...] = ()  # texts at which a completion ends; they are no part of it
    top_log_probs: int | None = None  # likeliest tokens told of each place; None: no log-probabilities


@dataclass(frozen=True)
class Written:
    """A completion as far as it has come."""

    text: str
    state: RowState  # as the engine wrote it
    end: End | None = None  # None while it grows

    @property
    def tokens(self) -> int:
        """Tokens written, those beyond a stop text included."""
        return len(self.state.token_ids)

    @property
    def log_probs(self) -> tuple[TokenLogProb, ...]:
        """What is known of the tokens that are shown."""
        return tuple(one for one in self.state.log_probs if one.offset + len(one.text) <= len(self.text))

    @property
    def cut(self) -> bool:
        """Whether it ends before a stop text, where the model would have gone on."""
        return self.text != self.state.text


@dataclass(frozen=True)
class Completions:
    """All completions of a request as they stand, those of one prompt side by side."""

    written: tuple[Written, ...]
    prompt_tokens: int
    rows: tuple[Row, ...]
    column: Column


def served_models(services: Services) -> list[str]:
    """Return the names of all models that may be asked."""
    versions = sorted(policy.version for policy in policies.list_policies(services.db) if not policy.pruned)
    return ["base", "sft", "rlhf", *(f"v{version}" for version in versions), *services.lent.names]


def version_hashes(services: Services) -> dict[str, str]:
    """Return the hash of the folder that each name's adapter lies in; "" for one that came with the model."""
    live = services.engine.live
    versions = {f"v{policy.version}": policy.sha256 for policy in policies.list_policies(services.db)}
    return {"rlhf": live.sha256, "sft": live.sha256 if live.own_sft else "", **versions}


def require_served(services: Services, model: str) -> None:
    """Raise UnknownModelError for a name that no model bears."""
    names = served_models(services)
    if model not in names:
        raise UnknownModelError(f"there is no model {model!r} here; there are {', '.join(names)}")


async def complete(services: Services, annotator: str, request: CompleteRequest) -> AsyncGenerator[Completions]:
    """Yield the completions as they grow, all of them ended in the last item; closing the iterator stops them.

    Raises NotInvitedError for a viewer, UnknownModelError, ConfigError for what cannot be asked, TooOftenError for a
    stranger who asks too often, AlignmentError where the model cannot answer.
    """
    await asyncio.to_thread(require_annotator, services, annotator)
    column = _column(services, request)
    services.admission.admit(annotator)
    rows = _rows(services, request, column)
    ended: dict[int, Written] = {}
    prompt_tokens: int | None = None
    async with aclosing(services.engine.stream(rows, annotator)) as events:  # type: ignore[type-var]
        async for event in events:
            if not isinstance(event, Grown | Finished):
                continue
            if any(state.finish_reason == "cancelled" for state in event.rows):
                raise AlignmentError(STOPPED)
            for place, state in enumerate(event.rows):
                one = _until_stop(state, request.stop)
                if one.end is not None:
                    ended.setdefault(place, one)
            written = tuple(ended.get(i) or _until_stop(state, request.stop) for i, state in enumerate(event.rows))
            if prompt_tokens is None:  # not before: while the model loads, nobody knows
                prompt_tokens = sum(_prompt_tokens(services, row) for row in rows[:: request.copies])
            counted = sum(state.prompt_tokens for state in event.rows[:: request.copies])  # by a server elsewhere
            yield Completions(written, prompt_tokens or counted, tuple(rows), column)
            if len(ended) == len(rows):
                return


def save_completions(services: Services, completion_id: str, request: CompleteRequest, held: Completions) -> None:
    """Store the completions of one conversation, so that there may be feedback on them."""
    (messages,) = request.prompts
    completions = [
        Completion(
            slot=chr(ord("A") + place),
            role=held.column.role,
            policy_version=held.column.version,
            text=one.text,
            token_ids=[] if one.cut else list(one.state.token_ids),
            seed=row.seed,
            sampling=held.column.stored_sampling,
            finish_reason="cancelled" if one.cut else one.end or "cancelled",
            first_token_seconds=one.state.first_token_seconds,
            seconds=one.state.seconds,
        )
        for place, (one, row) in enumerate(zip(held.written, held.rows, strict=True))
    ]
    preferences.save_comparison(services.db, Comparison(completion_id, messages, "compare", False, completions))


def _column(services: Services, request: CompleteRequest) -> Column:
    require_served(services, request.model)
    if (count := len(request.prompts) * request.copies) > MAX_ROWS:
        raise ConfigError(f"{count} completions are asked for, {MAX_ROWS} are allowed at once; ask for fewer")
    asked = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_new_tokens": request.max_new_tokens,
    }
    changed: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    sampling = replace(services.model.sampling, **changed)
    if (lent := services.lent.get(request.model)) is not None:
        return Column("rlhf", lent, None, sampling)
    return column_named(services, request.model, sampling)


def _rows(services: Services, request: CompleteRequest, column: Column) -> list[Row]:
    seed = services.seeds.randrange(MAX_SEED) if request.seed is None else request.seed
    templated = request.templated and column.role != "base"
    sampling = _fitting(services, column.sampling, request)
    return [
        Row(messages, column.adapter, templated, sampling, seed + SEED_STEP * copy, request.top_log_probs)
        for messages in request.prompts
        for copy in range(request.copies)
    ]


def _fitting(services: Services, sampling: Sampling, request: CompleteRequest) -> Sampling:
    """Return the sampling with a length that fits beside the longest prompt, where the caller has set none."""
    if request.max_new_tokens is not None:
        return sampling
    free = [
        limits.context_tokens - limits.prompt_tokens
        for messages in request.prompts
        if (limits := services.engine.limits(Row(messages, None, request.templated, sampling, 0))) is not None
    ]
    return replace(sampling, max_new_tokens=max(1, min([sampling.max_new_tokens, *free])))


def _prompt_tokens(services: Services, row: Row) -> int:
    limits = services.engine.limits(row)
    return 0 if limits is None else limits.prompt_tokens


def _until_stop(state: RowState, stops: Sequence[str]) -> Written:
    """Return a completion up to the first stop text; while it grows, also without what may become one."""
    reason: End | None = (
        None if state.finish_reason is None else ("stop" if state.finish_reason == "stop" else "length")
    )
    found = [place for stop in stops if (place := state.text.find(stop)) >= 0]
    if found:
        return Written(state.text[: min(found)], state, "stop")
    text = state.text
    if reason is None:
        text = text.removesuffix("\ufffd")  # half a character
        held = max((_begun(text, stop) for stop in stops), default=0)
        text = text[: len(text) - held]
    return Written(text, state, reason)


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop text."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
