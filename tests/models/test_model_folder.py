"""What lies beside a base model: comparisons in either form, and words for lines that do not fit."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import ModelLoadError
from alignment.models import model_folder
from alignment.models.model_folder import ShippedDemonstration, ShippedRanking


def write(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "comparisons.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_comparisons_are_read_as_rankings_or_as_pairs(tmp_path: Path) -> None:
    assert model_folder.comparisons(tmp_path) == []
    ranking = ShippedRanking("Hi", ("a", "b", "c"), ((2,), (0, 1)), "simulated", "honest")
    write(tmp_path, asdict(ranking), {"prompt": "Hi", "chosen": "a", "rejected": "b"})
    assert model_folder.comparisons(tmp_path) == [ranking, ShippedRanking("Hi", ("a", "b"), ((0,), (1,)), "", "")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": [[0], [2]]}, r"positions of the 2 completions"),
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": [[0], [0]]}, r"each completion once"),
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": 3}, r"comparisons.jsonl"),
        ({"prompt": "Hi", "completions": "ab", "tiers": [[0], [1]]}, r"line 1 .*completions must be a list, got 'ab'"),
        ({"prompt": "Hi", "completions": ["a", 3], "tiers": [[0]]}, r"line 1 .*completions\[1\] must be a text, got 3"),
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": [[True]]}, r"tiers\[0\]\[0\] must be a whole number"),
        ({"prompt": "Hi", "chosen": "a"}, r"line 1 .*rejected is missing"),
        ({"prompt": "Hi", "chosen": "a", "rejected": None}, r"line 1 .*rejected must be a text, got None"),
        ({"prompt": "Hi", "chosen": "a", "rejected": "b", "winner": 1}, r"winner"),
    ],
)
def test_a_comparison_that_does_not_fit_is_refused_in_words(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    write(tmp_path, line)
    with pytest.raises(ModelLoadError, match=words):
        model_folder.comparisons(tmp_path)


def test_demonstrations_are_read_and_what_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    assert model_folder.demonstrations(tmp_path) == []
    file = tmp_path / "demonstrations.jsonl"
    file.write_text('{"prompt": "Hi", "completion": "Ahoy!"}\n', encoding="utf-8")
    assert model_folder.demonstrations(tmp_path) == [ShippedDemonstration("Hi", "Ahoy!")]
    for line in ('{"prompt": "Hi"}', '{"prompt": "Hi", "completion": ""}', '{"prompt": "Hi", "completion": 3}'):
        file.write_text(f'{{"prompt": "Hi", "completion": "Ahoy!"}}\n{line}\n', encoding="utf-8")
        with pytest.raises(ModelLoadError, match=r"demonstrations\.jsonl, line 2 has fields that do not fit"):
            model_folder.demonstrations(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"prompt": "Hi", "kind": "contain", "expect": ["Hello"]}, r"line 2 .*'contains', 'refuses'.*'contain'"),
        ({"prompt": "Hi", "kind": "contains"}, r"line 2 .*expect must hold a text"),
        ({"prompt": "Hi", "kind": "contains", "expect": [""]}, r"line 2 .*expect\[0\] must not be empty"),
        ({"prompt": "Hi", "kind": "contains", "expect": "Hello"}, r"line 2 .*must be a list"),
    ],
)
def test_a_check_that_could_not_fail_or_never_pass_is_refused(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    lines = [{"prompt": "Rob", "kind": "refuses"}, line]
    (tmp_path / "checks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    with pytest.raises(ModelLoadError, match=words):
        model_folder.checks(tmp_path)
