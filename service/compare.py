"""Compare: one turn, one completion a column, streamed side by side and stored when all have ended."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from reprlib import repr as brief
from typing import Any

from alignment.errors import AlignmentError, ConfigError
from alignment.models.sampling import Sampling
from alignment.serving.engine import Adapter, Finished, Grown, PolicyVersion, Row, RowState, Waiting, policy_version_at
from service.completions import ShownCompletion, shown
from service.context import Services
from service.conversations import Turn, next_turn
from service.requests import MAX_COLUMNS, MAX_SEED, CompareRequest
from storage import conversations, database, policies, preferences
from storage.messages import Messages
from storage.records import Comparison, Completion, Role

SEED_STEP = 1_000_003  # between the seeds of one column's completions; those of neighbouring columns differ by 1


@dataclass(frozen=True)
class Column:
    """One panel: who answers, and out of how many completions the shown one is picked."""

    role: Role
    adapter: Adapter | None  # None: the weights as they are
    version: int | None  # that people see beside the role
    policy: PolicyVersion | None = None  # whose reward models pick the best completion
    copies: int = 1


@dataclass(frozen=True)
class Progress:
    """A comparison as far as it has come."""

    comparison_id: str
    conversation_id: str
    completions: tuple[ShownCompletion, ...]
    waiting: int | None = None  # place in line
    loading: float | None = None  # seconds since the model began to load

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/compare` get it."""
        waits = {"waiting": self.waiting, "loading": self.loading}
        known = {name: value for name, value in waits.items() if value is not None}
        completions = [completion.to_json() for completion in self.completions]
        ids = {"comparison_id": self.comparison_id, "conversation_id": self.conversation_id}
        return {**known, **ids, "completions": completions}


@dataclass(frozen=True)
class _Call:
    """What stays the same while a comparison is answered."""

    comparison_id: str
    request: CompareRequest
    turn: Turn
    sampling: Sampling
    columns: Sequence[Column]
    first_seed: int  # of the first column; each further one's is 1 higher

    @property
    def held_back(self) -> bool:
        """Whether all completions are shown at once: a slow one would tell which column picks the best of several."""
        return self.request.blind and self.request.best_of > 1

    def rows(self) -> list[Row]:
        """Return the completions to be written, those of one column side by side."""
        messages, sampling = self.turn.messages, self.sampling
        return [
            Row(messages, column.adapter, column.role != "base", sampling, self.first_seed + i + SEED_STEP * copy)
            for i, column in enumerate(self.columns)
            for copy in range(column.copies)
        ]

    def by_column(self, states: Sequence[RowState]) -> list[list[RowState]]:
        """Return the states of the completions of each column."""
        rest = iter(states)
        return [list(islice(rest, column.copies)) for column in self.columns]

    def completions(self, states: Sequence[RowState]) -> list[Completion]:
        """Return one completion a column as it is stored."""
        sampling = _sampling_to_json(self.sampling)
        return [
            Completion(
                slot=chr(ord("A") + i),
                role=column.role,
                policy_version=column.version,
                text=state.text,
                token_ids=list(state.token_ids),
                seed=self.first_seed + i,
                sampling=sampling | ({"best_of": column.copies} if column.copies > 1 else {}),
                finish_reason=state.finish_reason or "",
                first_token_seconds=state.first_token_seconds,
                seconds=state.seconds,
            )
            for i, (column, state) in enumerate(zip(self.columns, states, strict=True))
        ]

    def progress(self, states: Sequence[RowState], **waits: Any) -> Progress:
        """Return how far the comparison has come."""
        completions = shown(self.completions(states), reveal=not self.request.blind)
        return Progress(self.comparison_id, self.turn.conversation_id, completions, **waits)

    def comparison(self, states: Sequence[RowState]) -> Comparison:
        """Return the comparison as it is stored."""
        turn = self.turn
        return Comparison(
            id=self.comparison_id,
            messages=turn.messages,
            kind="compare",
            blind=self.request.blind,
            completions=self.completions(states),
            conversation_id=turn.conversation_id,
            turn=turn.number,
            continued_from=turn.continued_from,
        )


def _sampling_to_json(sampling: Sampling) -> dict[str, Any]:
    """Return a way of drawing without what is off."""
    values, off = asdict(sampling), asdict(Sampling())
    always = ("temperature", "max_new_tokens")
    return {name: value for name, value in values.items() if name in always or value != off[name]}


def requested_columns(services: Services, request: CompareRequest, sampling: Sampling) -> list[Column]:
    """Return what answers in each column, or raise ConfigError for a name that nothing bears."""
    live = services.engine.live
    found: list[Column] = []
    for name in request.columns:
        if name == "base":
            found.append(Column("base", None, None))
        elif name == "sft":
            found.append(Column("sft", live.sft or services.sft, live.version if live.own_sft else None))
        else:
            policy = live if name == "rlhf" else _version(services, name)
            adapter = policy.adapter or policy.sft or services.sft  # one without an adapter is the SFT model
            copies = request.copies(name, sampling.temperature)
            found.append(Column("rlhf", adapter, policy.version, policy, copies))
    if request.blind:
        random.SystemRandom().shuffle(found)  # a seed must not tell who is who
    return found


def _version(services: Services, name: str) -> PolicyVersion:
    known = {f"v{policy.version}": policy for policy in policies.list_policies(services.db)}
    if name not in known:
        versions = ", ".join(sorted(known, key=lambda one: int(one[1:])))
        raise ConfigError(f"there is no column {brief(name)}; there are base, sft, rlhf and {versions}")
    policy = known[name]
    return policy_version_at(policy.version, services.data_dir / policy.path, policy.sha256)


async def compare(services: Services, annotator: str, request: CompareRequest) -> AsyncGenerator[Progress, None]:
    """Yield a comparison as it grows; the last item is stored and may be voted on. Closing the iterator stops it.

    Raises ConfigError for what cannot be asked, AlignmentError where the model cannot answer, StorageError for a
    conversation that cannot be gone on with.
    """
    sampling = request.sampling(services.model.sampling)
    columns = requested_columns(services, request, sampling)
    turn = await asyncio.to_thread(next_turn, services, annotator, request)
    seed = request.seed if request.seed is not None else services.seeds.randrange(MAX_SEED + 1 - MAX_COLUMNS)
    call = _Call(database.new_id(), request, turn, sampling, columns, seed)
    states = [RowState()] * len(columns)
    for column in columns:
        if column.policy is not None and column.copies > 1:  # refused before anything is written
            await asyncio.wrap_future(services.engine.scores(column.policy, turn.messages, ()))
    if (state := services.engine.state).status == "loading":
        yield call.progress(states, loading=round(state.seconds, 1))
    if call.held_back:
        yield call.progress(states)
    async for event in services.engine.stream(call.rows()):
        match event:
            case Waiting(place):
                yield call.progress(states, waiting=place)
            case Grown(rows):
                states = [group[0] if len(group) == 1 else RowState() for group in call.by_column(rows)]
                if not call.held_back:
                    yield call.progress(states)
            case Finished(rows):
                states = await _best(services, call, rows)
    if not all(state.finish_reason in ("stop", "length") for state in states):
        raise AlignmentError("the answer was stopped before it was finished; ask again")
    await asyncio.to_thread(conversations.save_turn, services.db, call.comparison(states), annotator)
    yield call.progress(states)


async def _best(services: Services, call: _Call, rows: Sequence[RowState]) -> list[RowState]:
    """Return the best completion of each column by the reward models that go with its policy."""
    best = []
    for column, group in zip(call.columns, call.by_column(rows), strict=True):
        if column.policy is None or len(group) == 1 or any(one.finish_reason == "cancelled" for one in group):
            best.append(group[0])
        else:
            best.append(await _highest(services, call.turn.messages, column.policy, group))
    return best


async def _highest(
    services: Services, messages: Messages, policy: PolicyVersion, group: Sequence[RowState]
) -> RowState:
    """Return the completion with the highest score; only those that ended by themselves count, if there are any."""
    started, written = time.monotonic(), max(one.seconds for one in group)
    ended = [one for one in group if one.finish_reason == "stop"] or list(group)
    scores = await asyncio.wrap_future(services.engine.scores(policy, messages, [one.token_ids for one in ended]))
    chosen = ended[max(range(len(ended)), key=scores.__getitem__)]
    seconds = written + time.monotonic() - started
    return RowState(chosen.text, chosen.token_ids, chosen.finish_reason, chosen.first_token_seconds, seconds)


def stored_comparison(services: Services, comparison_id: str) -> Comparison:
    """Return a stored comparison; raise StorageError, a LookupError, for an id that nothing was stored under."""
    return preferences.get_comparison(services.db, comparison_id)
