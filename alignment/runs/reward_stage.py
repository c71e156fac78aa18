"""The reward stage of a run: fitted to people's votes, measured on votes it has not seen, kept to go on from."""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from alignment.errors import TrainingError, UnconvincingVotesError
from alignment.learning import reward_adapter
from alignment.learning.encoded_rankings import EncodedRanking, judging
from alignment.models import workers
from alignment.models.adapters import drop_adapter, using
from alignment.models.features import completion_features, feature_groups, written
from alignment.models.model_folder import features_owner
from alignment.models.texts import Text
from alignment.reward.agreement import Agreement
from alignment.reward.linear import Array
from alignment.reward.rankings import Ranked, judged_texts
from alignment.reward.scorer import (
    Scorer,
    adapter_scorer,
    added_scorer,
    linear_scorer,
    no_scores,
    score_sequences,
)
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import (
    LinearReward,
    Votes,
    cross_validate,
    doubt,
    evidence_against_a_coin,
    fit_votes,
)
from alignment.runs import run_models
from alignment.runs.run_models import Fitted
from alignment.runs.training import Data, Training
from storage import features as stored_features
from storage import run_folder
from storage.features import text_key
from storage.version_folders import write_folder

log = logging.getLogger(__name__)
AT_ONCE = 256  # texts whose features are computed before a run reports again
MANY_VOTES = 256  # from here on an adapter may predict better than a linear model on frozen features, and is tried


@dataclass(frozen=True)
class RewardModel:
    """The reward model that a run scores by."""

    fitted: Fitted  # None: votes added nothing
    shipped_heads: nn.Linear | None  # of the adapter "shipped", if a reward model ships with the base
    agreement: dict[str, Any] | None  # with votes that it had not learned from, where there were any

    @property
    def heads(self) -> nn.Linear | None:
        """The heads of the adapter "reward", if votes were learned by one."""
        return self.fitted if isinstance(self.fitted, nn.Linear) else None


def load_or_fit(training: Training, data: Data) -> RewardModel:
    """Return the reward model that the run has kept, or a new fit, which is then kept.

    One that was kept with another `inputs` is not used. Raises UnconvincingVotesError for votes that a reward model
    probably predicts no better than a coin. Where several processes train, the first one fits, the others read that.
    """
    training.report("reward", 0.0, now=True)
    shipped_heads = run_models.attach_shipped(training.model, training.config)
    if workers.first():
        with workers.alone():
            reward = _load_or_fit(training, data, shipped_heads)
        workers.wait()
        return reward
    workers.wait()
    kept = run_models.attach_kept_reward(training.model, training.folder, data.inputs)
    if kept is None:
        raise TrainingError("the first process of this run has kept no reward model that the others can read")
    return RewardModel(kept[0], shipped_heads, kept[1])


def _load_or_fit(training: Training, data: Data, shipped_heads: nn.Linear | None) -> RewardModel:
    folder, report = training.folder, training.report
    kept = run_models.attach_kept_reward(training.model, folder, data.inputs)
    if kept is not None:
        return RewardModel(kept[0], shipped_heads, kept[1])
    run_folder.forget(folder)
    fitted, measured, evidence = _fit(training, data, shipped_heads)
    agreement = asdict(measured) if measured else None
    report("reward", 1.0, 0, measured.metrics() if measured else {}, now=True)  # what is kept is also reported
    _require_convincing(measured, evidence, len(judging(data.voted)), training.settings.reward)
    inputs = {**data.inputs, "fitted": agreement}
    write_folder(
        run_folder.reward_folder(folder), lambda into: run_models.keep_reward(training.model, fitted, inputs, into)
    )
    return RewardModel(fitted, shipped_heads, agreement)


def scorer(training: Training, reward: RewardModel) -> Scorer:
    """Return what the policy is to please: what votes taught, added to what the shipped reward model says."""
    model, pad_id, config = training.model, training.tokenizer.pad_id, training.settings.reward
    bound = None if reward.shipped_heads is None else config.bound
    own: Scorer = no_scores
    if isinstance(reward.fitted, LinearReward):
        # Features are of the original model: while that is the reference too, one pass gives both.
        both = not training.tuned
        own = linear_scorer(model, training.tokenizer, training.original, reward.fitted, bound, with_log_probs=both)
    elif reward.fitted is not None:
        own = adapter_scorer(model, reward.fitted, pad_id, bound)
    return added_scorer(model, own, pad_id, reward.shipped_heads, config)


def _fit(
    training: Training, data: Data, shipped_heads: nn.Linear | None
) -> tuple[Fitted, Agreement | None, float | None]:
    """Return a reward model of people's votes, how well it predicts votes that it has not seen, and the evidence.

    The evidence is that of a linear one against a coin. Where a reward model ships with the base, votes teach what that
    one leaves open (as boosting does: Friedman 2001). Where only comparisons ship, an adapter learns from both.
    Otherwise it is linear; an adapter takes its place where there are many votes and it predicts those that it has not
    seen better. Only a linear one learns from "all bad" alone.
    """
    if data.shipped and shipped_heads is None:
        return *_fit_adapter(training, data, None), None
    comparing = len(judging(data.voted))
    if not comparing and shipped_heads is not None:
        return None, None, None
    if not comparing:
        raise TrainingError("there are no comparisons to learn from; vote on some answers, then train")
    votes = _votes(training, data.voted, shipped_heads)
    training.report("reward", 0.5, now=True)
    measured = cross_validate(votes, training.settings.seed)
    log.info("linear reward model on votes that it has not seen: %s", measured)
    if comparing >= MANY_VOTES:
        heads, by_adapter = _fit_adapter(training, data, shipped_heads)
        if measured is None or (by_adapter is not None and by_adapter.log_loss < measured.log_loss):
            return heads, by_adapter, None
        drop_adapter(training.model, "reward")
    fitted = fit_votes(votes)
    return fitted, measured, evidence_against_a_coin(votes, fitted)


def _require_convincing(measured: Agreement | None, evidence: float | None, votes: int, config: RewardConfig) -> None:
    """Raise UnconvincingVotesError where votes leave a doubt that the reward model is better than a coin."""
    if measured is None:
        return
    accuracy = measured.accuracy
    right = (accuracy.share or 0.0) * accuracy.count
    seen = f"the reward model agrees with {right:.0f} of {accuracy.count} votes that it had not seen"
    reason = doubt(measured, evidence, config)
    if reason is None:
        return
    why = "and a coin does as well"
    if reason == "evidence" and evidence is not None:
        times = f"only {math.exp(evidence):.1f} times as probable by it as by a coin"
        why = f"but all {votes} votes are {times if evidence > 0 else 'no more probable by it than by a coin'}"
    raise UnconvincingVotesError(
        f"{seen}, {why}, so nothing was trained on it. Cast about {max(8, accuracy.count)} more votes by one taste, or "
        "take back those that contradict each other"
    )


def _votes(training: Training, voted: Sequence[Ranked], shipped_heads: nn.Linear | None) -> Votes:
    """Return votes with the features of the texts that they judge and, where a reward model ships, its scores."""
    texts = judged_texts(voted)
    features = features_of(training, texts)
    groups = feature_groups(training.model)
    if shipped_heads is None:
        return Votes(voted, features, groups)
    model, tokenizer, weight = training.model, training.tokenizer, training.settings.reward.shipped_weight
    with using(model, "shipped"), torch.no_grad():
        rows = [written(tokenizer, text).sequence for text in texts]
        scores, _ = score_sequences(model, shipped_heads, rows, tokenizer.pad_id)
    offsets = dict(zip(texts, (weight * scores).tolist(), strict=True))
    return Votes(voted, features, groups, offsets)


def features_of(training: Training, texts: Sequence[Text]) -> dict[Text, Array]:
    """Return the features of texts by the instruction-tuned model; those that were computed before are read.

    Those that are computed are kept part by part, so that a run that is ended meanwhile has not worked for nothing.
    """
    model, tokenizer = training.model, training.tokenizer
    keys = {text: text_key(text.messages, text.completion, ended=text.ended) for text in texts}
    owner = features_owner(training.config)
    known = stored_features.read_features(training.db, owner, list(keys.values()))
    missing = [text for text in texts if keys[text] not in known]
    for start in range(0, len(missing), AT_ONCE):
        training.report("reward", 0.5 * start / len(missing))
        some = missing[start : start + AT_ONCE]
        with using(model, training.original):
            rows = completion_features(model, tokenizer, [written(tokenizer, text) for text in some])
        computed = {keys[text]: row for text, row in zip(some, rows, strict=True)}
        stored_features.save_features(training.db, owner, computed)
        known |= computed
    return {text: known[key] for text, key in keys.items()}


def _fit_adapter(training: Training, data: Data, shipped_heads: nn.Linear | None) -> tuple[nn.Linear, Agreement | None]:
    """Return the heads of the adapter "reward", fitted to all votes, and how it predicts votes it has not seen."""
    model, tokenizer, report = training.model, training.tokenizer, training.report
    config, seed = training.settings.reward, training.settings.seed
    heads = run_models.attach_reward(model)
    voted: Sequence[Ranked | EncodedRanking] = data.voted
    shipped = data.shipped
    if shipped_heads is not None:
        weight = config.shipped_weight
        voted, shipped = reward_adapter.residual_rankings(model, tokenizer, shipped_heads, data.voted, weight), []
    last = 1 / (config.folds + 1)  # part of this stage's time that the fit to all votes takes

    def on_progress(done: float) -> None:
        report("reward", done * (1 - last))

    def on_update(step: int, metrics: dict[str, float]) -> None:
        report("reward", 1 - last + last * step / config.steps, step, metrics)

    measured = reward_adapter.cross_validate(model, tokenizer, heads, voted, shipped, config, seed, on_progress)
    log.info("reward adapter on votes that it has not seen: %s", measured)
    reward_adapter.fit(model, tokenizer, heads, voted, shipped, config, seed, on_update)
    return heads, measured
