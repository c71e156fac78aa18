"""What clicks teach the reward model, on chosen and on random pairs, and where some err: `make bench-clicks`.

The samples, tastes and unseen prompts are those of `chat_tastes`; their features are computed once a seed and kept.
Everything after that is NumPy. A simulated labeler judges one pair after another, and after 8, 16 and 32 clicks the
reward model is held to pairs of unseen prompts, and to what the best of four by it wins. Then others err in a fifth or
in half of 32 clicks, and it is counted for how many of them a run would train a policy.
"""

import argparse
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from alignment.models import adapters, catalogue, loading
from alignment.models.adapters import using
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.features import Written, completion_features, feature_groups
from alignment.models.texts import Text
from alignment.reward.informative import most_informative
from alignment.reward.linear import Array
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import (
    LinearReward,
    Votes,
    cross_validate,
    doubt,
    evidence_against_a_coin,
    fit_votes,
)
from alignment.settings import ModelConfig
from storage.messages import one_turn
from tests.bench.chat_tastes import CLICKS, PREVIEWED, SAMPLES, TASTES, Drawn, Taste, drawn, texts, wins
from tests.harness.app import ROOT
from tests.reward.test_vote_fit import Vote

COUNTS = (8, 16, 32)  # clicks
FIRST = 3  # clicks on random pairs, before there is anything to choose by
NOISES = (0.0, 0.2, 0.5)  # shares of the clicks that go to the worse answer
LABELERS = 40  # of each taste and share
REWARD = RewardConfig()
HELD_TO = 12  # of the labelers, whose reward models are held to unseen prompts
REPEATS = 8  # of each cell, with other pairs
RANDOM_SHARE = 0.25  # of the pairs that stay random where pairs are chosen
WAYS = {"random": 0, "of one prompt": 1, "of six prompts": 6}  # how many prompts a pair is chosen from


@dataclass(frozen=True)
class Pool:
    """Samples of one seed with their features."""

    voted: list[tuple[str, list[str], Array]]  # prompt, its samples, their features (SAMPLES, F)
    unseen: list[tuple[list[str], Array]]  # PREVIEWED samples of an unseen prompt, their features
    before: list[str]  # what the model says there as the page shows it
    groups: tuple[int, ...]


def pool(config: ModelConfig, seed: int, kept: Path) -> Pool:
    """Return the samples of a seed with features, from the files in which they are kept if there are any."""
    own = drawn(config, seed, kept / f"drawn-seed{seed}.json")
    model, tokenizer = loading.load_model(config)
    place = kept / f"features-seed{seed}.npz"
    if not place.exists():
        voted_rows, unseen_rows = _features(adapters.attach_new(model, "idle", 1, 0), tokenizer, own)
        np.savez(place, voted=voted_rows, unseen=unseen_rows, groups=np.array(feature_groups(model)))
    held = np.load(place)
    said = texts(tokenizer, [one for _, one in own.pool])
    starts = range(0, len(said), SAMPLES)
    voted = [(own.pool[i][0], said[i : i + SAMPLES], held["voted"][i : i + SAMPLES]) for i in starts]
    unseen = [
        (texts(tokenizer, several[:PREVIEWED]), held["unseen"][i * PREVIEWED : (i + 1) * PREVIEWED])
        for i, several in enumerate(own.choices)
    ]
    return Pool(voted, unseen, own.before[::2], tuple(held["groups"].tolist()))


def _features(model: Any, tokenizer: Any, own: Drawn) -> tuple[Array, Array]:
    """Return the features of all voted samples and of those of unseen prompts."""

    def written(prompt: str, one: Any) -> Written:
        return Written(tokenizer.prompt_ids(one_turn(prompt)), one.token_ids, one.finish_reason == "stop")

    voted = [written(prompt, one) for prompt, one in own.pool]
    unseen = [
        written(prompt, one)
        for prompt, several in zip(own.unseen[::2], own.choices, strict=True)
        for one in several[:PREVIEWED]
    ]
    with using(model, None):
        found = completion_features(model, tokenizer, [*voted, *unseen])
    return found[: len(voted)], found[len(voted) :]


def next_pair(
    held: Pool, reward: LinearReward | None, prompts: Sequence[int], seen: set[tuple[int, int, int]], rng: random.Random
) -> tuple[int, int, int]:
    """Return the prompt and the two samples of it that are voted on next: of all pairs of some prompts that were not
    voted on yet, the one that would tell most, or a random one of the first prompt.
    """
    pairs = [(i, *pair) for i in prompts for pair in combinations(range(SAMPLES), 2) if (i, *pair) not in seen]
    if reward is None or not pairs or rng.random() < RANDOM_SHARE:
        first, second = sorted(rng.sample(range(SAMPLES), 2))
        return prompts[0], first, second
    firsts, seconds = (np.stack([held.voted[pair[0]][2][pair[side]] for pair in pairs]) for side in (1, 2))
    return pairs[most_informative(reward, firsts, seconds)]


def learned(held: Pool, taste: Taste, prompts: int, seed: int) -> dict[int, dict[str, float]]:
    """Return (share of unseen pairs in order, wins of the best of four) after each of `COUNTS` clicks."""
    rng = random.Random(seed)
    rankings: list[Vote] = []
    features: dict[Text, Array] = {}
    reward, found = None, {}
    seen: set[tuple[int, int, int]] = set()
    while len(rankings) < max(COUNTS):
        some = rng.sample(range(len(held.voted)), max(1, prompts))
        number, *places = pair = next_pair(held, reward if prompts else None, some, seen, rng)
        seen.add(pair)
        prompt, said, rows = held.voted[number]
        two = tuple(said[place] for place in places)
        values = [taste(text) for text in two]
        if values[0] == values[1]:
            continue  # people would skip it
        messages = one_turn(prompt)
        features |= {Text(messages, text): rows[place] for text, place in zip(two, places, strict=True)}
        tiers = ((0,), (1,)) if values[0] > values[1] else ((1,), (0,))
        rankings.append(Vote(messages, two, tiers, ended=(True, True)))
        if len(rankings) >= FIRST:
            reward = fit_votes(Votes(rankings, features, held.groups))
        if len(rankings) in COUNTS and reward is not None:
            found[len(rankings)] = _held_to(held, taste, reward)
    return found


def _held_to(held: Pool, taste: Taste, reward: LinearReward) -> dict[str, float]:
    right, chosen = [], []
    for said, rows in held.unseen:
        scores, values = reward.means(rows), [taste(text) for text in said]
        right += [
            (scores[i] > scores[j]) == (values[i] > values[j])
            for i in range(len(said))
            for j in range(i)
            if values[i] != values[j]
        ]
        chosen.append(said[int(scores.argmax())])
    return {"pairs": statistics.mean(map(float, right)), "preview": wins(taste, held.before, chosen)[0]}


def erring(held: Pool, taste: Taste, noise: float, seed: int) -> Votes | None:
    """Return 32 votes on random pairs, a share of which go to the worse answer; None where there are too few pairs."""
    rng = random.Random(seed)
    pairs = [
        (prompt, said, rows, first, second)
        for prompt, said, rows in held.voted
        for first, second in combinations(range(SAMPLES), 2)
        if taste(said[first]) != taste(said[second])
    ]
    if len(pairs) < CLICKS:
        return None
    flipped = set(rng.sample(range(CLICKS), round(noise * CLICKS)))
    rankings: list[Vote] = []
    features: dict[Text, Array] = {}
    for number, (prompt, said, rows, *places) in enumerate(rng.sample(pairs, CLICKS)):
        messages, two = one_turn(prompt), tuple(said[place] for place in places)
        features |= {Text(messages, text): rows[place] for text, place in zip(two, places, strict=True)}
        first_wins = (taste(two[0]) > taste(two[1])) ^ (number in flipped)
        rankings.append(Vote(messages, two, ((0,), (1,)) if first_wins else ((1,), (0,)), ended=(True, True)))
    return Votes(rankings, features, held.groups)


def trains(votes: Votes, seed: int) -> bool:
    """Return whether a run would train a policy on votes."""
    measured = cross_validate(votes, seed)
    return measured is not None and not doubt(measured, evidence_against_a_coin(votes, fit_votes(votes)), REWARD)


def noise_table(held: Pool) -> list[str]:
    """Return the lines of a table in Markdown: for how many labelers a run would train, and pairs in order by taste."""
    lines = ["| taste | " + " | ".join(f"{noise:.0%} err" for noise in NOISES) + " |", "|---|" + "---|" * len(NOISES)]
    for name, taste in TASTES.items():
        cells = []
        for noise in NOISES:
            drawn_votes = [erring(held, taste, noise, seed) for seed in range(LABELERS)]
            some = [votes for votes in drawn_votes if votes is not None]
            train = sum(trains(votes, seed) for seed, votes in enumerate(some))
            right = [_held_to(held, taste, fit_votes(votes))["pairs"] for votes in some[:HELD_TO]]
            cells.append(f"{train} of {len(some)}, {statistics.mean(right):.1%}" if some else "too few pairs")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def table(pools: Sequence[Pool]) -> list[str]:
    """Return the lines of a table in Markdown: means over seeds, then over tastes."""
    lines = ["| taste | clicks | " + " | ".join(WAYS) + " |", "|---|---|" + "---|" * len(WAYS)]
    means: dict[tuple[int, str, str], list[float]] = {}
    for name, taste in TASTES.items():
        by_way = {
            way: [
                learned(held, taste, prompts, 100 * seed + again)
                for seed, held in enumerate(pools)
                for again in range(REPEATS)
            ]
            for way, prompts in WAYS.items()
        }
        for count in COUNTS:
            cells = []
            for way in WAYS:
                pairs, preview = (
                    statistics.mean(one[count][figure] for one in by_way[way]) for figure in ("pairs", "preview")
                )
                means.setdefault((count, way, "pairs"), []).append(pairs)
                means.setdefault((count, way, "preview"), []).append(preview)
                cells.append(f"{pairs:.1%}, {preview:.1%}")
            lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    for count in COUNTS:
        cells = [
            ", ".join(f"{statistics.mean(means[count, way, figure]):.1%}" for figure in ("pairs", "preview"))
            for way in WAYS
        ]
        lines.append(f"| all | {count} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print two tables: pairs in order and wins of the best of four by way of choosing; and what errors do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "chat-tastes")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    config = catalogue.resolve(ModelChoice(arguments.model), arguments.out, online=False).config
    ensure_converted(config)
    pools = [pool(config, seed, arguments.out) for seed in range(arguments.seeds)]
    print("\n".join([*table(pools), "", *noise_table(pools[0])]))


if __name__ == "__main__":
    main()
