"""PPO on a tiny model: right log-probabilities, a ratio of one, only policy and critic move, and the score rises."""

from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment import backbone, ppo
from alignment.errors import TrainingError
from alignment.prompts import chat_prompt_ids
from alignment.settings import PPOConfig

Tiny = tuple[PeftModel, AutoTokenizer]
CONFIG = PPOConfig(
    critic_warmup=0,
    warmup_updates=0,
    updates=2,
    rollouts=8,
    minibatches=2,
    epochs=2,
    max_new_tokens=6,
    learning_rate=1e-3,
)
QUESTIONS = ["Hi", "What is the capital of France?", "Thanks"]


def _ready(model: PeftModel) -> tuple[torch.nn.Linear, torch.nn.Linear]:
    backbone.copy_adapter(model, "other", "policy")
    backbone.copy_adapter(model, "sft", "reward")
    backbone.copy_adapter(model, "sft", "value")
    reward_head, value_head = backbone.new_head(model), backbone.new_head(model)
    torch.nn.init.normal_(reward_head.weight, std=0.3)
    return reward_head.requires_grad_(False), value_head


def _rollout(model: PeftModel, tokenizer: AutoTokenizer) -> ppo.Rollout:
    reward_head, value_head = _ready(model)
    return ppo.collect_rollout(model, tokenizer, reward_head, value_head, QUESTIONS, CONFIG, [1, 2, 3])


def test_log_probs_equal_those_of_the_unpadded_sequences(tiny: Tiny) -> None:
    model, tokenizer = tiny
    rollout = _rollout(model, tokenizer)
    for adapter, expected in (("policy", rollout.log_probs), ("sft", rollout.log_probs - rollout.log_ratio)):
        backbone.activate(model, adapter)
        for row in range(len(QUESTIONS)):
            length = int(rollout.mask[row].sum())
            before = rollout.attention[row, : rollout.prompt_width].bool()
            prompt = rollout.ids[row, : rollout.prompt_width][before].tolist()
            completion = rollout.ids[row, rollout.prompt_width : rollout.prompt_width + length].tolist()
            assert prompt in [chat_prompt_ids(tokenizer, question) for question in QUESTIONS]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + completion])).logits[0]
            steps = logits.log_softmax(-1)[len(prompt) - 1 : -1]
            by_hand = torch.stack([steps[i, token] for i, token in enumerate(completion)])
            torch.testing.assert_close(expected[row, :length], by_hand, atol=1e-4, rtol=1e-4)
            assert rollout.log_probs[row, length:].abs().sum() == 0


def test_ratios_of_the_first_minibatch_are_one(tiny: Tiny) -> None:
    model, tokenizer = tiny
    rollout = _rollout(model, tokenizer)
    backbone.activate(model, "policy", train=True)
    part = rollout.rows(torch.tensor([2, 0]))
    log_probs, _ = ppo.completion_log_probs(model, part, CONFIG.temperature)
    ratio = ((log_probs - part.log_probs) * part.mask).exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-5, rtol=0)


def test_reference_is_the_sft_adapter_and_a_policy_equal_to_it_has_no_kl(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "sft", "policy")
    backbone.copy_adapter(model, "sft", "reward")
    backbone.copy_adapter(model, "sft", "value")
    head = backbone.new_head(model)
    rollout = ppo.collect_rollout(model, tokenizer, head, head, QUESTIONS, CONFIG, [1, 2, 3])
    assert rollout.log_ratio.abs().max() < 1e-5


def test_only_policy_value_and_value_head_move(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    head_before, value_head_before = reward_head.weight.clone(), value_head.weight.clone()
    seen: list[int] = []
    ppo.train_ppo(
        model, tokenizer, reward_head, value_head, QUESTIONS, CONFIG, 0, lambda update, metrics: seen.append(update)
    )
    assert seen == [1, 2, 3]  # the last one only looks at what two updates made
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved
    assert all(".policy." in name or ".value." in name for name in moved)
    for adapter in ("policy", "value"):
        assert any(f".{adapter}." in name and ".layers.0." in name for name in moved), adapter
    assert torch.equal(reward_head.weight, head_before)
    assert not torch.equal(value_head.weight, value_head_before)


def test_the_same_seed_trains_the_same_policy(tiny_folder, tiny: Tiny) -> None:  # type: ignore[no-untyped-def]
    results = []
    for _ in range(2):
        model, tokenizer = backbone.load_base(tiny_folder)
        model = backbone.attach(model, tiny_folder / "sft", "sft")
        backbone.attach(model, tiny_folder / "other", "other")
        torch.manual_seed(5)
        reward_head, value_head = _ready(model)
        ppo.train_ppo(model, tokenizer, reward_head, value_head, QUESTIONS, CONFIG, 3, lambda update, metrics: None)
        results.append([p.clone() for p in backbone.adapter_parameters(model, "policy")])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_ppo_learns_what_the_score_asks_for(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny
    _, value_head = _ready(model)

    def share_of_low_tokens(
        model: PeftModel, head: torch.nn.Linear, rows: list[list[int]], pad: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([4.0 * sum(token < 1024 for token in row[-6:]) / 6 for row in rows]), torch.zeros(len(rows))

    monkeypatch.setattr(ppo, "score_sequences", share_of_low_tokens)
    scores: list[float] = []
    config = PPOConfig(
        updates=30, critic_warmup=0, warmup_updates=0,
        rollouts=32, minibatches=2, max_new_tokens=6, learning_rate=3e-2, value_learning_rate=1e-2,
        kl_coefficient=0.0, no_end_penalty=0.0, max_kl=1e6, value_clip_range=10.0,
    )  # fmt: skip
    ppo.train_ppo(
        model, tokenizer, value_head, value_head, QUESTIONS, config, 0,
        lambda update, metrics: scores.append(metrics["objective/score"]),
    )  # fmt: skip
    assert sum(scores[:3]) / 3 < 2.5  # half of all tokens are low
    assert sum(scores[-3:]) / 3 > 3.2, scores


def test_scores_on_which_the_heads_disagree_count_less_where_that_is_asked_for(tiny: Tiny) -> None:
    model, tokenizer = tiny
    rollout = _rollout(model, tokenizer)
    assert rollout.score_stds.tolist() == [0.0] * 3  # a single head agrees with itself
    zeros = torch.zeros_like(rollout.mask)
    rollout = replace(
        rollout, score_stds=torch.tensor([0.0, 0.5, 2.0]), log_ratio=zeros, values=zeros, ended=torch.ones(3).bool()
    )
    careful = ppo.shape_rewards(rollout, replace(CONFIG, lam=1.0, uncertainty_penalty=2.0)).returns[:, 0]
    torch.testing.assert_close(careful, rollout.scores - torch.tensor([0.0, 1.0, 4.0]))
    torch.testing.assert_close(ppo.shape_rewards(rollout, replace(CONFIG, lam=1.0)).returns[:, 0], rollout.scores)


def test_in_the_warm_up_only_the_critic_moves(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)
    before = [p.clone() for p in backbone.adapter_parameters(model, "policy")]
    config = replace(CONFIG, critic_warmup=2)
    ppo.train_ppo(model, tokenizer, reward_head, value_head, QUESTIONS, config, 0, lambda update, metrics: None)
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.adapter_parameters(model, "policy"), strict=True))
    assert value_head.weight.abs().sum() > 0


def test_what_is_returned_was_measured_after_the_last_update(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)
    backbone.copy_adapter(model, "sft", "start")
    with torch.no_grad():  # the policy begins at the reference, so that only its updates can bring any KL
        for policy, start in zip(
            backbone.adapter_parameters(model, "policy"), backbone.adapter_parameters(model, "start"), strict=True
        ):
            policy.copy_(start)
    config = replace(CONFIG, updates=1, learning_rate=1e-2)
    last = ppo.train_ppo(model, tokenizer, reward_head, value_head, QUESTIONS, config, 0, lambda update, metrics: None)
    assert abs(last["objective/kl"]) > 1e-3


def test_a_score_that_is_not_finite_ends_the_run_in_words(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)
    torch.nn.init.constant_(reward_head.weight, float("nan"))
    with pytest.raises(TrainingError, match=r"PPO, step 1: objective/score is nan"):
        ppo.train_ppo(model, tokenizer, reward_head, value_head, QUESTIONS, CONFIG, 0, lambda update, metrics: None)


def test_training_stops_when_kl_passes_its_bound(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)  # "other" is far from "sft" from the start
    seen: list[dict[str, float]] = []
    config = PPOConfig(updates=5, rollouts=8, minibatches=2, max_new_tokens=6, max_kl=0.01)
    ppo.train_ppo(
        model, tokenizer, reward_head, value_head, QUESTIONS, config, 0, lambda update, metrics: seen.append(metrics)
    )
    assert len(seen) == 1
    assert seen[0]["objective/kl"] > 0.01
