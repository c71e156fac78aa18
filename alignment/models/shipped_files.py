"""JSON lines that ship with a model: comparisons, demonstrations, prompts, checks, examples. Needs no torch."""

from dataclasses import fields
from pathlib import Path
from reprlib import repr as brief
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from alignment.errors import ConfigError
from alignment.models.json_lines import answer_of, from_fields, object_of, prompt_of, read_lines
from alignment.models.message_lists import ending_with_question
from alignment.validation import STRICT, Text, Whole, from_json, refuses_in_words
from storage.messages import Messages, messages_to_json, question_of

Written = Annotated[Text, Field(min_length=1)]
CheckKind = Literal["contains", "refuses", "helps", "abstains", "own"]
# Columns of preference data that say how much better or which row: nothing here learns from them.
NOT_LEARNED_FROM = {"margin", "score_chosen", "score_rejected", "id", "prompt_id"}


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedRanking:
    """A comparison that ships with a model; its source says that the labeler was simulated."""

    messages: Messages
    completions: tuple[Text, ...]
    tiers: tuple[tuple[Whole, ...], ...]  # positions in `completions`, best first; equally good ones share a tier
    source: Text = ""  # "simulated"
    guideline: Text = ""  # what the labeler was asked to prefer

    @model_validator(mode="after")
    def _tiers_hold_each_completion_once(self) -> Self:
        places = [place for tier in self.tiers for place in tier]
        if not set(places) <= set(range(len(self.completions))):
            raise ValueError(
                f"tiers must hold positions of the {len(self.completions)} completions, got {brief(self.tiers)}"
            )
        if len(set(places)) < len(places):
            raise ValueError(f"tiers must hold each completion once, got {brief(self.tiers)}")
        return self

    @property
    def prompt(self) -> str:
        """What the user asked last."""
        return question_of(self.messages)

    @property
    def tied(self) -> bool:
        """Whether completions of one tier are equally good: these labelers compare all of them."""
        return True

    @property
    def ended(self) -> tuple[bool, ...]:
        """Whether each completion ended by itself: what ships with a model is whole."""
        return (True,) * len(self.completions)


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedDemonstration:
    """A demonstration that ships with a model."""

    messages: Messages
    completion: Written


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ShippedPrompt:
    """A prompt for the rollouts of runs that ships with a model."""

    messages: Messages


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class Check:
    """A prompt with what a right answer must do: contain texts, refuse, help, or admit that it does not know.

    The kind "own" is an admin's: a right answer holds all of `expect` and nothing of `avoid`.
    """

    messages: Messages
    kind: CheckKind
    expect: tuple[Written, ...] = ()  # all of them, for the kinds "contains" and "own"
    avoid: tuple[Written, ...] = ()  # none of them, for the kind "own"

    @model_validator(mode="after")
    def _could_fail(self) -> Self:
        if self.kind == "contains" and not self.expect:
            raise ValueError('expect must hold a text for the kind "contains", else every answer would pass')
        if self.kind == "own" and not (self.expect or self.avoid):
            raise ValueError('expect or avoid must hold a text for the kind "own", else every answer would pass')
        return self

    @property
    def prompt(self) -> str:
        """What the user asks last."""
        return question_of(self.messages)


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class Example:
    """A prompt that the page offers, under the name of its group."""

    group: Text
    prompt: Text


Shipped = ShippedRanking | ShippedDemonstration | ShippedPrompt | Check | Example


def check_files(base: str | Path) -> None:
    """Read all files of JSON lines beside a model once; raise ModelLoadError for the first line that does not fit.

    The app does this as it starts, so that no run meets such a line after an hour of training.
    """
    for read in (comparisons, demonstrations, prompts, checks, examples):
        read(base)


def comparisons(base: str | Path) -> list[ShippedRanking]:
    """Return the comparisons that ship with the model: none for a model without `comparisons.jsonl`.

    A line holds `prompt`, `completions` and `tiers`, or a pair in one of TRL's forms: `prompt`, `chosen` and
    `rejected`, where each is a text or a message list, or `chosen` and `rejected` alone, two message lists that differ
    in the last message. The columns in `NOT_LEARNED_FROM` are read over in pairs, `margin` among them: a pair counts
    as one, however large it is. Columns of other names are refused.
    """
    return read_lines(Path(base) / "comparisons.jsonl", _ranking)


def _ranking(line: Any) -> ShippedRanking:
    values = object_of(line, "ranking")
    if not values.keys() & {"chosen", "rejected"}:
        return from_fields(ShippedRanking, values, prompt_of(values, "ranking"), "ranking")
    answers = [answer_of(values, name, "pair") for name in ("chosen", "rejected")]
    first, second = (before for before, _ in answers)
    if "prompt" in values:
        messages = prompt_of(values, "pair")
        unlike = [before for before in (first, second) if before not in ((), messages)]
    else:
        if not first:
            raise ConfigError("pair.prompt is missing; only in message lists can it be told from the answer")
        messages = ending_with_question(first, "pair.chosen before its last message")
        unlike = [] if second == first else [second]
    if unlike:
        raise ConfigError("pair.chosen and pair.rejected must answer one prompt, but what comes before them differs")
    others = {name: held for name, held in values.items() if name not in NOT_LEARNED_FROM | {"chosen", "rejected"}}
    pair = {"completions": [text for _, text in answers], "tiers": [[0], [1]]}
    return from_fields(ShippedRanking, {**others, **pair}, messages, "pair")


def demonstrations(base: str | Path) -> list[ShippedDemonstration]:
    """Return the demonstrations that ship with the model: none for a model without `demonstrations.jsonl`.

    A line holds `prompt` and `completion`, each a text or a message list, or `messages`, of which the assistant's last
    one is the completion.
    """
    return read_lines(Path(base) / "demonstrations.jsonl", _demonstration)


def _demonstration(line: Any) -> ShippedDemonstration:
    values = object_of(line, "demonstration")
    if "messages" in values:
        before, completion = answer_of(values, "messages", "demonstration")
        messages = ending_with_question(before, "demonstration.messages before its last message")
        values = {name: held for name, held in values.items() if name != "messages"}
    else:
        messages = prompt_of(values, "demonstration")
        before, completion = answer_of(values, "completion", "demonstration")
        if before:
            raise ConfigError(f"demonstration.completion must be the answer alone, got {len(before) + 1} messages")
    if not question_of(messages):
        raise ConfigError("demonstration.prompt must not be empty")
    return from_fields(ShippedDemonstration, {**values, "completion": completion}, messages, "demonstration")


def prompts(base: str | Path) -> list[Messages]:
    """Return the prompts for rollouts that ship with the model (`prompts.jsonl`)."""
    return [line.messages for line in read_lines(Path(base) / "prompts.jsonl", _prompt)]


def _prompt(line: Any) -> ShippedPrompt:
    values = object_of(line, "line")
    return from_fields(ShippedPrompt, values, prompt_of(values, "line"), "line")


def checks(base: str | Path) -> list[Check]:
    """Return the gate's prompts that ship with the model (`checks.jsonl`)."""
    return read_lines(Path(base) / "checks.jsonl", _check)


def _check(line: Any) -> Check:
    values = object_of(line, "check")
    return from_fields(Check, values, prompt_of(values, "check"), "check")


def examples(base: str | Path) -> list[Example]:
    """Return the prompts that the page offers (`examples.jsonl`)."""
    return read_lines(Path(base) / "examples.jsonl", lambda values: from_json(Example, values, "example"))


def line_of(record: Shipped) -> dict[str, Any]:
    """Return a record as the line that is read as it again: a prompt of one message is a text."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    if (messages := values.pop("messages", None)) is None:
        return values
    if not values.get("avoid", True):  # what ships avoids nothing
        del values["avoid"]
    alone = len(messages) == 1 and messages[0].role == "user"
    return {"prompt": messages[0].content if alone else messages_to_json(messages), **values}
