"""A run that was killed goes on from its checkpoint and ends bit for bit where an undisturbed one ends."""

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from alignment.errors import TrainingError
from alignment.learning import checkpoint, ppo, raft
from alignment.learning.checkpoint import LoopState
from alignment.learning.rollout import Outcome, Task
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import adapters, loading
from alignment.models.heads import new_head, trunk
from alignment.models.texts import Text
from alignment.reward.scorer import adapter_scorer
from storage.messages import one_turn

ROOT = Path(__file__).parents[2]
PPO = PPOConfig(
    updates=3,
    rollouts=8,
    minibatches=2,
    max_new_tokens=6,
    learning_rate=1e-3,
    normalize_scores=True,
    kl_target=1.0,
    preferred_coefficient=0.5,
)
RAFT = RaftConfig(
    rounds=3, prompts=4, samples=3, minibatches=2, max_new_tokens=6, learning_rate=1e-3, preferred_coefficient=0.5
)
QUESTIONS = [one_turn(text) for text in ("Hi", "What is the capital of France?", "Thanks", "Why?")]
TEXTS = [
    Text(one_turn("Hi"), "Hello!"),
    Text(one_turn("Thanks"), "You are welcome."),
    Text(one_turn("Why?"), "I do not know."),
]
Config = PPOConfig | RaftConfig


def train(
    folder: Path,
    config: Config,
    file: Path | None,
    on_update: Callable[[int, dict[str, float]], None] = lambda update, metrics: None,
    on_pass: Callable[[], None] = lambda: None,
) -> tuple[list[torch.Tensor], Outcome]:
    """Train a freshly loaded tiny model and return all weights that move, and how it ended.

    `on_pass` is called at every forward pass of the model.
    """
    torch.manual_seed(0)
    model, tokenizer = loading.load_checkpoint(folder)
    model = adapters.attach(model, folder / "sft", "sft")
    for name in ("policy", "reward", "value"):
        adapters.copy_adapter(model, "sft", name)
    reward_head, value_head = new_head(model), new_head(model)
    torch.nn.init.normal_(reward_head.weight, std=0.3)
    score = adapter_scorer(model, reward_head.requires_grad_(False), tokenizer.pad_id, None)
    task = Task(QUESTIONS, score, 7, TEXTS)
    trunk(model).register_forward_hook(lambda *_: on_pass())
    if isinstance(config, PPOConfig):
        outcome = ppo.train_ppo(model, tokenizer, task, value_head, config, on_update, file)
    else:
        outcome = raft.train_raft(model, tokenizer, task, config, on_update, file)
    moved = [*adapters.adapter_parameters(model, "policy"), *adapters.adapter_parameters(model, "value")]
    return [p.detach().clone() for p in [*moved, *value_head.parameters()]], outcome


class KilledError(Exception):
    """Stands for a signal where a process of its own would take too long."""


def dies(after: int, passes: int) -> tuple[Callable[[int, dict[str, float]], None], Callable[[], None]]:
    """Return on_update and on_pass that end training so many passes after an update was reported."""
    left: list[int] = [passes] if after == 0 else []

    def on_update(update: int, metrics: dict[str, float]) -> None:
        if update == after:
            left.append(passes)

    def on_pass() -> None:
        if left:
            left[0] -= 1
            if left[0] <= 0:
                raise KilledError

    return on_update, on_pass


@pytest.mark.parametrize("config", [PPO, RAFT])
def test_a_run_ended_after_any_update_ends_where_an_undisturbed_one_ends(
    tiny_folder: Path, tmp_path: Path, config: Config
) -> None:
    undisturbed, whole = train(tiny_folder, config, None)
    for after, passes in ((0, 1), (1, 1), (2, 14), (3, 2)):  # while sampling and, with 14, between two minibatches
        file = tmp_path / f"{after}" / "checkpoint.pt"
        with pytest.raises(KilledError):
            train(tiny_folder, config, file, *dies(after, passes))
        assert file.exists() == (after > 0)
        seen: dict[int, dict[str, float]] = {}
        resumed, outcome = train(tiny_folder, config, file, seen.__setitem__)
        assert list(seen) == list(range(after + 1, 5))
        assert outcome == whole
        assert all(torch.equal(a, b) for a, b in zip(undisturbed, resumed, strict=True))


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_resume import PPO, train
import torch
def on_update(update, metrics):
    print(update, flush=True)
weights, _ = train(Path(sys.argv[2]), PPO, Path(sys.argv[3]), on_update, lambda: print("step", flush=True))
torch.save(weights, sys.argv[4])
"""


@pytest.mark.slow
def test_a_process_killed_with_kill_9_is_resumed_by_another(tiny_folder: Path, tmp_path: Path) -> None:
    python = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tiny_folder)]
    # In a process of its own as well: what ran before in this one may change how sums are rounded.
    undisturbed = [*python, str(tmp_path / "undisturbed.pt"), str(tmp_path / "expected.pt")]
    subprocess.run(undisturbed, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    command = [*python, str(tmp_path / "checkpoint.pt"), str(tmp_path / "weights.pt")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = iter(child.stdout)
        assert "2\n" in lines  # read up to the second update
        assert next(lines) == "step\n"  # and into the third
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    again = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert "1\n" not in again.stdout and "4\n" in again.stdout
    expected, resumed = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("expected", "weights"))
    assert all(torch.equal(a, b) for a, b in zip(expected, resumed, strict=True))


def _state(value: float = 0.0) -> LoopState:
    weight = torch.nn.Parameter(torch.full((2,), value))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    return LoopState([weight], (optimizer,), ppo.random.Random(1), torch.Generator().manual_seed(1), 3, {"kl": value})


def test_a_checkpoint_that_was_cut_off_while_it_was_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checkpoint.pt"
    _state(1.0).save(file)

    def cut_off(state: Any, target: io.BufferedWriter) -> None:
        target.write(b"half")
        raise KilledError

    monkeypatch.setattr(checkpoint.torch, "save", cut_off)
    with pytest.raises(KilledError):
        _state(2.0).save(file)
    restored = _state(5.0)
    restored.restore(file)
    assert restored.numbers == {"kl": 1.0}
    assert torch.equal(restored.trained[0], _state(1.0).trained[0])


def test_a_checkpoint_that_cannot_be_used_is_refused_with_the_way_out_and_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(
        TrainingError, match=r"checkpoint\.pt cannot be taken up .*; resume the run to go on without it"
    ):
        _state().restore(file)
    assert (tmp_path / "checkpoint.pt.unusable").read_bytes() == b"not a checkpoint"
    assert not file.exists()
    _state().save(file)
    other = replace(_state(), trained=[torch.nn.Parameter(torch.zeros(3))])
    with pytest.raises(TrainingError, match=r"weights of shape \[2\] for \[3\]"):
        other.restore(file)
