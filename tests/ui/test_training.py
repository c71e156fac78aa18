"""The handlers and views of the Training tab, called without a server."""

from pathlib import Path

import pytest

from alignment.errors import AccessError, ConfigError, TrainingError
from alignment.runs.settings import RunSettings
from alignment.serving.policy_server import ServerState
from storage import policies, runs
from storage.demonstrations import save_demonstration
from storage.records import Metric
from tests.scripted import PASSWORD, Backstage, backstage
from ui import layout, training_tab, training_view
from ui.formatting import span
from ui.plots import Plot, draw


@pytest.fixture
def behind(tmp_path: Path) -> Backstage:
    return backstage(tmp_path)


def token(behind: Backstage) -> str:
    given, _ = training_tab.login(behind.services, PASSWORD)
    assert given
    return given


def test_login_gives_a_token_only_for_the_right_password(behind: Backstage) -> None:
    refused, words = training_tab.login(behind.services, "wrong")
    assert refused is None
    assert "Wrong password" in words
    assert behind.services.admin.is_valid(token(behind))


@pytest.mark.parametrize("bad", [None, "", "made up"])
def test_every_action_of_the_admin_is_refused_without_a_valid_token(behind: Backstage, bad: str | None) -> None:
    with pytest.raises(AccessError):
        training_tab.retrain(behind.services, bad)
    with pytest.raises(AccessError):
        training_tab.cancel(behind.services, bad)
    with pytest.raises(AccessError):
        training_tab.resume(behind.services, bad)
    with pytest.raises(AccessError):
        training_tab.schedule(behind.services, bad, 5)
    assert runs.latest_run(behind.db) is None
    assert runs.get_schedule(behind.db).retrain_every == 32


def test_retrain_then_cancel(behind: Backstage) -> None:
    held = token(behind)
    assert training_tab.retrain(behind.services, held) == "Run 1 is queued."
    assert training_tab.retrain(behind.services, held) == "Run 1 is queued."  # a second press is the same run
    assert len(runs.list_runs(behind.db)) == 1
    assert "Run 1 is cancelled" in training_tab.cancel(behind.services, held)
    with pytest.raises(TrainingError, match="nothing to cancel"):
        training_tab.cancel(behind.services, held)


def test_only_a_run_that_ended_early_can_be_resumed(behind: Backstage) -> None:
    held = token(behind)
    assert training_tab.switches(behind.services) == [True, False, False]
    with pytest.raises(TrainingError, match="nothing to resume"):
        training_tab.resume(behind.services, held)
    training_tab.retrain(behind.services, held)
    assert training_tab.switches(behind.services) == [False, False, True]
    training_tab.cancel(behind.services, held)
    assert training_tab.switches(behind.services) == [True, True, False]
    assert training_tab.resume(behind.services, held) == (
        "Run 1 is queued again; it goes on from its last checkpoint, or from the beginning if it has none."
    )
    assert runs.get_run(behind.db, 1).status == "queued"
    assert training_tab.switches(behind.services) == [False, False, True]


@pytest.mark.parametrize("every", [None, -1, 2.5, 1e9])
def test_a_schedule_that_makes_no_sense_is_refused(behind: Backstage, every: float | None) -> None:
    with pytest.raises(ConfigError, match="number of votes must be whole"):
        training_tab.schedule(behind.services, token(behind), every)
    assert runs.get_schedule(behind.db).retrain_every == 32


def test_views_say_what_a_rejected_run_failed_at(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "check", 0.95, [Metric(1, "objective/kl", 30.0)])
    gate = {"passed": False, "reasons": ["KL 30 is above <25>"]}
    behind.add_policy(2, "rejected", run_id, kl=30.0, gate=gate)
    runs.end_run(behind.db, run_id, "rejected")
    progress, plots, verdict, history = training_tab.views(behind.services)
    assert "v2 did not pass the check" in progress
    assert "v1 stays live" in progress
    assert 'data-stage="check" data-state="stopped"' in progress
    assert "30.0" in plots
    assert "✕ v2 did not pass the check" in verdict
    assert "KL 30 is above &lt;25&gt;" in verdict
    assert "v2: KL 30 is above &lt;25&gt;" in history


def test_how_far_the_reward_model_can_be_trusted_is_said_before_ppo_starts(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "reward", 0.2, [Metric(1, "reward/loss", 0.6)])
    assert "put the better answer first" not in training_tab.views(behind.services)[1]
    found = {"accuracy": 0.84, "low": 0.68, "high": 0.93, "votes": 32, "log_loss": 0.421, "confidence": 0.9}
    metrics = [Metric(1, f"reward/heldout_{n}", v) for n, v in (found | {"calibration_error": 0.07}).items()]
    runs.report(behind.db, run_id, "reward", 0.3, metrics)
    shown = training_tab.views(behind.services)[1]
    assert "Tried on 32 votes that it had not learned from" in shown
    assert "84% of the time (95% interval 68% to 93%)" in shown
    assert "90% sure of itself" in shown and "differ by 7%" in shown and "Log-loss 0.42" in shown
    assert "chance; more votes" not in shown
    runs.report(behind.db, run_id, "reward", 0.3, [Metric(1, "reward/heldout_low", 0.49)])
    assert "That may be chance; more votes would tell." in training_tab.views(behind.services)[1]


def test_a_queued_run_says_that_it_waits_for_the_model_only_while_that_loads(behind: Backstage) -> None:
    runs.queue_run(behind.db, "ppo", {})
    assert "It starts in a moment." in training_tab.views(behind.services)[0]
    behind.server.state = ServerState("loading", "The model is loading", 4.0)
    assert "It starts as soon as the model is loaded." in training_tab.views(behind.services)[0]


def test_the_stage_that_trains_the_policy_bears_the_name_of_the_runs_method(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "raft", {})
    runs.start_run(behind.db, run_id)
    for stage in ("raft", "ppo"):  # as older versions stored it
        runs.report(behind.db, run_id, stage, 0.5, [])
        progress = training_tab.views(behind.services)[0]
        assert "RAFT, 50%" in progress
        assert 'data-stage="raft" data-state="now"' in progress
        assert "PPO" not in progress


def test_a_run_by_dpo_shows_no_reward_model_but_how_the_policy_itself_orders_the_pairs(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "dpo", {})
    runs.start_run(behind.db, run_id)
    measured = [Metric(1, "dpo/loss", 0.69), Metric(1, "dpo/accuracy", 0.5), Metric(1, "dpo/margin", 0.0)]
    runs.report(behind.db, run_id, "ppo", 0.4, measured)
    progress, plots = training_tab.views(behind.services)[:2]
    assert "DPO, " in progress
    assert "reward model" not in progress
    assert "Pairs in order" in plots and "Held-out accuracy" not in plots


def test_the_tab_says_how_many_demonstrations_wait_for_the_next_training(behind: Backstage) -> None:
    def write(completion: str) -> None:
        save_demonstration(behind.db, prompt="Hi", completion=completion, annotator_id="ann")

    assert training_tab.waiting(behind.services) == "32 more votes and training starts by itself."
    write("Ahoy!")
    assert training_tab.waiting(behind.services).endswith("by itself. 1 new demonstration waits for it.")
    write("Aye.")
    runs.set_schedule(behind.db, runs.Schedule(0))
    assert training_tab.waiting(behind.services).endswith("an admin starts it. 2 new demonstrations wait for it.")
    runs.queue_run(behind.db, "ppo", {})
    assert "demonstration" not in training_tab.waiting(behind.services)


def test_only_a_run_that_learns_from_demonstrations_shows_that_stage_and_its_loss(behind: Backstage) -> None:
    settings = RunSettings().to_json()
    first = runs.queue_run(behind.db, "ppo", settings)
    assert "instruction tuning" not in training_tab.views(behind.services)[0]
    runs.end_run(behind.db, first, "cancelled")
    save_demonstration(behind.db, prompt="Hi", completion="Ahoy!", annotator_id="ann")
    never = runs.queue_run(behind.db, "ppo", settings | {"sft": {"steps": 0}})
    assert "instruction tuning" not in training_tab.views(behind.services)[0]
    runs.end_run(behind.db, never, "cancelled")
    run_id = runs.queue_run(behind.db, "ppo", settings)
    assert 'data-stage="sft" data-state="todo"' in training_tab.views(behind.services)[0]
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "sft", 0.05, [Metric(1, "sft/loss", 1.25)])
    progress, plots = training_tab.views(behind.services)[:2]
    assert "instruction tuning, 5%" in progress
    assert "Instruction tuning" in plots and "1.25" in plots


def test_a_succeeded_run_shows_all_stages_done(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    behind.server.swap(behind.add_policy(2, run_id=run_id))
    policies.go_live(behind.db, 2, run_id)
    progress, _, _, history = training_tab.views(behind.services)
    assert progress.count('data-state="done"') == 6  # PPO begins with RAFT
    assert "v2 went live" in history


def test_the_timer_sends_only_what_changed_and_hurries_while_a_run_is_open(behind: Backstage) -> None:
    *first, seen = layout.refresh(behind.services, None)
    assert "v1 live · 32 votes to next training" in first[0]
    assert first[-1].value == layout.CALM_SECONDS
    *second, seen = layout.refresh(behind.services, seen)
    assert all(update == {"__type__": "update"} for update in second)
    runs.queue_run(behind.db, "ppo", {})
    *third, seen = layout.refresh(behind.services, seen)
    assert "v1 live · training 0%" in third[0]
    assert "waiting to start" in third[1]
    assert third[-1].value == layout.BUSY_SECONDS


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (200_000, "2 days")],
)
def test_span_of_time(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_plot_of_one_point_has_a_whisker_and_of_none_says_so() -> None:
    one = Plot("Accuracy", "hint", "reward", [(9, 0.86)], "step", [(9, 0.79)], [(9, 0.92)], (0.0, 1.0))
    assert "whisker" in draw(one)
    assert "not measured yet" in draw(Plot("Accuracy", "hint", "reward", [], "step"))


def test_a_resumed_run_is_plotted_by_step_although_it_measured_some_again() -> None:
    measured = [Metric(step, "objective/kl", step / 10) for step in (1, 2, 3, 4)]
    assert training_view.plots([*measured[2:], *measured[:2]]) == training_view.plots(measured)


def test_a_plot_of_equal_values_does_not_divide_by_zero() -> None:
    assert "polyline" in draw(Plot("KL", "hint", "rlhf", [(1, 0.0), (2, 0.0)], "update"))
