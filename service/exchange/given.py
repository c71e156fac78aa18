"""What rows of files have in common: who wrote a completion, who judged, when, and under which id that is kept."""

import json
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TypeGuard

from alignment.errors import ConfigError
from service.exchange.pseudonyms import ANNOTATOR, COMPARISON, NOBODY, content_pseudonym
from service.exchange.transcripts import Answered, sampling_of
from storage.database import now
from storage.imports import NewDemonstration
from storage.judgements import JudgedCompletion, Judgement
from storage.messages import Messages
from storage.records import PreferenceKind, Role

Tiers = tuple[tuple[str, ...], ...]
OURS: dict[str, Role] = {"base": "base", "sft": "sft", "rlhf": "rlhf"}
LONGEST_REASON = 2000  # characters
SLOTS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def written(
    slot: str, text: str, model: Any, seed: Any = 0, sampling: Any = None, finish: Any = "stop"
) -> JudgedCompletion:
    """Return a completion by a model that goes by some name; names that are none of ours stand in its sampling."""
    name = str(model or "imported")
    version = int(name[1:]) if name[:1] == "v" and name[1:].isdecimal() and len(name) < 10 else None
    role = "rlhf" if version is not None else OURS.get(name, "imported")
    kept = sampling_of(sampling)
    if role == "imported" and name != "imported":
        kept = {"model": name} | kept
    return JudgedCompletion(
        slot,
        role,
        version,
        text,
        seed if isinstance(seed, int) and abs(seed) < 2**63 else 0,
        kept,
        finish if finish in ("stop", "length", "cancelled") else "stop",
    )


def judgement(
    row: dict[str, Any],
    messages: Messages,
    completions: tuple[JudgedCompletion, ...],
    tiers: Tiers,
    kind: PreferenceKind,
) -> Judgement:
    """Return the vote that a row is, with what the row says of its origin."""
    given = str(row.get("id", ""))
    return Judgement(
        comparison_id=given if given.startswith(COMPARISON) and len(given) < 100 else content_pseudonym(_content(row)),
        messages=messages,
        blind=row.get("blind") is True,
        completions=completions,
        tiers=tiers,
        kind=kind,
        source=_source(row),
        annotator_id=_annotator(row),
        created=_created(row),
        reason=str(row.get("reason") or "")[:LONGEST_REASON],
    )


def demonstration(row: dict[str, Any], one: Answered) -> NewDemonstration:
    """Return the demonstration that a row is; raise ConfigError for one without words."""
    if not one.completion.strip():
        raise ConfigError("the completion is empty")
    return NewDemonstration(one.messages, one.completion, _annotator(row), _source(row), _created(row))


def _content(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def _annotator(row: dict[str, Any]) -> str:
    given = row.get("annotator")
    fits = isinstance(given, str) and given.startswith(ANNOTATOR) and len(given) < 100
    return str(given) if fits else NOBODY


def _source(row: dict[str, Any]) -> str:
    """Return what an export of ours called the source; a column "source" of others says something else."""
    given = row.get("source")
    return str(given) if given in ("human", "simulated", "imported") else "imported"


def _created(row: dict[str, Any]) -> str:
    """Return a row's own time, if it has one that can be read, else now."""
    given = row.get("created")
    try:
        if is_number(given):
            return datetime.fromtimestamp(given, UTC).isoformat()
        if isinstance(given, str):
            moment = datetime.fromisoformat(given)
            return given if moment.tzinfo else moment.replace(tzinfo=UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    return now()


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
