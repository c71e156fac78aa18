"""The first stage: a simulated labeler ranks completions of the model and of the recipe."""

import json
import logging
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from alignment.models import catalogue, loading
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.sampling import Sampling
from alignment.runs.evaluation import answers
from recipes.pocket.skill import Asked
from recipes.pocket.stage_files import write_lines
from recipes.smollm2.asked import asked_prompts
from recipes.smollm2.labelers import RIGHT, Labelled, Shown, ranked, worth
from recipes.smollm2.settings import SmolConfig

log = logging.getLogger(__name__)
COMPARISONS = "comparisons.jsonl"
PRESET = "smollm2-135m"
AT_ONCE = 72  # prompts
BEGINNING = 16  # tokens of the model's own answers: enough to see a fact, and that help begins
OWN_WAY = Sampling(0.2, BEGINNING, top_p=0.9)  # as its makers recommend
ANOTHER_WAY = Sampling(0.8, BEGINNING, top_p=0.95)


def loaded(work: Path) -> tuple[Any, Any]:
    """Return the weights of the installed package, converted once into a folder of work, and their tokenizer."""
    config = catalogue.resolve(ModelChoice(PRESET), work, online=False).config
    ensure_converted(config)
    return loading.load_model(replace(config, base=""))


def build_comparisons(config: SmolConfig, target: Path, work: Path) -> None:
    """Have the simulated labeler rank completions of the model and of the recipe; a draft."""
    model, tokenizer = loaded(work)
    # Prompts of like length are read together, without padding.
    asked = sorted(asked_prompts(config.prompts, config.seed), key=lambda one: len(one.prompt))
    rng, rows = random.Random(config.seed + 2), []
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        for one, own in zip(some, _own_answers(model, tokenizer, some, config, rng), strict=True):
            rows.append(asdict(ranked(one, own)))
        log.info("comparisons: %s of %s prompts", len(rows), len(asked))
    write_lines(work / COMPARISONS, rows)


def _own_answers(
    model: Any, tokenizer: Any, asked: Sequence[Asked], config: SmolConfig, rng: random.Random
) -> list[list[Shown]]:
    """Return the beginnings of the model's own answers to each prompt that is not harmful.

    Where help is right and the answer does not help, more are drawn, and hotter, until one does.
    """
    own: list[list[Shown]] = [[] for _ in asked]
    places = [place for place, one in enumerate(asked) if one.check.kind != "refuses"]
    for sampling in (OWN_WAY, *(ANOTHER_WAY,) * (config.completions - 1)):
        prompts = [asked[place].check.messages for place in places]
        drawn = answers(model, tokenizer, None, prompts, sampling, rng.randrange(2**31))
        for place, one in zip(places, drawn, strict=True):
            own[place].append(Shown(tokenizer.decode(one.token_ids), one.finish_reason == "stop"))
        places = [
            place
            for place in places
            if asked[place].check.kind == "helps" and worth(asked[place].check, own[place][-1]) < RIGHT
        ]
    return own


def labelled(work: Path) -> list[Labelled]:
    """Return the rankings of the first stage."""
    lines = (work / COMPARISONS).read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [
        Labelled(
            **row
            | {"completions": tuple(row["completions"]), "ended": tuple(row["ended"])}
            | {"tiers": tuple(map(tuple, row["tiers"]))}
        )
        for row in rows
    ]
