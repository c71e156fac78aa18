"""Stream 60 KB of answer from a scripted model into the page in a real browser, and measure the longest frames.

`make bench-streaming` prints JSON: the longest time between two frames while the three answers grow, how many took over
200 ms, and the layout shift that the browser's own observer saw. Only with nothing else running is it a figure.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from alignment.models.sampling import Sampling
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.harness.app import free_port
from tests.harness.scripted import backstage
from ui.layout import serve

LETTERS = 60_000  # of one answer
# The scripted model writes what stands between two blanks at once: some 16 letters here, as 4,096 pieces are the most.
PARAGRAPH = (
    "Some **bold**\nwords, `code`\nand\na [link](https://example.org/a) in\na\nline\nof\nprose that\ngoes\non\nfor\n"
    "a while.\n\n"
)
BLOCKS = "- one\n- two\n\n```py\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
WATCH = """
() => {
  window.frames_ms = []; window.shift = 0; window.long_ms = [];
  let last = performance.now();
  const frame = now => { window.frames_ms.push(now - last); last = now; window.going = requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  new PerformanceObserver(all => all.getEntries().forEach(one => { window.shift += one.value; }))
    .observe({type: 'layout-shift'});
  new PerformanceObserver(all => all.getEntries().forEach(one => window.long_ms.push(one.duration)))
    .observe({type: 'longtask'});
}
"""


def measured(*, tables: bool) -> dict[str, Any]:
    """Return what the browser measured while an answer grew."""
    piece = PARAGRAPH * 3 + (BLOCKS if tables else "")
    text = piece * (LETTERS // len(piece) + 1)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        behind, port = backstage(Path(folder)), free_port()
        engine = behind.engine
        engine.texts |= {"base": text, "sft": f"You asked: PROMPT\n\n{text}", "rlhf": text}
        engine.reads, engine.pause = 100_000, 0.001
        model = replace(behind.services.model, sampling=Sampling(max_new_tokens=4096), max_tokens=100_000)
        app = serve(replace(behind.services, model=model), "127.0.0.1", port, "signing key of the benchmark")
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(600_000)
        page.goto(f"http://127.0.0.1:{port}")
        page.fill("#prompt textarea", "Go on")
        page.wait_for_timeout(2000)
        page.keyboard.press("Enter")
        page.locator("#stop").wait_for()
        page.evaluate(WATCH)
        started = time.monotonic()
        page.locator("#stop").wait_for(state="detached")
        seconds = time.monotonic() - started
        page.wait_for_timeout(500)
        frames = sorted(page.evaluate("window.frames_ms"))
        result = {
            "letters": page.locator(".panel").nth(1).locator(".answer").evaluate("node => node.textContent.length"),
            "seconds": round(seconds, 1),
            "frames": len(frames),
            "longest_frame_ms": round(frames[-1]),
            "frames_over_200_ms": sum(frame > 200 for frame in frames),
            "frame_ms_99_of_100": round(frames[len(frames) * 99 // 100]),
            "long_tasks_ms": [round(one) for one in sorted(page.evaluate("window.long_ms"))[-5:]],
            "layout_shift": round(page.evaluate("window.shift"), 5),
        }
        browser.close()
        app.close()
    return result


if __name__ == "__main__":
    print(json.dumps({"prose": measured(tables=False), "with code and tables": measured(tables=True)}, indent=1))
