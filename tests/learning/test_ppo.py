"""PPO on a tiny model: right log-probabilities, a ratio of one, only policy and critic move, and the score rises."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.errors import ConfigError, TrainingError
from alignment.learning import loss_terms, ppo
from alignment.learning.ppo import ValuedRollout
from alignment.learning.rollout import Batch, Outcome, Task, sample, scored
from alignment.learning.rollout_metrics import why_stop
from alignment.learning.settings import PPOConfig
from alignment.models import adapters, log_probs, passes
from alignment.models.features import Written
from alignment.models.heads import new_head, trunk
from alignment.models.log_probs import completion_log_probs
from alignment.models.samples import Samples, text_samples
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.reward.scorer import Scorer, Scores, adapter_scorer
from storage.messages import one_turn

Tiny = tuple[PeftModel, AutoTokenizer]
CONFIG = PPOConfig(
    critic_warmup=0,
    warmup_updates=0,
    updates=2,
    rollouts=8,
    samples=1,
    minibatches=2,
    epochs=2,
    max_new_tokens=6,
    learning_rate=1e-3,
)
QUESTIONS = [one_turn(text) for text in ("Hi", "What is the capital of France?", "Thanks")]


def _ready(model: PeftModel, start: str = "other") -> tuple[torch.nn.Linear, torch.nn.Linear]:
    for name in ("policy", "reward", "value"):
        adapters.drop_adapter(model, name)
    adapters.copy_adapter(model, start, "policy")
    adapters.copy_adapter(model, "sft", "reward")
    adapters.copy_adapter(model, "sft", "value")
    reward_head, value_head = new_head(model), new_head(model)
    torch.nn.init.normal_(reward_head.weight, std=0.3, generator=torch.Generator().manual_seed(5))
    return reward_head.requires_grad_(False), value_head


def _rollout(
    model: PeftModel, tokenizer: AutoTokenizer, config: PPOConfig = CONFIG, start: str = "other"
) -> ValuedRollout:
    reward_head, value_head = _ready(model, start)
    score = adapter_scorer(model, reward_head, tokenizer.pad_id, None)
    return ppo.collect_rollout(model, tokenizer, score, value_head, Batch(QUESTIONS, [1, 2, 3]), config)


def _train(
    tiny: Tiny,
    config: PPOConfig,
    seen: list[dict[str, float]] | None = None,
    score: Scorer | None = None,
    start: str = "other",
    checkpoint: Path | None = None,
    preferred: Sequence[Text] = (),
) -> Outcome:
    """Train on the questions; what every update measures is added to `seen`."""
    model, tokenizer = tiny
    reward_head, value_head = _ready(model, start)
    score = score or adapter_scorer(model, reward_head, tokenizer.pad_id, None)
    measured = seen if seen is not None else []
    task = Task(QUESTIONS, score, 0, preferred)
    return ppo.train_ppo(
        model, tokenizer, task, value_head, config, lambda update, metrics: measured.append(metrics), checkpoint
    )


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probs_equal_those_of_the_unpadded_sequences(tiny: Tiny, temperature: float) -> None:
    model, tokenizer = tiny
    written = _rollout(model, tokenizer, replace(CONFIG, temperature=temperature))
    for adapter, expected in (("policy", written.log_probs), ("sft", written.log_probs - written.log_ratio)):
        for row, asked in enumerate(written.prompt_index.tolist()):
            length = int(written.mask[row].sum())
            before = written.attention[row, : written.prompt_width].bool()
            prompt = written.ids[row, : written.prompt_width][before].tolist()
            completion = written.ids[row, written.prompt_width : written.prompt_width + length].tolist()
            assert prompt == tokenizer.prompt_ids(QUESTIONS[asked])
            with torch.no_grad(), adapters.using(model, adapter):
                logits = model(input_ids=torch.tensor([prompt + completion])).logits[0] / temperature
            steps = logits.log_softmax(-1)[len(prompt) - 1 : -1]
            by_hand = torch.stack([steps[i, token] for i, token in enumerate(completion)])
            torch.testing.assert_close(expected[row, :length], by_hand, atol=1e-4, rtol=1e-4)
            if adapter == "policy":
                entropy = torch.distributions.Categorical(logits=logits[len(prompt) - 1 : -1]).entropy()
                torch.testing.assert_close(written.entropy[row, :length], entropy, atol=1e-4, rtol=1e-4)
            assert written.log_probs[row, length:].abs().sum() == 0


def test_log_probs_in_blocks_have_the_same_values_and_gradients_and_few_logits_at_once(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny
    written = _rollout(model, tokenizer)
    vocabulary = model.get_base_model().config.vocab_size
    results, largest = [], []
    hook = model.get_base_model().lm_head.register_forward_hook(lambda *call: largest.append(call[-1].numel()))
    for tokens_at_once in (10_000, 2):
        monkeypatch.setattr(log_probs, "LOGITS_AT_ONCE", tokens_at_once * vocabulary)
        largest.clear()
        with adapters.using(model, "policy", train=True):
            measured = completion_log_probs(model, written, 1.0)
            (measured * written.mask).sum().backward()
        results.append([measured.detach(), *(p.grad.clone() for p in adapters.adapter_parameters(model, "policy"))])
        model.zero_grad()
    hook.remove()
    assert max(largest) == 2 * vocabulary
    for whole, blocks in zip(*results, strict=True):
        torch.testing.assert_close(whole, blocks, atol=1e-4, rtol=1e-4)


def test_rows_go_through_in_passes_of_few_tokens_padding_included(tiny: Tiny) -> None:
    model, tokenizer = tiny
    sizes = [(30, 2), (2, 30)] * 20
    texts = [Text(one_turn("word " * prompt), "word " * completion) for prompt, completion in sizes]
    rows = text_samples(texts, tokenizer, model.device)
    passed = log_probs.split_for_passes(model, rows, torch.arange(40))
    assert sum(len(part.ids) for part in passed) == 40
    assert len(passed) > 1
    assert max(part.ids.numel() for part in passed) <= passes.ROWS * passes.TOKENS_A_ROW


def test_what_was_not_measured_is_no_field_and_rows_cut_all_that_was(tiny: Tiny) -> None:
    model, tokenizer = tiny
    _ready(model)
    samples = sample(model, tokenizer, Batch(QUESTIONS, [1, 2, 3]), Sampling(1.0, 6))
    assert not {"scores", "log_probs", "values"} & set(vars(samples))
    assert not {"log_probs", "values"} & set(vars(scored(samples, share_of_low_tokens)[0]))
    numbers = {"kl_coefficient": 0.1, "score_mean": 0.0, "score_deviation": 1.0}
    written = ppo.shape_rewards(_rollout(model, tokenizer), CONFIG, numbers)
    row = written.rows(torch.tensor([1]))
    length = int(written.mask[1].sum())
    for name, whole in vars(written).items():
        if isinstance(whole, torch.Tensor) and whole.shape == written.mask.shape:
            assert torch.equal(getattr(row, name)[0], whole[1, :length]), name
        elif isinstance(whole, torch.Tensor) and whole.dim() == 1:
            assert torch.equal(getattr(row, name), whole[1:2]), name
    assert row.ids[0].tolist() == written.ids[1][written.attention[1].bool()].tolist() and row.attention.all()


def test_ratios_of_the_first_minibatch_are_one(tiny: Tiny) -> None:
    model, tokenizer = tiny
    written = _rollout(model, tokenizer)
    part = written.rows(torch.tensor([2, 0]))
    with adapters.using(model, "policy", train=True):
        measured = completion_log_probs(model, part, CONFIG.temperature)
    ratio = ((measured - part.log_probs) * part.mask).exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-5, rtol=0)


def test_dropout_that_an_adapter_was_trained_with_is_off(tiny: Tiny) -> None:
    model, _tokenizer = tiny
    model.peft_config["other"].lora_dropout = 0.5
    dropping: set[str] = set()

    def watch(*_: object) -> None:
        passed.append(1)
        dropping.update(name for name, module in model.named_modules() if module.training)

    passed: list[int] = []
    trunk(model).register_forward_hook(watch)
    _train(tiny, CONFIG)
    assert passed and dropping == set()
    assert any(isinstance(module, torch.nn.Dropout) and module.p == 0.5 for module in model.modules())


def test_reference_is_the_sft_adapter_and_a_policy_equal_to_it_has_no_kl(tiny: Tiny) -> None:
    model, tokenizer = tiny
    written = _rollout(model, tokenizer, start="sft")
    assert written.log_ratio.abs().max() < 1e-5


def test_only_policy_value_and_value_head_move(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    head_before, value_head_before = reward_head.weight.clone(), value_head.weight.clone()
    seen: list[int] = []
    task = Task(QUESTIONS, adapter_scorer(model, reward_head, tokenizer.pad_id, None), 0)
    ppo.train_ppo(model, tokenizer, task, value_head, CONFIG, lambda update, metrics: seen.append(update))
    assert seen == [1, 2, 3]  # the last one only looks at what two updates made
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved
    assert all(".policy." in name or ".value." in name for name in moved)
    for adapter in ("policy", "value"):
        assert any(f".{adapter}." in name and ".layers.0." in name for name in moved), adapter
    assert torch.equal(reward_head.weight, head_before)
    assert not torch.equal(value_head.weight, value_head_before)


def test_the_gradient_of_a_minibatch_is_clipped_and_its_parts_count_by_their_tokens() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    blank = torch.zeros(1, 3)
    row = torch.zeros(1)
    masks = [torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]])]
    parts = [Samples(blank, blank, 1, row, mask, row) for mask in masks]

    def loss_of(part: Samples) -> tuple[torch.Tensor, dict[str, float]]:
        size = float(part.mask.sum())
        return (weight * torch.tensor([-40.0, -8.0 * size])).sum(), {"size": size}

    metrics = loss_terms.step([loss_terms.mean_over_tokens(parts, loss_of)], optimizer, 0.5)
    gradient = torch.tensor([40.0, 8.0 * (3 * 0.75 + 1 * 0.25)])
    torch.testing.assert_close(weight.data, 0.5 * gradient / gradient.norm(), atol=1e-4, rtol=1e-4)
    assert metrics["size"] == 2.5


def test_the_terms_of_a_step_count_by_their_weights() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    first = loss_terms.Term(["part"], lambda part: (-weight[0] * 1.0, {"first": 1.0}))
    second = loss_terms.Term(["part"], lambda part: (-weight[1] * 1.0, {"second": 2.0}), 0.25)
    metrics = loss_terms.step([first, second], torch.optim.SGD([weight], lr=1.0), 100.0)
    torch.testing.assert_close(weight.data, torch.tensor([1.0, 0.25]))
    assert metrics == {"first": 1.0, "second": 2.0}


TEXTS = [Text(QUESTIONS[0], "Hello, how are you today?"), Text(QUESTIONS[1], "Paris.")]


def likelihood_of_texts(tiny: Tiny) -> float:
    written = text_samples(TEXTS, tiny[1], tiny[0].device)
    with torch.no_grad(), adapters.using(tiny[0], "policy"):
        return -loss_terms.likelihood_loss(tiny[0], written, 1.0).item()


def test_mixed_in_texts_are_read_as_prompt_and_completion_with_an_end(tiny: Tiny) -> None:
    written = text_samples(TEXTS, tiny[1], tiny[0].device)
    found = []
    for row in range(2):
        ids = written.ids[row][written.attention[row].bool()].tolist()
        found.append((ids, int(written.mask[row].sum())))
    completions = [tiny[1].completion_ids(text.completion) for text in TEXTS]
    prompts = [tiny[1].prompt_ids(text.messages) for text in TEXTS]
    wanted = [(prompt + completion, len(completion)) for prompt, completion in zip(prompts, completions, strict=True)]
    assert found == wanted


def test_the_mix_makes_texts_likelier_that_the_score_says_nothing_of(tiny: Tiny) -> None:
    def nothing(written: Sequence[Written]) -> Scores:
        return Scores(torch.zeros(len(written)), torch.zeros(len(written)))

    seen: list[dict[str, float]] = []
    after = {}
    for coefficient in (0.0, 1.0):
        config = replace(CONFIG, preferred_coefficient=coefficient, kl_coefficient=0.0, max_kl=1e6)
        _train(tiny, config, seen, score=nothing, preferred=TEXTS)
        after[coefficient] = likelihood_of_texts(tiny)
    assert after[1.0] > after[0.0] + 0.1
    assert "policy/preferred_loss" not in seen[0] and "policy/preferred_loss" in seen[3]


def test_a_mix_of_no_texts_is_refused_in_words(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"no comparisons to mix in"):
        _train(tiny, replace(CONFIG, preferred_coefficient=0.5))


def share_of_low_tokens(written: Sequence[Written]) -> Scores:
    """Score a completion by its share of tokens below 1024, times 4."""
    scores = torch.tensor([4.0 * sum(token < 1024 for token in one.sequence[-6:]) / 6 for one in written])
    return Scores(scores, torch.zeros_like(scores))


def test_ppo_learns_what_the_score_asks_for(tiny: Tiny) -> None:
    config = PPOConfig(
        updates=30, critic_warmup=0, warmup_updates=0,
        rollouts=32, minibatches=2, max_new_tokens=6, learning_rate=3e-2, value_learning_rate=1e-2,
        kl_coefficient=0.0, no_end_penalty=0.0, max_kl=1e6, min_entropy=0.0, max_entropy=1e6, value_clip_range=10.0,
    )  # fmt: skip
    seen: list[dict[str, float]] = []
    _train(tiny, config, seen, share_of_low_tokens)
    scores = [metrics["objective/score"] for metrics in seen]
    assert sum(scores[:3]) / 3 < 2.5  # half of all tokens are low
    assert sum(scores[-3:]) / 3 > 3.2, scores


def test_scores_are_scaled_before_they_are_penalised(tiny: Tiny) -> None:
    model, tokenizer = tiny
    rollout = _rollout(model, tokenizer)
    zeros = torch.zeros_like(rollout.mask)
    rollout = replace(rollout, log_ratio=zeros, values=zeros, ended=torch.tensor([True, False, True]))
    config = replace(CONFIG, lam=1.0, no_end_penalty=3.0)
    numbers = {"kl_coefficient": 0.1, "score_mean": 1.0, "score_deviation": 2.0}
    returns = ppo.shape_rewards(rollout, config, numbers).returns[:, 0]
    torch.testing.assert_close(returns, (rollout.scores - 1) / 2 - torch.tensor([0.0, 3.0, 0.0]))


def test_several_completions_of_a_prompt_are_scored_against_each_other(tiny: Tiny) -> None:
    model, tokenizer = tiny
    alone = replace(CONFIG, kl_coefficient=0.0, no_end_penalty=0.0)
    rollout = replace(
        _rollout(model, tokenizer), prompt_index=torch.tensor([2, 0, 1]), scores=torch.tensor([9.0, 1, 4])
    )
    numbers = {"kl_coefficient": 0.0, "score_mean": 0.0, "score_deviation": 1.0}
    first = rollout.mask.bool() & (rollout.mask.cumsum(-1) == 1)
    returns = ppo.shape_rewards(rollout, alone, numbers).returns[first]
    torch.testing.assert_close(returns, rollout.scores)  # without discount, the score is the return of every token
    returns = ppo.shape_rewards(rollout, replace(alone, samples=2), numbers).returns[first]
    torch.testing.assert_close(returns, torch.tensor([9.0, -3.0, 3.0]))  # prompts 0 and 1 are one prompt, 2 another


def test_in_the_warm_up_only_the_critic_moves(tiny: Tiny) -> None:
    model, tokenizer = tiny
    reward_head, value_head = _ready(model)
    policies: list[list[torch.Tensor]] = []
    critics: list[list[torch.Tensor]] = []

    def on_update(update: int, metrics: dict[str, float]) -> None:
        policies.append([p.detach().clone() for p in adapters.adapter_parameters(model, "policy")])
        critics.append([p.detach().clone() for p in adapters.adapter_parameters(model, "value")])

    score = adapter_scorer(model, reward_head, tokenizer.pad_id, None)
    config = replace(CONFIG, updates=3, critic_warmup=2)
    ppo.train_ppo(model, tokenizer, Task(QUESTIONS, score, 0), value_head, config, on_update)

    def alike(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    assert alike(policies[1], list(adapters.adapter_parameters(model, "other")))
    assert not alike(policies[2], policies[1])
    assert not alike(critics[0], list(adapters.adapter_parameters(model, "sft")))


@pytest.mark.parametrize("updates", [1, 2])
def test_a_run_of_nothing_but_warm_up_is_refused(updates: int) -> None:
    with pytest.raises(ConfigError, match="the policy stands still"):
        replace(CONFIG, updates=updates, critic_warmup=2)


def test_what_is_returned_was_measured_after_the_last_update(tiny: Tiny) -> None:
    # The policy begins at the reference, so that only its update can bring any KL.
    outcome = _train(tiny, replace(CONFIG, updates=1, learning_rate=1e-2), start="sft")
    assert abs(outcome.measured["objective/kl"]) > 1e-3
    assert outcome.stopped is None


def test_a_score_that_is_not_finite_ends_the_run_in_words(tiny: Tiny) -> None:
    def broken(written: Sequence[Written]) -> Scores:
        return Scores(torch.full((len(written),), float("nan")), torch.zeros(len(written)))

    with pytest.raises(TrainingError, match=r"PPO, step 1: objective/score is nan"):
        _train(tiny, CONFIG, score=broken)


def test_training_stops_when_kl_passes_its_bound(tiny: Tiny) -> None:
    seen: list[dict[str, float]] = []
    outcome = _train(tiny, replace(CONFIG, updates=5, max_kl=0.01), seen)  # "other" is far from "sft" from the start
    assert len(seen) == 1
    assert seen[0]["objective/kl"] > 0.01
    assert outcome.stopped is not None and outcome.stopped.startswith("KL to SFT, nats a completion: ")


HEALTHY = {
    "objective/kl": 2.0,
    "objective/entropy": 1.0,
    "objective/length": 20.0,
    "objective/disagreement": 0.5,
}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("kl", 26.0, "KL to SFT, nats a completion: 26, at most 25 is allowed"),
        ("entropy", 0.05, "entropy, nats a token: 0.05, at least 0.1 is allowed"),
        ("entropy", 1.8, "entropy, nats a token: 1.8, at most 1.75 is allowed"),
        ("length", 1.5, "length, tokens: 1.5, at least 2 is allowed"),
        ("disagreement", 1.6, "spread among reward heads: 1.6, at most 1.5 is allowed"),
    ],
)
def test_training_stops_on_any_collapse_and_names_it(name: str, value: float, reason: str) -> None:
    assert why_stop(HEALTHY, HEALTHY, CONFIG) is None
    assert why_stop(HEALTHY | {f"objective/{name}": value}, HEALTHY, CONFIG) == reason


def test_a_policy_that_is_sure_of_itself_may_waver_a_little_more() -> None:
    sure = HEALTHY | {"objective/entropy": 0.01}
    assert why_stop(sure | {"objective/entropy": 0.2}, sure, CONFIG) is None
    assert why_stop(sure | {"objective/entropy": 0.3}, sure, CONFIG) is not None


def test_reward_heads_that_hardly_differ_may_differ_a_little_more() -> None:
    alike = HEALTHY | {"objective/disagreement": 0.001}
    assert why_stop(HEALTHY | {"objective/disagreement": 0.1}, alike, CONFIG) is None
    assert why_stop(HEALTHY | {"objective/disagreement": 0.2}, alike, CONFIG) is not None


def test_reward_heads_that_come_to_disagree_end_the_training(tiny: Tiny) -> None:
    def unsure(written: Sequence[Written]) -> Scores:
        asked.append(len(written))
        deviations = torch.full((len(written),), 0.1 if len(asked) < 3 else 0.5)
        return replace(share_of_low_tokens(written), deviations=deviations)

    asked: list[int] = []
    seen: list[dict[str, float]] = []
    outcome = _train(tiny, replace(CONFIG, updates=6), seen, unsure)
    assert outcome.stopped == "spread among reward heads: 0.5, at most 0.3 is allowed"
    assert [round(metrics["objective/disagreement"], 3) for metrics in seen] == [0.1, 0.1, 0.5]


def test_a_kl_target_steers_the_coefficient_and_none_leaves_it_alone(tiny: Tiny) -> None:
    seen: list[dict[str, float]] = []
    config = replace(CONFIG, updates=3, learning_rate=0.0, kl_target=0.5, kl_gain=0.5)
    _train(tiny, config, seen)  # the policy stands far above the target
    coefficients = [metrics["objective/kl_coefficient"] for metrics in seen[:-1]]
    assert coefficients == pytest.approx([0.1, 0.11, 0.121])
    seen.clear()
    _train(tiny, replace(config, kl_target=0.0), seen)
    assert [metrics["objective/kl_coefficient"] for metrics in seen[:-1]] == [0.1] * 3


def test_normalized_scores_make_the_scale_of_the_reward_model_irrelevant(tiny: Tiny) -> None:
    def far_off(written: Sequence[Written]) -> Scores:
        scores = share_of_low_tokens(written)
        return replace(scores, means=64.0 * scores.means + 1024.0)

    config = replace(CONFIG, normalize_scores=True, no_end_penalty=0.0)
    trained = []
    for score in (share_of_low_tokens, far_off):
        _train(tiny, config, score=score)
        trained.append([p.clone() for p in adapters.adapter_parameters(tiny[0], "policy")])
    for plain, scaled in zip(*trained, strict=True):
        torch.testing.assert_close(plain, scaled, atol=1e-4, rtol=0)
