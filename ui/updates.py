"""Blocks whose changes all reach the browser, also those that are followed by others at once."""

from typing import Any

import gradio as gr


class StreamingBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio's is untyped
    """Blocks that send an update anew, rather than what to take out of the one before.

    Gradio sends the steps of a handler that yields as differences. Its client applies each difference in place, to the
    very object of the step before. Where two steps arrive together, the second deletes keys of the first before the
    page has shown it. So Stop stayed in view where an answer and the end of its stream arrived together.
    """

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """Return what is sent of `data`, the outputs of a step: differences, but whole updates that have lost a key."""
        whole = list(data)
        before = list(self.pending_diff_streams.get(session_hash, {}).get(run, ()))
        sent: list[Any] = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        if final or simple_format:  # whole values
            return sent
        for place, (was, now) in enumerate(zip(before, whole, strict=False)):
            if isinstance(was, dict) and isinstance(now, dict) and was.keys() - now.keys():
                sent[place] = [["replace", [], now]]
        return sent
