"""How far a run is: stages by their own names, a bar that never goes back, and a sign of life at every pass."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from alignment.learning import ppo, raft
from alignment.learning.dpo import train_dpo
from alignment.learning.rollout import Task
from alignment.learning.settings import DPOConfig, PPOConfig, RaftConfig
from alignment.models import adapters
from alignment.models.features import Written
from alignment.models.generation import generate
from alignment.models.heads import new_head, trunk
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import ShippedRanking
from alignment.reward.scorer import Scores
from alignment.runs import stages
from alignment.runs.methods import METHODS, progress_spans, stages_of
from alignment.runs.progress import Reporter, heartbeat
from storage import database, runs
from storage.messages import one_turn


@pytest.mark.parametrize(
    ("method", "sft", "rounds", "stages"),
    [
        ("ppo", True, 4, ("collect", "sft", "reward", "raft", "ppo", "check")),
        ("ppo", False, 0, ("collect", "reward", "ppo", "check")),
        ("raft", False, 4, ("collect", "reward", "raft", "check")),
        ("dpo", False, 4, ("collect", "dpo", "check")),
    ],
)
def test_a_run_goes_through_the_stages_of_its_method_which_share_the_bar(
    method: str, sft: bool, rounds: int, stages: tuple[str, ...]
) -> None:
    assert stages_of(method, sft=sft, raft_rounds=rounds) == stages
    ends = list(progress_spans(stages).values())
    assert ends[0][0] == 0.0 and ends[-1][1] == pytest.approx(1.0)
    assert all(before[1] == after[0] < after[1] for before, after in pairwise(ends))


def test_every_method_that_may_be_asked_for_has_a_trainer() -> None:
    assert set(stages.TRAINERS) == set(METHODS)


@pytest.fixture
def report(tmp_path: Path) -> Reporter:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    runs.start_run(db, runs.queue_run(db, "ppo", {}))
    return Reporter(db, 1, stages_of("ppo", sft=False, raft_rounds=4))


def test_a_sign_of_life_leaves_stage_and_progress_as_they_are(
    tmp_path: Path, report: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alignment.runs.progress.REPORT_SECONDS", 0.0)
    report("raft", 0.5)
    before = runs.get_run(tmp_path / "triptych.db", 1)
    report.beat()
    after = runs.get_run(tmp_path / "triptych.db", 1)
    assert (after.stage, after.progress) == (before.stage, before.progress) == ("raft", pytest.approx(0.47))
    assert after.heartbeat != before.heartbeat


def beats(model: PeftModel, report: Reporter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted: list[int] = []
    monkeypatch.setattr(report, "beat", lambda: counted.append(1))
    return counted


def test_every_token_that_is_written_is_a_sign_of_life_until_the_context_is_left(
    tiny: tuple[PeftModel, Any], report: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny
    counted = beats(model, report, monkeypatch)
    with pytest.raises(RuntimeError), heartbeat(model, report):
        (written,) = generate(model, tokenizer, [[1, 5, 6]], Sampling(1.0, 4), [0])
        assert len(counted) == len(written.token_ids)
        raise RuntimeError
    generate(model, tokenizer, [[1, 5, 6]], Sampling(1.0, 4), [0])
    assert len(counted) == len(written.token_ids)
    assert not trunk(model)._forward_hooks


@pytest.mark.parametrize("method", ["ppo", "raft", "dpo"])
def test_training_gives_signs_of_life_before_its_first_update_and_between_minibatches(
    tiny: tuple[PeftModel, Any], report: Reporter, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    model, tokenizer = tiny
    for name in ("policy", "value"):
        adapters.copy_adapter(model, "other", name)
    counted = beats(model, report, monkeypatch)
    at_step: list[int] = []
    step = torch.optim.Adam.step

    def counting(self: torch.optim.Adam, *arguments: Any) -> Any:
        at_step.append(len(counted))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", counting)

    def score(written: Sequence[Written]) -> Scores:
        lengths = torch.tensor([float(sum(one.sequence) % 5) for one in written])
        return Scores(lengths, torch.zeros_like(lengths))

    prompts = [one_turn("Hi"), one_turn("Why?")]
    task = Task(prompts, score, 0)
    with heartbeat(model, report):
        if method == "ppo":
            config = PPOConfig(updates=1, rollouts=4, samples=1, minibatches=2, max_new_tokens=4)
            ppo.train_ppo(model, tokenizer, task, new_head(model), config, lambda *reported: None)
        elif method == "raft":
            small = RaftConfig(rounds=1, prompts=2, samples=2, minibatches=2, max_new_tokens=4)
            raft.train_raft(model, tokenizer, task, small, lambda *reported: None)
        else:
            pairs = [ShippedRanking(prompts[0], ("Hello there.", "No"), ((0,), (1,)), "", "")]
            few = DPOConfig(steps=2, batch_size=2, rollouts=2, max_new_tokens=4)
            train_dpo(model, tokenizer, [], pairs, prompts, few, 0, lambda *reported: None)
    assert len(at_step) > 1 and at_step[0] > 0
    assert all(before < after for before, after in pairwise(at_step))
