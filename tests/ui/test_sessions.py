"""What Gradio keeps of sessions does not grow without end, and no page that is open loses what it holds."""

import uuid
from datetime import datetime, timedelta

import gradio as gr

from ui.sessions import Sessions


def test_calls_and_closed_pages_are_forgotten_and_open_pages_are_not() -> None:
    with gr.Blocks() as page:
        held = gr.State("nothing")
    sessions = Sessions()
    sessions.set_blocks(page)
    call, other_call, shown, left = uuid.uuid4().hex, uuid.uuid4().hex, "8x1lq0z2m4f", "p0aub3k9s7d"
    for session in (call, other_call, shown, left):
        sessions[session][held._id] = session
    sessions[left].is_closed = True
    now = datetime.now()

    sessions.drop_idle(now + timedelta(seconds=50))
    assert len(sessions.session_data) == 4
    sessions.drop_idle(now + timedelta(minutes=15))
    assert set(sessions.session_data) == {shown, left} == set(sessions.time_last_used)
    sessions.drop_idle(now + timedelta(days=2))
    assert set(sessions.session_data) == {shown}
    assert sessions[shown][held._id] == shown and sessions[call][held._id] == "nothing"


def test_sessions_are_looked_through_as_new_ones_come() -> None:
    with gr.Blocks() as page:
        gr.State()
    sessions = Sessions()
    sessions.set_blocks(page)
    old = uuid.uuid4().hex
    assert sessions[old] is sessions[old]
    sessions.time_last_used[old] -= timedelta(hours=1)
    sessions.looked -= 3600
    assert sessions["8x1lq0z2m4f"] is not None
    assert old not in sessions
