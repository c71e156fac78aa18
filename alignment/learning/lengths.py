"""What fits the model: prompts that rollouts can be drawn for, rankings and demonstrations that it can read whole."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from peft import PeftModel

from alignment.errors import ConfigError, TrainingError
from alignment.models.architecture import context_tokens
from alignment.models.texts import Text
from alignment.reward.rankings import Ranked
from storage.messages import Messages, question_of
from storage.records import Demonstration, Ranking

log = logging.getLogger(__name__)

MAX_PROMPT_TOKENS = 1024  # of a rollout, besides what the template adds
R = TypeVar("R", bound=Ranked)


class Demonstrated(Protocol):
    """Messages with the completion that a labeler wrote for them."""

    @property
    def messages(self) -> Messages: ...  # noqa: D102
    @property
    def completion(self) -> str: ...  # noqa: D102


def short_enough(model: PeftModel, tokenizer: Any, prompts: Sequence[Messages], max_new_tokens: int) -> list[Messages]:
    """Return the prompts that rollouts can be drawn for, or raise TrainingError; the log counts those left out.

    A prompt and a completion of `max_new_tokens` together are no longer than what the model reads. Besides, the passes
    of a rollout are as wide as its longest prompt, so that a long one makes all of them slow.
    """
    context = context_tokens(model)
    longest = min(MAX_PROMPT_TOKENS + tokenizer.template_tokens, context - max_new_tokens)
    if longest < 1:
        raise TrainingError(
            f"completions of {max_new_tokens} tokens leave no room for a prompt: this model reads {context}; "
            "set max_new_tokens of this run to less"
        )
    kept = [messages for messages in prompts if tokenizer.tokens(messages) <= longest]
    too_long = f"{len(prompts) - len(kept)} of {len(prompts)} prompts are longer than {longest} tokens"
    if not kept:
        raise TrainingError(f"there is nothing to train on: {too_long}; vote on answers to shorter ones")
    if len(kept) < len(prompts):
        log.warning("%s and not answered in training", too_long)
    return kept


def readable(model: PeftModel, tokenizer: Any, demonstrations: Sequence[Demonstrated]) -> list[Text]:
    """Return the demonstrations that the model can read whole as texts; the log has a line for each other one."""
    texts = [(one, Text(one.messages, one.completion)) for one in demonstrations]
    return [text for one, text in texts if _are_readable(model, tokenizer, [text], one)]


def readable_rankings(model: PeftModel, tokenizer: Any, rankings: Sequence[R]) -> list[R]:
    """Return the rankings all of whose completions the model can read whole; the log has a line for each other one.

    They were written by a model that could, but it may be another one that is trained on them.
    """

    def texts(ranking: Ranked) -> list[Text]:
        written = zip(ranking.completions, ranking.ended, strict=True)
        return [Text(ranking.messages, completion, ended) for completion, ended in written]

    return [one for one in rankings if _are_readable(model, tokenizer, texts(one), one)]


def fits(model: PeftModel, tokenizer: Any, messages: Messages, max_new_tokens: int) -> bool:
    """Return whether the model reads a prompt whole, with room for its completion, and its template takes it."""
    try:
        return bool(tokenizer.tokens(messages) + max_new_tokens <= context_tokens(model))
    except ConfigError:
        return False


def require_readable(
    model: PeftModel, tokenizer: Any, prompts: Sequence[Messages], max_new_tokens: int, source: str
) -> None:
    """Raise TrainingError for a prompt that leaves no room for its completion, ConfigError for one that the template
    refuses; `source` says where it stands.
    """
    context = context_tokens(model)
    for messages in prompts:
        if (length := tokenizer.tokens(messages)) + max_new_tokens > context:
            raise TrainingError(
                f"a prompt in {source} takes {length} tokens, and its answer {max_new_tokens}; this model reads "
                f"{context}: {question_of(messages)[:60]!r}; shorten or remove it"
            )


def _called(one: Demonstrated | Ranked) -> str:
    """Return what a log calls it, without its text: a log keeps what is erased elsewhere."""
    match one:
        case Ranking():
            return f"vote {one.preference_id}"
        case Demonstration():
            return f"demonstration {one.id}"
    return "what came with the model"


def _are_readable(model: PeftModel, tokenizer: Any, texts: Sequence[Text], source: Demonstrated | Ranked) -> bool:
    """Return whether the longest of some completions of the same messages fits the model; the log says where not."""
    messages, context = texts[0].messages, context_tokens(model)
    written = [*(message.content for message in messages), max((one.completion for one in texts), key=len)]
    if tokenizer.template_tokens + sum(len(text.encode()) for text in written) < context:  # a token is a byte at least
        return True
    completions = [tokenizer.completion_ids(text.completion, ended=text.ended) for text in texts]
    length = tokenizer.tokens(messages) + max(map(len, completions))
    if length > context:
        log.warning("left out: %s takes %s tokens, this model reads %s", _called(source), length, context)
    return bool(length <= context)
