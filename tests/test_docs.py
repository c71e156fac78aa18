"""What the documents name exists, and what exists is named."""

import re
from pathlib import Path

import pytest

from alignment.settings import MAX_COMPLETION_CHARACTERS, MAX_PROMPT_CHARACTERS
from service.command_line import parse_arguments

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "assets").glob("*/*.md"))]
HISTORY = {"lab-notes.md"}  # speaks of files as they were


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets
    named = set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)\b", README))
    assert named <= targets, named - targets


def test_every_option_is_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert options
    assert all(f"`{option}" in README for option in options)


def test_every_endpoint_is_documented() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ui").glob("*endpoints.py"))
    endpoints = re.findall(r'api_name="([a-z_]+)"', code)
    page = (ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8")
    assert endpoints
    assert all(f"`/{name}`" in page for name in endpoints)


def test_how_long_texts_may_be_is_documented() -> None:
    page = (ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8")
    assert all(f"up to {most:,} characters" in page for most in (MAX_PROMPT_CHARACTERS, MAX_COMPLETION_CHARACTERS))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not target.startswith("http") and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=lambda page: page.name)
def test_every_file_of_the_code_that_a_document_names_exists(page: Path) -> None:
    rooms = "app|ui|service|alignment|storage|recipes|tests|scripts|docs|assets"
    named = re.findall(rf"`((?:{rooms})/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
