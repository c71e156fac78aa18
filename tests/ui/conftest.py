"""The services behind the page, over the scripted engine, and the Compare tab on them."""

from pathlib import Path

import gradio as gr
import pytest

from tests.harness.scripted import Backstage, backstage
from ui import compare_tab
from ui.compare_form import CompareTab
from ui.compare_tab import Header


@pytest.fixture
def behind(tmp_path: Path) -> Backstage:
    return backstage(tmp_path)


@pytest.fixture
def tab(behind: Backstage) -> CompareTab:
    with gr.Blocks():
        return compare_tab.build(behind.services, gr.BrowserState(None), Header(gr.HTML(), lambda: ""))
