"""The handlers and views of the Training tab, called without a server."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import gradio as gr
import pytest

from alignment.errors import AccessError, TrainingError
from alignment.runs.findings import Finding, PutBack, Remark, Verdict, verdict_to_json
from alignment.runs.records import LostCheck
from alignment.runs.settings import RunSettings
from storage import policies, runs
from storage.demonstrations import save_demonstration
from storage.messages import one_turn
from storage.records import Metric
from tests.harness.scripted import LOADING, PASSWORD, SERVED, Backstage
from ui import layout, run_panel, training_plots, training_tab, training_view
from ui.findings import reasons, with_reasons
from ui.layout import Refreshed
from ui.plots import Plot
from ui.render import render
from ui.training_tab import TrainingTab
from ui.words import since, span

HOSTILE = "<script>x()</script> \"a\" 'b' {{ 7*7 }} {% raw %} ${1+1} &amp;"
ESCAPED = "&lt;script&gt;x()&lt;/script&gt; &#34;a&#34; &#39;b&#39; {{ 7*7 }} {% raw %} ${1+1} &amp;amp;"
KL_TOO_HIGH = Finding("kl", "nats", 30.0, 25.0, False)


@pytest.fixture
def tab(behind: Backstage) -> TrainingTab:
    with gr.Blocks():
        return training_tab.build(behind.services, gr.BrowserState(None))


def token(behind: Backstage) -> str:
    return behind.services.admin.login(PASSWORD)


def test_login_gives_a_token_only_for_the_right_password(behind: Backstage, tab: TrainingTab) -> None:
    refused, changed = training_tab.log_in(behind.services, tab, "wrong")
    assert refused is None
    assert "Wrong password" in changed[tab.notice]
    assert changed[tab.tools] == gr.update(visible=False)
    given, changed = training_tab.log_in(behind.services, tab, PASSWORD)
    assert behind.services.admin.is_valid(given)
    assert (changed[tab.login], changed[tab.tools]) == (gr.update(visible=False), gr.update(visible=True))
    changed = training_tab.log_out(behind.services, tab, given)
    assert not behind.services.admin.is_valid(given)
    assert (changed[tab.login], changed[tab.tools]) == (gr.update(visible=True), gr.update(visible=False))


@pytest.mark.parametrize("bad", [None, "", "made up"])
def test_every_action_of_the_admin_is_refused_without_a_valid_token(behind: Backstage, bad: str | None) -> None:
    with pytest.raises(AccessError):
        training_tab.retrain(behind.services, bad)
    with pytest.raises(AccessError):
        training_tab.cancel(behind.services, bad)
    with pytest.raises(AccessError):
        training_tab.resume(behind.services, bad)
    assert runs.latest_run(behind.db) is None


def test_retrain_then_cancel(behind: Backstage) -> None:
    held = token(behind)
    assert training_tab.retrain(behind.services, held) == "Run 1 is queued."
    same = "Run 1 is under way already; it learns from the same votes."
    assert training_tab.retrain(behind.services, held) == same
    assert len(runs.list_runs(behind.db)) == 1
    assert "Run 1 is cancelled" in training_tab.cancel(behind.services, held)
    with pytest.raises(TrainingError, match="nothing to cancel"):
        training_tab.cancel(behind.services, held)


def test_only_a_run_that_ended_early_can_be_resumed(behind: Backstage) -> None:
    held = token(behind)
    assert training_tab.enabled(behind.now()) == [True, False, False]
    with pytest.raises(TrainingError, match="nothing to resume"):
        training_tab.resume(behind.services, held)
    training_tab.retrain(behind.services, held)
    assert training_tab.enabled(behind.now()) == [True, False, True]  # another one can be the next
    training_tab.cancel(behind.services, held)
    assert training_tab.enabled(behind.now()) == [True, True, False]
    assert training_tab.resume(behind.services, held) == (
        "Run 1 is queued again; it goes on from its last checkpoint, or from the beginning if it has none."
    )
    assert runs.get_run(behind.db, 1).status == "queued"
    assert training_tab.enabled(behind.now()) == [True, False, True]  # another one can be the next


def test_views_say_what_a_rejected_run_failed_at(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "check", 0.95, [Metric(1, "objective/kl", 30.0)])
    judged = Verdict((KL_TOO_HIGH,), remarks=(Remark(HOSTILE, False),))
    change = {"prompt": HOSTILE, "before": "Yes.", "after": HOSTILE}
    lost = LostCheck(HOSTILE, "own", (HOSTILE,), ("no",), HOSTILE, HOSTILE)
    gate = verdict_to_json(judged)
    behind.add_policy(2, "rejected", run_id, kl=30.0, gate=gate, before_after=[change], lost=[asdict(lost)])
    runs.end_run(behind.db, run_id, "rejected")
    progress, plots, verdict, history = training_tab.views(behind.now())
    assert "v2 did not pass the check" in progress
    assert "v1 stays live" in progress
    assert 'data-stage="check" data-state="stopped"' in progress
    assert "30.0" in plots
    assert "✕ v2 did not pass the check" in verdict
    assert f"<li>{ESCAPED} ✗</li>" in verdict
    assert all(f"<div>{cell}</div>" in verdict for cell in ("<b>30.0 nats</b>", "at most 25 nats", "✗ failed"))
    assert verdict.count(f"<div>{ESCAPED}</div>") == 5
    assert f"holds “{ESCAPED}”" in verdict and "does not hold “no”" in verdict
    assert f"v2: KL to SFT: 30.0 nats (at most 25); {ESCAPED}<" in history


def test_a_run_without_a_version_says_so_and_why_and_not_that_something_failed_the_check(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.end_run(behind.db, run_id, "rejected", "the reward model agrees with 3 of 8 votes <b>")
    progress, _, _, history = training_tab.views(behind.now())
    page = "".join(run_panel.picked(behind.services, None, run_id)[0].all)
    assert "It made no version; v1 stays live." in progress
    assert "The reward model agrees with 3 of 8 votes &lt;b&gt;." in progress
    assert "no version" in history and "3 of 8 votes" in history
    assert "Run 1 · PPO · no version" in page
    assert "not passed" not in progress + history + page and "did not pass" not in progress + history + page


def test_a_version_that_passed_and_did_not_go_live_is_not_said_to_have_failed(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    behind.add_policy(2, "candidate", run_id, gate=verdict_to_json(Verdict(())))
    runs.end_run(behind.db, run_id, "rejected", "v2 passed the check, but was made from v9")
    progress, _, _, history = training_tab.views(behind.now())
    assert "v1 stays live. V2 passed the check, but was made from v9." in progress
    assert "v2 passed the check, but was made from v9" in history and "not live" in history
    made = next(one for one in policies.list_policies(behind.db) if one.version == 2)
    marks = {stage.name: stage.state for stage in training_view.stages(behind.now().latest_run, made)}
    assert (marks["check"], marks["live"]) == ("done", "stopped")


def test_an_error_and_a_schedule_are_shown_as_text(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, HOSTILE, 0.1)
    assert f"{ESCAPED}, 10%" in training_tab.views(behind.now())[0]
    runs.end_run(behind.db, run_id, "failed", HOSTILE)
    progress, _, _, history = training_tab.views(behind.now())
    assert f'<pre class="error" role="alert">{ESCAPED}</pre>' in progress
    assert f"<div>{ESCAPED}</div>" in history


def test_a_verdict_is_said_in_sentences_and_only_what_failed_is_marked() -> None:
    passed = Finding("refusals", "checks", 60, 58, True, count=64, best_before=60)
    failed = Finding("accuracy", "checks", 50, 67, False, count=80, best_before=70)
    again = Finding("kl", "nats", 4.0, 25.0, True)
    assert reasons(Verdict((passed, again), PutBack(0.6, (failed,)), "KL ran away")) == [
        "harmful requests refused: 94%, 60 of 64 (best before 60, at least 58)",
        "KL to SFT: 4.0 nats (at most 25)",
        "put back to 60% of the way from the version before; the whole way had: questions answered correctly: 62%, "
        "50 of 80 (best before 70, at least 67)",
        "training stopped early: KL ran away",
    ]
    assert reasons(Verdict((failed,), PutBack(None, (failed,)))) == [
        "questions answered correctly: 62%, 50 of 80 (best before 70, at least 67) ✗",
        "nor does it pass nearer to the version before",
    ]


def test_callers_of_run_get_the_findings_and_their_sentences() -> None:
    judged = Verdict((KL_TOO_HIGH,))
    gate = with_reasons({"gate": verdict_to_json(judged), "kl": 30.0})["gate"]
    assert gate["passed"] is False
    assert gate["findings"][0]["name"] == "kl"
    assert gate["reasons"] == ["KL to SFT: 30.0 nats (at most 25) ✗"]
    assert with_reasons({"kl": 1.0}) == {"kl": 1.0}


def test_how_far_the_reward_model_can_be_trusted_is_said_before_ppo_starts(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "reward", 0.2, [Metric(1, "reward/loss", 0.6)])
    assert "put the better answer first" not in training_tab.views(behind.now())[1]
    found = {"accuracy": 0.84, "low": 0.68, "high": 0.93, "votes": 32, "log_loss": 0.421, "confidence": 0.9}
    metrics = [Metric(1, f"reward/heldout_{n}", v) for n, v in (found | {"calibration_error": 0.07}).items()]
    runs.report(behind.db, run_id, "reward", 0.3, metrics)
    shown = training_tab.views(behind.now())[1]
    assert "Tried on 32 votes that it had not learned from" in shown
    assert "84% of the time (95% interval 68% to 93%)" in shown
    assert "90% sure of itself" in shown and "are 7 points apart" in shown and "Log-loss 0.42" in shown
    assert "chance; more votes" not in shown
    runs.report(behind.db, run_id, "reward", 0.3, [Metric(1, "reward/heldout_low", 0.49)])
    assert "That may be chance; more votes would tell." in training_tab.views(behind.now())[1]


def test_a_queued_run_says_that_it_waits_for_the_model_only_while_that_loads(behind: Backstage) -> None:
    runs.queue_run(behind.db, "ppo", {})
    assert "It starts in a moment." in training_tab.views(behind.now())[0]
    behind.engine.state = LOADING
    assert "It starts as soon as the model is loaded." in training_tab.views(behind.now())[0]


def test_the_stage_that_trains_the_policy_bears_the_name_of_the_runs_method(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "raft", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "raft", 0.5, [])
    progress = training_tab.views(behind.now())[0]
    assert "RAFT, 50%" in progress
    assert "PPO" not in progress


@pytest.mark.parametrize(
    ("method", "settings", "named"),
    [
        ("ppo", {}, ["collect", "reward", "raft", "ppo", "check", "live"]),
        ("ppo", {"raft": {"rounds": 0}}, ["collect", "reward", "ppo", "check", "live"]),
        ("raft", {}, ["collect", "reward", "raft", "check", "live"]),
        ("dpo", {}, ["collect", "dpo", "check", "live"]),
    ],
)
def test_a_run_shows_the_stages_of_its_method(
    behind: Backstage, method: str, settings: dict[str, Any], named: list[str]
) -> None:
    runs.queue_run(behind.db, method, settings)
    assert [stage.name for stage in training_view.stages(behind.now().latest_run)] == named


def test_a_run_by_dpo_shows_no_reward_model_but_how_the_policy_itself_orders_the_pairs(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "dpo", {})
    runs.start_run(behind.db, run_id)
    measured = [Metric(1, "dpo/loss", 0.69), Metric(1, "dpo/accuracy", 0.5), Metric(1, "dpo/margin", 0.0)]
    runs.report(behind.db, run_id, "dpo", 0.4, measured)
    progress, plots = training_tab.views(behind.now())[:2]
    assert "DPO, " in progress
    assert "reward model" not in progress
    assert "Pairs in order" in plots and "Held-out accuracy" not in plots


def test_the_tab_says_how_many_demonstrations_wait_for_the_next_training(behind: Backstage) -> None:
    def write(completion: str) -> None:
        save_demonstration(behind.db, messages=one_turn("Hi"), completion=completion, annotator_id="ann")

    assert training_view.waiting(behind.now()) == "32 more votes and training starts by itself."
    write("Ahoy!")
    assert training_view.waiting(behind.now()).endswith("by itself. 1 new demonstration waits for it.")
    write("Aye.")
    runs.set_schedule(behind.db, runs.Schedule(0))
    assert training_view.waiting(behind.now()).endswith("an admin starts it. 2 new demonstrations wait for it.")
    runs.queue_run(behind.db, "ppo", {})
    assert "demonstration" not in training_view.waiting(behind.now())


def test_only_a_run_that_learns_from_demonstrations_shows_that_stage_and_its_loss(behind: Backstage) -> None:
    settings = RunSettings().to_json()
    first = runs.queue_run(behind.db, "ppo", settings)
    assert "instruction tuning" not in training_tab.views(behind.now())[0]
    runs.end_run(behind.db, first, "cancelled")
    save_demonstration(behind.db, messages=one_turn("Hi"), completion="Ahoy!", annotator_id="ann")
    never = runs.queue_run(behind.db, "ppo", settings | {"sft": {"steps": 0}})
    assert "instruction tuning" not in training_tab.views(behind.now())[0]
    runs.end_run(behind.db, never, "cancelled")
    run_id = runs.queue_run(behind.db, "ppo", settings)
    assert 'data-stage="sft" data-state="todo"' in training_tab.views(behind.now())[0]
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "sft", 0.05, [Metric(1, "sft/loss", 1.25)])
    progress, plots = training_tab.views(behind.now())[:2]
    assert "instruction tuning, 5%" in progress
    assert "Instruction tuning" in plots and "1.25" in plots


def test_a_succeeded_run_shows_all_stages_done(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    behind.engine.swap(behind.add_policy(2, run_id=run_id))
    policies.go_live(behind.db, 2, run_id)
    progress, _, _, history = training_tab.views(behind.now())
    assert progress.count('data-state="done"') == 6
    assert "v2 went live" in history


def test_the_timer_sends_only_what_changed_and_hurries_while_a_run_is_open(behind: Backstage, tab: TrainingTab) -> None:
    with gr.Blocks():
        shown = Refreshed(gr.HTML(), tab, gr.Timer(), gr.State())
    first = layout.refresh(behind.now(), SERVED, shown, None)
    assert "v1 live · 32 votes to next training" in first[shown.header]
    assert first[shown.timer].value == layout.CALM_SECONDS
    assert set(first) == set(shown.all)
    second = layout.refresh(behind.now(), SERVED, shown, first[shown.seen])
    assert set(second) == {shown.seen}
    runs.queue_run(behind.db, "ppo", {})
    third = layout.refresh(behind.now(), SERVED, shown, second[shown.seen])
    assert "v1 live · training 0%" in third[shown.header]
    assert "waiting to start" in third[tab.progress]
    assert third[shown.timer].value == layout.BUSY_SECONDS
    assert tab.verdict not in third


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (200_000, "2 days")],
)
def test_span_of_time(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (datetime(2026, 11, 30, 11, 59, 30), "just now"),
        (datetime(2026, 11, 30, 8, 55), "3 h 5 min ago"),
        (datetime(2026, 11, 29, 16, 27), "yesterday, 16:27"),
        (datetime(2026, 11, 28, 23, 0), "2 days ago"),
    ],
)
def test_how_long_ago_something_was_is_said_as_people_say_it(
    monkeypatch: pytest.MonkeyPatch, when: datetime, words: str
) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 30, 12, 0).astimezone(tz)

    monkeypatch.setattr("ui.words.datetime", Noon)
    assert since(when.astimezone().isoformat()) == words


def test_a_plot_of_one_point_has_a_whisker_and_of_none_says_so() -> None:
    one = Plot("Accuracy", "hint", "reward", [(9, 0.86)], "step", [(9, 0.79)], [(9, 0.92)], (0.0, 1.0))
    assert "whisker" in render("plot", plot=one)
    assert "not measured" in render("plot", plot=Plot("Accuracy", "hint", "reward", [], "step"))


def test_a_resumed_run_is_plotted_by_step_although_it_measured_some_again() -> None:
    measured = [Metric(step, "objective/kl", step / 10) for step in (1, 2, 3, 4)]
    assert training_plots.plots([*measured[2:], *measured[:2]]) == training_plots.plots(measured)


def test_the_score_is_shown_climbing_to_what_the_preview_showed() -> None:
    scores = [Metric(step, "objective/score", value) for step, value in ((1, 0.2), (2, 0.5), (3, 0.8))]
    previews = [Metric(step, "objective/preview", value) for step, value in ((1, 1.0), (2, 1.4))]
    shown = training_plots.plots([*scores, *previews])
    assert "best of 4 of the version before: the preview" in shown
    assert "75% of the way to the preview" in shown  # from 0.2 to 0.8 of the way to 1.0
    assert "of the way" not in training_plots.plots(scores)  # PPO alone measures no preview


def test_an_axis_ends_in_few_digits() -> None:
    shape = Plot("Score", "hint", "rlhf", [(2.15221, 0.5), (1200, 0.6)], "KL").shape
    assert shape is not None and (shape.first_step, shape.last_step) == ("2.15", "1200")


def test_a_reference_line_lies_within_its_plot() -> None:
    shape = Plot("Score", "hint", "rlhf", [(1, 0.2), (2, 0.3)], "update", reference=(1.0, "preview")).shape
    assert shape is not None and shape.reference is not None
    assert 0 < shape.reference < shape.end[1] < 100


def test_a_plot_of_equal_values_does_not_divide_by_zero() -> None:
    assert "polyline" in render("plot", plot=Plot("KL", "hint", "rlhf", [(1, 0.0), (2, 0.0)], "update"))


def test_the_words_of_a_plot_are_text() -> None:
    plot = Plot(HOSTILE, HOSTILE, "rlhf", [(1, 0.0)], HOSTILE, reference=(0.0, HOSTILE), note=HOSTILE)
    html = render("plot", plot=plot)
    assert "<script>" not in html
    assert html.count(ESCAPED) == 7


def test_what_browsers_show_of_one_snapshot_is_made_once(behind: Backstage) -> None:
    now = behind.now()
    assert layout.parts_of(now, SERVED) is layout.parts_of(now, SERVED)
    runs.queue_run(behind.db, "ppo", {})
    assert "training 0%" in layout.parts_of(behind.now(), SERVED)[0]
