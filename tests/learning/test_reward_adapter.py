"""The reward model: TRL's loss and gradient, honest folds, a taste that is learned, and heads that differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import pytest
import torch
import trl
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer, LlamaForSequenceClassification

from alignment.errors import TrainingError
from alignment.learning import reward_adapter
from alignment.learning.encoded_rankings import EncodedRanking, encoded
from alignment.models import adapters
from alignment.models.features import Written
from alignment.models.heads import mean_head, new_head
from alignment.models.shipped_files import ShippedRanking
from alignment.reward import scorer
from alignment.reward.rankings import prompt_folds
from alignment.reward.settings import RewardConfig
from alignment.settings import POCKET
from storage.messages import Message, Messages, one_turn, question_of

Tiny = tuple[PeftModel, AutoTokenizer]
QUICK = RewardConfig(steps=40, batch_size=12, voted_share=0.5, learning_rate=5e-3, head_learning_rate=2e-2)


@dataclass(frozen=True)
class R:
    prompt: str
    completions: tuple[str, ...]
    tiers: tuple[tuple[int, ...], ...] = ((0,), (1,))
    tied: bool = True
    cut: tuple[int, ...] = ()  # positions of completions that did not end

    @property
    def messages(self) -> Messages:
        return one_turn(self.prompt)

    @property
    def ended(self) -> tuple[bool, ...]:
        return tuple(place not in self.cut for place in range(len(self.completions)))


def ready(tiny: Tiny, heads: int = 4) -> tuple[PeftModel, AutoTokenizer, torch.nn.Linear]:
    """Return a tiny model with a reward adapter, its tokenizer and heads at zero."""
    model, tokenizer = tiny
    adapters.copy_adapter(model, "sft", "reward")
    return model, tokenizer, new_head(model, heads)


def fitted(
    model: PeftModel,
    tokenizer: AutoTokenizer,
    heads: torch.nn.Linear,
    voted: Sequence[R | EncodedRanking],
    shipped: Sequence[R],
    config: RewardConfig = QUICK,
) -> list[float]:
    """Fit in place and return the losses."""
    losses: list[float] = []
    reward_adapter.fit(
        model, tokenizer, heads, voted, shipped, config, 0, lambda step, metrics: losses.append(metrics["reward/loss"])
    )
    return losses


def accuracy(model: PeftModel, tokenizer: AutoTokenizer, heads: torch.nn.Linear, rankings: Sequence[R]) -> float:
    margins = torch.cat(reward_adapter.margins(model, tokenizer, heads, rankings, QUICK.bound))
    return (margins > 0).float().mean().item()


def test_loss_and_gradient_on_plain_pairs_agree_with_trl(tiny_folder: Path, tiny: Tiny, tmp_path: Path) -> None:
    model, tokenizer, head = ready(tiny, heads=1)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(3))
    pairs = [
        R("What is the capital of France?", ("Paris.", "The capital is Rome, I think, or some other city.")),
        R("Hi", ("Hello! What can I do for you?", "No.")),
        R("Thanks", ("You are welcome.", "I can't help you with that.")),
    ]
    with adapters.using(model, "reward", train=True):
        loss, _ = reward_adapter.batch_loss(model, tokenizer, head, pairs, torch.ones(3, 1), QUICK.bound)
        loss.backward()

    peer = LlamaForSequenceClassification.from_pretrained(tiny_folder, num_labels=1)
    config = model.peft_config["reward"]
    assert isinstance(config, LoraConfig)
    linear = [name for name in config.target_modules or () if name != "lm_head"]
    lora = LoraConfig(r=config.r, lora_alpha=config.lora_alpha, target_modules=linear)
    peer = get_peft_model(peer, lora)
    ours = {name.replace(".reward.", ".default."): weight for name, weight in model.named_parameters()}
    adapted = {name: weight for name, weight in peer.named_parameters() if ".default." in name}
    with torch.no_grad():
        for name, weight in adapted.items():
            weight.copy_(ours[name])
        peer.get_base_model().score.weight.copy_(head.weight)
    rows = [encoded(tokenizer, pair).sequences for pair in pairs]
    trainer = trl.RewardTrainer(
        peer,
        trl.RewardConfig(
            str(tmp_path), per_device_train_batch_size=3, use_cpu=True, bf16=False, activation_checkpointing=False,
            report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
        ),
        train_dataset=datasets.Dataset.from_list([{"chosen_ids": a, "rejected_ids": b} for a, b in rows]),
        processing_class=AutoTokenizer.from_pretrained(POCKET, local_files_only=True),
    )  # fmt: skip
    peer.get_base_model().score.weight.requires_grad_(True)
    expected = trainer.compute_loss(peer, next(iter(trainer.get_train_dataloader())))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(head.weight.grad, peer.get_base_model().score.weight.grad, atol=1e-5, rtol=1e-4)
    assert len(adapted) == 28
    for name, weight in adapted.items():
        largest = weight.grad.abs().max().item()  # entries that cancel to near 0 are rounded as coarsely as those
        torch.testing.assert_close(ours[name].grad, weight.grad, atol=1e-5 * max(1.0, largest), rtol=1e-4, msg=name)


def test_a_ranking_is_encoded_once_a_completion(tiny: Tiny) -> None:
    element = encoded(tiny[1], R("Hi", ("a", "b", "c", "d", "b"), ((0,), (1, 4, 3), (2,))))
    assert len(element.sequences) == 4
    assert len(set(map(tuple, element.sequences))) == 4
    assert element.pairs[element.targets == 1].tolist() == [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3]]
    assert element.pairs[element.targets == 0.5].tolist()[0] == [1, 2]


def test_a_cut_completion_is_read_up_to_its_last_word_not_up_to_an_end(tiny: Tiny) -> None:
    _, tokenizer = tiny
    whole = encoded(tokenizer, R("Hi", ("Hello.", "Good day to")))
    cut = encoded(tokenizer, R("Hi", ("Hello.", "Good day to"), cut=(1,)))
    assert [sequence[-1] for sequence in whole.sequences] == [tokenizer.end_id] * 2
    assert cut.sequences == [whole.sequences[0], whole.sequences[1][:-1]]


def test_a_later_turn_is_read_with_all_that_was_said_before(tiny: Tiny) -> None:
    _, tokenizer = tiny
    said = (Message("user", "Hi"), Message("assistant", "Hello."), Message("user", "Bye"))
    ranking = ShippedRanking(said, ("Bye.", "No."), ((0,), (1,)))
    for sequence in encoded(tokenizer, ranking).sequences:
        assert sequence[: tokenizer.tokens(said)] == tokenizer.prompt_ids(said)


def test_loss_of_a_batch_is_the_mean_of_its_rankings(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny)
    torch.nn.init.normal_(heads.weight, generator=torch.Generator().manual_seed(3))
    rankings = [R("Hi", ("Hello.", "No.", "Go away now."), ((0,), (1,), (2,))), R("Thanks", ("Welcome.", "Why?"))]
    with torch.no_grad(), adapters.using(model, "reward"):
        whole, scores = reward_adapter.batch_loss(model, tokenizer, heads, rankings, torch.ones(2, 4), QUICK.bound)
        parts = [
            reward_adapter.batch_loss(model, tokenizer, heads, [ranking], torch.ones(1, 4), QUICK.bound)[0]
            for ranking in rankings
        ]
    assert scores.shape == (5, 4)
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_no_prompt_is_in_two_folds_and_no_ranking_is_lost() -> None:
    rankings = [R(f"prompt {i % 10}", ("a", f"b{i}")) for i in range(60)]
    folds = prompt_folds(rankings, 3, seed=1)
    assert sorted(len({r.prompt for r in fold}) for fold in folds) == [3, 3, 4]
    assert sum(len({r.prompt for r in fold}) for fold in folds) == 10
    assert sorted(r.completions[1] for fold in folds for r in fold) == sorted(r.completions[1] for r in rankings)
    assert prompt_folds(rankings, 3, seed=1) == folds != prompt_folds(rankings, 3, seed=2)


def test_turns_of_one_conversation_are_in_one_fold() -> None:
    first = [one_turn(f"question {i}") for i in range(8)]
    second = [(*messages, Message("assistant", "Yes."), Message("user", "Why?")) for messages in first]
    turns = [ShippedRanking(messages, ("a", "b"), ((0,), (1,))) for messages in (*first, *second)]
    one, other = ({ranking.messages[0].content for ranking in fold} for fold in prompt_folds(turns, 2, seed=0))
    assert len(one) == len(other) == 4
    assert not one & other


def test_a_batch_that_memory_does_not_hold_goes_through_in_parts_with_the_same_gradient(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer, heads = ready(tiny)
    torch.nn.init.normal_(heads.weight, generator=torch.Generator().manual_seed(3))
    rankings = [R("Hi", ("Hello.", "No.", "Go away now."), ((0,), (1,), (2,))), R("Thanks", ("Welcome.", "Why?"))]
    elements = [replace(encoded(tokenizer, one), offsets=torch.ones(3 - i)) for i, one in enumerate(rankings)]
    weights = torch.tensor([[1.0, 2.0, 0.0, 1.0], [3.0, 1.0, 1.0, 0.0]])
    found = []
    for tokens in (10_000, 1):
        monkeypatch.setattr(reward_adapter, "tokens_to_hold", lambda model, tokens=tokens: tokens)
        with adapters.using(model, "reward", train=True):
            loss, scores = reward_adapter._add_gradients(model, tokenizer, heads, elements, weights, 1.0)
        found.append([torch.tensor(loss), scores, *(p.grad for p in adapters.adapter_parameters(model, "reward"))])
        model.zero_grad()
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-4)


def test_score_does_not_depend_on_the_neighbours_length(tiny: Tiny) -> None:
    model, tokenizer = tiny
    heads = new_head(model, 3)
    torch.nn.init.normal_(heads.weight)
    rows = [[1, 5, 6], [1, 7, 8, 9, 10, 11, 2]]
    with torch.no_grad(), adapters.using(model, "sft"):
        together, spread = scorer.score_sequences(model, heads, rows, tokenizer.pad_id)
        alone = [scorer.score_sequences(model, heads, [row], tokenizer.pad_id) for row in rows]
    torch.testing.assert_close(together, torch.cat([score for score, _ in alone]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(spread, torch.cat([std for _, std in alone]), atol=1e-5, rtol=1e-5)


def test_a_score_is_the_mean_of_the_heads_and_deviates_as_they_do(tiny: Tiny) -> None:
    model, tokenizer = tiny
    heads = new_head(model, 4)
    heads.bias.data = torch.tensor([1.0, 2.0, 3.0, 6.0])
    with torch.no_grad(), adapters.using(model, "sft"):
        score, std = scorer.score_sequences(model, heads, [[1, 5]], tokenizer.pad_id)
        single, none = scorer.score_sequences(model, mean_head(heads), [[1, 5]], tokenizer.pad_id)
    assert score.item() == pytest.approx(3.0)
    assert std.item() == pytest.approx(3.5**0.5)
    assert (single.item(), none.item()) == pytest.approx((3.0, 0.0))


def test_every_head_learns_from_a_sample_of_its_own_that_repeats_with_its_seed() -> None:
    weights = reward_adapter.bootstrap_weights(50, 4, torch.Generator().manual_seed(1))
    assert weights.sum(0).tolist() == [50.0] * 4
    assert len({tuple(column) for column in weights.T.tolist()}) == 4
    assert torch.equal(weights, reward_adapter.bootstrap_weights(50, 4, torch.Generator().manual_seed(1)))
    assert reward_adapter.bootstrap_weights(1, 4, torch.Generator()).tolist() == [[1.0] * 4]


@pytest.mark.parametrize("voted", [[], [R("Hi", ("a", "b"), ((0, 1),), tied=False), R("Hi", ("a", "b"), ())]])
def test_nothing_judged_is_an_error_with_the_next_step(tiny: Tiny, voted: list[R]) -> None:
    model, tokenizer, heads = ready(tiny)
    with pytest.raises(TrainingError, match="vote on some answers"):
        fitted(model, tokenizer, heads, voted, [])
    assert reward_adapter.cross_validate(model, tokenizer, heads, voted, [], QUICK, 0, lambda done: None) is None


# Shipped labelers want "Paris", and among right answers the longer one. The voters want the shorter one.
LONG, SHORT = "The capital city of France is Paris.", "Paris."
LENGTH = [R(f"Question {i}?", (LONG, SHORT)) for i in range(30)]
FACTS = [R(f"Say {i}!", ("Paris. Paris.", "Rome. Rome.")) for i in range(30)]
VOTES = [R(f"Ask {i}?", (LONG, SHORT), ((1,), (0,))) for i in range(16)]
UNSEEN = [R(f"Ask {i}?", (SHORT, LONG)) for i in range(16, 24)]


def test_votes_win_where_they_disagree_with_shipped_comparisons_and_change_nothing_else(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny)
    others = {name: parameter.clone() for name, parameter in model.named_parameters() if ".reward." not in name}
    fitted(model, tokenizer, heads, [], LENGTH[:20] + FACTS[:20])
    assert accuracy(model, tokenizer, heads, UNSEEN) < 0.5
    assert accuracy(model, tokenizer, heads, FACTS[20:]) == 1.0
    losses = fitted(model, tokenizer, heads, VOTES, LENGTH[:20] + FACTS[:20])
    assert accuracy(model, tokenizer, heads, UNSEEN) == 1.0
    assert accuracy(model, tokenizer, heads, FACTS[20:]) == 1.0
    assert sum(losses[-5:]) < sum(losses[:5]) / 2
    for name, parameter in model.named_parameters():
        if ".reward." not in name:
            assert torch.equal(parameter, others[name]), name


def test_a_residual_fit_has_the_shipped_scores_as_offsets(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny)
    fitted(model, tokenizer, heads, [], FACTS[:20])
    adapters.copy_adapter(model, "reward", "shipped")
    elements = reward_adapter.residual_rankings(model, tokenizer, heads, [*FACTS[20:], R("Hi", ("same", "same"))], 2.0)
    assert [element.messages for element in elements] == [
        one.messages for one in FACTS[20:]
    ]  # two equal texts are no pair
    for element in elements:
        with torch.no_grad(), adapters.using(model, "shipped"):
            scores, _ = scorer.score_sequences(model, heads, element.sequences, tokenizer.pad_id)
        assert element.offsets is not None
        assert torch.allclose(element.offsets, 2 * scores, atol=1e-4)
    assert reward_adapter.residual_rankings(model, tokenizer, heads, [], 2.0) == []


@pytest.mark.parametrize(("shipped", "bound"), [(FACTS[:20], 1.0), (LENGTH[:20] + FACTS[:20], 10.0)])
def test_a_residual_fit_learns_the_votes_and_both_together_keep_the_facts(
    tiny: Tiny, shipped: list[R], bound: float
) -> None:
    model, tokenizer, shipped_heads = ready(tiny)
    fitted(model, tokenizer, shipped_heads, [], shipped)
    adapters.copy_adapter(model, "reward", "shipped")
    adapters.drop_adapter(model, "reward")
    _, _, heads = ready(tiny)

    def residual(rankings: Sequence[R]) -> list[EncodedRanking]:
        return reward_adapter.residual_rankings(model, tokenizer, shipped_heads, rankings, 1.0)

    def together(rankings: Sequence[R]) -> torch.Tensor:
        return torch.cat(reward_adapter.margins(model, tokenizer, heads, residual(rankings), bound))

    before = together(UNSEEN)
    assert together(FACTS[20:]).min() > 0
    fitted(model, tokenizer, heads, residual(VOTES), [], replace(QUICK, bound=bound))
    assert (together(UNSEEN) - before).min() > 0.5
    assert together(UNSEEN).min() > 0
    assert together(FACTS[20:]).min() > 0


def test_a_run_scores_by_bounded_votes_less_the_heads_doubt_plus_what_ships(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny, heads=2)
    adapters.copy_adapter(model, "sft", "shipped")
    shipped = new_head(model)
    with torch.no_grad():
        heads.bias.copy_(torch.tensor([2.0, -0.5]))  # the weights are 0, so every text has these scores
        shipped.bias.fill_(4.0)
    first, second = math.tanh(2.0), math.tanh(-0.5)  # within a bound of 1
    for penalty in (0.0, 3.0):
        config = RewardConfig(bound=1.0, shipped_weight=0.5, uncertainty_penalty=penalty)
        pad_id, text = tokenizer.pad_id, Written([1], [5], ended=True)
        held, free = (scorer.adapter_scorer(model, heads, pad_id, bound) for bound in (1.0, None))
        together = scorer.added_scorer(model, held, pad_id, shipped, config)
        alone = scorer.added_scorer(model, free, pad_id, None, config)
        with torch.no_grad():
            of_both, of_votes = together([text]), alone([text])
        score, deviation = of_both.means[0], of_both.deviations[0]
        unbounded, spread = of_votes.means[0], of_votes.deviations[0]
        assert deviation.item() == pytest.approx((first - second) / 2)
        assert score.item() == pytest.approx((first + second) / 2 - penalty * (first - second) / 2 + 0.5 * 4.0)
        assert spread.item() == pytest.approx(1.25)
        assert unbounded.item() == pytest.approx(0.75 - penalty * 1.25)


def test_what_a_fit_adds_to_offsets_is_bounded(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny, heads=2)
    torch.nn.init.zeros_(heads.weight)
    with torch.no_grad():
        heads.bias.copy_(torch.tensor([0.01, -50.0]))
    scores = scorer.score_sequences(model, heads, [[1, 2]], tokenizer.pad_id, bound=1.0)
    assert [value.item() for value in scores] == pytest.approx([(0.01 - 1) / 2, (0.01 + 1) / 2], abs=1e-4)
    residual = replace(encoded(tokenizer, FACTS[0]), offsets=torch.tensor([-3.0, 0.0]))
    loss, _ = reward_adapter.batch_loss(model, tokenizer, heads, [residual], torch.ones(1, 2), 1.0)
    centring = reward_adapter.CENTRING * (0.01**2 + 50**2) / 2
    assert loss.item() == pytest.approx(3.048587 + centring, rel=1e-5)  # -log σ(-3): both get the same from a head
    (margin,) = reward_adapter.margins(model, tokenizer, heads, [residual], 1.0)
    assert margin.tolist() == pytest.approx([-3.0], abs=1e-5)


def test_a_fit_whose_scores_have_wandered_off_to_the_bound_comes_back_and_learns(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny)
    with torch.no_grad():
        heads.bias.fill_(-8.0)  # tanh has no slope left there
    votes = [
        replace(element, offsets=torch.zeros(len(element.sequences)))
        for element in (encoded(tokenizer, vote) for vote in VOTES)
    ]
    fitted(model, tokenizer, heads, votes, [], replace(QUICK, bound=1.0, steps=2 * QUICK.steps))
    assert torch.cat(reward_adapter.margins(model, tokenizer, heads, votes, 1.0)).min() > 0.2


def test_scores_are_centred_and_the_heads_differ(tiny: Tiny) -> None:
    model, tokenizer, heads = ready(tiny)
    fitted(model, tokenizer, heads, [], FACTS)
    sequences = [sequence for r in FACTS for sequence in encoded(tokenizer, r).sequences]
    with torch.no_grad(), adapters.using(model, "reward"):
        scores = scorer.head_scores(model, heads, sequences, tokenizer.pad_id)
    assert scores.mean(0).abs().max() < 0.05 * scores.std()
    assert scores.std(-1).min() > 0
    assert not heads.weight.requires_grad


def test_votes_are_predicted_by_fits_that_saw_none_of_their_prompts(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer, heads = ready(tiny)
    votes = [*VOTES[:7], R("Ask 0?", (SHORT, "No.")), R("Hi", ("tie", "tie too"), ((0, 1),))]
    learned: list[set[str]] = []
    predicted: list[R] = []
    true_margins = reward_adapter.margins

    def fit(model: PeftModel, tokenizer: AutoTokenizer, heads: torch.nn.Linear, voted: list[R], *rest: object) -> None:
        assert heads.weight.abs().sum() == 0  # every fit starts where the first one does
        heads.weight.data += 1.0
        learned.append({ranking.prompt for ranking in voted})

    def margins(
        model: PeftModel, tokenizer: AutoTokenizer, heads: torch.nn.Linear, held: list[R], bound: float
    ) -> object:
        assert not learned[-1] & {ranking.prompt for ranking in held}
        assert learned[-1] | {ranking.prompt for ranking in held} == {"Hi", *(f"Ask {i}?" for i in range(7))}
        predicted.extend(held)
        return true_margins(model, tokenizer, heads, held, bound)

    monkeypatch.setattr(reward_adapter, "fit", fit)
    monkeypatch.setattr(reward_adapter, "margins", margins)
    found = reward_adapter.cross_validate(model, tokenizer, heads, votes, FACTS, QUICK, 0, lambda done: None)
    assert found is not None
    assert found.accuracy.count == 8
    assert sorted(map(repr, predicted)) == sorted(map(repr, votes))
    assert heads.weight.abs().sum() == 0


def test_a_fit_sees_every_vote_before_any_of_them_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer, heads = ready(tiny)
    votes, seen = [R(f"Ask {i}?", (SHORT, LONG)) for i in range(6)], []

    def batch_loss(
        model: PeftModel, tokenizer: object, heads: torch.nn.Linear, rankings: list[R], *_: object
    ) -> object:
        seen.extend(int(question_of(ranking.messages)[4]) for ranking in rankings)
        scores = heads.weight.sum() * torch.ones(1, heads.out_features)
        return scores.mean(), scores.detach()

    monkeypatch.setattr(reward_adapter, "batch_loss", batch_loss)
    config = RewardConfig(steps=6, batch_size=4, voted_share=1.0)
    reward_adapter.fit(model, tokenizer, heads, votes, [], config, 0, lambda *reported: None)
    passes = [seen[start : start + 6] for start in range(0, 24, 6)]
    assert all(sorted(one) == [*range(6)] for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_cross_validation_finds_a_taste_leaves_the_weights_as_they_were_and_stops_when_it_knows_enough(
    tiny: Tiny,
) -> None:
    model, tokenizer, heads = ready(tiny)
    before = [p.clone() for p in (*adapters.adapter_parameters(model, "reward"), *heads.parameters())]
    config = RewardConfig(
        steps=20, batch_size=8, learning_rate=5e-3, head_learning_rate=2e-2, folds=4, held_out_votes=6
    )
    done: list[float] = []
    found = reward_adapter.cross_validate(model, tokenizer, heads, VOTES, FACTS, config, 0, done.append)
    assert found is not None
    assert found.accuracy.count == 8  # two folds of four
    assert found.accuracy.share == 1.0
    assert found.log_loss < 0.3
    assert done == sorted(done) and done[-1] == pytest.approx(0.5)
    after = [*adapters.adapter_parameters(model, "reward"), *heads.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
