"""The simulated labeler as a scorer: what the policy is trained to please where a rule can check its guideline."""

from collections.abc import Sequence
from typing import Any

import torch

from alignment.models.features import Written
from alignment.reward.scorer import Scorer, Scores
from recipes.pocket.skill import Asked
from recipes.smollm2.labelers import Shown, worth


def labeler_scorer(tokenizer: Any, asked: Sequence[Asked]) -> Scorer:
    """Return a scorer of completions of these prompts by what they are worth to the labeler; it knows no others."""
    by_ids = {tuple(tokenizer.prompt_ids(one.check.messages)): one.check for one in asked}

    def score(written: Sequence[Written]) -> Scores:
        means = torch.tensor(
            [
                worth(by_ids[tuple(one.prompt)], Shown(tokenizer.decode(list(one.completion)), one.ended))
                for one in written
            ]
        )
        return Scores(means, torch.zeros_like(means))

    return score
