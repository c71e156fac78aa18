"""What fits the model: prompts of rollouts, demonstrations and rankings, counted as the model reads them."""

import logging
from typing import Any

import pytest
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.errors import TrainingError
from alignment.learning import lengths
from alignment.learning.lengths import MAX_PROMPT_TOKENS, readable, readable_rankings, short_enough
from alignment.models.architecture import context_tokens
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.shipped_files import ShippedDemonstration
from alignment.models.texts import Text
from alignment.settings import POCKET
from storage.messages import Message, one_turn
from storage.records import Demonstration, Ranking
from tests.reward.test_bradley_terry import R

Tiny = tuple[PeftModel, Any]
LONG = "capital " * 300
HI, THANKS = one_turn("Hi"), one_turn("Thanks")


def test_prompts_leave_room_for_a_completion_in_what_the_model_reads(tiny: Tiny) -> None:
    model, tokenizer = tiny
    hundred = one_turn("capital " * 100)
    assert 100 < tokenizer.tokens(hundred) <= 156
    prompts = [HI, hundred, one_turn(LONG), THANKS]
    assert short_enough(model, tokenizer, prompts, 100) == [HI, hundred, THANKS]
    assert short_enough(model, tokenizer, prompts, 200) == [HI, THANKS]
    with pytest.raises(TrainingError, match="1 of 1 prompts are longer than 156 tokens; vote on answers to shorter"):
        short_enough(model, tokenizer, [one_turn(LONG)], 100)
    with pytest.raises(TrainingError, match=r"completions of 256 tokens leave no room .* this model reads 256"):
        short_enough(model, tokenizer, prompts, 256)


def test_what_the_template_adds_makes_no_prompt_too_long(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = tiny
    own = AutoTokenizer.from_pretrained(POCKET, local_files_only=True)
    own.chat_template = own.chat_template.replace("{{ bos_token }}", "{{ bos_token }}" + "be kind " * MAX_PROMPT_TOKENS)
    tokenizer = ChatTokenizer(own)
    assert tokenizer.template_tokens > MAX_PROMPT_TOKENS
    monkeypatch.setattr(lengths, "context_tokens", lambda model: 100_000)
    assert short_enough(model, tokenizer, [HI, one_turn("word " * 2 * MAX_PROMPT_TOKENS)], 100) == [HI]


def test_a_demonstration_longer_than_the_model_reads_is_left_out_and_the_log_says_so(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    model, tokenizer = tiny
    earlier = (*HI, Message("assistant", "Hello. What is it?"), *THANKS)
    kept = [ShippedDemonstration(HI, "Ahoy!"), ShippedDemonstration(earlier, "Aye.")]
    long = [ShippedDemonstration(one_turn("Say it again"), LONG), ShippedDemonstration((*earlier[:-1], *HI), LONG)]
    with caplog.at_level(logging.WARNING):
        assert readable(model, tokenizer, [*kept, *long]) == [Text(HI, "Ahoy!"), Text(earlier, "Aye.")]
    assert "left out: what came with the model takes 311 tokens, this model reads 256" in caplog.text
    assert "Say it again" not in caplog.text  # what is erased would stay there


def test_the_log_says_which_vote_and_which_demonstration_is_left_out(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    model, tokenizer = tiny
    vote = Ranking(12, HI, (LONG, "No."), ((0,), (1,)), tied=False, source="human", ended=(True, True))
    with caplog.at_level(logging.WARNING):
        readable_rankings(model, tokenizer, [vote])
        readable(model, tokenizer, [Demonstration(34, HI, LONG, "ann", "human", "now", None)])
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("left out: vote 12 takes") and second.startswith("left out: demonstration 34 takes")
    assert "capital" not in caplog.text


def test_a_ranking_is_left_out_if_any_of_its_completions_is_longer_than_the_model_reads(tiny: Tiny) -> None:
    model, tokenizer = tiny
    short, long = R(("Yes.", "No."), ((0,), (1,))), R(("Yes.", LONG), ((0,), (1,)))
    assert readable_rankings(model, tokenizer, [long, short, long]) == [short]


def test_a_cut_completion_that_fills_all_that_the_model_reads_is_kept(tiny: Tiny) -> None:
    model, tokenizer = tiny
    room = context_tokens(model) - tokenizer.tokens(one_turn("prompt"))
    ids = tokenizer.completion_ids(LONG, ended=False)[:room]
    text = tokenizer.decode(ids)
    assert len(tokenizer.completion_ids(text, ended=False)) == room
    kept, left_out = R((text, "No."), ((0,), (1,)), cut=(0,)), R((text, "No."), ((0,), (1,)))
    assert readable_rankings(model, tokenizer, [kept, left_out]) == [kept]
