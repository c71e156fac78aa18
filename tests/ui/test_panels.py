"""What the page says of each shape of model."""

from dataclasses import replace

import pytest

from alignment.models.sampling import Sampling
from service.context import ServedModel
from tests.harness.scripted import SERVED
from ui.compare_form import sampling_values
from ui.panels import panel, unasked
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
    html = panel(BASE, model)
    assert f"<h2>{name}</h2>" in html
    assert why in html
    assert f'title="{checkpoint}"' in html
    for other in (SFT, RLHF):
        assert 'title="Tiny-Instruct"' in panel(other, model)


def test_a_hidden_panel_does_not_tell_its_checkpoint() -> None:
    html = panel(replace(BASE, role=None), CHAT)
    assert "title=" not in html
    assert "Tiny" not in html and "aw continuation" not in html


def test_the_page_says_how_to_have_the_real_base_and_whose_template_is_used() -> None:
    plain = render("stored", model=SERVED)
    assert "--base" not in plain and "template" not in plain
    assert "start the app with --base maker/Tiny." in render("stored", model=CHAT)
    nameless = render("stored", model=replace(CHAT, base_name=""))
    assert "start the app with --base and the name of that model." in nameless
    bare = render("stored", model=replace(CHAT, own_template=False))
    assert "Tiny-Instruct ships no chat template, so a plain one" in bare


def test_an_answer_is_shown_as_it_was_written_and_silence_as_such() -> None:
    assert '<p class="answer">\n  Paris. \n</p>' in panel(replace(SFT, text="\n  Paris. \n"), SERVED)
    assert '<p class="hint">(nothing)</p>' in panel(replace(SFT, text=" \n"), SERVED, hint="(nothing)")


def test_the_sliders_stand_at_the_models_own_way_within_what_it_reads() -> None:
    assert sampling_values(replace(CHAT, sampling=Sampling(0.2, 512, top_p=0.9), max_tokens=8192)) == [0.2, 0.9, 512]
    assert sampling_values(replace(CHAT, sampling=Sampling(0.2, 512), max_tokens=256))[-1] == 256


def test_a_policy_that_nobody_trained_says_so() -> None:
    served = replace(CHAT, untrained=frozenset({1}))
    assert "not trained yet" in panel(RLHF, served)
    assert "from preferences" in panel(replace(RLHF, policy_version=2), served)
