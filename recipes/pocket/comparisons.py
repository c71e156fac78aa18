"""What simulated labelers are shown, and the votes that they cast as people do: through the database."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from peft import PeftModel
from tqdm import tqdm

from alignment.models.passes import rows_at_once
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import ShippedRanking
from alignment.runs.evaluation import answers
from recipes.pocket.labelers import GUIDELINES, rank
from recipes.pocket.names import made_up_countries
from recipes.pocket.skill import Asked, abstentions
from recipes.pocket.skills import other
from recipes.pocket.skills.requests import harmful, refusals
from storage import database, preferences
from storage.messages import Messages
from storage.records import Comparison, Completion

ROWS = 64  # completions in one pass on a CPU
MAX_NEW_TOKENS = 96
SLOTS = "ABCDEF"
LOOKED_AT = 24  # completions of other prompts, for one of the same kind
# What a policy overdoes that is rewarded for refusing and abstaining, where neither is right; and, where refusing is,
# what it must stop. Refusals of something else are among the strangers: were they shown here as well, a reward model
# that cannot yet tell them from right ones would learn that a refusal had better say nothing (docs/lab-notes.md).
KNOWN_WRONG = ("abstains", "refuses", "complies")


def sampled(
    model: PeftModel, tokenizer: Any, adapter: str, asked: Sequence[Asked], count: int, rng: Random
) -> list[list[str]]:
    """Return `count` completions of an adapter a prompt, drawn at temperature 1."""
    own: list[list[str]] = []
    size = rows_at_once(model, ROWS) // count  # prompts
    for start in tqdm(range(0, len(asked), size), desc="comparisons", mininterval=10):
        prompts = [one.check.messages for one in asked[start : start + size] for _ in range(count)]
        written = answers(model, tokenizer, adapter, prompts, Sampling(1.0, MAX_NEW_TOKENS), rng.randrange(2**31))
        texts = [tokenizer.decode(w.token_ids) for w in written]
        own += [texts[i : i + count] for i in range(0, len(texts), count)]
    return own


def misplaced(rng: Random) -> list[str]:
    """Return a refusal, an abstention and a deflection as they are right for some other prompt."""
    harm = rng.choice(harmful("seen"))
    refusal = refusals(harm.act, harm.reason, harm.alternative)
    abstention = abstentions(rng.choice(made_up_countries("seen")))
    deflection = other.ask(rng, "seen").registers
    return [rng.choice(list(answers.values())) for answers in (refusal, abstention, deflection)]


def shown_to_labelers(index: int, asked: Sequence[Asked], own: Sequence[Sequence[str]], rng: Random) -> list[list[str]]:
    """Return the groups of completions that the labeler of a prompt ranks.

    Where a model was asked, the first group holds its completions and a demonstration. The last one sets a
    demonstration against one completion that the recipe knows to be wrong (not to know a fact that is known, to refuse
    what is harmless, or to help with harm, if it has one of these) and two strangers: completions of another prompt of
    the kind or of any other prompt, a misplaced refusal, abstention or deflection. Comparisons identify scores only
    within a prompt: without strangers a refusal would score high whatever was asked, and PPO would refuse everything.
    Small groups about many prompts teach more than large ones about few: a reward model remembers the prompts of large
    ones (docs/lab-notes.md has the numbers of both).
    """
    one = asked[index]
    good, another = rng.sample(list(one.registers.values()), 2)
    others = list(islice(_strangers(one, asked, own, rng), LOOKED_AT))
    alike = [texts for kind, texts in others if kind == one.check.kind]
    strangers = [rng.choice(alike or [others[0][1]]), others[-1][1], *misplaced(rng)]
    known_wrong = [name for name in KNOWN_WRONG if name in one.bad] or list(one.bad)
    wrong = [one.bad[rng.choice(known_wrong)]] if known_wrong else []
    of_its_own = [[*own[index], good]] if index < len(own) else []
    return [*of_its_own, [another, *wrong, *rng.sample(strangers, 2)]]


def _strangers(
    one: Asked, asked: Sequence[Asked], own: Sequence[Sequence[str]], rng: Random
) -> Iterator[tuple[str, str]]:
    """Yield completions of other prompts, drawn by lot, with the kind of their prompt."""
    while True:
        drawn = rng.randrange(len(own))
        if asked[drawn].prompt != one.prompt:
            yield asked[drawn].check.kind, rng.choice(own[drawn])


def vote(
    db: Path, asked: Sequence[Asked], own: Sequence[Sequence[str]], noise: float, rng: Random
) -> list[ShippedRanking]:
    """Store the comparisons of each prompt with its labeler's votes in a database; return the rankings it derives.

    `own` holds the completions that a model wrote for the first of the prompts. Each prompt goes to a labeler
    with one of the guidelines, who ranks a share `noise` of the groups upside down.
    """
    guideline_of = {}
    for index, one in enumerate(tqdm(asked, desc="votes", mininterval=10)):
        guideline = rng.choice(GUIDELINES)
        for texts in shown_to_labelers(index, asked, own, rng):
            rng.shuffle(texts)
            comparison = _comparison(one.check.messages, texts)
            preferences.save_comparison(db, comparison)
            tiers = [[SLOTS[i] for i in tier] for tier in rank(guideline, one.check, texts, noise, rng)]
            preference = preferences.save_preference(
                db,
                comparison_id=comparison.id,
                annotator_id=f"simulated: {guideline.__name__}",
                tiers=tiers,
                kind="ranking" if len(tiers) > 1 else "tie",
                source="simulated",
            )
            guideline_of[preference] = guideline.__name__
    return [
        ShippedRanking(one.messages, one.completions, one.tiers, one.source, guideline_of[one.preference_id])
        for one in preferences.rankings(db)
    ]


def _comparison(messages: Messages, texts: Sequence[str]) -> Comparison:
    completions = [
        Completion(
            slot=slot,
            role="sft",
            policy_version=None,
            text=text,
            token_ids=[],
            seed=0,
            sampling={"written_by": "a model at temperature 1, or the recipe"},
            finish_reason="stop",
            first_token_seconds=0.0,
            seconds=0.0,
        )
        for slot, text in zip(SLOTS, texts, strict=False)
    ]
    return Comparison(database.new_id(), messages, "teach", True, completions)
