"""Markdown as HTML that is safe to show: no HTML of its own, no pictures, only links that a person may want to follow.

Two walls stand between a text and the page. The parser knows no raw HTML and escapes what it does not know; what it
makes goes through an HTML sanitiser, which lets a short list of tags and attributes pass.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from ui.formulas import bracketed_block, bracketed_inline, mathml
from ui.render import TEMPLATES
from ui.safe_html import SCHEMES, safe

LONGEST = 30_000  # characters that are read as Markdown: the worst text known takes a second, a usual one 50 ms
ADDRESS = re.compile(rf"({'|'.join(sorted(SCHEMES))}):[^\s]", re.IGNORECASE)
NEWLINES = re.compile(r"\r\n?")
# An entity is shown as it was written; references would let a line far below change a paragraph above.
UNREAD = ["entity", "reference", "html_block", "html_inline"]
PARTS: Any = TEMPLATES.get_template("markdown.html").module


@dataclass(frozen=True)
class Rendered:
    """A text as HTML, one piece for each block of it: a paragraph, a list, a table, a block of code."""

    text: str = ""
    blocks: tuple[Markup, ...] = ()
    starts: tuple[int, ...] = ()  # where in the text each of them begins

    @property
    def unsettled(self) -> int:
        """How many characters the last two blocks have, which are read again when the text grows."""
        return len(self.text) - (self.starts[-2] if len(self.starts) > 1 else 0)


NOTHING = Rendered()


def markdown(text: str, before: Rendered = NOTHING) -> Rendered:
    """Return a text as HTML; what follows its first 30,000 characters stands as it was written.

    `before` is what was returned for the same text when it was shorter: only its last blocks are read again.
    """
    text = NEWLINES.sub("\n", text)
    end = _end(text)
    kept = _settled(text, before, end)
    offset = before.starts[kept] if kept else 0
    fresh = list(_blocks(text[offset:end]))
    blocks = [*before.blocks[:kept], *(block for _, block in fresh)]
    starts = [*before.starts[:kept], *(offset + start for start, _ in fresh)]
    if end < len(text):
        blocks.append(PARTS.as_written(text[end:]))
        starts.append(end)
    return Rendered(text, tuple(blocks), tuple(starts))


def _end(text: str) -> int:
    """Return where Markdown ends in a text: the end of the last line that is not too far down."""
    return len(text) if len(text) <= LONGEST else text.rfind("\n", 0, LONGEST) + 1 or LONGEST


def _settled(text: str, before: Rendered, end: int) -> int:
    """Return how many blocks of a shorter text stay as they are, whatever was added to it.

    The last one grows. The line that opens it may turn out to be none that ends the one before it, and a formula may
    close that swallows all lines up to an empty one. So the place to read from again is below an empty line.
    """
    if not text.startswith(before.text):
        return 0
    place = sum(start < end for start in before.starts) - 2
    while place > 0 and not _below_empty_line(text, before.starts[place]):
        place -= 1
    return max(place, 0)


def _below_empty_line(text: str, start: int) -> bool:
    return not text[text.rfind("\n", 0, start - 1) + 1 : start].strip()


def _blocks(text: str) -> Iterator[tuple[int, Markup]]:
    """Yield where each block of a text begins, and its HTML."""
    offsets = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    env: dict[str, Any] = {}
    gathered: list[Token] = []
    for token in PARSER.parse(text, env):
        gathered.append(token)
        if token.level == 0 and token.nesting <= 0:
            line = gathered[0].map[0] if gathered[0].map else 0
            html = PARSER.renderer.render(gathered, PARSER.options, env)
            yield offsets[line], safe(html)
            gathered = []


def _parser() -> MarkdownIt:
    """Return the parser with what it does not read, and with parts of the page's own for some that it does."""
    parser = MarkdownIt("js-default", {"html": False, "breaks": True, "linkify": False, "maxNesting": 20})
    parser.disable(UNREAD)
    dollarmath_plugin(
        parser, allow_labels=False, allow_space=False, allow_digits=False, allow_blank_lines=False, double_inline=True
    )
    # Before the rule for a backslash, which would make a bracket of \( and nothing more.
    parser.inline.ruler.before("escape", "bracketed_inline", bracketed_inline)
    parser.block.ruler.before("fence", "bracketed_block", bracketed_block, {"alt": ["paragraph"]})
    parser.validateLink = _may_be_followed  # type: ignore[method-assign]
    rules = {
        "fence": _code,
        "code_block": _code,
        "image": _picture,
        "link_open": _link,
        "heading_open": _heading,
        "heading_close": _heading,
        "table_open": lambda *_: PARTS.table_begins(),
        "table_close": lambda *_: PARTS.table_ends(),
        "math_inline": partial(_formula, display=False),
        "math_inline_double": partial(_formula, display=True),
        "math_block": partial(_formula, display=True),
    }
    for name, rule in rules.items():
        parser.renderer.rules[name] = rule  # type: ignore[attr-defined]
    return parser


def _may_be_followed(url: str) -> bool:
    return ADDRESS.match(url) is not None


def _code(tokens: Sequence[Token], place: int, *_: Any) -> str:
    token = tokens[place]
    language = unescapeAll(token.info).strip().split(maxsplit=1)[:1]
    return str(PARTS.code(token.content.removesuffix("\n"), "".join(language)))


def _picture(tokens: Sequence[Token], place: int, *_: Any) -> str:
    """Return what stands for a picture: its words and its address. To load it would tell its server who reads."""
    return str(PARTS.picture(tokens[place].content, tokens[place].attrGet("src")))


def _link(tokens: Sequence[Token], place: int, options: OptionsDict, env: Any) -> str:
    """Return the beginning of a link, whose title is its address, whatever title it was given."""
    tokens[place].attrSet("title", str(tokens[place].attrGet("href")))
    return _tag(tokens, place, options, env)


def _heading(tokens: Sequence[Token], place: int, options: OptionsDict, env: Any) -> str:
    """Return a heading that stands below those of the page, which has two levels."""
    level = min(int(tokens[place].tag[1:]) + 2, 6)
    tokens[place].tag = f"h{level}"
    return _tag(tokens, place, options, env)


def _tag(tokens: Sequence[Token], place: int, options: OptionsDict, env: Any) -> str:
    return RendererHTML.renderToken(PARSER.renderer, tokens, place, options, env)  # type: ignore[arg-type]


def _formula(tokens: Sequence[Token], place: int, *_: Any, display: bool) -> str:
    source = tokens[place].content.strip()
    found = mathml(source, display=display)
    return str(PARTS.source(source) if found is None else PARTS.formula(found, source, display))


PARSER = _parser()
