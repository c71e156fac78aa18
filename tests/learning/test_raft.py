"""RAFT and best-of-N on a tiny model: the best of each prompt is imitated and set against the worst, only the policy
moves, the score rises.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.learning import raft, rollout, rollout_metrics
from alignment.learning.loss_terms import likelihood_loss
from alignment.learning.pairs import Pairs, dpo_loss
from alignment.learning.raft import best_of_each
from alignment.learning.rollout import (
    Batch,
    OnUpdate,
    Outcome,
    Rollout,
    Task,
    measured_sample,
    policy_log_probs,
)
from alignment.learning.settings import RaftConfig
from alignment.models import adapters, log_probs
from alignment.models.features import Written, read_completions
from alignment.models.log_probs import anchored_log_probs, completion_log_probs, distributions
from alignment.models.samples import Samples, text_samples
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.reward.scorer import Scorer, Scores
from storage.messages import Messages, one_turn

Tiny = tuple[PeftModel, AutoTokenizer]
QUESTIONS = [one_turn(text) for text in ("Hi", "What is the capital of France?", "Thanks")]
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
    sampling_temperature=1.0,
    min_p=0.0,
    anchor_coefficient=0.0,
    no_end_penalty=0.0,
)
SAMPLING = Sampling(CONFIG.temperature, CONFIG.max_new_tokens)


def share_of_low_tokens(written: Sequence[Written]) -> Scores:
    """Score a completion by its share of tokens below 1024, times 4."""
    scores = torch.tensor([4.0 * sum(token < 1024 for token in one.sequence[-6:]) / 6 for one in written])
    return Scores(scores, torch.zeros_like(scores))


def drawn(
    tiny: Tiny, batch: Batch | None = None, score: Scorer = share_of_low_tokens, config: RaftConfig = CONFIG
) -> Rollout:
    """Return a rollout of the policy: some completions of each question, or the batch given."""
    prompts = [question for question in [*QUESTIONS, one_turn("Bye")] for _ in range(config.samples)]
    batch = batch or Batch(prompts, list(range(len(prompts))))
    return raft.collect_rollout(*tiny, score, config, SAMPLING, batch)


def trained(
    tiny: Tiny,
    config: RaftConfig,
    on_update: OnUpdate = lambda *reported: None,
    preferred: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> Outcome:
    task = Task(QUESTIONS, share_of_low_tokens, 0, preferred)
    return raft.train_raft(*tiny, task, config, on_update, **more)


def new_policy(model: PeftModel) -> None:
    """Let the policy begin anew, as "other"."""
    adapters.drop_adapter(model, "policy")
    adapters.copy_adapter(model, "other", "policy")


def test_best_of_each_group_is_the_row_with_the_highest_score() -> None:
    scores, groups = torch.tensor([1.0, 5.0, 3.0, -1.0, -2.0]), torch.tensor([1, 0, 1, 2, 2])
    assert best_of_each(scores, groups).tolist() == [1, 2, 3]


@pytest.mark.parametrize(("of", "best"), [(1, 2.5), (2, 10 / 3), (4, 4.0), (9, 4.0)])
def test_the_best_of_a_few_is_the_mean_over_all_ways_to_pick_them(of: int, best: float) -> None:
    scores = torch.tensor([3.0, 1.0, 4.0, 2.0, 13.0, 11.0, 14.0, 12.0])  # of two prompts, 10 apart
    # Of 1, 2, 3, 4 the best of two is 2 in one of six ways, 3 in two and 4 in three.
    assert rollout_metrics.mean_best(scores, samples=4, of=of) == pytest.approx(best + 5)


def test_texts_that_repeat_are_scored_and_measured_once(tiny: Tiny) -> None:
    adapters.copy_adapter(tiny[0], "other", "policy")
    asked, seeds = [QUESTIONS[0], QUESTIONS[1], QUESTIONS[0], QUESTIONS[0]], [1, 2, 1, 3]
    scored: list[int] = []

    def score(written: Sequence[Written]) -> Scores:
        scored.append(len(written))
        return share_of_low_tokens(written)

    written = drawn(tiny, Batch(asked, seeds), score)
    assert sum(scored) == 3
    row = {index: place for place, index in enumerate(written.prompt_index.tolist())}
    for name in ("ids", "scores", "log_probs", "log_ratio", "entropy"):
        torch.testing.assert_close(getattr(written, name)[row[0]], getattr(written, name)[row[2]])
    for index in range(4):
        alone = drawn(tiny, Batch([asked[index]], [seeds[index]]), score)
        assert alone.scores[0] == written.scores[row[index]]
        width = alone.mask.shape[1]
        torch.testing.assert_close(alone.log_ratio[0], written.log_ratio[row[index], :width], atol=1e-5, rtol=1e-5)


def test_the_ends_are_the_best_and_the_worst_of_every_prompt_by_score_less_kl(tiny: Tiny) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    asked = [question for question in QUESTIONS for _ in range(CONFIG.samples)]
    written = drawn(tiny, Batch(asked, list(range(len(asked)))))
    kl = (written.log_ratio * written.mask).sum(-1)
    for coefficient in (0.0, 100.0):
        pairs = raft.best_and_worst(written, replace(CONFIG, kl_coefficient=coefficient))
        objective = written.scores - coefficient * kl
        for end, wanted in ((pairs.better, torch.max), (pairs.worse, torch.min)):
            assert (end.prompt_index // CONFIG.samples).tolist() == [0, 1, 2]
            for question in range(3):
                of_prompt = objective[written.prompt_index // CONFIG.samples == question]
                assert end.scores[question] == wanted(of_prompt)
                prompt = end.ids[question, : end.prompt_width][end.attention[question, : end.prompt_width].bool()]
                assert prompt.tolist() == tokenizer.prompt_ids(QUESTIONS[question])


def test_the_contrast_is_the_loss_of_dpo_with_labels_as_sure_as_the_scores() -> None:
    log_ratios = torch.tensor([0.4, -1.0]), torch.tensor([0.1, -1.0])  # of two better ones, of two worse ones
    scores = torch.tensor([1.0, 30.0]), torch.tensor([1.0, 0.0])  # equal in the first pair, far apart in the second
    equal = -(math.log(1 / (1 + math.exp(-0.6))) + math.log(1 / (1 + math.exp(0.6)))) / 2  # beta 2: 2 * (0.4 - 0.1)
    loss = raft.contrast_loss(log_ratios, scores, 2.0)
    assert loss.item() == pytest.approx((equal + math.log(2)) / 2, abs=1e-6)
    certain = -math.log(1 / (1 + math.exp(-0.6)))
    assert dpo_loss(*log_ratios, 2.0).tolist() == pytest.approx([certain, math.log(2)], abs=1e-6)


def test_the_contrast_leaves_alone_what_best_and_worst_have_in_common() -> None:
    tokens = torch.zeros(2, 3, requires_grad=True)  # log-probabilities: two tokens in common, one that tells them apart
    told_apart = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    log_ratio = (tokens[0] * torch.tensor([1.0, 1.0, 0.0])).sum() + (tokens * told_apart).sum(-1)
    raft.contrast_loss((log_ratio[:1], log_ratio[1:]), (torch.tensor([9.0]), torch.tensor([0.0])), 1.0).backward()
    assert tokens.grad is not None
    assert tokens.grad[0, :2].abs().max() == 0.0 and tokens.grad[0, 2] < -0.4


def test_the_contrast_moves_best_and_worst_as_far_apart_as_their_scores_are(tiny: Tiny) -> None:
    model, _ = tiny
    off = {}
    for coefficient in (0.0, 5.0):
        new_policy(model)
        config = replace(CONFIG, contrast_coefficient=coefficient, learning_rate=3e-3, epochs=8)
        pairs = raft.best_and_worst(drawn(tiny, config=config), config)
        optimizer = torch.optim.Adam(adapters.adapter_parameters(model, "policy"), eps=1e-5)
        raft.imitate(model, pairs, optimizer, config, torch.Generator().manual_seed(0))
        moved = []
        for end in (pairs.better, pairs.worse):
            with torch.no_grad(), adapters.using(model, "policy"):
                after = completion_log_probs(model, end, config.temperature)
            moved.append(((after - end.log_probs) * end.mask).sum(-1))
        apart, wanted = moved[0] - moved[1], pairs.better.scores - pairs.worse.scores
        off[coefficient] = (apart - wanted).abs().mean().item()
    assert off[5.0] < off[0.0] / 2, off


@pytest.mark.parametrize("contrast", [0.0, 2.0])
def test_a_minibatch_counts_the_same_however_it_is_cut_into_passes(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, contrast: float
) -> None:
    model, _ = tiny
    config = replace(CONFIG, contrast_coefficient=contrast, anchor_coefficient=3.0, minibatches=1, epochs=1)
    adapters.copy_adapter(model, "sft", raft.ANCHOR)
    moved, losses = [], []
    for rows, tokens in ((32, 10_000), (2, 10_000), (32, 1)):
        monkeypatch.setattr(raft, "ROWS", rows)
        monkeypatch.setattr(raft, "tokens_to_hold", lambda model, tokens=tokens: tokens)
        new_policy(model)
        pairs = raft.best_and_worst(drawn(tiny, config=config), config)
        pairs.better.mask[0, 2:] = 0  # texts of different lengths
        optimizer = torch.optim.SGD(adapters.adapter_parameters(model, "policy"))
        losses.append(raft.imitate(model, pairs, optimizer, config, torch.Generator().manual_seed(0)))
        moved.append([weight.detach().clone() for weight in adapters.adapter_parameters(model, "policy")])
    for parts in (1, 2):
        assert losses[0] == pytest.approx(losses[parts], rel=1e-4)
        for one, other in zip(moved[0], moved[parts], strict=True):
            torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-4)


def test_raft_moves_the_policy_only_and_learns_what_the_score_asks_for(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "other", "policy")
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    seen: list[dict[str, float]] = []
    config = replace(
        CONFIG,
        rounds=20,
        contrast_beta=1.0,
        prompts=8,
        samples=4,
        learning_rate=1e-2,
        max_kl=1e6,
        min_entropy=0.0,
        max_entropy=1e6,
    )
    outcome = trained(tiny, config, lambda update, metrics: seen.append(metrics))
    assert len(seen) == 21
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


def test_raft_ends_as_the_mean_of_the_weights_after_its_last_rounds(tiny: Tiny) -> None:
    model, _ = tiny

    def weights_after(rounds: int, averaged: int) -> list[torch.Tensor]:
        new_policy(model)
        config = replace(CONFIG, rounds=rounds, averaged_rounds=averaged, max_kl=1e6, max_entropy=1e6)
        trained(tiny, config)
        return [weight.detach().clone() for weight in adapters.adapter_parameters(model, "policy")]

    second, third = weights_after(2, 1), weights_after(3, 1)
    for averaged, mean in ((2, lambda a, b: (a + b) / 2), (1, lambda a, b: b)):
        for got, a, b in zip(weights_after(3, averaged), second, third, strict=True):
            torch.testing.assert_close(got, mean(a, b), atol=1e-6, rtol=1e-5)
    assert any(not torch.equal(a, b) for a, b in zip(second, third, strict=True))


def test_without_measuring_its_end_raft_ends_with_the_same_weights_a_rollout_earlier(tiny: Tiny) -> None:
    model, _ = tiny
    ended, reported = [], []
    for measures_end in (True, False):
        new_policy(model)
        seen: list[int] = []
        outcome = trained(
            tiny,
            replace(CONFIG, max_kl=1e6, max_entropy=1e6),
            lambda update, metrics, seen=seen: seen.append(update),  # type: ignore[misc]
            measures_end=measures_end,
        )
        assert bool(outcome.measured) == measures_end and outcome.stopped is None
        ended.append([weight.detach().clone() for weight in adapters.adapter_parameters(model, "policy")])
        reported.append(seen)
    assert reported == [[1, 2, 3], [1, 2]]
    assert all(torch.equal(one, other) for one, other in zip(*ended, strict=True))


def test_rounds_explore_and_the_end_is_measured_from_the_policy_itself(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "other", "policy")
    used: list[Sampling] = []

    def watched(*arguments: Any) -> Any:
        used.append(arguments[3])
        return measured_sample(*arguments)

    monkeypatch.setattr(raft, "measured_sample", watched)
    config = replace(CONFIG, sampling_temperature=1.7, min_p=0.05, max_kl=1e6, max_entropy=1e6)
    trained(tiny, config)
    assert used == [*[Sampling(1.7, 6, min_p=0.05)] * 2, Sampling(1.0, 6)]
    used.clear()
    config = replace(config, max_kl=0.0)
    outcome = trained(tiny, config)
    assert outcome.stopped and used == [Sampling(1.7, 6, min_p=0.05), Sampling(1.0, 6)]


def test_raft_stops_when_kl_passes_its_bound(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "other", "policy")  # far from "sft" from the start
    outcome = trained(tiny, replace(CONFIG, max_kl=0.01))
    assert outcome.stopped is not None and "KL to SFT" in outcome.stopped


def test_the_kl_from_an_anchor_is_that_of_whole_distributions_also_in_blocks(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    written = text_samples(
        [Text(one_turn("Hi"), "Hello!"), Text(one_turn("Thanks"), "You are welcome.")], tokenizer, model.device
    )
    every = {}
    for name in ("sft", "policy"):
        with torch.no_grad(), adapters.using(model, name):
            logits = model(input_ids=written.ids, attention_mask=written.attention, **_positions(written)).logits
        every[name] = (logits[:, written.prompt_width - 1 : -1] / 2.0).log_softmax(-1)
    wanted = (every["sft"].exp() * (every["sft"] - every["policy"])).sum(-1) * written.mask
    with adapters.using(model, "sft"):
        anchor = distributions(model, written, 2.0)
    gradients = []
    for tokens_at_once in (10_000, 2):
        monkeypatch.setattr(log_probs, "LOGITS_AT_ONCE", tokens_at_once * every["sft"].shape[-1])
        with adapters.using(model, "policy", train=True):
            measured, kl = anchored_log_probs(model, written, 2.0, anchor)
            torch.testing.assert_close(kl, wanted, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(measured, completion_log_probs(model, written, 2.0))
            kl.sum().backward()
        gradients.append([p.grad.clone() for p in adapters.adapter_parameters(model, "policy")])  # type: ignore[union-attr]
        model.zero_grad()
    assert any(gradient.abs().max() > 0 for gradient in gradients[0])
    for whole, blocks in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, blocks, atol=1e-4, rtol=1e-4)
    with adapters.using(model, "policy"):
        assert anchored_log_probs(model, written, 2.0, distributions(model, written, 2.0))[1].abs().max() < 1e-6


def _positions(written: Samples) -> dict[str, torch.Tensor]:
    """Return the places of the tokens, which padding on the left does not move."""
    return {"position_ids": (written.attention.cumsum(-1) - 1).clamp(min=0)}


def test_an_anchor_holds_the_policy_near_where_training_began(tiny: Tiny) -> None:
    model, tokenizer = tiny
    written = text_samples([Text(question, "I do not know that.") for question in QUESTIONS], tokenizer, model.device)
    with adapters.using(model, "other"):
        start = distributions(model, written, 1.0)
    drift = {}
    for coefficient in (0.0, 20.0):
        new_policy(model)
        config = replace(CONFIG, rounds=6, learning_rate=5e-3, max_kl=1e6, max_entropy=1e6)
        seen: list[dict[str, float]] = []
        trained(
            tiny,
            replace(config, anchor_coefficient=coefficient),
            lambda update, metrics, seen=seen: seen.append(metrics),  # type: ignore[misc]
        )
        assert (("policy/drift" in seen[0]) == (coefficient > 0)) and "anchor" not in model.peft_config
        with adapters.using(model, "policy"):
            drift[coefficient] = anchored_log_probs(model, written, 1.0, start)[1].sum().item()
    assert 0 < drift[20.0] < drift[0.0] / 2, drift


def test_raft_learns_from_the_pairs_that_are_picked_and_takes_no_step_without_any(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "other", "policy")
    asked: list[int] = []

    def pick(written: Rollout, prompts: Sequence[Messages], rng: random.Random) -> Pairs[Rollout] | None:
        asked.append(len(prompts))
        better, worse = (written.rows(torch.tensor(rows)) for rows in ([0, 1, 2], [3, 4, 5]))
        return Pairs(better, worse) if len(asked) == 1 else None

    weights: list[torch.Tensor] = []
    seen: list[dict[str, float]] = []

    def on_update(update: int, metrics: dict[str, float]) -> None:
        seen.append(metrics)
        weights.append(adapters.adapter_parameters(model, "policy")[1].detach().clone())

    start = adapters.adapter_parameters(model, "policy")[1].detach().clone()
    config = replace(CONFIG, averaged_rounds=1, max_kl=1e6, max_entropy=1e6)
    trained(tiny, config, on_update, pick=pick)
    assert asked == [CONFIG.prompts * CONFIG.samples] * 2
    assert not torch.equal(weights[0], start) and torch.equal(weights[1], weights[0])
    assert "policy/loss" in seen[0] and "policy/loss" not in seen[1]


def test_no_anchor_is_left_behind_where_training_fails(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "other", "policy")

    def fail(update: int, metrics: dict[str, float]) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        trained(tiny, replace(CONFIG, anchor_coefficient=1.0, max_kl=1e6), fail)
    assert "anchor" not in model.peft_config and "policy" in model.peft_config


def test_raft_makes_texts_likely_that_are_mixed_in(tiny: Tiny) -> None:
    model, tokenizer = tiny
    texts = [Text(one_turn("Hi"), "Hello, how are you today?"), Text(one_turn("Thanks"), "You are welcome.")]
    written = text_samples(texts, tokenizer, model.device)
    after = {}
    for coefficient in (0.0, 1.0):
        new_policy(model)
        config = replace(CONFIG, rounds=4, learning_rate=5e-3, max_kl=1e6, preferred_coefficient=coefficient)
        trained(tiny, config, preferred=texts)
        with torch.no_grad(), adapters.using(model, "policy"):
            after[coefficient] = -likelihood_loss(model, written, 1.0).item()
    assert after[1.0] > after[0.0] + 0.5


def test_what_decoding_measures_is_what_a_pass_measures(tiny: Tiny) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    batch = Batch([*QUESTIONS, *QUESTIONS], list(range(2 * len(QUESTIONS))))
    exploring = Sampling(1.3, 8, min_p=0.1)
    samples, drawn_at, entropy = measured_sample(model, tokenizer, batch, exploring, 0.7)
    with torch.no_grad():
        by_pass = policy_log_probs(model, samples, 0.7)
    torch.testing.assert_close(drawn_at, by_pass[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(entropy, by_pass[1], atol=1e-4, rtol=1e-4)


def test_log_probabilities_that_come_with_scores_spare_the_pass_of_the_reference(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")

    def with_log_probs(written: Sequence[Written]) -> Scores:
        with adapters.using(model, "sft"):
            read = read_completions(model, tokenizer, written, with_log_probs=True)
        return replace(share_of_low_tokens(written), log_probs=read.log_probs)

    expected = drawn(tiny).log_ratio
    assert expected.abs().sum() > 0
    torch.testing.assert_close(drawn(tiny, score=with_log_probs).log_ratio, expected, atol=1e-5, rtol=1e-5)
    warm = replace(CONFIG, temperature=0.5)  # those at temperature 1 are of no use then
    torch.testing.assert_close(
        drawn(tiny, score=with_log_probs, config=warm).log_ratio, drawn(tiny, config=warm).log_ratio
    )
    monkeypatch.setattr(rollout, "adapter_log_probs", None)
    drawn(tiny, score=with_log_probs)


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 1), (math.inf, 3)])
def test_rounds_end_when_time_is_up_and_a_resumed_run_counts_what_was_spent(
    tiny: Tiny, tmp_path: Path, seconds: float, rounds: int
) -> None:
    model, tokenizer = tiny
    seen: list[int] = []
    task = Task(QUESTIONS, share_of_low_tokens, 0, seconds=seconds)
    config, checkpoint = replace(CONFIG, rounds=3), tmp_path / "raft.pt"

    def on_update(number: int, measured: dict[str, float]) -> None:
        seen.append(number)

    adapters.copy_adapter(model, "sft", "policy")
    for _ in range(2):  # the second time it goes on from the end
        raft.train_raft(model, tokenizer, task, config, on_update, checkpoint, measures_end=False)
    assert seen == list(range(1, rounds + 1))
