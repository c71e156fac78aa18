"""What is sent of the steps of a handler that yields: differences, but nothing that takes out of an update before."""

from types import SimpleNamespace
from typing import Any

import gradio as gr

from ui.updates import StreamingBlocks

ONE = SimpleNamespace(outputs=[None])


def sent(page: StreamingBlocks, value: Any, *, final: bool = False, simple: bool = False) -> Any:
    return page.handle_streaming_diffs(ONE, [value], "session", "run", final, simple)[0]


def test_an_update_that_loses_a_key_is_sent_whole_and_the_rest_as_differences() -> None:
    with StreamingBlocks() as page:
        gr.Textbox()
    shown, grown, silent = gr.update(visible=True, value="Hi"), gr.update(visible=True, value="Hi there"), gr.update()
    assert sent(page, shown) == shown
    assert sent(page, grown) == [["append", ["value"], " there"]]
    assert sent(page, silent) == [["replace", [], silent]]  # Gradio itself: take "visible" and "value" out of the last
    assert sorted(sent(page, shown)) == [["add", ["value"], "Hi"], ["add", ["visible"], True]]
    assert sent(page, None, final=True) == shown


def test_programs_that_ask_for_whole_values_get_them() -> None:
    with StreamingBlocks() as page:
        gr.Textbox()
    for value in (gr.update(visible=True), gr.update()):
        assert sent(page, value, simple=True) == value
