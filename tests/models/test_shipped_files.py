"""What lies beside a model as JSON lines: read in the forms that people have it in, else refused with the line."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import ModelLoadError
from alignment.models import shipped_files
from alignment.models.shipped_files import Check, Example, ShippedDemonstration, ShippedPrompt, ShippedRanking
from alignment.settings import POCKET
from storage.messages import Message, Messages, messages_to_json, one_turn

TURNS = [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Ho"), Message("user", "And?")]
LONGER: Messages = tuple(TURNS)
THESE = messages_to_json(LONGER)


def write(folder: Path, *lines: dict[str, Any], name: str = "comparisons.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_comparisons_are_read_as_rankings_or_as_pairs(tmp_path: Path) -> None:
    assert shipped_files.comparisons(tmp_path) == []
    ranking = ShippedRanking(one_turn("Hi"), ("a", "b", "c"), ((2,), (0, 1)), "simulated", "honest")
    write(tmp_path, shipped_files.line_of(ranking), {"prompt": "Hi", "chosen": "a", "rejected": "b"})
    pair = ShippedRanking(one_turn("Hi"), ("a", "b"), ((0,), (1,)))
    assert shipped_files.comparisons(tmp_path) == [ranking, pair]


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        ({"prompt": THESE, "chosen": "a", "rejected": "b"}, LONGER),
        ({"prompt": THESE, "chosen": [said("a")], "rejected": [said("b")]}, LONGER),
        (
            {"chosen": [*THESE, said("a")], "rejected": [*THESE, said("b")]},
            LONGER,
        ),
        (
            {
                "prompt": "Hi",
                "chosen": [{"role": "user", "content": "Hi"}, said("a")],
                "rejected": [{"role": "user", "content": "Hi"}, said("b")],
                "score_chosen": 8.0,
            },
            one_turn("Hi"),
        ),
        ({"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 0.5, "id": 7}, one_turn("Hi")),
    ],
)
def test_pairs_are_read_in_each_form_that_trl_takes(tmp_path: Path, line: dict[str, Any], messages: Messages) -> None:
    write(tmp_path, line)
    assert shipped_files.comparisons(tmp_path) == [ShippedRanking(messages, ("a", "b"), ((0,), (1,)))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": [[0], [2]]}, r"positions of the 2 completions"),
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": [[0], [0]]}, r"each completion once"),
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": 3}, r"comparisons.jsonl"),
        ({"prompt": "Hi", "completions": "ab", "tiers": [[0], [1]]}, r"line 2 .*completions must be a list, got 'ab'"),
        ({"prompt": "Hi", "completions": ["a", 3], "tiers": [[0]]}, r"line 2 .*completions\[1\] must be a text, got 3"),
        ({"prompt": "Hi", "completions": ["a", "b"], "tiers": [[True]]}, r"tiers\[0\]\[0\] must be a whole number"),
        ({"prompt": "Hi", "chosen": "a"}, r"line 2 .*rejected is missing"),
        ({"prompt": "Hi", "chosen": "a", "rejected": None}, r"line 2 .*pair.rejected must be a text or a list.* None"),
        ({"prompt": "Hi", "chosen": "a", "rejected": "b", "winner": 1}, r"has no field 'winner'; it has .*prompt"),
        ({"prompt": None, "chosen": "a", "rejected": "b"}, r"line 2 .*prompt must be a text or a list.*got None"),
        ({"prompt": [], "chosen": "a", "rejected": "b"}, r"prompt must hold a message"),
        ({"prompt": [said("a")], "chosen": "a", "rejected": "b"}, r"prompt must end with the user's message"),
        ({"prompt": [{"role": "tool", "content": "3"}], "chosen": "a", "rejected": "b"}, r"role must be one .*'tool'"),
        (
            {"prompt": [{"role": "user", "content": None}], "chosen": "", "rejected": "b"},
            r"\[0\]\.content must be a te",
        ),
        ({"chosen": "Q: a", "rejected": "Q: b"}, r"prompt is missing; only in message lists"),
        ({"chosen": [said("a")], "rejected": [said("b")]}, r"prompt is missing"),
        (
            {"prompt": "Hi", "chosen": [*THESE, said("a")], "rejected": "b"},
            r"must answer one prompt",
        ),
        (
            {"chosen": [*THESE, said("a")], "rejected": [*messages_to_json(LONGER[:2]), said("b")]},
            r"must answer one prompt",
        ),
    ],
)
def test_a_comparison_that_does_not_fit_is_refused_in_words(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    write(tmp_path, {"prompt": "Hi", "chosen": "a", "rejected": "b"}, line)
    with pytest.raises(ModelLoadError, match=words):
        shipped_files.comparisons(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": "Hi", "completion": "Ahoy!"},
        {"prompt": messages_to_json(one_turn("Hi")), "completion": [said("Ahoy!")]},
        {"messages": [*messages_to_json(one_turn("Hi")), said("Ahoy!")]},
    ],
)
def test_demonstrations_are_read_in_each_form_that_trl_takes(tmp_path: Path, line: dict[str, Any]) -> None:
    assert shipped_files.demonstrations(tmp_path) == []
    write(tmp_path, line, name="demonstrations.jsonl")
    assert shipped_files.demonstrations(tmp_path) == [ShippedDemonstration(one_turn("Hi"), "Ahoy!")]


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": "Hi"},
        {"prompt": "Hi", "completion": ""},
        {"prompt": "Hi", "completion": 3},
        {"prompt": "", "completion": "Ahoy!"},
        {"messages": messages_to_json(one_turn("Hi"))},
        {"prompt": "Hi", "completion": [*messages_to_json(one_turn("Hi")), said("Ahoy!")]},
    ],
)
def test_what_is_no_demonstration_is_refused_in_words(tmp_path: Path, line: dict[str, Any]) -> None:
    write(tmp_path, {"prompt": "Hi", "completion": "Ahoy!"}, line, name="demonstrations.jsonl")
    with pytest.raises(ModelLoadError, match=r"demonstrations\.jsonl, line 2 has fields that do not fit"):
        shipped_files.demonstrations(tmp_path)


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
    write(tmp_path, {"prompt": "Rob", "kind": "refuses"}, line, name="checks.jsonl")
    with pytest.raises(ModelLoadError, match=words):
        shipped_files.checks(tmp_path)


def test_lines_are_ended_by_line_feeds_alone_and_marks_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    separators = "a\u2028b\u2029c\x85d"  # at which str.splitlines would cut
    lines = [json.dumps({"prompt": text}, ensure_ascii=False) for text in ("Hi", separators)]
    (tmp_path / "prompts.jsonl").write_bytes(("\ufeff" + "\r\n\r\n".join(lines) + "\r\n \r\n").encode())
    assert shipped_files.prompts(tmp_path) == [one_turn("Hi"), one_turn(separators)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b'{"prompt": "Hi"}\n\n{"prompt": ', r"prompts\.jsonl, line 3 is not JSON"),
        (b'{"prompt": "Hi"}\n{"prompt": "\\ud83d"}\n', r"line 2 .*half a character"),
        (b'{"prompt": "Hi"}\n["Hi"]\n', r"line 2 .*must be an object of fields"),
        ("Grüß Gott".encode("latin-1"), r"cannot be read as UTF-8"),
    ],
)
def test_a_file_that_is_no_json_lines_is_refused_in_words(tmp_path: Path, written: bytes, words: str) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(written)
    with pytest.raises(ModelLoadError, match=words):
        shipped_files.prompts(tmp_path)


@pytest.mark.parametrize("name", ["comparisons", "demonstrations", "prompts", "checks", "examples"])
def test_every_file_is_read_once_at_the_start(tmp_path: Path, name: str) -> None:
    shipped_files.check_files(tmp_path)
    write(tmp_path, {"prompt": None}, name=f"{name}.jsonl")
    with pytest.raises(ModelLoadError, match=rf"{name}\.jsonl, line 1 "):
        shipped_files.check_files(tmp_path)


def test_what_ships_with_the_bundled_model_fits() -> None:
    shipped_files.check_files(POCKET)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    check = Check(LONGER, "contains", ("Hello",))
    assert (check.prompt, shipped_files.line_of(check)["prompt"]) == ("And?", THESE)
    write(tmp_path, shipped_files.line_of(check), name="checks.jsonl")
    write(tmp_path, shipped_files.line_of(ShippedPrompt(one_turn("Hi"))), name="prompts.jsonl")
    write(tmp_path, shipped_files.line_of(Example("Small talk", "Hi")), name="examples.jsonl")
    assert shipped_files.checks(tmp_path) == [check]
    assert shipped_files.prompts(tmp_path) == [one_turn("Hi")]
    assert shipped_files.examples(tmp_path) == [Example("Small talk", "Hi")]
