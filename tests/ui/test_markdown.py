"""What Markdown becomes on the page: what it may, nothing that runs or is fetched, and the same however it grew."""

import html
import random
import re

import pytest

from ui import markdown as module
from ui.answers import drawn, split_thinking
from ui.formulas import mathml
from ui.markdown import LONGEST, NOTHING, Rendered, markdown
from ui.safe_html import safe

TAG = re.compile(r"<[^>]+>")


def shown(text: str) -> str:
    return "".join(markdown(text).blocks)


def words(text: str) -> str:
    return html.unescape(TAG.sub("", shown(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A", "<h3>A</h3>"),
        ("###### A", "<h6>A</h6>"),
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        ("a\n\n---", "<hr>"),
        ("| a |\n|--:|\n| 1 |", '<td style="text-align:right">1</td>'),
        ("```py\nif a < b:\n\n  x\n```", '<pre tabindex="0"><code>if a &lt; b:\n\n  x</code></pre>'),
        ("```py\nif", "<span>py</span>"),
        ("```py\nif", "<code>if</code>"),
        ("    four", "<code>four</code>"),
    ],
)
def test_what_markdown_has_is_shown(text: str, expected: str) -> None:
    assert expected in shown(text)


@pytest.mark.parametrize(
    "text",
    [
        "<script>x()</script>",
        "<b onclick=x()>b</b>",
        "<style>*{display:none}</style>",
        "<!-- a -->",
        "&lt; &amp; &nbsp;",
        "[a](javascript:x)",
        "[a](JaVaScRiPt:x)",
        "[a](&#106;avascript:x)",
        "[a](java\tscript:x)",
        "[a](data:text/html,x)",
        "[a](vbscript:x)",
        "[a](file:///etc/passwd)",
        "[a](/logout)",
        "[a](//evil.example)",
        "[a](#tabs)",
        "![a](data:image/png;base64,AA)",
        "<javascript:x>",
        "a $5 and $10, or $3.",
        "[a]: https://example.org",
    ],
)
def test_what_is_no_markdown_of_ours_stands_as_it_was_written(text: str) -> None:
    assert words(text).strip() == text.strip()
    assert set(re.findall(r"<(\w+)", shown(text))) <= {"p"}


def test_a_link_leads_out_in_a_window_of_its_own_and_its_title_is_its_address() -> None:
    link = shown('[here](https://example.org/ä?a=1&b=2 "my bank")')
    address = "https://example.org/%C3%A4?a=1&amp;b=2"
    assert f'href="{address}"' in link and f'title="{address}"' in link
    assert 'target="_blank"' in link and 'rel="noopener noreferrer nofollow"' in link
    assert "my bank" not in link
    assert 'href="mailto:a@example.org"' in shown("<mailto:a@example.org>")
    assert 'href="http://example.org"' in shown("<http://example.org>")


def test_a_picture_is_its_words_and_its_address_and_is_not_loaded() -> None:
    picture = shown("![a *map*](https://evil.example/map.png 'title')")
    assert "<img" not in picture and "href" not in picture and "src" not in picture
    assert words("![a map](https://evil.example/map.png)").split() == ["a", "map", "https://evil.example/map.png"]


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("so $x^2$ it is", "inline"),
        ("so \\(x^2\\) it is", "inline"),
        ("so $$x^2$$ it is", "block"),
        ("so \\[x^2\\] it is", "block"),
        ("$$\nx^2\n$$", "block"),
        ("\\[\nx^2\n+ 1\n\\]", "block"),
        ("- a\n\n  \\[ x^2 \\]", "block"),
        ("\\begin{align}\nx^2\n\\end{align}", "block"),
    ],
)
def test_formulas_are_mathml(text: str, display: str) -> None:
    assert f'<math display="{display}">' in shown(text)
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in shown(text)


@pytest.mark.parametrize(
    "source",
    ["\\frac{", "{" * 900, "a^" * 400, "\\begin{matrix}", "\\left(", "\\sqrt{" * 150, "a" * 1001, "\\text{", "\\"],
)
def test_a_formula_that_cannot_be_read_is_shown_as_its_source(source: str) -> None:
    assert mathml(source, display=True) is None or "<math" in str(mathml(source, display=True))
    assert words(f"$${source}$$").strip() == source or "<math" in shown(f"$${source}$$")


@pytest.mark.parametrize(
    "source", ["\\text{<img src=x onerror=x()>}", "\\href{javascript:x()}{y}", "<script>x()</script>", "\\class{a}{b}"]
)
def test_a_formula_makes_no_html(source: str) -> None:
    formula = shown(f"${source}$")
    assert not re.search(r"<(img|script|a)\b|href|onerror=\"|javascript:x\(\)\"(?!>)", TAG.sub(_without_title, formula))


def _without_title(tag: re.Match[str]) -> str:
    return re.sub(r' title="[^"]*"', "", tag[0])


def test_the_second_wall_holds_alone() -> None:
    hostile = (
        "<script>x()</script><img src=x onerror=x()><a href='javascript:x()' onclick='x()' style='color:red'>a</a>"
        "<style>*{}</style><iframe src='//x'></iframe><form action='//x'><input></form><svg onload=x()></svg>"
        "<math><mi href='javascript:x()' onclick=x()>a</mi><mtext><img src=x></mtext></math>"
        "<p style='position:fixed' class='panel' id='votes' data-slot='A'>b</p><meta http-equiv=refresh content=0>"
    )
    assert set(re.findall(r"<(\w+)", safe(hostile))) == {"a", "math", "mi", "mtext", "p"}
    assert not re.search(r"""on\w+=|javascript:|style|class="[^"]|id=|data-|src""", safe(hostile))


NASTY = [
    "#",
    "- ",
    "* ",
    "1. ",
    "> ",
    "```",
    "~~~",
    "$$",
    "$",
    "\\[",
    "\\]",
    "\\(",
    "|a|b|",
    "|-|-|",
    "    ",
    "\t",
    "=",
    "--",
]
PLAIN = [
    "a",
    "b ",
    "\n",
    "\n",
    "\n\n",
    "**",
    "_",
    "[x](http://y)",
    "`",
    "<",
    "&amp;",
    "م",
    "\\begin{align}",
    "\\end{align}",
    "\r\n",
]


@pytest.mark.parametrize("seed", range(60))
def test_a_text_that_grew_looks_like_one_that_was_there_at_once(seed: int) -> None:
    drawn_from = random.Random(seed)
    text, grown = "", NOTHING
    for _ in range(60):
        text += drawn_from.choice(NASTY + PLAIN)
        grown = markdown(text, grown)
        assert grown.blocks == markdown(text).blocks, text


def test_another_text_is_not_taken_for_one_that_grew() -> None:
    before = markdown("One.\n\nTwo.\n\nThree.\n\nFour.")
    assert markdown("Five.\n\nTwo.\n\nThree.", before) == markdown("Five.\n\nTwo.\n\nThree.")
    assert markdown("", before).blocks == ()


def test_only_the_last_blocks_are_read_again_while_a_text_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    parse = module.PARSER.parse
    monkeypatch.setattr(module.PARSER, "parse", lambda text, env: read.append(len(text)) or parse(text, env))
    text, grown = "", Rendered()
    for number in range(200):
        text += f"Paragraph {number} with **bold** words.\n\n"
        grown = markdown(text, grown)
    assert max(read) < 200
    assert len(grown.blocks) == 200


@pytest.mark.parametrize("line", ["word " * 8 + "\n", "word " * 8, "- a\n", "\n", "```\n", "| a | b |\n"])
def test_below_its_first_thirty_thousand_characters_a_text_stands_as_it_was_written(line: str) -> None:
    text = (line * 100_000)[:100_000]
    rendered = markdown(text)
    assert rendered.starts[-1] <= LONGEST
    tail = rendered.blocks[-1]
    assert tail.startswith('<p class="as-written">') and html.unescape(TAG.sub("", tail)) == text[rendered.starts[-1] :]
    grown = NOTHING
    for end in (10_000, LONGEST - 7, LONGEST + 7, 50_000, 100_000):
        grown = markdown(text[:end], grown)
    assert grown.blocks == rendered.blocks


@pytest.mark.parametrize(
    "piece",
    [
        *("[", "![", "[a](", "*a ", "**a*", "_a", "`a", ">", "> ", "- ", "- a\n  ", "$a ", "$$a", "<a", "\\", "\\("),
        *("\\[\n", "|", "~~a", "*_", "1. a\n", "#", "&a", "[a](<b", "    a\n", "[a](((", "\\begin{align}\n", "\x00"),
        *("\u202e", "\ud83d"),
    ],
)
def test_no_text_is_an_error(piece: str) -> None:
    text = (piece * 20_000)[:20_000]
    assert markdown(text).blocks or not text.strip()


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>Hm.</think>\n\nParis.", "Hm.", "Paris."),
        ("\n<think>\nHm", "\nHm", None),
        ("<think></think>Paris.", "", "Paris."),
        ("It opened in the prompt.</think>Paris.", "It opened in the prompt.", "Paris."),
        ("[THINK]Hm.[/THINK]Paris.", "Hm.", "Paris."),
        ("Paris, <think> I think.", "", "Paris, <think> I think."),
    ],
)
def test_what_a_model_thinks_is_told_from_what_it_answers(text: str, thought: str, answer: str | None) -> None:
    assert split_thinking(text) == (thought, answer)


def test_a_thought_grows_and_ends_before_the_answer_begins() -> None:
    text = "<think>One.\n\nTwo.\n\nThree.</think>\n\nParis.\n\nOn the Seine."
    grown = None
    for end in range(len(text) + 1):
        grown = drawn(text[:end], grown)
        assert grown == drawn(text[:end])
    assert grown is not None and not grown.thinking
    assert (len(grown.thought.blocks), len(grown.answer.blocks)) == (3, 2)
