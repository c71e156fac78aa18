"""Votes, demonstrations and prompts as rows of TRL's dataset formats, and how Parquet types their columns.

Every row has the columns that TRL reads first, then where it comes from. Two forms: "conversational", in which prompts
and completions are message lists, and "plain", in which they are texts. Plain holds single questions alone.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal, get_args

from alignment.reward.rankings import judged_pairs
from service.exchange.pseudonyms import annotator_pseudonym, comparison_pseudonym, part_pseudonym
from storage.imports import NewDemonstration
from storage.judgements import JudgedCompletion, Judgement
from storage.messages import Messages, messages_to_json

What = Literal["preferences", "rankings", "unpaired", "demonstrations", "prompts"]
Form = Literal["conversational", "plain"]
Row = dict[str, Any]
PERSON = "person"  # who wrote a better answer
WHATS: tuple[What, ...] = get_args(What)


def is_plain(messages: Messages) -> bool:
    """Return whether a prompt is a single question, which is all that a plain text can say."""
    return len(messages) == 1 and messages[0].role == "user"


def prompt_of(messages: Messages, form: Form) -> Any:
    """Return a prompt in its form."""
    return messages[0].content if form == "plain" else messages_to_json(messages)


def completion_of(text: str, form: Form) -> Any:
    """Return a completion in its form."""
    return text if form == "plain" else [{"role": "assistant", "content": text}]


def preference_rows(one: Judgement, form: Form, key: str) -> Iterator[Row]:
    """Yield a row for every pair of a better and a worse completion, in the order of the view `pairs`."""
    judged = [*one.completions, *(_written(text, place) for place, text in enumerate(one.better))]
    first_of: dict[str, int] = {}
    for place, completion in enumerate(judged):
        first_of.setdefault(completion.text, place)
    pairs = [(better.completion, worse.completion) for better, worse, sure in judged_pairs(one.ranking) if sure == 1]
    whole = comparison_pseudonym(key, one.comparison_id)
    for chosen, rejected in sorted(pairs):
        places = first_of[chosen], first_of[rejected]
        better, worse = (judged[place] for place in places)
        alone = len(judged) == 2
        yield {
            "prompt": prompt_of(one.messages, form),
            "chosen": completion_of(chosen, form),
            "rejected": completion_of(rejected, form),
            "chosen_model": model_of(better),
            "rejected_model": model_of(worse),
            "chosen_seed": better.seed,
            "rejected_seed": worse.seed,
            "chosen_sampling": json.dumps(better.sampling),
            "rejected_sampling": json.dumps(worse.sampling),
            "chosen_finish": better.finish_reason,
            "rejected_finish": worse.finish_reason,
            "chosen_shown_first": places[0] < places[1],
            "id": whole if alone else part_pseudonym(whole, better.slot, worse.slot),
            **_origin(one, key),
        }


def _written(text: str, place: int) -> JudgedCompletion:
    """Return a better answer that a person wrote, as a completion."""
    return JudgedCompletion(f"written {place}", "imported", None, text, 0, {"model": PERSON}, "stop")


def ranking_rows(one: Judgement, form: Form, key: str) -> Iterator[Row]:
    """Yield the row of a whole vote: all completions in the order shown, and the rank of each, 1 for the best.

    Ranks of a choice say which one is best and nothing about the others; `kind` tells choices, ties and "all bad".
    """
    rank = {slot: number for number, tier in enumerate(one.tiers, 1) for slot in tier}
    yield {
        "prompt": prompt_of(one.messages, form),
        "completions": [completion_of(completion.text, form) for completion in one.completions],
        "ranks": [rank.get(completion.slot, 1 if one.kind == "all_bad" else 0) for completion in one.completions],
        "kind": one.kind,
        "models": [model_of(completion) for completion in one.completions],
        "seeds": [completion.seed for completion in one.completions],
        "samplings": [json.dumps(completion.sampling) for completion in one.completions],
        "finishes": [completion.finish_reason for completion in one.completions],
        "blind": one.blind,
        "id": comparison_pseudonym(key, one.comparison_id),
        **_origin(one, key),
    }


def unpaired_rows(one: Judgement, form: Form, key: str) -> Iterator[Row]:
    """Yield a row for each completion that was judged good or bad: the best and the worst tier, or all of "all bad"."""
    whole = comparison_pseudonym(key, one.comparison_id)
    labels = _labels(one)
    for completion in one.completions:
        label = labels.get(completion.text)
        if label is None or not (completion.text or completion.finish_reason == "stop"):
            continue
        yield {
            "prompt": prompt_of(one.messages, form),
            "completion": completion_of(completion.text, form),
            "label": label,
            "model": model_of(completion),
            "seed": completion.seed,
            "sampling": json.dumps(completion.sampling),
            "finish": completion.finish_reason,
            "id": whole if len(one.completions) == 1 else part_pseudonym(whole, completion.slot),
            **_origin(one, key),
        }


def _labels(one: Judgement) -> dict[str, bool]:
    """Return which texts were judged good and which bad; a text that was chosen is good wherever else it stood."""
    if one.kind == "tie":
        return {}
    if one.kind == "all_bad":
        return {completion.text: False for completion in one.completions}
    best, worst = ({written.text for written in one.completions if written.slot in one.tiers[i]} for i in (0, -1))
    if one.kind == "ranking":  # one that was put first and last at once was called neither
        best, worst = best - worst, worst - best
    return dict.fromkeys(worst, False) | dict.fromkeys(best, True)


def demonstration_row(one: NewDemonstration, form: Form, key: str) -> Row:
    """Return the row of a demonstration."""
    return {
        "prompt": prompt_of(one.messages, form),
        "completion": completion_of(one.completion, form),
        "source": one.source,
        "annotator": annotator_pseudonym(key, one.annotator_id),
        "created": one.created,
    }


def model_of(completion: JudgedCompletion) -> str:
    """Return who wrote a completion: "base", "sft", "v3", or what an imported file called it."""
    if completion.role == "imported":
        return str(completion.sampling.get("model", "imported"))
    version = completion.policy_version
    return completion.role if version is None else f"v{version}"


def _origin(one: Judgement, key: str) -> Row:
    return {
        "reason": one.reason,
        "source": one.source,
        "annotator": annotator_pseudonym(key, one.annotator_id),
        "created": one.created,
    }


VOTE_ROWS = {"preferences": preference_rows, "rankings": ranking_rows, "unpaired": unpaired_rows}


def vote_rows(one: Judgement, what: What, form: Form, key: str) -> Iterator[Row]:
    """Yield the rows that a vote has in a format of votes."""
    return VOTE_ROWS[what](one, form, key)


def schema(what: What, form: Form) -> Any:
    """Return the columns of a format for Parquet."""
    import pyarrow as pa  # some 50 MB, for those alone who ask for Parquet

    text, number, truth = pa.string(), pa.int64(), pa.bool_()
    said = text if form == "plain" else pa.list_(pa.struct([("role", text), ("content", text)]))
    origin = _all(text, "id reason source annotator created")
    pair = {"chosen": said, "rejected": said, **_all(text, "chosen_model rejected_model")}
    pair |= {"chosen_seed": number, "rejected_seed": number}
    pair |= _all(text, "chosen_sampling rejected_sampling chosen_finish rejected_finish") | {
        "chosen_shown_first": truth
    }
    ranks = {"completions": pa.list_(said), "ranks": pa.list_(number), "kind": text, "models": pa.list_(text)}
    ranks |= {"seeds": pa.list_(number), "samplings": pa.list_(text), "finishes": pa.list_(text), "blind": truth}
    single = {"completion": said, "label": truth, "model": text, "seed": number, **_all(text, "sampling finish")}
    columns: dict[What, dict[str, Any]] = {
        "preferences": pair | origin,
        "rankings": ranks | origin,
        "unpaired": single | origin,
        "demonstrations": {"completion": said, **_all(text, "source annotator created")},
        "prompts": {},
    }
    return pa.schema({"prompt": said} | columns[what])


def _all(kind: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), kind)
