"""All HTML of the page comes from `ui/templates`, where what people and models wrote is escaped by itself."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ui import strings, words

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals["strings"] = strings
TEMPLATES.filters |= {
    "moment": words.moment,
    "since": words.since,
    "span": words.span,
}


def render(template: str, /, **values: Any) -> str:
    """Return a template of `ui/templates` as HTML; a value that it needs and is not given is an error."""
    return TEMPLATES.get_template(f"{template}.html").render(**values).strip()


def notice(text: str, kind: str = "plain", waited: str = "") -> str:
    """Return the line that speaks to the person; screen readers read it out when it changes.

    One of the kind "away" says why no model answers, and is seen for as long as the header says so too. `waited` is how
    long something takes: it stands behind the text, moves nothing and is not read out each second.
    """
    return render("notice", text=text, kind=kind, waited=waited)
