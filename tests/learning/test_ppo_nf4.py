"""PPO on a base in NF4: of the shape of an 8B where there is a GPU, of a small one's anywhere."""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from alignment.learning import ppo
from alignment.learning.rollout import Task
from alignment.learning.settings import PPOConfig
from alignment.models import adapters, loading
from alignment.models.features import Written
from alignment.models.heads import new_head
from alignment.reward.scorer import Scores
from storage.messages import one_turn
from tests.conftest import write_random_adapter, write_random_llama

EIGHT_BILLION = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "max_position_embeddings": 8192,
}
SMALL = {"hidden_size": 64, "intermediate_size": 128}  # whole blocks of NF4
GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("shape", [pytest.param(SMALL, id="small"), pytest.param(EIGHT_BILLION, id="8B", marks=GPU)])
def test_updates_on_an_nf4_base_reach_its_lowest_layer(
    tmp_path: Path, shape: dict[str, int], record_property: Any
) -> None:
    write_random_llama(tmp_path, **shape)
    write_random_adapter(tmp_path, "sft", 0.02, "nf4")
    model, tokenizer = loading.load_checkpoint(tmp_path, "nf4")
    model = adapters.attach(model, tmp_path / "sft", "sft")
    for name in ("policy", "value"):
        adapters.copy_adapter(model, "sft", name)
    if torch.cuda.is_available():  # making the weights in bf16 and quantizing them is not what is measured
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    before = [weight.detach().clone() for weight in _lowest(model)]

    def score(written: Sequence[Written]) -> Scores:
        odd = torch.tensor([sum(one.sequence) % 2 for one in written], dtype=torch.float32, device=model.device)
        return Scores(odd, torch.zeros_like(odd))

    large = shape is EIGHT_BILLION
    config = PPOConfig(updates=3, rollouts=32 if large else 4, max_new_tokens=64 if large else 4, max_entropy=1e6)
    times = [time.monotonic()]
    task = Task([one_turn(text) for text in ("Hi", "Why?", "Who are you?")], score, 0)
    ppo.train_ppo(
        model, tokenizer, task, new_head(model), config, lambda update, measured: times.append(time.monotonic())
    )
    assert all(weight.isfinite().all() for weight in _lowest(model))
    assert not any(torch.equal(old, new) for old, new in zip(before, _lowest(model), strict=True))
    if large:  # what one card must hold, and how long an update takes
        record_property("peak_gib", torch.cuda.max_memory_allocated() / 2**30)
        record_property("seconds_an_update", [end - start for start, end in pairwise(times)][:-1])


def _lowest(model: Any) -> list[torch.Tensor]:
    found = [weight for name, weight in model.named_parameters() if ".layers.0." in name and ".policy." in name]
    assert found
    return found
