"""Starting the page on a busy machine."""

import pytest
from gradio import networking

from ui import startup
from ui.startup import patient_gradio


def test_the_page_is_asked_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(networking, "url_ok", lambda url: next(answers))
    own = networking.url_ok
    with patient_gradio():
        assert networking.url_ok("http://127.0.0.1:7860")
    assert next(answers, None) is None
    assert networking.url_ok is own


def test_a_page_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(networking, "url_ok", lambda url: False)
    with patient_gradio():
        assert not networking.url_ok("http://127.0.0.1:7860")
