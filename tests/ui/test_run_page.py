"""The page of a run: what everybody and what an admin sees, two runs side by side, and run again."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import gradio as gr
import pytest

from alignment.errors import AccessError, ConfigError
from alignment.runs.settings import RunSettings, run_settings
from service import run_details
from service.run_details import BothRequest
from service.settings_form import again, sections
from storage import runs
from storage.records import Metric
from tests.harness.scripted import PASSWORD, Backstage
from ui import run_page, run_panel
from ui.errors import sentence
from ui.run_page import RunParts

HOSTILE = "<script>x()</script> {{ 7*7 }}"
ESCAPED = "&lt;script&gt;x()&lt;/script&gt; {{ 7*7 }}"


def ended(behind: Backstage, method: str = "ppo", **settings: Any) -> int:
    run = runs.queue_run(behind.db, method, RunSettings().to_json() | settings)
    runs.start_run(behind.db, run)
    found = [Metric(step, "objective/kl", step * run) for step in (1, 2)]
    runs.report(behind.db, run, "check", 0.9, found)
    runs.set_dataset(behind.db, run, {"sha256": "ab" * 32, "votes": 32, "demonstrations": 1, "shipped": 7})
    runs.end_run(behind.db, run, "succeeded")
    return run


def shown(behind: Backstage, token: str | None, run: int) -> str:
    parts, _ = run_panel.picked(behind.services, token, run)
    return "\n".join(parts.all)


def test_everybody_sees_how_a_run_went_what_it_read_and_its_settings_but_not_its_log(behind: Backstage) -> None:
    run = ended(behind, seed=123_456)
    folder = behind.data_dir / "runs" / f"run-{run:06d}"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(f"loaded {HOSTILE}")
    seen = shown(behind, None, run)
    assert f"Run {run} · PPO" in seen and "ab" * 32 + "." in seen and "123456" in seen
    assert "32 votes, 1 demonstrations, 7 comparisons" in seen
    assert "loaded" not in seen and "<form" not in seen
    inside = shown(behind, behind.services.admin.login(PASSWORD), run)
    assert f"loaded {ESCAPED}" in inside and "<script" not in inside
    assert 'name="ppo.updates"' in inside and 'name="gate' not in inside


def test_the_form_has_every_setting_but_the_gates_with_its_value_and_bounds() -> None:
    found = {field.path: field for section in sections({"ppo": {"updates": 7}}) for field in section.fields}
    assert (found["ppo.updates"].value, found["ppo.updates"].kind, found["ppo.updates"].low) == ("7", "number", "1")
    assert found["ppo.normalize_scores"].kind == "flag"
    assert found["ppo.max_new_tokens"].value == ""  # the model's own
    asked = RunSettings().to_json()
    asked.pop("gate")
    assert set(found) == set(run_details.flat(asked))
    assert all(field.description for field in found.values())


@pytest.mark.parametrize(
    ("typed", "changed"),
    [
        ({}, {}),
        ({"ppo.updates": "3", "minutes": "2.5"}, {"ppo": {"updates": 3}, "minutes": 2.5}),
        ({"ppo.normalize_scores": "true", "ppo.max_new_tokens": ""}, {"ppo": {"normalize_scores": True}}),
        ({"ppo.max_new_tokens": "12"}, {"ppo": {"max_new_tokens": 12}}),
    ],
)
def test_what_is_typed_becomes_settings_and_the_rest_stays_as_the_run_had_it(
    typed: dict[str, str], changed: Mapping[str, Any]
) -> None:
    before = run_settings({"seed": 9, "raft": {"rounds": 2}}).to_json() | {"forgotten": 1}
    wanted = run_settings(again(before, typed))
    assert wanted == run_settings({"seed": 9, "raft": {"rounds": 2}, **changed})


def test_a_run_is_run_again_with_the_bounds_of_now_and_bad_values_are_refused_by_name(behind: Backstage) -> None:
    services, held = behind.services, behind.services.admin.login(PASSWORD)
    run = ended(behind, seed=9, gate={"max_kl": 1.0})
    assert run_panel.run_again(services, held, run, "raft", {"raft.rounds": "3"}) == "Run 2 is queued."
    queued = runs.get_run(behind.db, 2)
    assert (queued.method, queued.settings["seed"], queued.settings["raft"]["rounds"]) == ("raft", 9, 3)
    assert queued.settings["gate"] == RunSettings().to_json()["gate"]
    for typed, words in (
        ({"raft.rounds": "many"}, "settings.raft.rounds must be a whole number, got 'many'"),
        ({"raft.rounds": "-1"}, "settings.raft.rounds must be between"),
        ({"nothing.at_all": "1"}, "has no field"),
    ):
        with pytest.raises(ConfigError, match=words):
            run_panel.run_again(services, held, run, "raft", typed)
    with pytest.raises(AccessError):
        run_panel.run_again(services, "made up", run, "raft", {})
    assert len(runs.list_runs(behind.db)) == 2


def test_two_runs_are_set_side_by_side_with_both_curves_in_one_plot(behind: Backstage) -> None:
    one, other = ended(behind), ended(behind, "raft", seed=4)
    shown = run_page.side_by_side(run_details.both(behind.services, BothRequest(one, other)))
    assert "Runs 1 and 2" in shown and shown.count("<polyline") == 2
    for name, left, right in (("seed", "0", "4"), ("method", "ppo", "raft"), ("objective/kl", "2", "4")):
        cells = [shown.index(f"<div>{cell}</div>", shown.index(f"<div>{name}</div>")) for cell in (left, right)]
        assert cells == sorted(cells)
    assert "ppo.updates" not in shown


def test_the_list_of_runs_opens_a_run_and_what_is_not_there_is_said(behind: Backstage) -> None:
    with gr.Blocks() as page:
        history, token = gr.HTML(), gr.BrowserState(None)
        panel = run_panel.components()
        run_panel.bind(behind.services, panel, token, history)
    act = next(event.fn for event in page.fns.values())
    top = panel.parts[0]

    def clicked(**told: Any) -> dict[Any, Any]:
        return act(None, gr.EventData(None, told))

    run = ended(behind)
    assert f"Run {run}" in clicked(act="show", id=run)[top]
    assert "There is no run 99" in clicked(act="show", id=99)[panel.said]
    assert "og in" in clicked(act="again", id=run, method="ppo", values={})[panel.said]
    assert clicked(act="close", id=run)[top] == ""


def test_an_admin_cancels_and_resumes_any_run_on_its_page(behind: Backstage) -> None:
    with gr.Blocks() as page:
        history, token = gr.HTML(), gr.BrowserState(None)
        panel = run_panel.components()
        run_panel.bind(behind.services, panel, token, history)
    act, top, held = next(event.fn for event in page.fns.values()), panel.parts[0], None

    def clicked(wanted: str, run: int) -> dict[Any, Any]:
        return act(held, gr.EventData(None, {"act": wanted, "id": run}))

    open_now = runs.queue_run(behind.db, "ppo", RunSettings().to_json())
    runs.start_run(behind.db, open_now)
    after = runs.queue_next(behind.db, "raft", RunSettings().to_json())
    assert 'data-act="cancel"' not in clicked("show", after)[top]
    assert "og in first" in clicked("cancel", after)[panel.said]
    assert runs.get_run(behind.db, after).status == "waiting"
    held = behind.services.admin.login(PASSWORD)
    assert f"Cancel run {after}" in clicked("show", after)[top]
    seen = clicked("cancel", after)
    assert f"Run {after} is cancelled" in seen[panel.said] and f"Resume run {after}" in seen[top]
    assert runs.get_run(behind.db, open_now).status == "running"
    assert "nothing to cancel" in clicked("cancel", after)[panel.said]
    assert f"un {open_now} is already queued or running" in clicked("resume", after)[panel.said]
    clicked("cancel", open_now)
    seen = clicked("resume", after)
    assert f"Run {after} is queued again" in seen[panel.said] and f"Cancel run {after}" in seen[top]
    assert "can be resumed" in clicked("resume", after)[panel.said]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("seed", "“seed” must not be empty; give a whole number between 0 and"),
        ("raft.rounds", "“rounds” of raft must not be empty; give a whole number between"),
    ],
)
def test_a_field_of_the_form_that_was_left_empty_is_named_as_the_form_calls_it(
    behind: Backstage, path: str, words: str
) -> None:
    run, token = ended(behind), behind.services.admin.login(PASSWORD)
    with pytest.raises(ConfigError) as refused:
        run_panel.run_again(behind.services, token, run, "raft", {path: " "})
    assert run_panel.by_field(sentence(refused.value)).startswith(words)


def test_while_a_run_goes_on_the_parts_that_changed_are_written_anew_and_then_its_page_rests(behind: Backstage) -> None:
    with gr.Blocks():
        panel = run_panel.components()
    ended(behind)
    older = runs.queue_run(behind.db, "ppo", RunSettings().to_json())
    runs.start_run(behind.db, older)
    held = behind.services.admin.login(PASSWORD)
    names = [field.name for field in fields(RunParts)]

    def looked(seen: Any) -> tuple[set[str], Any, bool]:
        behind.services.status.expire()
        found = run_panel.refreshed(behind.services, panel, held, seen)
        anew = {name for name, part in zip(names, panel.parts, strict=True) if part in found}
        return anew, found[panel.seen], panel.timer in found

    first = run_panel.opened(behind.services, panel, held, older)
    assert first[panel.timer].active
    anew, seen, rests = looked(first[panel.seen])
    assert anew <= {"head"} and not rests  # the seconds so far
    (folder := behind.data_dir / "runs" / f"run-{older:06d}").mkdir(parents=True)
    (folder / "log.txt").write_text("a new line")
    anew, seen, rests = looked(seen)
    assert "log" in anew and not anew & {"settings", "learned", "curves", "top"} and not rests
    runs.end_run(behind.db, older, "failed", "it broke")
    anew, seen, rests = looked(seen)
    assert {"top", "head"} <= anew and not anew & {"settings", "learned", "log"} and rests
