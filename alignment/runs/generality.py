"""What a policy kept of the breadth of the model it was trained from: diversity, and quality far from the votes.

Two findings of Kirk et al. 2024, "Understanding the effects of RLHF on LLM generalisation and diversity", are measured
on one's own data: RLHF writes more alike, above all to the same prompt, and does well on prompts that it was not voted
on. Base, instruction-tuned model and policy answer some prompts that people voted on and some unlike these, a few times
each.
"""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from peft import PeftModel

from alignment.models.adapters import using
from alignment.models.architecture import vocabulary_size
from alignment.models.features import Written
from alignment.models.generation import generate
from alignment.models.sampling import Sampling
from alignment.reward.scorer import Scorer
from alignment.runs.records import Generality, Spread
from storage.messages import Messages, question_of

SAMPLES = 3  # answers to a prompt
MOST_TOKENS = 48  # of each: enough to see how alike they begin
LONGEST_N = 5  # n-grams are counted for n from 1 to this, as in the paper
POOL = 400  # prompts among which those unlike the voted ones are looked for
APART = 0.25  # part of these that has least in common with what was voted on
WORD = re.compile(r"\w+")

Answers = list[list[Written]]  # of each prompt


def measured(
    model: PeftModel,
    tokenizer: Any,
    prompts: Mapping[str, Sequence[Messages]],
    score: Scorer | None,
    rollout_tokens: int,
    seed: int,
    known: Generality | None,
    *,
    raw: bool,
) -> Generality:
    """Return how diverse and how good the answers to prompts of some kinds are.

    `known` is what was measured with the parent: what it says of the base, which does not change, is taken over. The
    base is the weights as they are, with `raw` text; without that it is left out.
    """
    sampling = Sampling(1.0, min(rollout_tokens, MOST_TOKENS))
    base = dict(known.models.get("base", {})) if known is not None else {}
    adapters: dict[str, str | None] = {"sft": "sft", "policy": "policy"}
    if raw and not base:
        adapters["base"] = None
    models: dict[str, Mapping[str, Spread]] = {"base": base} if base else {}
    asked = [messages for some in prompts.values() for messages in some]  # all kinds in one batch, which is quicker
    reference: torch.Tensor | None = None
    for name, adapter in adapters.items():
        answers = _answers(model, tokenizer, adapter, asked, sampling, seed, templated=name != "base")
        scores = _scores(score, answers) if score is not None and name != "base" else None
        reference = scores if name == "sft" else reference
        models[name] = {
            kind: _spread(answers[place], _rows(scores, place), _rows(reference, place), vocabulary_size(model))
            for kind, place in _places(prompts).items()
        }
    return Generality({kind: len(some) for kind, some in prompts.items()}, SAMPLES, models)


def _places(prompts: Mapping[str, Sequence[Messages]]) -> dict[str, slice]:
    """Return which of all prompts those of each kind are."""
    found, start = {}, 0
    for kind, some in prompts.items():
        found[kind] = slice(start, start + len(some))
        start += len(some)
    return found


def kinds_of_prompts(
    voted: Sequence[Messages], pool: Sequence[Messages], count: int, seed: int
) -> dict[str, list[Messages]]:
    """Return at most `count` prompts that were voted on, and as many of the pool that share the fewest words with any.

    A kind of which there are none is left out.
    """
    drawn = random.Random(seed)
    asked = list(dict.fromkeys(voted))
    seen = [_words(messages) for messages in asked]
    known = set(asked)
    others = [messages for messages in dict.fromkeys(pool) if messages not in known]
    others = drawn.sample(others, min(POOL, len(others)))
    nearest = {messages: max((_shared(_words(messages), words) for words in seen), default=0.0) for messages in others}
    apart = sorted(others, key=nearest.__getitem__)[: max(count, math.ceil(APART * len(others)))]
    found = {"like": drawn.sample(asked, min(count, len(asked))), "unlike": drawn.sample(apart, min(count, len(apart)))}
    return {kind: prompts for kind, prompts in found.items() if prompts}


def _words(messages: Messages) -> frozenset[str]:
    return frozenset(WORD.findall(question_of(messages).lower()))


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the words of both out of those of either (Jaccard)."""
    return len(one & other) / max(1, len(one | other))


def _answers(
    model: PeftModel,
    tokenizer: Any,
    adapter: str | None,
    prompts: Sequence[Messages],
    sampling: Sampling,
    seed: int,
    *,
    templated: bool,
) -> Answers:
    rows = [tokenizer.prompt_ids(messages, templated=templated) for messages in prompts for _ in range(SAMPLES)]
    with using(model, adapter):
        seeds = [seed + place for place in range(len(rows))]
        drawn = generate(model, tokenizer, rows, sampling, seeds, templated=templated)
    told = [Written(row, one.token_ids, one.finish_reason == "stop") for row, one in zip(rows, drawn, strict=True)]
    return [told[start : start + SAMPLES] for start in range(0, len(told), SAMPLES)]


def _scores(score: Scorer, answers: Answers) -> torch.Tensor:
    """Return the scores (prompts, SAMPLES)."""
    with torch.no_grad():
        return score([one for several in answers for one in several]).means.float().cpu().view(-1, SAMPLES)


def _rows(scores: torch.Tensor | None, place: slice) -> torch.Tensor | None:
    return None if scores is None else scores[place]


def _spread(answers: Answers, scores: torch.Tensor | None, reference: torch.Tensor | None, vocabulary: int) -> Spread:
    """Return how diverse answers are, how long, and how they score beside those of the reference."""
    tokens = [[list(one.completion) for one in several] for several in answers]
    lengths = [len(one) for several in tokens for one in several]
    per_prompt = [distinct(several, vocabulary) for several in tokens]
    # One answer of each prompt, so that what is alike is alike across prompts; each of the draws once.
    across = [distinct([several[draw] for several in tokens], vocabulary) for draw in range(SAMPLES)]
    ahead = None if scores is None or reference is None else torch.sigmoid(scores - reference).mean().item()
    return Spread(
        within=sum(per_prompt) / len(per_prompt),
        across=sum(across) / len(across),
        tokens=sum(lengths) / len(lengths),
        score=None if scores is None else scores.mean().item(),
        preferred=ahead,
    )


def distinct(texts: Sequence[Sequence[int]], vocabulary: int) -> float:
    """Return how many different n-grams texts hold out of as many as chance would give, the mean over n.

    That is the expectation-adjusted distinct-n of Liu et al. 2022 ("Rethinking and refining the distinct metric"), so
    that longer texts do not seem to repeat themselves more. Without any n-gram it is 0.
    """
    found = []
    for n in range(1, LONGEST_N + 1):
        grams = [gram for text in texts for gram in _grams(text, n)]
        if grams:
            possible = float(vocabulary) ** n
            expected = -possible * math.expm1(len(grams) * math.log1p(-1 / possible))
            found.append(len(set(grams)) / expected)
    return sum(found) / len(found) if found else 0.0


def _grams(text: Sequence[int], n: int) -> Iterator[tuple[int, ...]]:
    return (tuple(text[start : start + n]) for start in range(len(text) - n + 1))
