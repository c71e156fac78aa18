"""The settings of the Compare tab: what a browser keeps of them, what of that is used, and which panels there are."""

from dataclasses import replace
from typing import Any

import pytest

from alignment.models.sampling import Sampling
from service.completions import ShownCompletion, first_seed
from tests.harness.scripted import SERVED, Backstage
from tests.ui.test_compare import asked
from ui.compare_form import CompareTab
from ui.compare_settings import SETTINGS, kept_of, own_values, panel_choices, restored, without_twins
from ui.compare_tab import cleared

OWN = own_values(SERVED)


def test_the_fields_stand_at_the_models_own_way_within_what_it_reads() -> None:
    long = own_values(replace(SERVED, sampling=Sampling(0.2, 512, top_p=0.9), max_tokens=8192))
    assert [long[name] for name in ("temperature", "top_p", "tokens")] == [0.2, 0.9, 512]
    assert own_values(replace(SERVED, sampling=Sampling(0.2, 512), max_tokens=256))["tokens"] == 256
    assert tuple(OWN) != () and set(OWN) == set(SETTINGS)


def test_a_browser_keeps_what_differs_and_gets_it_back(behind: Backstage) -> None:
    behind.add_policy(2)
    chosen = {
        "blind": True,
        "temperature": 0.3,
        "top_p": 0.5,
        "tokens": 40,
        "best_of": 4,
        "seed": "7",
        "system": "Be brief.",
    }
    chosen |= {"preview": False, "first": "v2", "third": "none"}
    kept = kept_of(behind.services, OWN | chosen)
    assert kept == chosen
    assert restored(behind.services, kept) == OWN | chosen
    assert restored(behind.services, None) == restored(behind.services, {}) == OWN
    assert kept_of(behind.services, OWN) == {}


@pytest.mark.parametrize(
    "kept",
    [
        {"temperature": 2.5},
        {"temperature": "hot"},
        {"temperature": True},
        {"top_p": 0},
        {"tokens": 4000},  # another model read more
        {"best_of": 99},
        {"seed": "x"},
        {"seed": str(2**40)},
        {"system": 5},
        {"system": "x" * 5000},
        {"preview": None},
        {"first": "v9"},  # of another data folder
        {"first": "none"},
        {"first": "rlhf"},  # as the third
        {"unknown": 1},
        "nothing of ours",
        [1],
    ],
)
def test_what_does_not_fit_this_model_is_the_models_own(behind: Backstage, kept: Any) -> None:
    assert restored(behind.services, kept) == OWN


@pytest.mark.parametrize(
    ("before", "name", "value", "moved"),
    [
        ({}, "first", "rlhf", {"third": "base"}),
        ({}, "third", "v1", {}),
        ({"third": "none"}, "third", "base", {"first": "rlhf"}),
        ({}, "third", "none", {}),
        ({}, "blind", True, {}),
        ({}, "preview", False, {}),
    ],
)
def test_no_two_panels_show_the_same(before: Any, name: str, value: str, moved: Any) -> None:
    assert without_twins(OWN | before | {name: value}, OWN | before) == moved


def test_every_version_is_offered_and_the_third_panel_may_be_left_out(behind: Backstage) -> None:
    behind.add_policy(2)
    offered = [choice for _, choice in panel_choices(behind.services, "first")]
    assert offered == ["base", "sft", "rlhf", "v2", "v1"]
    assert panel_choices(behind.services, "third")[-1] == ("none", "none")


def test_the_panels_are_those_that_were_chosen(behind: Backstage, tab: CompareTab) -> None:
    behind.add_policy(2)
    last = asked(behind, tab, first="v2", second="sft", third="none")[-1]
    frames = [last[panel]["frame"] for panel in tab.panels]
    assert "RLHF v2" in frames[0] and "Instruction-tuned" in frames[1]
    assert frames[2] == '<i class="none"></i>'
    assert [last[button]["visible"] for button in tab.best] == [True, True, False]
    empty = cleared(behind.services, tab, ["sft", "v2"])
    assert ["Instruction-tuned" in empty[tab.panels[0]]["frame"], "RLHF v2" in empty[tab.panels[1]]["frame"]] == [
        True
    ] * 2


@pytest.mark.parametrize("settings", [{"seed": "41"}, {"seed": "41", "blind": True}])
def test_the_seed_that_was_used_is_named(behind: Backstage, tab: CompareTab, settings: Any) -> None:
    updates = asked(behind, tab, **settings)
    assert updates[0][tab.seed] == {"__type__": "update", "value": "", "interactive": False}
    assert updates[-1][tab.seed]["value"] == "Seed 41 · use again"


def test_the_seed_of_a_comparison_is_the_first_panels_also_where_a_preview_picked_another() -> None:
    shown = [ShownCompletion("A", "base", None, seed=5), ShownCompletion("B", "rlhf", 1, seed=6 + 3 * 1_000_003)]
    assert first_seed(shown) == 5
