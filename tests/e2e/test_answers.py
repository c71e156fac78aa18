"""What models wrote, in a real browser: nothing in it runs or is fetched, and it grows without moving what is read."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import SHIFTS, answered, ask, open_page, panels, said

HOSTILE = """# <img src=https://evil.example/1.png onerror=hit()>
<script>hit()</script> <style>#votes, .panel { display: none !important; position: fixed }</style>
<iframe src="https://evil.example/2"></iframe> <svg onload=hit()></svg> <a href="javascript:hit()">raw</a>
![picture](https://evil.example/3.png) ![picture](javascript:hit()) [![both](https://evil.example/4.png)](javascript:hit())
[script](javascript:hit()) [entity](&#106;avascript:hit()) [data](data:text/html,<script>hit()</script>) [page](/logout)
[link](https://evil.example/5 "x\\" onmouseover=hit() style=position:fixed") <https://evil.example/6"onclick=hit()>

| <img src=https://evil.example/7> | b |
|---|---|
| `<img src=https://evil.example/8>` | <b onclick=hit()>b</b> |

$\\text{<img src=https://evil.example/9 onerror=hit()>}$ $\\href{javascript:hit()}{x}$ $$<script>hit()</script>$$

```"><img src=https://evil.example/10 onerror=hit()>
</code></pre><img src=https://evil.example/11 onerror=hit()> ${hit()} {{hit()}} {% raw %}
```
</div></article><img src=https://evil.example/12 onerror=hit()> ${hit()} `${hit()}` {{constructor('hit()')()}}"""
FORBIDDEN = (
    "img, script, style, iframe, svg, object, embed, form, input, link, meta, [style*=position], [onclick], [onerror]"
)
RICH = "Some **bold** words, `code` and a [link](https://example.org/a).\n\n- one\n- two\n\n```py\nx = 1\n```\n\n"

# Gradio writes into a component's tracker whenever it tells the component how an event stands, even a hidden one.
TOLD = """window.told = 0; new MutationObserver(changes => {
    window.told += changes.filter(one => one.target.closest?.('[data-testid=status-tracker]')).length;
}).observe(document, {subtree: true, childList: true});"""


def answer(page: Page, place: int) -> Locator:
    return panels(page).nth(place).locator(".answer")


def write(site: Site, text: str) -> None:
    site.behind.engine.texts |= {"base": text, "sft": f"You asked: PROMPT\n\n{text}", "rlhf": text}
    site.behind.engine.reads = 10_000


def begin(page: Page, prompt: str) -> None:
    page.fill("#prompt textarea", prompt)
    page.keyboard.press("Enter")


def set_longest(page: Page) -> None:
    page.locator("#settings > button").click()
    length = page.get_by_label("number input for Longest answer (tokens)")
    length.fill("256")
    length.blur()
    page.keyboard.press("Escape")


def test_nothing_that_a_text_says_runs_or_is_fetched(page: Page, site: Site) -> None:
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; };")
    open_page(page, site)
    write(site, HOSTILE)
    set_longest(page)
    begin(page, HOSTILE)
    expect(answer(page, 2)).to_contain_text("{{constructor(")
    expect(page.locator("#stop")).to_have_count(0)
    page.click("#best-3")  # so that the text stands in the conversation, too
    expect(said(page)).to_contain_text("Thanks, stored")
    begin(page, "And?")
    expect(answer(page, 1)).to_contain_text("You asked: And?")
    expect(page.locator("#stop")).to_have_count(0)
    panels(page).nth(0).get_by_role("button", name="Plain text").click()  # the base's, as Markdown
    expect(answer(page, 0).locator("table")).to_have_count(1)
    for place in ("#panels .text", "#turns .turns"):
        assert page.locator(place).locator(FORBIDDEN).count() == 0
        links = page.locator(place).locator("a").evaluate_all("all => all.map(a => [a.protocol, a.rel, a.target])")
        assert {tuple(link) for link in links} == {("https:", "noopener noreferrer nofollow", "_blank")}
        for one in page.locator(place).locator("a").all():
            one.dispatch_event("mouseover")
    assert page.evaluate("window.hits") == 0
    assert hosts - {None} == {"127.0.0.1"}
    expect(page.locator("#best-1")).to_be_visible()


@pytest.mark.parametrize(
    "piece", [">", "-\ta\n\t", "[", "**a", "|\ta\t", "```\n", "\\(", "$$", "\\frac{", "<div>", "x", "a\n\n", "<think>"]
)
def test_a_hundred_thousand_characters_of_anything_leave_the_page_at_work(page: Page, site: Site, piece: str) -> None:
    site.behind.engine.texts |= {"base": "", "rlhf": (piece * 100_000)[:100_000]}
    open_page(page, site)
    panels(page).nth(2).get_by_role("button", name="Plain text").click()
    assert answer(page, 2).evaluate("node => node.textContent.length") == 100_000
    page.click("#best-3")
    expect(said(page)).to_contain_text("Thanks, stored")


def test_a_text_is_shown_and_copied_exactly_as_it_was_written(page: Page, site: Site) -> None:
    text = "\n  # Not a *heading*\n\n\n1. a\n1. b\t<b>&amp;</b>  \n"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.behind.engine.texts["rlhf"] = text
    open_page(page, site)
    expect(answer(page, 2).get_by_role("list")).to_have_count(1)
    panel = panels(page).nth(2)
    panel.get_by_role("button", name="Copy").click()
    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text
    panel.get_by_role("button", name="Plain text").click()
    expect(answer(page, 2).get_by_role("list")).to_have_count(0)
    assert answer(page, 2).evaluate("node => node.textContent") == text
    ask(page, "Again?")  # a panel that was set to plain text stays so
    assert answer(page, 2).evaluate("node => node.textContent") == text
    panel.get_by_role("button", name="Plain text").click()
    expect(answer(page, 2).get_by_role("list")).to_have_count(1)


def test_a_block_of_code_is_copied_without_what_is_around_it(page: Page, site: Site) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.behind.engine.texts["rlhf"] = "Try:\n\n```py\nif a < b:\n    x()\n```\n\nDone."
    open_page(page, site)
    answer(page, 2).get_by_role("button", name="Copy").click()
    expect(answer(page, 2).get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "if a < b:\n    x()"


def test_a_copy_works_where_the_browser_offers_no_clipboard(page: Page, site: Site) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, site)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not over plain HTTP')); }")
    panels(page).nth(2).get_by_role("button", name="Copy").click()
    expect(panels(page).nth(2).get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == site.behind.engine.texts["rlhf"]


def test_what_is_selected_opened_and_scrolled_to_stays_while_answers_grow(page: Page, site: Site) -> None:
    open_page(page, site)
    write(site, "<think>Hm, **let** me think.</think>\n\nThe first words are here.\n\n" + RICH * 40)
    site.behind.engine.pause = 0.03
    begin(page, "Go on")
    expect(answer(page, 2).locator("li")).not_to_have_count(0)
    panel = panels(page).nth(2)
    panel.get_by_text("Thoughts").click()
    panel.locator(".thought p").evaluate("node => getSelection().selectAllChildren(node)")
    text = panel.locator(".text").element_handle()
    page.wait_for_function("node => node.scrollHeight > node.clientHeight + 40", arg=text)
    panel.locator(".text").evaluate("node => { node.scrollTop = 40; }")
    seen = answer(page, 2).locator("li").count()
    expect(answer(page, 2).locator("li").nth(seen + 3)).to_be_attached()
    assert page.evaluate("getSelection().toString()") == "Hm, let me think."
    assert panel.locator(".text").evaluate("node => node.scrollTop") == 40
    expect(panel.locator("details.thought")).to_have_attribute("open", "")
    # A selection in the block that is being written stays too.
    answer(page, 2).evaluate("node => { window.kept = node.children[0]; getSelection().selectAllChildren(kept); }")
    expect(page.locator("#stop")).to_have_count(0)
    assert page.evaluate("getSelection().toString()") == "The first words are here."
    assert page.evaluate("document.contains(window.kept)")


def test_a_thought_is_folded_away_while_it_has_no_end_and_afterwards(page: Page, site: Site) -> None:
    open_page(page, site)
    write(site, "<think>I wonder about it.</think> Paris.")
    site.behind.engine.holds_after = 3
    begin(page, "Where?")
    thought = panels(page).nth(2).locator("details.thought")
    expect(thought.locator("summary")).to_have_text("Thinking …")
    expect(thought.get_by_text("I wonder about")).to_be_hidden()
    expect(answer(page, 2)).to_have_text("")
    page.click("#stop")
    expect(said(page)).to_contain_text("Stopped.")
    site.behind.engine.holds_after = 0
    page.click("#send")
    answered(page, "Where?")
    expect(answer(page, 2)).to_have_text("Paris.")
    expect(thought.locator("summary")).to_have_text("Thoughts")
    expect(thought.get_by_text("I wonder about it.")).to_be_hidden()
    thought.locator("summary").click()
    expect(thought.get_by_text("I wonder about it.")).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_moves_while_answers_grow_and_short_ones_give_their_room_back(
    page: Page, site: Site, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.add_init_script(SHIFTS)
    open_page(page, site)
    write(site, RICH * 20)
    site.behind.engine.texts["rlhf"] = "Paris."
    site.behind.engine.pause, site.behind.engine.holds_after = 0.01, 94
    begin(page, "Go on")
    expect(panels(page).nth(0)).to_have_attribute("aria-busy", "true")
    expect(answer(page, 1)).to_contain_text("Some bold")
    reserved = panels(page).nth(0).bounding_box()
    page.evaluate("window.shifts.length = 0")
    expect(answer(page, 1).locator("pre")).to_have_count(9)
    assert page.evaluate("window.shifts") == []
    assert panels(page).nth(0).bounding_box() == reserved
    page.click("#stop")
    expect(said(page)).to_contain_text("Stopped.")
    site.behind.engine.holds_after = 0
    site.behind.engine.texts |= {"base": "Paris.", "sft": "You asked: PROMPT"}
    ask(page, "Where?")
    heights = {round(box["height"]) for panel in panels(page).all() if (box := panel.bounding_box())}
    assert reserved and len(heights) == 1
    assert heights.pop() < reserved["height"] / 1.2


def test_nothing_moves_when_answers_end_and_no_component_is_told_of_progress(page: Page, site: Site) -> None:
    page.add_init_script(SHIFTS + TOLD)
    open_page(page, site)
    page.evaluate("window.told = 0")
    write(site, RICH * 20)
    site.behind.engine.pause = 0.01
    begin(page, "Go on")
    expect(answer(page, 1)).to_contain_text("Some bold")
    page.evaluate("window.shifts.length = 0")
    expect(page.locator("#stop")).to_have_count(0)
    expect(said(page)).to_have_text("Which answer is best?")
    expect(page.locator(".preview .changed")).to_be_visible()
    page.wait_for_timeout(200)
    assert page.evaluate("window.shifts") == []
    assert page.get_by_test_id("status-tracker").count()
    assert page.evaluate("window.told") == 0  # else ui/events.py's empty show_progress_on means something else now


def test_a_long_plain_text_stands_in_blocks_and_is_selected_as_it_was_written(page: Page, site: Site) -> None:
    text = "".join(f"line-{number}\n\n"[: 7 + number % 6] for number in range(600)) + "the-end"
    site.behind.engine.texts["base"] = text
    open_page(page, site)
    assert answer(page, 0).locator("> div").count() > 1
    assert answer(page, 0).evaluate("node => node.textContent") == text
    answer(page, 0).evaluate("node => getSelection().selectAllChildren(node)")
    assert page.evaluate("getSelection().toString()") == text


def test_text_runs_the_way_its_script_does(page: Page, site: Site) -> None:
    site.behind.engine.texts |= {
        "base": "مرحبا\nhello",
        "sft": "You asked: PROMPT\n\nEs heißt «Größe», ça va.",
        "rlhf": "مرحبا **بك**\n\n- البحر\n\nHello.",
    }
    open_page(page, site)
    directions = "node => [...node.children].map(block => getComputedStyle(block).direction)"
    assert answer(page, 2).evaluate(directions) == ["rtl", "rtl", "ltr"]
    assert answer(page, 1).evaluate(directions) == ["ltr", "ltr"]
    assert answer(page, 0).evaluate("node => getComputedStyle(node).unicodeBidi") == "plaintext"
    ask(page, "ما هي عاصمة فرنسا؟")
    assert page.locator("#turns .asked.now > div").evaluate("node => getComputedStyle(node).direction") == "rtl"


def test_a_link_shows_where_it_leads_before_it_is_followed(page: Page, site: Site) -> None:
    site.behind.engine.texts["rlhf"] = "See [my bank](https://evil.example/x)."
    open_page(page, site)
    link = answer(page, 2).get_by_role("link")
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(link).to_be_focused()
    assert link.evaluate("node => getComputedStyle(node, '::after').content") == '"https://evil.example/x"'
    expect(link).to_have_attribute("title", "https://evil.example/x")


def test_a_vote_in_blind_mode_names_the_base_and_leaves_its_text_as_it_was_shown(page: Page, site: Site) -> None:
    site.behind.engine.texts |= {"base": "# One", "sft": "# You asked: PROMPT", "rlhf": "# Three"}
    open_page(page, site)
    page.check("#blind input")
    ask(page, "Where?")
    headings = page.locator(".answer h3")
    expect(headings).to_have_count(3)
    page.click("#best-1")
    expect(said(page)).to_contain_text("Thanks, stored")
    expect(page.locator(".panel[data-role=base]")).to_have_count(1)
    expect(headings).to_have_count(3)
