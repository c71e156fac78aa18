"""Imports without what a start would only wait for. docs/benchmarks.md has the seconds."""

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def leave_out_bitsandbytes() -> None:
    """Keep PEFT and transformers from importing bitsandbytes, which brings torch's compiler with it.

    Only a process whose models are not quantized may do so, before it imports PEFT.
    """
    if "bitsandbytes" not in sys.modules and importlib.util.find_spec("bitsandbytes") is not None:
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # it then counts as not installed


@contextmanager
def no_stubs_of_gradio() -> Iterator[None]:
    """Import Gradio inside: it then does not write type stubs for its own components anew, as it does at each import.

    It leaves out those of classes that have no source file, and is told so of all of its own.
    """
    found = inspect.getfile

    def getfile(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("no stubs are wanted")
        return found(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = found
