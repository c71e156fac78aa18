"""HTML is made by templates alone, and nothing in them is left unescaped."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from tests.harness.scripted import SERVED
from ui.layout import first_header
from ui.render import TEMPLATES, notice, render

UI = Path(__file__).parents[2] / "ui"
TAG = re.compile(r"</?[a-z]")
HOSTILE = "<script>x()</script> \"a\" 'b' {{ 7*7 }} ${1+1} &amp;"
ESCAPED = "&lt;script&gt;x()&lt;/script&gt; &#34;a&#34; &#39;b&#39; {{ 7*7 }} ${1+1} &amp;amp;"


def strings(path: Path) -> list[str]:
    """Return the pieces of text in a file, those of f-strings too."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda path: path.relative_to(UI).as_posix())
def test_no_python_of_the_page_makes_html(path: Path) -> None:
    assert [text for text in strings(path) if TAG.search(text)] == []


def test_only_the_pages_own_style_and_script_are_not_escaped() -> None:
    unescaped = re.compile(r"\bsafe\b|autoescape|Markup")
    found = {path.name for path in UI.glob("templates/*") if unescaped.search(path.read_text(encoding="utf-8"))}
    assert found == {"head.html"}


def test_what_is_called_safe_comes_from_the_sanitiser_and_the_writer_of_formulas() -> None:
    found = {path.name for path in UI.rglob("*.py") if "Markup(" in path.read_text(encoding="utf-8")}
    assert found == {"safe_html.py", "formulas.py"}


def test_every_template_can_be_read() -> None:
    names = TEMPLATES.list_templates()
    assert "panel.html" in names
    for name in names:
        TEMPLATES.get_template(name)


def test_a_value_that_a_template_needs_is_not_left_out_in_silence() -> None:
    with pytest.raises(UndefinedError):
        render("notice", text="Hi")


@pytest.mark.parametrize("kind", ["plain", "error"])
def test_a_notice_is_text(kind: str) -> None:
    assert f">{ESCAPED}</p>" in notice(HOSTILE, kind)


def test_the_header_is_text() -> None:
    html = render("header", model=HOSTILE, elsewhere=True, status=HOSTILE, words=HOSTILE)
    assert html.count(ESCAPED) == 4
    assert "<script>" not in html


def test_the_header_names_the_servers_that_write() -> None:
    html = first_header(replace(SERVED, served_by="http://a:8000, http://b:8000"))
    assert "elsewhere" in html and ">Pocket · written by http://a:8000, http://b:8000</span>" in html
    assert "elsewhere" not in first_header(SERVED)
