"""Candidates of the bundled model that are worse than what answers today: the gate holds each of them back.

Votes and reward model are the same; what the policy is trained to please, or how far, is not what it should be.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from alignment.learning.rollout import Task
from alignment.models import adapters, loading
from alignment.models.features import Written
from alignment.reward.scorer import Scorer, Scores
from alignment.runs import job, stages
from alignment.runs.findings import Verdict
from alignment.runs.records import evaluation_from_json
from alignment.runs.settings import run_settings
from alignment.runs.training import Data, Training
from alignment.settings import POCKET, POCKET_MODEL
from recipes.pocket.prompt_files import labelled_prompts
from service.policies import ensure_live_version
from storage import database, policies, runs
from tests.bench.tastes import ASKED, TASTES, Cell, cast

CELL = Cell("warmest", seed=30)
SMALL: dict[str, Any] = {
    "diversity_prompts": 0,
    "raft": {"rounds": 2, "averaged_rounds": 1, "prompts": 48, "warmup_steps": 8, "max_new_tokens": 64},
    "gate": {"step_back": 0.0},  # a part of the way from the parent might be harmless
}
WHOLE = {"rounds": 4, "averaged_rounds": 2, "prompts": 84, "warmup_steps": 24}  # as a run by default
# What holds a policy to what it knew, turned off.
UNHELD: dict[str, Any] = {
    "anchor_coefficient": 0.0,
    "preferred_coefficient": 0.0,
    "kl_coefficient": 0.0,
    "max_kl": 1e6,
    "max_entropy": 100.0,
}

Wrapped = Callable[[Scorer], Scorer]


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with version 1 live and the 32 votes of a simulated labeler."""
    folder = tmp_path_factory.mktemp("voted")
    db = database.file_in(folder)
    database.prepare(db)
    ensure_live_version(db, folder, POCKET_MODEL)
    model, tokenizer = loading.load_checkpoint(POCKET)
    model = adapters.attach(model, POCKET / "sft", "sft")
    adapters.attach(model, folder / policies.list_policies(db)[0].path, "policy")
    cast(db, model, tokenizer, TASTES[CELL.taste], CELL, labelled_prompts(ASKED, "seen", 100 + CELL.seed))
    return folder


def judged(voted: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, pleases: Wrapped, **raft: Any) -> Verdict:
    """Return the gate's verdict on a policy trained to please what `pleases` makes of the reward model."""
    shutil.copytree(voted, folder, dirs_exist_ok=True)
    db = database.file_in(folder)
    settings = run_settings(SMALL | {"raft": SMALL["raft"] | raft})
    run = runs.queue_run(db, "raft", settings.to_json())
    runs.start_run(db, run)
    original = stages._task

    def task(training: Training, data: Data, reward: Any) -> Task:
        asked = original(training, data, reward)
        return replace(asked, score=pleases(asked.score))

    monkeypatch.setattr(stages, "_task", task)
    job.train(folder, run, POCKET_MODEL)
    made = policies.version_made_by(db, run)
    assert made is not None and made.status in ("candidate", "rejected")
    verdict = evaluation_from_json(made.evaluation).verdict
    assert verdict is not None
    assert (made.status == "rejected") == (runs.get_run(db, run).status == "rejected") == (not verdict.passed)
    return verdict


def unchanged(score: Scorer) -> Scorer:
    """Return the reward model as it is."""
    return score


def against(score: Scorer) -> Scorer:
    """Return what is pleased by the opposite of what people voted for."""

    def flipped(texts: Sequence[Written]) -> Scores:
        scores = score(texts)
        return replace(scores, means=-scores.means)

    return flipped


def exclaims(score: Scorer) -> Scorer:
    """Return what likes exclamation marks, whatever stands before them."""
    tokenizer = AutoTokenizer.from_pretrained(POCKET, local_files_only=True)

    def marks(texts: Sequence[Written]) -> Scores:
        told = [tokenizer.decode(text.completion) for text in texts]
        means = torch.tensor([3.0 * min(text.count("!"), 6) for text in told])
        return Scores(means, torch.zeros_like(means))

    return marks


@pytest.mark.slow
def test_an_honest_candidate_passes(voted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = judged(voted, tmp_path, monkeypatch, unchanged)
    liked = next(one for one in verdict.findings if one.name == "liked")
    assert liked.low is not None and liked.low > 0.5, verdict
    assert verdict.passed, verdict


@pytest.mark.slow
def test_one_trained_on_flipped_votes_is_held_back(
    voted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = judged(voted, tmp_path, monkeypatch, against, **WHOLE)
    assert "liked" in {finding.name for finding in verdict.failed}, verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pleases", "learning_rate", "held_back_by"), [(unchanged, 1e-2, "kl"), (exclaims, 4e-3, "accuracy")]
)
def test_one_past_the_kl_bound_or_whose_facts_were_traded_for_the_taste_is_held_back(
    voted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pleases: Wrapped,
    learning_rate: float,
    held_back_by: str,
) -> None:
    verdict = judged(voted, tmp_path, monkeypatch, pleases, learning_rate=learning_rate, **UNHELD)
    assert held_back_by in {finding.name for finding in verdict.failed}, verdict
