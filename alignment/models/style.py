"""How a text is written, in a few numbers that any style has: what a linear reward model reads beside hidden states."""

import math
import re

SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)")
LIST_LINE = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])[ \t]", re.MULTILINE)
COUNTED = ("\n", "**", "?", "!", ",")
STYLE = 7 + len(COUNTED)  # numbers that `style` returns


def style(text: str) -> list[float]:
    """Return the style of a text as `STYLE` numbers; those that grow with length are logarithms of counts.

    Letters a word, words a sentence, list lines, digits, the share of capitals, whether the last character asks,
    whether there are others than ASCII's, and how often each of `COUNTED` stands in it. Stylometry and the style
    control of model arenas count the same (length, lists, emphasis).
    """
    words = max(1, len(text.split()))
    return [
        math.log(max(1, sum(character.isalpha() for character in text)) / words),
        math.log(words / max(1, len(SENTENCE_END.findall(text)))),
        math.log1p(len(LIST_LINE.findall(text))),
        math.log1p(sum(character.isdigit() for character in text)),
        sum(character.isupper() for character in text) / max(1, len(text)),
        float(text.rstrip().endswith("?")),
        float(not text.isascii()),
        *(math.log1p(text.count(mark)) for mark in COUNTED),
    ]
