"""Expected errors in plain words: no traceback reaches the page or an endpoint's caller."""

import functools
import sqlite3
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from alignment.errors import AlignmentError

P = ParamSpec("P")
R = TypeVar("R")
EXPECTED = (AlignmentError, LookupError, ValueError, RuntimeError, PermissionError, sqlite3.OperationalError)


def sentence(error: Exception) -> str:
    """Return an expected error as a sentence that begins with a capital."""
    words = str(error)
    if isinstance(error, sqlite3.OperationalError):
        words = f"the database could not be written ({error}); check that the disk is not full"
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def in_plain_words(error: Exception) -> gr.Error:
    """Return the error as the page and the endpoints show it: no traceback, no duration limit."""
    return gr.Error(sentence(error), duration=None, print_exception=False)


def spoken(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a handler so that expected errors reach the caller as a sentence."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except EXPECTED as error:
            raise in_plain_words(error) from error

    return wrapper
