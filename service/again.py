"""Seen again: now and then an earlier proposal comes instead of a new one, so that agreement can be measured.

One in sixteen proposals is one of one's own, its answers in another order: how far people agree with themselves. One in
sixteen is somebody else's: how far they agree with one another. Nobody is told which. Of other people's only those on
prompts of the pool are shown, so that nobody reads what somebody else typed.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from service.completions import Progress, shown
from service.context import Services
from service.harmful import folded
from service.propose import propose
from service.roles import require_annotator
from service.teach_requests import ProposeRequest
from storage import conversations, database, preferences, seen
from storage.messages import question_of
from storage.records import Comparison

OWN_SHARE = OTHERS_SHARE = 1 / 16  # of proposals, where there are such
SPACED = 8  # votes of one's own before one is shown again
SLOTS = "ABCDEF"


async def propose_or_again(
    services: Services, annotator: str, request: ProposeRequest
) -> AsyncGenerator[Progress, None]:
    """Yield a proposal as `propose` does, or at once an earlier one, which may be ranked too."""
    earlier = await asyncio.to_thread(_earlier, services, annotator, request)
    if earlier is None:
        async with aclosing(propose(services, annotator, request)) as items:
            async for item in items:
                yield item
        return
    completions = shown(earlier.completions, reveal=False)
    if services.fold_harmful:
        completions = folded(completions, question_of(earlier.messages))
    yield Progress(earlier.id, earlier.conversation_id or "", completions, messages=earlier.messages)


def _earlier(services: Services, annotator: str, request: ProposeRequest) -> Comparison | None:
    """Return what is shown again, None for a new proposal: where a prompt was given, or by chance."""
    require_annotator(services, annotator)
    if request.prompt is not None:
        return None
    own = seen.own_proposals(services.db, annotator, request.k, SPACED)
    if own and services.seeds.random() < OWN_SHARE:
        services.admission.admit(annotator)
        return _copied(services, annotator, services.seeds.choice(own))
    others = seen.others_proposals(services.db, annotator, request.k)
    if others and services.seeds.random() < OTHERS_SHARE:
        services.admission.admit(annotator)
        found = preferences.get_comparison(services.db, services.seeds.choice(others))
        return replace(found, conversation_id=None)  # somebody else's
    return None


def _copied(services: Services, annotator: str, comparison_id: str) -> Comparison:
    """Store a comparison once more, its answers in another order, and return it."""
    first = preferences.get_comparison(services.db, comparison_id)
    answers = random.SystemRandom().sample(first.completions, len(first.completions))
    again = Comparison(
        id=database.new_id(),
        messages=first.messages,
        kind="teach",
        blind=True,
        completions=[replace(one, slot=slot) for slot, one in zip(SLOTS, answers, strict=False)],
        conversation_id=database.new_id(),
        proposed={"by": "again", "of": comparison_id},
    )
    conversations.save_turn(services.db, again, annotator)
    return again
