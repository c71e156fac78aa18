r"""Formulas: TeX between \( \), \[ \] or \begin{…} \end{…} in Markdown, and TeX as MathML, which browsers show."""

import html
import re
from functools import lru_cache
from xml.etree import ElementTree

from latex2mathml.converter import convert_to_element
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markupsafe import Markup

LONGEST = 1_000  # characters of a formula; a longer one, which may nest deeply, is shown as its source
CLOSING = {"\\(": "\\)", "\\[": "\\]"}
ENVIRONMENT = re.compile(r"\\begin\{((?:equation|align|alignat|gather|multline|[pbvBV]?matrix|cases|array)\*?)\}")


@lru_cache(maxsize=1024)
def mathml(source: str, *, display: bool) -> Markup | None:
    """Return a formula as MathML, None if it cannot be read."""
    if not source or len(source) > LONGEST:
        return None
    try:
        formula = convert_to_element(source, display="block" if display else "inline")
    except Exception:  # the converter raises errors of ten kinds, and any of them means: this is no formula
        return None
    for node in formula.iter():
        # It leaves "&#x0003C;" for "<" in the tree and has its own writer turn that into a tag; ours escapes it.
        node.text = html.unescape(node.text or "")
        node.attrib.pop("href", None)
    formula.attrib.pop("xmlns", None)
    return Markup(ElementTree.tostring(formula, encoding="unicode"))


def bracketed_inline(state: StateInline, silent: bool) -> bool:
    r"""Read \(…\) or \[…\] inside a paragraph; return whether there was one."""
    opening = state.src[state.pos : state.pos + 2]
    if opening not in CLOSING:
        return False
    end = state.src.find(CLOSING[opening], state.pos + 2)
    if end < 0:
        return False
    if not silent:
        kind = "math_inline" if opening == "\\(" else "math_inline_double"
        state.push(kind, "math", 0).content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


def bracketed_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    r"""Read \[…\] or \begin{…}…\end{…} on lines of its own, none of them empty; return whether there was one."""
    first = _line(state, start_line)
    environment = ENVIRONMENT.match(first)
    if state.is_code_block(start_line) or not (first.startswith("\\[") or environment):
        return False
    closing = f"\\end{{{environment[1]}}}" if environment else "\\]"
    for line in range(start_line, end_line):
        words = _line(state, line)
        if not words or state.sCount[line] < state.blkIndent:
            return False
        if words.endswith(closing) and (line > start_line or len(words) > 3):
            break
        if closing in words:
            return False
    else:
        return False
    if silent:
        return True
    lines = [_line(state, one) for one in range(start_line, line + 1)]
    content = "\n".join(lines)
    token = state.push("math_block", "math", 0)
    token.content = content if environment else content.removeprefix("\\[").removesuffix("\\]")
    token.map = [start_line, line + 1]
    state.line = line + 1
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].strip()
