"""What the page says is in `ui/strings` alone, so that it can be translated there."""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import nodes

from ui.render import TEMPLATES

UI = Path(__file__).parents[2] / "ui"
PROSE = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}")  # two words, one after the other
LABEL = re.compile(r"[A-Z][a-z]+")  # one word, as on a button
SCRIPT = re.compile(r"=>|// assets/")
CODE = {"calls.py", "safe_html.py"}  # the first makes code to be copied, the second lists the names of HTML tags
LOGGED = {"a call failed"}  # for whoever runs the app, not for the page
ATTRIBUTE = re.compile(r"""(?:title|aria-label|placeholder|alt)="([^"]*)\"""")
TAG = re.compile(r"<[^>]*>")


def is_said(text: str) -> bool:
    """Return whether a piece of text looks like one for people."""
    return bool(PROSE.search(text) or LABEL.fullmatch(text)) and not SCRIPT.search(text) and text not in LOGGED


def literals(code: str) -> Iterator[str]:
    """Yield the pieces of text in Python code, those of f-strings too, without what stands alone: docstrings."""
    tree = ast.parse(code)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def said_by(template: str) -> list[str]:
    """Return the words that a template says by itself: between its tags, in attributes that are read, in literals."""
    tree = TEMPLATES.parse(template)
    markup = html.unescape("".join(data.data for data in tree.find_all(nodes.TemplateData)))
    found = [*TAG.sub("\n", markup).split("\n"), *ATTRIBUTE.findall(markup)]
    constants = [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    return [text for text in found if re.search(r"[^\W\d_]{2}", text)] + [text for text in constants if is_said(text)]


@pytest.mark.parametrize("path", sorted(UI.glob("*.py")), ids=lambda path: path.name)
def test_no_python_of_the_page_holds_words_for_people(path: Path) -> None:
    said = [text for text in literals(path.read_text(encoding="utf-8")) if is_said(text)]
    assert path.name in CODE or said == []


@pytest.mark.parametrize("path", sorted(UI.glob("templates/*.html")), ids=lambda path: path.name)
def test_no_template_holds_words_for_people(path: Path) -> None:
    assert said_by(path.read_text(encoding="utf-8")) == []


def test_no_name_means_two_things() -> None:
    parts = [path.read_text(encoding="utf-8") for path in UI.glob("strings/*.py")]
    named = [name for part in parts for name in re.findall(r"^(?:def )?(\w+)(?= = |\()", part, re.MULTILINE)]
    assert len(named) > 100
    assert sorted(named) == sorted(set(named))


@pytest.mark.parametrize("code", ['x = "Ask"', 'f("Go on from here")', 'f"Run {run} is queued"', 'f"{n} went live"'])
def test_words_in_python_are_found(code: str) -> None:
    assert [text for text in literals(code) if is_said(text)]


@pytest.mark.parametrize(
    "code", ['"""What it does."""', 'def f():\n    """Return it."""', 'x = "all_bad"', 'y = "tie"']
)
def test_names_and_docstrings_are_no_words_for_people(code: str) -> None:
    assert not [text for text in literals(code) if is_said(text)]


@pytest.mark.parametrize("template", ["<p>Hi you</p>", '<i title="Copy">{{ x }}</i>', '{{ "Thoughts" if x else "" }}'])
def test_words_in_a_template_are_found(template: str) -> None:
    assert said_by(template)
