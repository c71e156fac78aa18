"""The Admin tab, handler by handler."""

import gradio as gr
import pytest

from alignment.errors import AccessError, ConfigError
from service import gate, runs
from storage import runs as stored_runs
from storage.overview import overview
from tests.harness.scripted import PASSWORD, Backstage
from ui import admin_tab
from ui.admin_tab import AdminTab


@pytest.fixture
def seat(behind: Backstage) -> AdminTab:
    with gr.Blocks(), gr.Tabs():
        return admin_tab.build(behind.services, gr.BrowserState(None))


def test_without_a_token_it_says_how_to_get_one_and_shows_nothing(behind: Backstage, seat: AdminTab) -> None:
    for token in (None, "made up"):
        changed = admin_tab.opened(behind.services, seat, token)
        assert changed[seat.inside] == gr.update(visible=False)
        assert changed[seat.events] == ""


def test_the_schedule_and_the_bounds_are_shown_and_saved_as_they_stand(behind: Backstage, seat: AdminTab) -> None:
    services, held = behind.services, behind.services.admin.login(PASSWORD)
    changed = admin_tab.opened(services, seat, held)
    assert changed[seat.schedule["retrain_every"]] == 32
    values = {"retrain_every": 10.0, "minutes": 90.0, "minutes_votes": 4.0, "quiet_from": "", "quiet_until": None}
    values |= {"idle_minutes": 5.0, "idle_wait": 60.0}
    assert "10 more votes" not in admin_tab.save_schedule(services, seat, held, *values.values())
    schedule = overview(behind.db).schedule
    assert (schedule.retrain_every, schedule.minutes, schedule.minutes_votes) == (10, 90.0, 4)
    assert (schedule.idle_minutes, schedule.idle_wait) == (5.0, 60.0)
    bounds = {name: changed[field] for name, field in seat.gate.items()} | {"max_kl": 7.0}
    admin_tab.save_gate(services, seat, held, *bounds.values())
    assert gate.bounds(services, held).max_kl == 7.0
    run = stored_runs.get_run(behind.db, runs.retrain(services, held))
    assert run.settings["gate"]["max_kl"] == 7.0
    events = admin_tab.opened(services, seat, held)[seat.events]
    assert "retrain" in events and "gate" in events and "schedule" in events


def test_what_does_not_fit_is_refused_and_nothing_is_changed(behind: Backstage, seat: AdminTab) -> None:
    services, held = behind.services, behind.services.admin.login(PASSWORD)
    before = overview(behind.db).schedule
    with pytest.raises(ConfigError, match=r"settings\.minutes must not be empty"):
        admin_tab.save_schedule(services, seat, held, 10, None, 4, "", "", 0, 60)
    with pytest.raises(ConfigError, match=r"settings\.max_accuracy_drop"):
        admin_tab.save_gate(services, seat, held, 2.0, *[0.01] * (len(seat.gate) - 1))
    with pytest.raises(AccessError):
        admin_tab.save_gate(services, seat, "made up", *[0.01] * len(seat.gate))
    with pytest.raises(AccessError):
        admin_tab.save_schedule(services, seat, "made up", 10, 0, 4, "", "", 0, 60)
    assert overview(behind.db).schedule == before
    assert gate.bounds(services, held) == services.supervisor.defaults.gate


@pytest.mark.parametrize("every", [None, -1, 2.5, 1e9])
def test_a_number_of_votes_that_makes_no_sense_is_refused(
    behind: Backstage, seat: AdminTab, every: float | None
) -> None:
    held = behind.services.admin.login(PASSWORD)
    with pytest.raises(ConfigError, match=r"settings\.retrain_every must (not )?be"):
        admin_tab.save_schedule(behind.services, seat, held, every, 0.0, 4.0, "", "", 0.0, 60.0)
    assert overview(behind.db).schedule.retrain_every == 32
