"""What the page's events have in common."""

from typing import Any

# An event of the page itself: without Gradio's veil over what it changes, and no endpoint of its own.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
FOCUS_PROMPT = "() => document.querySelector('#prompt textarea').focus()"
