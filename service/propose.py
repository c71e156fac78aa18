"""Propose: samples of the current policy and its predecessor to be ranked, chosen so that a ranking teaches most.

Three in four proposals are chosen: several answers to a few prompts are written, and those are shown whose ranking
would tell the reward model most. The others are as chance has it, so that what people think can also be measured on
answers that nobody picked out. How each was chosen is stored with it.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from alignment.errors import AdapterError, AlignmentError, ConfigError
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.reward.informative import gains_among, most_informative_set
from alignment.reward.vote_fit import LinearReward
from alignment.serving.engine import Finished, Grown, Row, RowState, Waiting
from service.compare import STOPPED, Column, column_named
from service.completions import Drafts, Progress, shown
from service.context import Services
from service.early import until
from service.harmful import folded, sounds_harmful
from service.preview import SCORING
from service.requests import MAX_SEED
from service.roles import require_annotator
from service.teach_requests import FEWEST, MOST, ProposeRequest
from storage import conversations, database, policies, prompts
from storage.messages import Messages, question_of
from storage.records import Comparison, Completion

log = logging.getLogger(__name__)
RANDOM_SHARE = 0.25  # of proposals, whose prompt and answers nobody chose
PROMPTS_TRIED = 2  # out of the pool, of which the one is shown that would tell more
SPARE = 2  # answers to each prompt that are written beside those that are shown
TICK_SECONDS = 0.5  # between two items while the answers are compared
MOST_ROWS = PROMPTS_TRIED * (MOST + SPARE)
Choice = Literal["information", "random", "no reward model", "failed"]


@dataclass(frozen=True)
class Sample:
    """One answer, and what it was written by."""

    column: Column
    state: RowState
    seed: int


@dataclass(frozen=True)
class Call:
    """What stays the same while a proposal is written."""

    comparison_id: str
    conversation_id: str
    request: ProposeRequest
    asked: tuple[Messages, ...]  # prompts that are tried, the first one first
    columns: tuple[Column, ...]  # of each prompt's samples, in the order of writing
    first_seed: int
    by: Choice
    reward: LinearReward | None  # to choose by; None where nothing is to be chosen
    folds: bool
    started: float = field(default_factory=time.monotonic)

    @property
    def rows(self) -> list[Row]:
        """The completions to be written, prompt after prompt."""
        columns = [(messages, column) for messages in self.asked for column in self.columns]
        return [
            Row(
                *(messages, column.adapter, column.role != "base", column.sampling, self.first_seed + place),
                extra=place >= self.request.k,
            )
            for place, (messages, column) in enumerate(columns)
        ]

    def samples(self, states: Sequence[RowState]) -> list[list[Sample]]:
        """Return the samples of each prompt."""
        width = len(self.columns)
        return [
            [
                Sample(column, states[place * width + i], self.first_seed + place * width + i)
                for i, column in enumerate(self.columns)
            ]
            for place in range(len(self.asked))
        ]

    def progress(self, samples: Sequence[Sample], messages: Messages, **waits: Any) -> Progress:
        """Return how far the proposal has come, names hidden."""
        completions = shown(completions_of(samples), reveal=False)
        if self.folds and messages:
            completions = folded(completions, question_of(messages))
        return Progress(self.comparison_id, self.conversation_id, completions, messages=messages, **waits)

    def growing(self, states: Sequence[RowState], **waits: Any) -> Progress:
        """Return how far the answers have come: those that will be shown, or drafts, of which some will be."""
        if self.reward is None:
            return self.progress(self.samples(states)[0], self.asked[0], **waits)
        empty = [Sample(column, RowState(), self.first_seed) for column in self.columns[: self.request.k]]
        known = self.asked[0] if len(self.asked) == 1 else ()  # else it is chosen when all are written
        return self.progress(empty, known, drafts=self._drafts(states), **waits)

    def _drafts(self, states: Sequence[RowState]) -> Drafts:
        questions = [question_of(messages) for messages in self.asked]
        texts = [tuple(one.state.text for one in samples) for samples in self.samples(states)]
        read = [
            ("",) * len(some) if self.folds and sounds_harmful(question) else some
            for question, some in zip(questions, texts, strict=True)
        ]
        done = sum(one.finish_reason is not None for one in states)
        return Drafts(tuple(zip(questions, read, strict=True)), done, time.monotonic() - self.started)

    def proposed(self, by: Choice, gain: float | None) -> dict[str, Any]:
        """Return how prompt and answers were chosen, as it is stored."""
        return {
            "prompt": "given" if self.request.prompt else "pool",
            "by": by,
            "random_share": RANDOM_SHARE,
            "prompts": len(self.asked),
            "samples": len(self.columns),
            "gain": None if gain is None else round(gain, 4),
        }


def completions_of(samples: Sequence[Sample]) -> list[Completion]:
    """Return samples as they are stored, in their order."""
    return [one.column.completion(place, one.state, one.seed) for place, one in enumerate(samples)]


def predecessor(services: Services, sampling: Sampling) -> Column | None:
    """Return the version that the live one was trained from; the instruction-tuned model where there is none.

    None where the live version is the instruction-tuned model itself.
    """
    live = services.engine.live
    known = {policy.version: policy for policy in policies.list_policies(services.db)}
    parent = known[live.version].parent if live.version in known else None
    if parent is not None and parent in known and known[parent].model == known[live.version].model:
        try:
            return column_named(services, f"v{parent}", sampling)
        except AdapterError as error:
            log.warning("the version before v%s cannot be asked: %s", live.version, error)
    return None if live.unchanged else column_named(services, "sft", sampling)


def _call(services: Services, request: ProposeRequest) -> Call:
    """Return what is to be written; raise ConfigError for a pool without a prompt."""
    reward = services.preview.posterior()
    by: Choice = "no reward model" if reward is None else "information"
    if reward is not None and services.seeds.random() < RANDOM_SHARE:
        by = "random"
    chooses = by == "information"
    sampling = request.sampling(services.model.sampling)
    before = predecessor(services, sampling)
    kinds = [column_named(services, "rlhf", sampling), *([before] if before else [])]
    count = request.k + (SPARE if chooses and sampling.temperature > 0 else 0)
    columns = [kinds[i % len(kinds)] for i in range(count)]
    random.SystemRandom().shuffle(columns)  # a seed must not tell who is who
    seed = request.seed if request.seed is not None else services.seeds.randrange(MAX_SEED + 1 - MOST_ROWS)
    return Call(
        database.new_id(),
        database.new_id(),
        request,
        _asked(services, request, PROMPTS_TRIED if chooses else 1),
        tuple(columns),
        seed,
        by,
        reward if chooses else None,
        services.fold_harmful,
    )


def _asked(services: Services, request: ProposeRequest, count: int) -> tuple[Messages, ...]:
    """Return the prompt that was given, or some of the pool's that were not asked lately."""
    if request.prompt is not None:
        return (request.prompt,)
    ids = prompts.rested_prompts(services.db)
    if not ids:
        raise ConfigError("the pool of prompts is empty; type a prompt, or let an admin add some")
    drawn = services.seeds.sample(ids, min(count, len(ids)))
    return tuple(one.messages for one in prompts.get_prompts(services.db, drawn))


async def propose(services: Services, annotator: str, request: ProposeRequest) -> AsyncGenerator[Progress, None]:
    """Yield a proposal as it is written; the last item is stored and may be ranked. Closing the iterator stops it.

    Answers that are shown as they are written stream; where some are chosen, all that are tried stream as drafts.
    `services.early` ends the writing: what has a word by then may be ranked; what had not ended is stored as cancelled.
    Raises ConfigError for what cannot be asked, TooOftenError for a stranger who asks too often, AlignmentError where
    the model cannot answer.
    """
    await asyncio.to_thread(require_annotator, services, annotator)
    services.admission.admit(annotator)
    call = await asyncio.to_thread(_call, services, request)
    states: Sequence[RowState] = [RowState()] * len(call.rows)
    state = services.engine.state
    yield call.growing(states, loading=round(state.seconds, 1) if state.status == "loading" else None)
    with services.early.answering(call.comparison_id, annotator) as answering:
        async with aclosing(until(answering.stop, _written(services, call, annotator))) as written:
            async for place, states in written:
                answering.rankable = any(len(_cut(one)) >= FEWEST for one in call.samples(states))
                if any(one.finish_reason is None for one in states):
                    yield call.growing(states, waiting=place)
        tried, early = call.samples(states), answering.stop.is_set()
    choosing = asyncio.ensure_future(_chosen(services, call, [_cut(one) for one in tried] if early else tried))
    try:
        while call.reward is not None and not (await asyncio.wait([choosing], timeout=TICK_SECONDS))[0]:
            yield call.growing(states)
        messages, samples, proposed = await choosing
    finally:
        choosing.cancel()
    if not early and any(one.state.finish_reason not in ("stop", "length") for one in samples):
        raise AlignmentError(STOPPED)
    stored = Comparison(
        id=call.comparison_id,
        messages=messages,
        kind="teach",
        blind=True,
        completions=completions_of(samples),
        conversation_id=call.conversation_id,
        proposed=proposed,
    )
    await asyncio.to_thread(conversations.save_turn, services.db, stored, annotator)
    yield call.progress(samples, messages)


async def _written(
    services: Services, call: Call, annotator: str
) -> AsyncGenerator[tuple[int | None, Sequence[RowState]], None]:
    """Yield the place in line, if there is one, and how far the answers have come."""
    states: Sequence[RowState] = [RowState()] * len(call.rows)
    async for event in services.engine.stream(call.rows, annotator):
        match event:
            case Waiting(place):
                yield place, states
            case Grown(states) | Finished(states):
                yield None, states


def _cut(samples: Sequence[Sample]) -> list[Sample]:
    """Return what can be ranked of a prompt's samples before all have ended: those with a word, cut where they are."""
    return [
        one if one.state.finish_reason else replace(one, state=replace(one.state, finish_reason="cancelled"))
        for one in samples
        if one.state.finish_reason or one.state.text.strip()
    ]


async def _chosen(
    services: Services, call: Call, tried: list[list[Sample]]
) -> tuple[Messages, list[Sample], dict[str, Any]]:
    """Return the prompt and the samples that are shown, and how they were chosen; whole ones before those cut."""
    if call.reward is None:
        return call.asked[0], tried[0], call.proposed(call.by, None)
    whole = [[one for one in samples if one.state.finish_reason != "cancelled"] for samples in tried]
    tried = [done if len(done) >= FEWEST else samples for done, samples in zip(whole, tried, strict=True)]
    try:
        prompt, places, gain = await _most_informative(services, call, tried)
    except Exception:  # whatever it is, there are answers to show
        log.exception("the samples of a proposal could not be compared; the first ones are shown")
        first = max(range(len(tried)), key=lambda place: len(tried[place]))
        return call.asked[first], tried[first][: call.request.k], call.proposed("failed", None)
    random.SystemRandom().shuffle(places)
    return call.asked[prompt], [tried[prompt][place] for place in places], call.proposed("information", gain)


def _distinct(texts: Sequence[Text], fewest: int) -> list[int]:
    """Return the places of one of each text; all places where there are fewer texts than are to be shown."""
    first = {text.completion: place for place, text in reversed(list(enumerate(texts)))}
    return sorted(first.values()) if len(first) >= fewest else list(range(len(texts)))


async def _most_informative(
    services: Services, call: Call, tried: Sequence[Sequence[Sample]]
) -> tuple[int, list[int], float]:
    """Return the prompt and the places of its samples whose ranking would tell most, and how much a pair of them."""
    texts = [
        [Text(messages, one.state.text, one.state.finish_reason == "stop") for one in samples]
        for messages, samples in zip(call.asked, tried, strict=True)
    ]
    found = await asyncio.wrap_future(services.engine.features([text for some in texts for text in some]))
    offsets = None if found.shipped is None else SCORING.shipped_weight * found.shipped
    assert call.reward is not None
    reward, start, best = call.reward, 0, (0, [0, 1], -1.0)
    for place, some in enumerate(texts):
        k = min(call.request.k, len(some))
        own = _distinct(some, k)
        rows = [start + one for one in own]
        start += len(some)
        if k < FEWEST:  # stopped before there was anything to rank
            continue
        gains = gains_among(reward, found.features[rows], None if offsets is None else reward.share * offsets[rows])
        chosen, gain = most_informative_set(gains, k)
        if gain > best[2]:
            best = place, [own[one] for one in chosen], gain
    return best
