"""What a row of somebody's file says: the layouts of our exports, of TRL and of common public data sets.

`understand` looks at which columns a row has:

1. `completions` with `ranks`: a vote as it is exported; with `instruction` and scores, UltraFeedback's.
2. `chosen` and `rejected`, with or without `prompt`: a pair. Without, the prompt is what both begin with.
3. `prompt`, `completion`, `label`: a completion called good or bad.
4. `prompt` and `completion`, or `messages` that end with the assistant's: a demonstration.
5. `prompt`, or `messages` that end with the user's: a prompt.
6. `data` with a `rating`, and a `snapshot`: a piece of feedback as Open WebUI exports it.
"""

from dataclasses import replace
from reprlib import repr as brief
from typing import Any

from alignment.errors import ConfigError
from service.exchange.given import SLOTS, Tiers, demonstration, is_number, judgement, written
from service.exchange.open_webui import feedback
from service.exchange.pairs import pair
from service.exchange.transcripts import Answered, answered, asked, messages_of_list, require_prompt, said
from storage.imports import NewDemonstration
from storage.judgements import JudgedCompletion, Judgement
from storage.messages import Messages
from storage.records import PreferenceKind

Understood = Judgement | NewDemonstration | Messages
KINDS: dict[Any, PreferenceKind] = {"choice": "choice", "ranking": "ranking", "tie": "tie", "all_bad": "all_bad"}


def understand(row: Any) -> Understood:
    """Return what a row says; raise ConfigError, in a few words, for what cannot be taken."""
    if not isinstance(row, dict):
        raise ConfigError(f"a row must be an object with named columns, got {brief(row)}")
    if "data" in row and "snapshot" in row:
        return _of_feedback(row)
    if "completions" in row and "ranks" in row:
        return _ranking(row)
    if "completions" in row and "instruction" in row:
        return _scored(row)
    if "chosen" in row and "rejected" in row:
        return pair(row)
    if row.get("label") is not None and "completion" in row:
        return _unpaired(row)
    if "completion" in row and "prompt" in row:
        return demonstration(row, Answered(asked(row["prompt"]), said(row["completion"])))
    if "messages" in row:
        messages = messages_of_list(row["messages"])
        return (
            demonstration(row, answered(row["messages"]))
            if messages[-1].role == "assistant"
            else asked(row["messages"])
        )
    if "prompt" in row:
        return asked(row["prompt"])
    raise ConfigError(f"the columns {brief(sorted(map(str, row)))} are not understood; docs/data.md lists what is")


def _ranking(row: dict[str, Any]) -> Judgement:
    texts, ranks, kind = row["completions"], row["ranks"], row.get("kind")
    count = len(texts) if isinstance(texts, list) else 0
    if not 1 <= count <= len(SLOTS) or not isinstance(ranks, list) or len(ranks) != count:
        raise ConfigError(f"completions and ranks must be lists of one length, from 1 to {len(SLOTS)}")
    if not all(isinstance(rank, int) and 0 <= rank <= count for rank in ranks):
        raise ConfigError(f"ranks must be whole numbers, 1 for the best, got {brief(ranks)}")
    tiers = tuple(
        tuple(SLOTS[place] for place in range(count) if ranks[place] == rank) for rank in sorted({*ranks} - {0})
    )
    known = KINDS.get(kind) or ("tie" if len(tiers) == 1 else "ranking")
    return judgement(
        row,
        asked(row["prompt"]),
        tuple(_completion(row, place, said(text)) for place, text in enumerate(texts)),
        () if known == "all_bad" else tiers,
        known,
    )


def _completion(row: dict[str, Any], place: int, text: str) -> JudgedCompletion:
    """Return a completion of a row that has lists of models, seeds, samplings and ends."""

    def at(name: str, default: Any) -> Any:
        values = row.get(name)
        return values[place] if isinstance(values, list) and place < len(values) else default

    return written(SLOTS[place], text, at("models", ""), at("seeds", 0), at("samplings", None), at("finishes", "stop"))


def _scored(row: dict[str, Any]) -> Judgement:
    """Return the ranking by scores that a row of UltraFeedback is."""
    found = row["completions"]
    if not isinstance(found, list) or not 2 <= len(found) <= len(SLOTS):
        raise ConfigError(f"completions must be a list of 2 to {len(SLOTS)}")
    scores = [one.get("overall_score") if isinstance(one, dict) else None for one in found]
    if not all(map(is_number, scores)):
        raise ConfigError("each completion must have an overall_score")
    order = sorted({score for score in scores if score is not None}, reverse=True)
    tiers = tuple(tuple(SLOTS[place] for place, score in enumerate(scores) if score == one) for one in order)
    completions = tuple(
        written(SLOTS[place], said(one.get("response")), one.get("model"), sampling={"score": one["overall_score"]})
        for place, one in enumerate(found)
    )
    return judgement(row, asked(row["instruction"]), completions, tiers, "tie" if len(tiers) == 1 else "ranking")


def _unpaired(row: dict[str, Any]) -> Judgement:
    if row["label"] not in (True, False):
        raise ConfigError(f"label must be true or false, got {brief(row['label'])}")
    text = said(row["completion"])
    given = [row.get(name) for name in ("model", "seed", "sampling", "finish")]
    only = written("A", text, given[0], given[1] or 0, given[2], given[3] or "stop")
    tiers: Tiers = (("A",),) if row["label"] else ()
    return judgement(row, asked(row["prompt"]), (only,), tiers, "choice" if tiers else "all_bad")


def _of_feedback(row: dict[str, Any]) -> Judgement:
    found = feedback(row)
    if not found.good and len(found.siblings) > 1:  # how the others compare it does not say
        found = replace(found, siblings=())
    completions = tuple(
        written(SLOTS[place], text, model) for place, (text, model) in enumerate([found.rated, *found.siblings])
    )
    rest = tuple(one.slot for one in completions[1:])
    tiers: Tiers = ()
    if rest or found.good:
        tiers = tuple(tier for tier in ((("A",), rest) if found.good else (rest, ("A",))) if tier)
    kind: PreferenceKind = "choice" if tiers else "all_bad"
    given = row | {"annotator": found.annotator, "created": found.created, "reason": found.reason, "id": found.id}
    return judgement(given, require_prompt(found.messages), completions, tiers, kind)
