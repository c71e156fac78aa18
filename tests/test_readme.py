"""What the README names exists, and what exists is named."""

import re
from pathlib import Path

from app import parse_arguments

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets
    named = set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)\b", README)) - {"does"}
    assert named <= targets, named - targets


def test_every_option_is_in_the_readme(capsys) -> None:  # type: ignore[no-untyped-def]
    try:
        parse_arguments(["--help"])
    except SystemExit:
        options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert options
    assert all(f"`{option}" in README for option in options)


def test_every_endpoint_is_in_the_readme() -> None:
    endpoints = re.findall(r'api_name="([a-z_]+)"', (ROOT / "ui" / "endpoints.py").read_text(encoding="utf-8"))
    assert endpoints
    assert all(f"`/{name}`" in README for name in endpoints)


def test_every_link_and_picture_in_the_readme_exists() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("http") or (ROOT / target).exists(), target
