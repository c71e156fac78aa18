"""What the page's events have in common."""

from typing import Any

import gradio as gr

# An event of the page itself: without Gradio's veil over what it changes, and no endpoint of its own. With nothing to
# show progress on, no component is told of it: Gradio's page copies all that a component shows each time it is told.
QUIET: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
FOCUS_PROMPT = "() => document.querySelector('#prompt textarea').focus()"


def ending(triggers: list[Any], events: list[Any]) -> None:
    """Have triggers end events, such as a stream of answers; to be bound before whatever else they do.

    A handler's own `cancels` ends them only once that handler has answered: until then they would write over it.
    """
    gr.on(triggers, None, None, None, cancels=events, **QUIET)


def opened(tab: str) -> str:
    """Return what the browser does once a tab, "compare" or "teach", shows what it remembers."""
    return f"() => triptychOpened('{tab}')"  # assets/opening.js


def once_opened(tab: str) -> str:
    """Return what an event that asks does first: it waits for that moment."""
    return f"(...inputs) => triptychOnceOpened('{tab}').then(() => inputs)"
