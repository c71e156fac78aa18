"""Two processes that train together end where one does: the same rollouts, gradients that differ by rounding alone."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from alignment.learning.loss_terms import step
from alignment.models import adapters, loading, workers
from tests.learning.test_resume import PPO, RAFT, Config, train

ROOT = Path(__file__).parents[2]
# One of two processes: what it has trained to, and the gradient of one step, go into a file of its own.
WORKER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from alignment.models import workers
from tests.learning.test_workers import PPO, RAFT, gradient, trained
workers.join()
folder, target = Path(sys.argv[1]), Path(sys.argv[2])
assert workers.count() == 2
made = [gradient(folder), *(trained(folder, config) for config in (PPO, RAFT, RAFT))]
torch.save(made, target / f"{workers.number()}.pt")
workers.leave()
"""


def trained(folder: Path, config: Config) -> list[torch.Tensor]:
    """Return the weights that a short training ends with."""
    return train(folder, config, None)[0]


def gradient(folder: Path) -> torch.Tensor:
    """Return the gradient of a step on texts of different lengths, all in one row: what a rate of 1 takes off."""
    from alignment.learning.loss_terms import likelihood_loss, mean_over_tokens
    from alignment.models.log_probs import split_for_passes
    from alignment.models.samples import text_samples
    from alignment.models.texts import Text
    from storage.messages import one_turn

    model, tokenizer = loading.load_checkpoint(folder)
    model = adapters.attach(model, folder / "sft", "sft")
    texts = [Text(one_turn("Hi"), "Hello! " * length, True) for length in (1, 2, 5, 9, 14)]
    samples = text_samples(texts, tokenizer, model.device)
    parameters = adapters.adapter_parameters(model, "sft")
    before = [one.detach().clone() for one in parameters]
    with adapters.using(model, "sft", train=True):
        parts = split_for_passes(model, samples, torch.arange(len(texts)))
        assert len(parts) >= workers.count()
        loss = mean_over_tokens(parts, lambda part: (loss := likelihood_loss(model, part, 1.0), {"loss": loss.item()}))
        measured = step([loss], torch.optim.SGD(parameters, lr=1.0), 1e9)
    change = torch.cat([(old - new).flatten() for old, new in zip(before, parameters, strict=True)])
    return torch.cat([change.detach(), torch.tensor([measured["loss"]])])


def together(folder: Path, target: Path) -> list[list[Any]]:
    """Return what each of two processes that train together has come to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(target)],
            cwd=ROOT,
            env={**os.environ, **group, "RANK": str(number), "LOCAL_RANK": str(number)},
            stderr=subprocess.PIPE,
        )
        for number in range(2)
    ]
    for process in started:
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()[-3000:]
    return [torch.load(target / f"{number}.pt") for number in range(2)]


def test_two_processes_take_the_steps_of_one(tiny_folder: Path, tmp_path: Path) -> None:
    first, second = together(tiny_folder, tmp_path)
    assert torch.equal(first[0], second[0])
    assert torch.allclose(first[0], gradient(tiny_folder), atol=1e-5)
    assert all(torch.equal(one, again) for one, again in zip(first[2], first[3], strict=True))  # the same run again
    for place, config in ((1, PPO), (2, RAFT)):
        assert all(torch.equal(one, other) for one, other in zip(first[place], second[place], strict=True))
        alone = trained(tiny_folder, config)
        # Adam divides by the gradient's size, so that rounding in a gradient near 0 grows.
        assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(first[place], alone, strict=True))


def test_one_process_alone_divides_nothing() -> None:
    assert (workers.count(), workers.number(), workers.first(), workers.share(7)) == (1, 0, True, 7)
    assert workers.divided([1, 2, 3], lambda some: [2 * one for one in some]) == [2, 4, 6]
    assert workers.told(lambda: "what the first finds") == "what the first finds"
