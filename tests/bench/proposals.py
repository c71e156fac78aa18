"""What clicks on proposed pairs teach, chosen and random, by the tastes of `make bench-tastes`: `make bench-proposals`.

Prompts and pairs come from `service.propose`, clicks go through `service.votes.rank`, and the reward model is the
preview's: what `/propose` and `/rank` call. The pocket model's answers, their features and scores are computed once a
seed; the engine then hands out these. A simulated labeler passes over a pair as it does on the panels. After so many
clicks the reward model picks the best of 16 answers to unseen prompts, which meet the policy's own at temperature 0.7.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alignment.models import adapters, loading
from alignment.models.adapters import using
from alignment.models.features import Written, completion_features, feature_groups
from alignment.models.generation import Generated, generate
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check
from alignment.models.texts import Text
from alignment.reward.linear import Array
from alignment.reward.scorer import score_sequences
from alignment.serving.engine import Finished, Grown, Row, RowState, TextFeatures, Waiting
from alignment.serving.settings import USUAL
from alignment.settings import POCKET
from recipes.pocket.prompt_files import labelled_prompts
from service import propose as proposing
from service.admission import Admission
from service.preview import Fitted, Preview
from service.requests import checked
from service.teach_requests import ProposeRequest, RankRequest
from service.votes import rank
from storage import prompts
from storage.messages import one_turn, question_of
from storage.prompts import NewPrompt
from tests.bench.tastes import ASKED, SAMPLES, TASTES, TEMPERATURE, Taste
from tests.harness.app import ROOT
from tests.harness.labeler import Labeler, judged
from tests.harness.scripted import Backstage, ScriptedEngine, backstage

COUNTS = (0, 4, 8, 12, 16, 20, 32)  # clicks
ENOUGH = 32  # clicks of each labeler
WAYS = {"random": 1.0, "chosen": proposing.RANDOM_SHARE}  # the share of proposals that is left to chance
VOTED = {"": 120, "refuses": 30}  # prompts of the pool: of all kinds, and more of one
UNSEEN = {"": 140, "refuses": 40}
EACH = 6  # samples of each voted prompt by each adapter
BATCH = 32
OWN = Sampling(TEMPERATURE, 96)  # as people see answers
MOST_PROPOSALS = 2000  # to one labeler


@dataclass(frozen=True)
class Sample:
    """An answer with what the reward model reads."""

    text: str
    ended: bool
    features: Array  # (F,)
    shipped: float  # score by the reward model that ships


@dataclass(frozen=True)
class Pool:
    """What the model wrote for a seed."""

    voted: dict[str, tuple[Check, dict[str, list[Sample]]]]  # by prompt; samples by adapter
    unseen: list[tuple[Check, str, list[Sample]]]  # what the policy says, and the samples that are chosen among
    groups: tuple[int, ...]


def _some(counts: dict[str, int], split: Any, seed: int) -> list[Check]:
    """Return different prompts of a split with what is right for each: so many of each kind, "" for all kinds."""
    pool = {check.prompt: check for check in labelled_prompts(ASKED, split, seed)}
    found: dict[str, Check] = {}
    for kind, count in counts.items():
        of_kind = [check for check in pool.values() if kind in ("", check.kind) and check.prompt not in found]
        found |= {check.prompt: check for check in of_kind[:count]}
    return list(found.values())


def drawn(seed: int, kept: Path) -> Pool:
    """Return what the pocket model wrote for a seed, from the files in which it is kept if there are any."""
    voted, unseen = _some(VOTED, "seen", 100 + seed), _some(UNSEEN, "held_out", 200 + seed)
    place = kept / f"drawn-seed{seed}.npz"
    if not place.exists():
        _draw(voted, unseen, seed, place)
    held = np.load(place)
    samples = iter(map(Sample, held["texts"].tolist(), held["ended"].tolist(), held["features"], held["shipped"]))

    def take(count: int) -> list[Sample]:
        return [next(samples) for _ in range(count)]

    return Pool(
        {one.prompt: (one, {"policy": take(EACH), "sft": take(EACH)}) for one in voted},
        [(one, take(1)[0].text, take(SAMPLES)) for one in unseen],
        tuple(held["groups"].tolist()),
    )


def _draw(voted: Sequence[Check], unseen: Sequence[Check], seed: int, place: Path) -> None:
    model, tokenizer = loading.load_checkpoint(POCKET)
    model = adapters.attach(model, POCKET / "sft", "sft")
    adapters.attach(model, POCKET / "policy", "policy")
    heads = adapters.attach_with_head(model, POCKET / "reward", "shipped")
    sampling = checked(ProposeRequest).sampling(OWN)
    rows = [
        row for check in voted for row in [(check, "policy", sampling)] * EACH + [(check, "sft", sampling)] * EACH
    ] + [row for check in unseen for row in [(check, "policy", OWN)] * (1 + SAMPLES)]
    written: list[Written] = [Written([], (), False)] * len(rows)
    texts = [""] * len(rows)
    for way in sorted({row[1:] for row in rows}, key=str):
        places = [i for i, row in enumerate(rows) if row[1:] == way]
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            asked = [tokenizer.prompt_ids(one_turn(rows[i][0].prompt)) for i in some]
            with using(model, way[0]):
                found: list[Generated] = generate(model, tokenizer, asked, way[1], [1_000_000 * seed + i for i in some])
            for i, ids, one in zip(some, asked, found, strict=True):
                written[i] = Written(ids, one.token_ids, one.finish_reason == "stop")
                texts[i] = tokenizer.decode(one.token_ids)
    with torch.no_grad():
        with using(model, "sft"):
            features = completion_features(model, tokenizer, written)
        with using(model, "shipped"):
            parts = [
                score_sequences(model, heads, [one.sequence for one in written[i : i + 64]], tokenizer.pad_id)[0]
                for i in range(0, len(written), 64)
            ]
    np.savez(
        place,
        texts=np.array(texts),
        ended=np.array([one.ended for one in written]),
        features=features,
        shipped=torch.cat(parts).numpy(),
        groups=np.array(feature_groups(model)),
    )


@dataclass
class Replay(ScriptedEngine):
    """An engine that hands out what the model wrote beforehand: one sample of a prompt by an adapter for each seed."""

    pool: dict[str, tuple[Check, dict[str, list[Sample]]]] = field(default_factory=dict)
    groups: tuple[int, ...] = ()

    async def stream(self, rows: Sequence[Row], person: str = "") -> AsyncIterator[Waiting | Grown | Finished]:
        yield Finished(tuple(self._state(row) for row in rows))

    def _state(self, row: Row) -> RowState:
        adapter = "sft" if row.adapter is not None and row.adapter.name == "sft" else "policy"
        samples = self.pool[question_of(row.messages)][1][adapter]
        one = random.Random(row.seed).choice(samples)
        return RowState(one.text, (1,), "stop" if one.ended else "length")

    def features(self, texts: Sequence[Text]) -> "Future[TextFeatures]":
        future: Future[TextFeatures] = Future()
        found = [self._sample(text) for text in texts]
        rows = np.stack([one.features for one in found]) if found else np.zeros((0, sum(self.groups)), np.float32)
        future.set_result(TextFeatures(rows, self.groups, np.array([one.shipped for one in found], np.float32)))
        return future

    def _sample(self, text: Text) -> Sample:
        of_prompt = self.pool[question_of(text.messages)][1]
        written = (one for samples in of_prompt.values() for one in samples)
        return next(one for one in written if (one.text, one.ended) == (text.completion, text.ended))


def replayed(folder: Path, held: Pool, taste: Taste, seed: int) -> Backstage:
    """Return services whose pool of prompts is that of a taste, and whose engine hands out what was written."""
    behind = backstage(folder)
    asked = {prompt: one for prompt, one in held.voted.items() if one[0].kind in taste.kinds}
    engine = Replay(behind.engine.live, pool=asked, groups=held.groups)
    prompts.remove_prompts(behind.db, [one.id for one in prompts.list_prompts(behind.db)])
    prompts.add_prompts(behind.db, [NewPrompt(one_turn(prompt)) for prompt in asked])
    model = replace(behind.services.model, sampling=OWN)
    preview, seeds = Preview(behind.db, engine, "pocket"), random.Random(seed)
    services = replace(
        behind.services,
        engine=engine,
        preview=preview,
        seeds=seeds,
        model=model,
        admission=Admission(replace(USUAL, requests_a_minute=0)),
    )
    return replace(behind, services=services, engine=engine)


async def learned(held: Pool, taste: Taste, k: int, seed: int) -> dict[int, dict[str, float]]:
    """Return wins and proposals made after each of `COUNTS` clicks of one labeler, on proposals as they now come."""
    unseen = [one for one in held.unseen if one[0].kind in taste.kinds]
    labeler = Labeler(taste.value, ENOUGH, ENOUGH if taste.kinds == ("refuses",) else ENOUGH // 4)
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        behind = replayed(Path(folder), held, taste, seed)
        services = behind.services
        for proposals in range(MOST_PROPOSALS):
            if labeler.clicks in COUNTS and labeler.clicks not in found:
                found[labeler.clicks] = {"wins": _wins(services.preview.latest, taste, unseen, held.groups)}
                found[labeler.clicks]["proposals"] = proposals
            if labeler.done:
                return found
            *_, last = [one async for one in proposing.propose(services, "labeler", checked(ProposeRequest, k=k))]
            texts = [one.text for one in last.completions]
            values = labeler.click(held.voted[question_of(last.messages)][0], texts)
            if values is not None:
                rank(services, "labeler", RankRequest(last.comparison_id, _ranking(values), "simulated"))
                services.preview.follow()
    raise RuntimeError(f"{MOST_PROPOSALS} proposals gave {labeler.clicks} clicks of {ENOUGH}; draw more prompts")


def _ranking(values: Sequence[float]) -> str:
    """Return what a labeler types: answers that are worth the same are tied."""
    tiers = [[i for i, one in enumerate(values) if one == value] for value in sorted(set(values), reverse=True)]
    return " > ".join(" = ".join("ABCDEF"[i] for i in tier) for tier in tiers)


def _wins(
    fitted: Fitted | None, taste: Taste, unseen: Sequence[tuple[Check, str, list[Sample]]], groups: tuple[int, ...]
) -> float:
    """Return the share of unseen prompts that the best sample by the reward model wins, a tie counting half."""
    points = []
    for check, before, samples in unseen:
        shipped = np.array([one.shipped for one in samples], np.float32)
        texts = TextFeatures(np.stack([one.features for one in samples]), groups, shipped)
        scores = shipped if fitted is None else fitted.scores(texts)
        new, old = (judged(taste.value, check, text) for text in (samples[int(scores.argmax())].text, before))
        points.append(0.5 + ((new > old) - (new < old)) / 2)
    return statistics.mean(points)


def measured(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what each labeler gives, from the files in which it is kept if it was measured before."""
    for again in range(arguments.repeats):
        for seed in range(arguments.seeds):
            held = drawn(seed, arguments.out)
            for taste in TASTES:
                for way, share in WAYS.items():
                    kept = arguments.out / f"{way}-{arguments.k}-{taste}-{seed}-{again}.json".replace(" ", "_")
                    if not kept.exists():
                        proposing.RANDOM_SHARE = share
                        counts = asyncio.run(learned(held, TASTES[taste], arguments.k, 100 * seed + again))
                        kept.write_text(json.dumps(counts) + "\n", encoding="utf-8")
                    counts = {int(name): one for name, one in json.loads(kept.read_text(encoding="utf-8")).items()}
                    yield {"taste": taste, "way": way, "seed": seed, "again": again, "counts": counts}


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the curves as a table in Markdown: means of each taste over seeds and repeats, and the median taste."""
    means = {
        (taste, way, count): {
            figure: statistics.mean(
                one["counts"][count][figure] for one in found if (one["taste"], one["way"]) == (taste, way)
            )
            for figure in ("wins", "proposals")
        }
        for taste in TASTES
        for way in WAYS
        for count in COUNTS
    }
    lines = ["| taste | pairs | " + " | ".join(map(str, COUNTS)) + f" | proposals for {ENOUGH} |"]
    lines.append("|---|---|" + "---|" * (len(COUNTS) + 1))
    for taste in TASTES:
        for way in WAYS:
            cells = [f"{means[taste, way, count]['wins']:.1%}" for count in COUNTS]
            lines.append(f"| {taste} | {way} | {' | '.join(cells)} | {means[taste, way, ENOUGH]['proposals']:.0f} |")
    for way in WAYS:
        cells = [f"{statistics.median(means[taste, way, count]['wins'] for taste in TASTES):.1%}" for count in COUNTS]
        lines.append(f"| median | {way} | {' | '.join(cells)} | |")
    return lines


def main() -> None:
    """Measure what is not in `--out` yet; print the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "proposals")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2, help="labelers of each taste and seed")
    parser.add_argument("--k", type=int, default=2, help="answers of a proposal")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print("\n".join(table(list(measured(arguments)))))


if __name__ == "__main__":
    main()
