"""PPO against an optimum that is known in closed form: policy ∝ reference · exp(score / β) over all completions."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from alignment.learning import ppo
from alignment.learning.rollout import Task
from alignment.learning.settings import PPOConfig
from alignment.learning.sft import lora_config
from alignment.models import adapters, passes
from alignment.models.features import Written
from alignment.reward.scorer import Scores
from storage.messages import Messages, one_turn

BOS, EOS, VOCABULARY = 1, 2, 6
BETA = 1.0
# Its last token is never followed by another in a completion, so that one layer can tell where a completion begins.
PROMPT = [BOS, EOS]
TOKENS = range(VOCABULARY)
# All that can be written in at most two tokens: the end at once, or any other token and then any.
COMPLETIONS = [(EOS,), *((a, b) for a, b in product(TOKENS, TOKENS) if a != EOS)]


class OnePrompt:
    """The little of a tokenizer that rollouts use; whatever is asked, the prompt is the same."""

    pad_id, end_ids = 0, {EOS}

    def prompt_ids(self, messages: Messages) -> list[int]:
        return PROMPT

    def ending(self, ids: list[int], **_: Any) -> list[int]:
        return ids


def tiny_model() -> PeftModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, tie_word_embeddings=False, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=0,
    )  # fmt: skip
    model = get_peft_model(LlamaForCausalLM(config), lora_config(rank=8), adapter_name="sft")
    for parameter in adapters.adapter_parameters(model, "sft"):
        torch.nn.init.normal_(parameter, std=0.2)
    for name in ("policy", "value"):
        adapters.copy_adapter(model, "sft", name)
    return model


@torch.no_grad()
def distribution(model: PeftModel, adapter: str) -> torch.Tensor:
    """Return the probability of each completion under an adapter."""
    with adapters.using(model, adapter):
        first = model(input_ids=torch.tensor([PROMPT])).logits[0, -1].softmax(-1)
        second = model(input_ids=torch.tensor([[*PROMPT, token] for token in TOKENS])).logits[:, -1].softmax(-1)
    return torch.stack([first[c[0]] if len(c) == 1 else first[c[0]] * second[c[0], c[1]] for c in COMPLETIONS])


@pytest.mark.slow
def test_ppo_run_long_arrives_at_the_closed_form_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "ROWS", 512)  # passes of a model so small cost the same for any number of rows
    model, value_head = tiny_model(), torch.nn.Linear(16, 1)
    worth = torch.randn(len(COMPLETIONS), generator=torch.Generator().manual_seed(1))
    scores = dict(zip(COMPLETIONS, worth.tolist(), strict=True))

    def score(written: Sequence[Written]) -> Scores:
        found = torch.tensor([scores[tuple(one.completion)] for one in written])
        return Scores(found, torch.zeros_like(found))

    reference = distribution(model, "sft")
    optimum = reference * (worth / BETA).exp()
    optimum = optimum / optimum.sum()
    assert 0.5 * (reference - optimum).abs().sum() > 0.3  # there is a way to go
    for stage, (updates, rate) in enumerate(((40, 8e-3), (60, 3e-3), (60, 1e-3), (60, 3e-4), (60, 1e-4))):
        config = PPOConfig(
            updates=updates, rollouts=512, minibatches=2, epochs=4, value_epochs=4, critic_warmup=2, max_new_tokens=2,
            learning_rate=rate, value_learning_rate=3 * rate, value_clip_range=10.0, kl_coefficient=BETA,
            no_end_penalty=0.0, max_kl=1e6, min_entropy=0.0, max_entropy=1e6, min_length=0.0,
        )  # fmt: skip
        task = Task([one_turn("?")], score, stage)
        ppo.train_ppo(model, OnePrompt(), task, value_head, config, lambda update, metrics: None)
    distance = 0.5 * (distribution(model, "policy") - optimum).abs().sum()
    assert distance < 0.02
