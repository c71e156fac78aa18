"""Rows with a chosen and a rejected completion, as TRL and most public data sets have them."""

from typing import Any

from alignment.errors import ConfigError
from service.exchange.given import is_number, judgement, written
from service.exchange.transcripts import Answered, answered, asked, is_transcript, said, sampling_of
from storage.judgements import Judgement

SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
)


def pair(row: dict[str, Any]) -> Judgement:
    """Return the vote that a pair is: a choice, or a tie where its scores are equal; raise ConfigError for no pair."""
    chosen, rejected = _both(row)
    if chosen.completion == rejected.completion:
        raise ConfigError("chosen and rejected are the same")
    tied = _tied(row)
    first = row.get("chosen_shown_first") is not False
    sides = [(chosen, "chosen"), (rejected, "rejected")][:: 1 if first else -1]
    completions = tuple(
        written(
            slot,
            one.completion,
            row.get(f"{side}_model"),
            row.get(f"{side}_seed", 0),
            _with_score(row, side),
            row.get(f"{side}_finish", "stop"),
        )
        for slot, (one, side) in zip("AB", sides, strict=True)
    )
    best, worst = ("A", "B") if first else ("B", "A")
    tiers = (("A", "B"),) if tied else ((best,), (worst,))
    return judgement(row, chosen.messages, completions, tiers, "tie" if tied else "choice")


def _both(row: dict[str, Any]) -> tuple[Answered, Answered]:
    """Return chosen and rejected with the prompt that both answer."""
    chosen, rejected, prompt = row["chosen"], row["rejected"], row.get("prompt")
    listed = isinstance(chosen, list) and isinstance(rejected, list)
    if (listed and min(len(chosen), len(rejected)) > 1) or (
        isinstance(chosen, str) and isinstance(rejected, str) and is_transcript(chosen) and is_transcript(rejected)
    ):
        both = answered(chosen), answered(rejected)
        if both[0].messages != both[1].messages:
            raise ConfigError("chosen and rejected do not answer the same prompt")
        return both
    if prompt is not None:
        messages = asked(prompt)
        return Answered(messages, said(chosen)), Answered(messages, said(rejected))
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        raise ConfigError("without a prompt, chosen and rejected must be texts or conversations that begin alike")
    length = next((at for at, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other), 0)
    shared = chosen[: chosen.rfind(" ", 0, length)] if " " in chosen[:length] else ""
    return Answered(asked(shared), said(chosen[len(shared) :])), Answered(asked(shared), said(rejected[len(shared) :]))


def _tied(row: dict[str, Any]) -> bool:
    """Return whether scores or a margin call both equally good; raise ConfigError if they say the contrary."""
    for names in SCORES:
        better, worse = (row.get(name) for name in names)
        if is_number(better) and is_number(worse):
            if better < worse:
                raise ConfigError(f"{names[0]} is {better:g}, less than {names[1]}, {worse:g}")
            return bool(better == worse)
    margin = row.get("margin")
    if is_number(margin) and margin < 0:
        raise ConfigError(f"margin is {margin:g}, so that rejected would be the better one")
    return bool(is_number(margin) and margin == 0)


def _with_score(row: dict[str, Any], side: str) -> dict[str, Any]:
    kept = sampling_of(row.get(f"{side}_sampling"))
    for names in SCORES:
        score = row.get(names[side == "rejected"])
        if is_number(score):
            return kept | {"score": score}
    if side == "chosen" and is_number(row.get("margin")):
        return kept | {"margin": row["margin"]}
    return kept
