"""Compare: one turn, one completion a column, streamed side by side and stored when all have ended."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from reprlib import repr as brief
from typing import Any

from alignment.errors import AlignmentError, ConfigError
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.serving.engine import Adapter, Finished, Grown, PolicyVersion, Row, RowState, Waiting, policy_version_at
from alignment.settings import PREVIEW_SAMPLES
from service.completions import Progress, shown
from service.context import Services
from service.conversations import Turn, next_turn
from service.early import until
from service.harmful import folded
from service.preview import Fitted
from service.requests import MAX_COLUMNS, MAX_SEED, CompareRequest
from service.roles import require_annotator
from storage import conversations, database, policies, preferences
from storage.messages import Messages
from storage.records import Comparison, Completion, Role

log = logging.getLogger(__name__)
STOPPED = "the answer was stopped before it was finished; ask again"
SEED_STEP = 1_000_003  # between the seeds of one column's completions; those of neighbouring columns differ by 1


@dataclass(frozen=True)
class Column:
    """One panel: who answers, and out of how many completions the shown one is picked."""

    role: Role
    adapter: Adapter | None  # None: the weights as they are
    version: int | None  # that people see beside the role
    sampling: Sampling
    policy: PolicyVersion | None = None  # whose reward models pick the best completion
    copies: int = 1
    preview: Fitted | None = None  # picks the best completion in their place

    @property
    def stored_sampling(self) -> dict[str, Any]:
        """How the shown completion was drawn and picked."""
        values, off = asdict(self.sampling), asdict(Sampling())
        always = ("temperature", "max_new_tokens")
        drawn = {name: value for name, value in values.items() if name in always or value != off[name]}
        return drawn | ({"preview" if self.preview else "best_of": self.copies} if self.copies > 1 else {})

    def completion(self, place: int, state: RowState, seed: int) -> Completion:
        """Return what the column shows at a place, 0 for the first, as it is stored."""
        return Completion(
            slot=chr(ord("A") + place),
            role=self.role,
            policy_version=self.version,
            text=state.text,
            token_ids=list(state.token_ids),
            seed=seed,
            sampling=self.stored_sampling,
            finish_reason=state.finish_reason or "",
            first_token_seconds=state.first_token_seconds,
            seconds=state.seconds,
        )


@dataclass(frozen=True)
class _Picked:
    """The completion that a column shows."""

    column: Column
    state: RowState
    copy: int = 0  # which of the column's completions it is

    def cut(self) -> "_Picked":
        """Return it as a vote leaves it that comes before its end; without a word, nothing of it was shown."""
        if self.state.finish_reason is not None:
            return self
        if self.state.text.strip():
            return replace(self, state=replace(self.state, finish_reason="cancelled"))
        return _Picked(replace(self.column, copies=1, preview=None), RowState(finish_reason="cancelled"))


@dataclass(frozen=True)
class _Call:
    """What stays the same while a comparison is answered."""

    comparison_id: str
    annotator: str
    request: CompareRequest
    turn: Turn
    columns: Sequence[Column]
    first_seed: int  # of the first column; each further one's is 1 higher
    folds: bool = False  # whether untrained answers to what sounds harmful are folded

    @property
    def held_back(self) -> bool:
        """Whether all completions are shown at once: a slow one would tell which column picks the best of several."""
        return self.request.blind and any(column.copies > 1 for column in self.columns)

    def rows(self) -> list[Row]:
        """Return the completions to be written, those of one column side by side."""
        messages = self.turn.messages
        return [
            Row(
                messages,
                column.adapter,
                column.role != "base",
                column.sampling,
                seed + SEED_STEP * copy,
                extra=copy > 0,
            )
            for seed, column in enumerate(self.columns, self.first_seed)
            for copy in range(column.copies)
        ]

    def by_column(self, states: Sequence[RowState]) -> list[list[RowState]]:
        """Return the states of the completions of each column."""
        rest = iter(states)
        return [list(islice(rest, column.copies)) for column in self.columns]

    def completions(self, picked: Sequence[_Picked]) -> list[Completion]:
        """Return one completion a column as it is stored."""
        return [
            one.column.completion(i, one.state, self.first_seed + i + SEED_STEP * one.copy)
            for i, one in enumerate(picked)
        ]

    def progress(self, picked: Sequence[_Picked], **waits: Any) -> Progress:
        """Return how far the comparison has come."""
        completions = shown(self.completions(picked), reveal=not self.request.blind)
        if self.folds:
            completions = folded(completions, self.request.prompt)
        return Progress(self.comparison_id, self.turn.conversation_id, completions, **waits)

    def comparison(self, picked: Sequence[_Picked]) -> Comparison:
        """Return the comparison as it is stored."""
        turn = self.turn
        return Comparison(
            id=self.comparison_id,
            messages=turn.messages,
            kind="compare",
            blind=self.request.blind,
            completions=self.completions(picked),
            conversation_id=turn.conversation_id,
            turn=turn.number,
            continued_from=turn.continued_from,
        )


def requested_columns(services: Services, request: CompareRequest) -> list[Column]:
    """Return what answers in each column, or raise ConfigError for a name that nothing bears."""
    sampling = request.sampling(services.model.sampling)
    found: list[Column] = []
    for name in request.columns:
        column = column_named(services, name, sampling)
        column = replace(column, copies=request.copies(name, sampling.temperature))
        found.append(_previewed(services, request, column) if name == "rlhf" and request.preview else column)
    if request.blind:
        random.SystemRandom().shuffle(found)  # a seed must not tell who is who
    return found


def column_named(services: Services, name: str, sampling: Sampling) -> Column:
    """Return who answers by a name: "base", "sft", "rlhf" or a version. Raises ConfigError for any other."""
    live = services.engine.live
    if name == "base":
        return Column("base", None, None, sampling)
    if name == "sft":
        return Column("sft", live.sft or services.sft, live.version if live.own_sft else None, sampling)
    policy = live if name == "rlhf" else _version(services, name)
    adapter = policy.adapter or policy.sft or services.sft  # one without an adapter is the SFT model
    return Column("rlhf", adapter, policy.version, sampling, policy)


def _previewed(services: Services, request: CompareRequest, column: Column) -> Column:
    """Return the column with a few samples to pick from, or as it is where there is no preview or all are the same."""
    sampling, fitted = request.preview_sampling(services.model.sampling), services.preview.fitted
    if fitted is None or sampling.temperature == 0:
        return column
    return replace(column, sampling=sampling, copies=PREVIEW_SAMPLES, preview=fitted)


def _version(services: Services, name: str) -> PolicyVersion:
    known = {f"v{policy.version}": policy for policy in policies.list_policies(services.db)}
    if name not in known:
        versions = ", ".join(sorted(known, key=lambda one: int(one[1:])))
        raise ConfigError(f"there is no column {brief(name)}; there are base, sft, rlhf and {versions}")
    policy = known[name]
    if policy.pruned:
        raise ConfigError(f"the files of {name} were removed to save room; ask another version")
    return policy_version_at(policy.version, services.data_dir / policy.path, policy.sha256)


async def compare(services: Services, annotator: str, request: CompareRequest) -> AsyncGenerator[Progress, None]:
    """Yield a comparison as it grows; the last item is stored and may be voted on. Closing the iterator stops it.

    `services.early` takes a vote while it grows: what is not finished is stored as cancelled.

    Raises NotInvitedError for a viewer, ConfigError for what cannot be asked, TooOftenError for a stranger who asks too
    often, AlignmentError where the model cannot answer, StorageError for a conversation that cannot be gone on with.
    """
    await asyncio.to_thread(require_annotator, services, annotator)
    columns = requested_columns(services, request)
    services.admission.admit(annotator)
    turn = await asyncio.to_thread(next_turn, services, annotator, request)
    seed = request.seed if request.seed is not None else services.seeds.randrange(MAX_SEED + 1 - MAX_COLUMNS)
    call = _Call(database.new_id(), annotator, request, turn, columns, seed, services.fold_harmful)
    picked = [_Picked(column, RowState()) for column in columns]
    for column in columns:
        if column.policy and column.copies > 1 and not column.preview:  # refused before anything is written
            await asyncio.wrap_future(services.engine.scores(column.policy, turn.messages, ()))
    if (state := services.engine.state).status == "loading":
        yield call.progress(picked, loading=round(state.seconds, 1))
    if call.held_back:
        yield call.progress(picked)
    with services.early.answering(call.comparison_id, annotator) as answering:
        async with aclosing(until(answering.stop, _written(services, call))) as written:
            async for place, picked in written:
                if any(one.state.finish_reason is None for one in picked):
                    progress = call.progress(picked, waiting=place)
                    answering.completions = progress.completions
                    yield progress
        if answering.choice:
            picked = [one.cut() for one in picked]
        if not all(one.state.finish_reason in ("stop", "length") for one in picked) and not answering.choice:
            raise AlignmentError(STOPPED)
        stored = call.comparison(picked)
        await asyncio.to_thread(conversations.save_turn, services.db, stored, annotator, turn.branch_of)
    yield call.progress(picked, early_choice=answering.choice)


async def _written(services: Services, call: _Call) -> AsyncGenerator[tuple[int | None, list[_Picked]], None]:
    """Yield the place in line, if there is one, and what the columns show, as it is written."""
    columns = call.columns
    picked = [_Picked(column, RowState()) for column in columns]
    async for event in services.engine.stream(call.rows(), call.annotator):
        match event:
            case Waiting(place):
                yield place, picked
            case Grown(rows):
                groups = zip(columns, call.by_column(rows), strict=True)
                picked = [_Picked(column, group[0] if len(group) == 1 else RowState()) for column, group in groups]
                if not call.held_back:
                    yield None, picked
            case Finished(rows):
                groups = zip(columns, call.by_column(rows), strict=True)
                yield None, [await _best(services, call.turn.messages, column, group) for column, group in groups]


async def _best(services: Services, messages: Messages, column: Column, group: Sequence[RowState]) -> _Picked:
    """Return the best completion of a column, by the preview or by the reward models that go with its policy.

    Only those that ended by themselves count, if there are any.
    """
    if column.policy is None or len(group) == 1 or any(one.finish_reason == "cancelled" for one in group):
        return _Picked(column, group[0])
    started, written = time.monotonic(), max(one.seconds for one in group)
    ended = [i for i, one in enumerate(group) if one.finish_reason == "stop"] or list(range(len(group)))
    some = [group[i] for i in ended]
    if column.preview is None:
        ids = [one.token_ids for one in some]
        scores = await asyncio.wrap_future(services.engine.scores(column.policy, messages, ids))
    else:
        try:
            scores = await _preview_scores(services, messages, column.preview, some)
        except Exception:  # whatever it is, there are answers to show
            log.exception("the samples of a preview could not be scored; the first one is shown")
            return _Picked(replace(column, copies=1), group[0])
    best = max(range(len(ended)), key=scores.__getitem__)
    chosen = replace(some[best], seconds=written + time.monotonic() - started)
    # A preview's sample is stored with its own seed; best-of-N is asked again by the column's.
    return _Picked(column, chosen, ended[best] if column.preview else 0)


async def _preview_scores(
    services: Services, messages: Messages, fitted: Fitted, group: Sequence[RowState]
) -> list[float]:
    """Return the score of each sample by the preview."""
    texts = [Text(messages, one.text, one.finish_reason == "stop") for one in group]
    found = await asyncio.wrap_future(services.engine.features(texts))
    scores: list[float] = (await asyncio.to_thread(fitted.scores, found)).tolist()
    return scores


def stored_comparison(services: Services, comparison_id: str) -> Comparison:
    """Return a stored comparison; raise StorageError, a LookupError, for an id that nothing was stored under."""
    return preferences.get_comparison(services.db, comparison_id)
