"""The generated page of settings: complete, and noticed where it is out of date."""

from pathlib import Path

import pytest

from scripts import settings_table


def check(monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
    monkeypatch.setattr(settings_table, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["settings_table", "--check"])
    settings_table.main()


def test_the_page_holds_every_field_with_default_bounds_and_a_sentence() -> None:
    lines = settings_table.page().splitlines()
    assert (
        "| `ppo.updates` | 2 | whole, 1 to 1000000 | Batches of completions that are sampled and learned from. |"
        in lines
    )
    assert [line for line in lines if line.startswith("| `gate.step_back` | 0.2 | 0, or 0.05 to 0.5 | Part of the way")]
    assert not [line for line in lines if "None" in line]


def test_a_page_that_says_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text(settings_table.page(), encoding="utf-8")
    check(monkeypatch, page)
    page.write_text(settings_table.page().replace("0.2", "0.3"), encoding="utf-8")
    with pytest.raises(SystemExit, match="is not what the settings say; run: python -m"):
        check(monkeypatch, page)
