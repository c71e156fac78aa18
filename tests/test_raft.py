"""RAFT and best-of-N on a tiny model: the best of each prompt is imitated, only the policy moves, the score rises."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment import backbone, raft
from alignment.best_of_n import best_of_each
from alignment.ppo import likelihood_loss
from alignment.prompts import chat_prompt_ids
from alignment.rollout import against_reference, as_rollout, sample_rollout
from alignment.settings import RaftConfig

Tiny = tuple[PeftModel, AutoTokenizer]
QUESTIONS = ["Hi", "What is the capital of France?", "Thanks"]
CONFIG = RaftConfig(
    rounds=2,
    prompts=4,
    samples=3,
    minibatches=2,
    max_new_tokens=6,
    learning_rate=1e-3,
    warmup_steps=1,
    last_rate=1.0,
    kl_coefficient=0.0,
    no_end_penalty=0.0,
)


def share_of_low_tokens(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Score a completion by its share of tokens below 1024, times 4."""
    scores = torch.tensor([4.0 * sum(token < 1024 for token in row[-6:]) / 6 for row in sequences])
    return scores, torch.zeros_like(scores)


def test_best_of_each_group_is_the_row_with_the_highest_score() -> None:
    scores, groups = torch.tensor([1.0, 5.0, 3.0, -1.0, -2.0]), torch.tensor([1, 0, 1, 2, 2])
    assert best_of_each(scores, groups).tolist() == [1, 2, 3]


def test_texts_that_repeat_are_scored_and_measured_once(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "other", "policy")
    asked, seeds = [QUESTIONS[0], QUESTIONS[1], QUESTIONS[0], QUESTIONS[0]], [1, 2, 1, 3]
    scored: list[int] = []

    def score(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        scored.append(len(sequences))
        return share_of_low_tokens(sequences)

    written = sample_rollout(model, tokenizer, score, asked, CONFIG, seeds)
    assert sum(scored) == 3
    written = against_reference(model, written, CONFIG.temperature)
    row = {index: place for place, index in enumerate(written.prompt_index.tolist())}
    for name in ("ids", "scores", "log_probs", "log_ratio", "entropy"):
        assert torch.equal(getattr(written, name)[row[0]], getattr(written, name)[row[2]])
    for index in range(4):
        alone = sample_rollout(model, tokenizer, score, [asked[index]], CONFIG, [seeds[index]])
        alone = against_reference(model, alone, CONFIG.temperature)
        assert alone.scores[0] == written.scores[row[index]]
        width = alone.mask.shape[1]
        torch.testing.assert_close(alone.log_ratio[0], written.log_ratio[row[index], :width], atol=1e-5, rtol=1e-5)


def test_best_rows_answer_every_prompt_once_and_weigh_score_against_kl(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "other", "policy")
    asked = [question for question in QUESTIONS for _ in range(CONFIG.samples)]
    written = sample_rollout(model, tokenizer, share_of_low_tokens, asked, CONFIG, range(len(asked)))
    written = against_reference(model, written, CONFIG.temperature)
    kl = (written.log_ratio * written.mask).sum(-1)
    for coefficient in (0.0, 100.0):
        best = raft.best_rows(written, replace(CONFIG, kl_coefficient=coefficient))
        worth = written.scores - coefficient * kl
        for question, index in enumerate((best.prompt_index // CONFIG.samples).sort().values.tolist()):
            assert index == question
            group = written.prompt_index // CONFIG.samples == question
            row = (best.prompt_index // CONFIG.samples == question).nonzero().item()
            found = best.scores[row] - coefficient * (best.log_ratio * best.mask).sum(-1)[row]
            assert found.item() == pytest.approx(worth[group].max().item())
            prompt = best.ids[row, : best.prompt_width][best.attention[row, : best.prompt_width].bool()]
            assert prompt.tolist() == chat_prompt_ids(tokenizer, QUESTIONS[question])


def test_raft_moves_the_policy_only_and_learns_what_the_score_asks_for(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "other", "policy")
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    seen: list[dict[str, float]] = []
    config = replace(
        CONFIG, rounds=12, prompts=8, samples=4, learning_rate=1e-2, max_kl=1e6, min_entropy=0.0, max_entropy=1e6
    )
    outcome = raft.train_raft(
        *(model, tokenizer, share_of_low_tokens, QUESTIONS, config, 0), lambda update, metrics: seen.append(metrics)
    )
    assert len(seen) == 13
    assert outcome.measured == seen[-1]
    scores = [metrics["objective/score"] for metrics in seen]
    assert sum(scores[:2]) / 2 < 2.5  # half of all tokens are low
    assert sum(scores[-2:]) / 2 > 3.0, scores
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved and all(".policy." in name for name in moved)


def test_the_rate_rises_over_the_first_steps_and_falls_from_round_to_round() -> None:
    config = replace(CONFIG, rounds=3, learning_rate=1.0, warmup_steps=4, last_rate=0.5)
    assert [raft.learning_rate(config, 1, step) for step in (1, 2, 4)] == [0.25, 0.5, 1.0]
    assert [raft.learning_rate(config, number, 9) for number in (1, 2, 3)] == [1.0, 0.75, 0.5]
    assert raft.learning_rate(replace(config, rounds=1), 1, 9) == 1.0


def test_raft_stops_when_kl_passes_its_bound(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "other", "policy")  # far from "sft" from the start
    outcome = raft.train_raft(
        *(model, tokenizer, share_of_low_tokens, QUESTIONS, replace(CONFIG, max_kl=0.01), 0), lambda *reported: None
    )
    assert outcome.stopped is not None and "KL to SFT" in outcome.stopped


def test_raft_makes_texts_likely_that_are_mixed_in(tiny: Tiny) -> None:
    model, tokenizer = tiny
    texts = [("Hi", "Hello, how are you today?"), ("Thanks", "You are welcome.")]
    written = as_rollout(texts, tokenizer, model.device)
    after = {}
    for coefficient in (0.0, 1.0):
        if "policy" in model.peft_config:
            backbone.activate(model, "sft")
            model.delete_adapter("policy")
        backbone.copy_adapter(model, "other", "policy")
        config = replace(CONFIG, rounds=4, learning_rate=5e-3, max_kl=1e6, preferred_coefficient=coefficient)
        raft.train_raft(
            *(model, tokenizer, share_of_low_tokens, QUESTIONS, config, 0), lambda *reported: None, preferred=texts
        )
        backbone.activate(model, "policy")
        with torch.no_grad():
            after[coefficient] = -likelihood_loss(model, written, 1.0).item()
    assert after[1.0] > after[0.0] + 0.5
