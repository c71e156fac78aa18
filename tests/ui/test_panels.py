"""What the page says of each shape of model."""

from dataclasses import replace
from itertools import pairwise

import pytest

from service.context import ServedModel
from tests.harness.scripted import SERVED
from ui.answers import drawn
from ui.markdown import markdown
from ui.panels import BETWEEN, joined, panel, unasked
from ui.render import render

CHAT = replace(SERVED, name="Tiny-Instruct", base_name="maker/Tiny", shape="chat")
BASE, SFT, RLHF = unasked(1)


@pytest.mark.parametrize(
    ("model", "name", "why", "checkpoint"),
    [
        (
            CHAT,
            "Raw continuation",
            "same weights, no chat template",
            "Tiny-Instruct, raw continuation, no chat template",
        ),
        (replace(CHAT, shape="chat and base"), "Base", "continues text", "maker/Tiny"),
        (replace(CHAT, shape="adapter", base_name=""), "Base", "continues text", "Tiny-Instruct"),
    ],
)
def test_the_first_panel_is_named_for_what_it_is(model: ServedModel, name: str, why: str, checkpoint: str) -> None:
    html = panel(BASE, model)["frame"]
    assert f"<h2>{name}</h2>" in html
    assert why in html
    assert f'title="{checkpoint}"' in html
    for other in (SFT, RLHF):
        assert 'title="Tiny-Instruct"' in panel(other, model)["frame"]


def test_a_hidden_panel_does_not_tell_its_checkpoint() -> None:
    shown = panel(replace(BASE, role=None, text="# Hi"), CHAT)
    html = shown["frame"]
    assert shown["plain"] is False  # it would give the base away
    assert "<header>" in html
    assert "Tiny" not in html and "aw continuation" not in html


def test_the_page_says_how_to_have_the_real_base_and_whose_template_is_used() -> None:
    plain = render("stored", model=SERVED)
    assert "--base" not in plain and "template" not in plain
    assert "Nothing is sent anywhere else." in plain
    elsewhere = render("stored", model=replace(SERVED, served_by="http://a:8000"))
    assert "sent to the servers that answer them, http://a:8000; nothing" in elsewhere
    assert "start the app with --base maker/Tiny." in render("stored", model=CHAT)
    nameless = render("stored", model=replace(CHAT, base_name=""))
    assert "start the app with --base and the name of that model." in nameless
    bare = render("stored", model=replace(CHAT, own_template=False))
    assert "Tiny-Instruct ships no chat template, so a plain one" in bare


def test_an_answer_is_there_as_it_was_written_and_as_blocks_and_silence_as_such() -> None:
    shown = panel(replace(SFT, text="\n  Paris.  \n\n- a\n", finish_reason="stop"), SERVED)
    assert shown["text"] == "\n  Paris.  \n\n- a\n"
    assert [block.strip() for block in shown["answer"]] == ["<p>Paris.</p>", "<ul>\n<li>a</li>\n</ul>"]
    assert '<p class="hint">(nothing)</p>' in panel(replace(SFT, text=" \n"), SERVED, hint="(nothing)")["frame"]


def test_blocks_that_stay_are_one_string_that_only_grows_and_can_be_told_apart_again() -> None:
    blocks = ["<p>a</p>", "", "<p>b</p>", "<p>c</p>", "<p>d</p>"]
    steps = [joined(blocks[:count]) for count in range(6)]
    assert [len(step) for step in steps] == [0, 1, 2, 3, 3, 3]
    for before, after in pairwise(steps[3:]):
        assert after[0].startswith(before[0])
    assert [BETWEEN.join(step).split(BETWEEN) for step in steps[1:]] == [blocks[:count] for count in range(1, 6)]


def test_no_text_has_in_it_what_stands_between_blocks() -> None:
    assert BETWEEN not in "".join(markdown(f"{BETWEEN} `{BETWEEN}`\n\n    {BETWEEN}\n" + BETWEEN * 4000).blocks)


def test_only_what_a_base_model_wrote_stands_as_it_was_written_at_first() -> None:
    assert [panel(replace(one, text="# Hi"), SERVED)["plain"] for one in (BASE, SFT, RLHF)] == [True, False, False]


def test_a_panel_keeps_its_height_until_its_answer_has_ended() -> None:
    growing = panel(replace(SFT, text="Par"), SERVED, drawn=drawn("Par"))["frame"]
    assert 'aria-busy="true"' in growing and 'data-ended="false"' in growing
    ended = panel(replace(SFT, text="Paris", finish_reason="stop"), SERVED)["frame"]
    assert 'aria-busy="false"' in ended and 'data-ended="true"' in ended
    assert 'data-ended="false"' in panel(SFT, SERVED, hint="Ask")["frame"]
