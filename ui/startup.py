"""How the page is started on a machine that is busy."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gradio import networking

PATIENCE_SECONDS = 60.0


@contextmanager
def patient_gradio() -> Iterator[None]:
    """Let Gradio ask its own page for a minute whether it is there; one answer that takes 3 s is enough to give up."""
    answers = networking.url_ok

    def patiently(url: str) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(url):
            if time.monotonic() > deadline:
                return False
        return True

    networking.url_ok = patiently
    try:
        yield
    finally:
        networking.url_ok = answers
