"""Errors in plain words: no traceback reaches the page or an endpoint's caller."""

import functools
import logging
import sqlite3
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from alignment.errors import AlignmentError
from service.context import Services
from storage.errors import StorageError
from ui import strings
from ui.render import notice

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
EXPECTED = (AlignmentError, StorageError, sqlite3.OperationalError)


def sentence(error: Exception) -> str:
    """Return an error as a sentence.

    What nobody expected goes to the log with its traceback, and into the sentence by its name alone.
    """
    words = str(error)
    if not isinstance(error, EXPECTED):
        log.error("a call failed", exc_info=error)
        words = strings.WENT_WRONG.format(error=type(error).__name__)
    elif isinstance(error, sqlite3.OperationalError):
        words = strings.NOT_WRITTEN.format(error=error)
    return in_a_sentence(words)


def not_written(services: Services, error: Exception) -> str:
    """Return the line that says why no answer was written; where no model answers, it is seen until one does."""
    return notice(sentence(error), "away" if services.engine.state.status == "failed" else "error")


def in_a_sentence(words: str) -> str:
    """Return words with a capital at their beginning and a full stop at their end."""
    if not set("_.") & set(words.split(" ")[0]):  # the name of an argument or a setting stays as it is
        words = words[:1].upper() + words[1:]
    return words + ("" if words.endswith((".", "!", "?")) or not words else ".")


def in_plain_words(error: Exception) -> gr.Error:
    """Return the error as the page and the endpoints show it: no traceback, no duration limit."""
    return gr.Error(sentence(error), duration=None, print_exception=False)


def with_plain_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a handler so that its errors reach the caller as a sentence."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise in_plain_words(error) from error

    return wrapper
