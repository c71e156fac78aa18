"""Export and import: what goes out comes in again, in the layouts of others too; what cannot be taken is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

from alignment.errors import AccessError, ConfigError
from service.exchange.exporting import ExportRequest, export
from service.exchange.importing import MOST_PROBLEMS, Report, import_file
from service.exchange.rows import WHATS
from service.requests import checked
from storage import database, imports, preferences
from storage.imports import list_imports
from storage.messages import one_turn
from storage.prompts import NewPrompt, add_prompts
from tests.harness.scripted import Backstage, backstage
from tests.service.exchanging import fill, token

PAIR = {"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"}


def exported(behind: Backstage, what: str, kind: str = "jsonl", form: str = "conversational", whose: str = "") -> Path:
    request = checked(ExportRequest, what=what, format=kind, form=form)
    held = None if whose else token(behind.services)
    return export(behind.services, whose or "nobody", held, request).path


def taken(behind: Backstage, path: Path, name: str = "") -> Report:
    *_, last = import_file(behind.services, token(behind.services), path, name or path.name)
    return last


def import_rows(behind: Backstage, *rows: Any) -> Report:
    path = behind.data_dir / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return taken(behind, path)


def stored(behind: Backstage) -> list[tuple[Any, ...]]:
    """Return each stored vote as messages, completions, tiers, kind and source."""
    return [
        ([(m.role, m.content) for m in one.messages], one.completions, one.tiers, one.tied, one.source)
        for one in preferences.rankings(behind.db)
    ]


@pytest.mark.parametrize(("kind", "form"), [("jsonl", "conversational"), ("parquet", "plain")])
@pytest.mark.parametrize("what", WHATS)
def test_what_is_exported_imports_into_an_empty_folder_and_exports_again_byte_for_byte(
    behind: Backstage, tmp_path: Path, what: str, kind: str, form: str
) -> None:
    fill(behind.db)
    first = exported(behind, what, kind, form)
    assert first.stat().st_size
    (tmp_path / "other").mkdir()
    other = backstage(tmp_path / "other")
    report = taken(other, first)
    assert (report.status, report.refused, report.problems) == ("finished", 0, [])
    assert report.taken > 0
    assert exported(other, what, kind, form).read_bytes() == first.read_bytes()
    again = taken(other, first)
    assert (again.taken, again.known, again.refused) == (0, report.taken, 0)


def test_whether_names_were_hidden_goes_out_and_comes_in_with_each_vote(behind: Backstage, tmp_path: Path) -> None:
    fill(behind.db)
    first = next(one.preference_id for one in preferences.rankings(behind.db) if "☂" in one.completions)
    preferences.withdraw_preference(behind.db, first, "bob")
    for who, best in (("bob", "C"), ("ann", "B")):  # bob has seen the names by then
        tiers = [[best], [slot for slot in "ABC" if slot != best]]
        preferences.save_preference(behind.db, comparison_id="c1", annotator_id=who, tiers=tiers, kind="choice")
    path = exported(behind, "rankings")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["blind"] for row in rows if "☂" in str(row["completions"])] == [False, True]
    (tmp_path / "other").mkdir()
    other = backstage(tmp_path / "other")
    taken(other, path)
    assert exported(other, "rankings").read_bytes() == path.read_bytes()


def test_a_text_that_was_chosen_is_labelled_bad_nowhere(behind: Backstage) -> None:
    fill(behind.db)
    rows = [json.loads(line) for line in exported(behind, "unpaired", form="plain").read_text().splitlines()]
    same = [(row["completion"], row["label"]) for row in rows if row["prompt"] == "Say it"]
    assert same == [("same", True), ("same", True), ("other", False)]


def test_with_a_topic_only_what_was_asked_under_it_is_exported(behind: Backstage) -> None:
    fill(behind.db)
    add_prompts(behind.db, [NewPrompt(one_turn("Where is Paris?"), "Places"), NewPrompt(one_turn("Who?"), "People")])
    found: dict[str, list[str]] = {}
    for topic in ("Places", "People"):
        for what in WHATS:
            request = checked(ExportRequest, what=what, form="plain", topic=topic)
            path = export(behind.services, "nobody", token(behind.services), request).path
            found.setdefault(topic, []).extend(json.loads(line)["prompt"] for line in path.read_text().splitlines())
    assert set(found["Places"]) == {"Where is Paris?"}
    assert len(found["Places"]) > 4  # pairs, rankings and labels of two votes, and the prompt
    assert found["People"] == ["Who?", "Who?"]  # a demonstration, and the prompt
    with pytest.raises(ConfigError, match="topic must be one of the pool of prompts"):
        export(behind.services, "nobody", None, checked(ExportRequest, what="prompts", topic="Nowhere"))


@pytest.mark.parametrize(("kind", "form"), [("jsonl", "conversational"), ("parquet", "plain")])
@pytest.mark.parametrize("what", WHATS)
def test_datasets_reads_every_export(behind: Backstage, tmp_path: Path, what: str, kind: str, form: str) -> None:
    fill(behind.db)
    path = exported(behind, what, kind, form)
    reader = "json" if kind == "jsonl" else "parquet"
    read = load_dataset(reader, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(read) > 0
    prompt = read[0]["prompt"]
    assert isinstance(prompt, str) if form == "plain" else prompt[0]["role"] in ("user", "system")


def test_rows_of_a_vote_say_who_wrote_what_by_which_seed_and_why_it_was_chosen(behind: Backstage) -> None:
    fill(behind.db)
    first = json.loads(exported(behind, "preferences").read_text(encoding="utf-8").splitlines()[0])
    assert first["prompt"] == [{"role": "user", "content": "Where is Paris?"}]
    assert first["chosen"] == [{"role": "assistant", "content": "France."}]
    assert (first["chosen_model"], first["rejected_model"]) == ("sft", "v4")
    assert (first["chosen_seed"], first["rejected_seed"], first["chosen_shown_first"]) == (12, 13, True)
    assert json.loads(first["chosen_sampling"]) == {"temperature": 0.7, "max_new_tokens": 96}
    assert (first["reason"], first["source"]) == ("too long", "human")


def test_no_id_that_opens_something_leaves_the_folder(behind: Backstage) -> None:
    fill(behind.db)
    for what in WHATS:
        text = exported(behind, what).read_text(encoding="utf-8")
        assert not any(f'"{name}"' in text for name in ("ann", "bob", *(f"c{number}" for number in range(9))))


def test_without_a_token_one_gets_ones_own_and_a_made_up_token_is_refused(behind: Backstage) -> None:
    fill(behind.db)
    everybodys = exported(behind, "rankings").read_text(encoding="utf-8").splitlines()
    own = exported(behind, "rankings", whose="bob").read_text(encoding="utf-8").splitlines()
    assert len(everybodys) == 9
    assert len(own) == 4
    assert set(own) < set(everybodys)
    assert exported(behind, "demonstrations", whose="nobody").read_text(encoding="utf-8") == ""
    with pytest.raises(AccessError, match="log in first"):
        export(behind.services, "bob", "made up", checked(ExportRequest, what="rankings"))
    with pytest.raises(AccessError, match="log in first"):
        next(import_file(behind.services, "", Path("x.jsonl"), "x.jsonl"))


def test_a_vote_that_was_taken_back_is_not_exported(behind: Backstage) -> None:
    fill(behind.db)
    preferences.withdraw_preference(behind.db, 1, "ann")
    assert len(exported(behind, "rankings").read_text(encoding="utf-8").splitlines()) == 8


def test_plain_leaves_conversations_out_and_counts_them(behind: Backstage) -> None:
    fill(behind.db)
    done = export(behind.services, "", token(behind.services), checked(ExportRequest, what="rankings", form="plain"))
    assert (done.rows, done.left_out) == (8, 1)


def test_ones_own_export_is_not_taken_in_again_where_it_came_from(behind: Backstage) -> None:
    fill(behind.db)
    report = taken(behind, exported(behind, "rankings"))
    assert (report.taken, report.refused) == (0, 9)
    assert "stored already" in report.problems[0].why


HH = "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Where?\n\nAssistant: "
USER, GOOD, BAD = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}, None)
WORSE = {"role": "assistant", "content": "What?"}
ONE = [("user", "Hi")]
CHOICE = (ONE, ("Hello.", "What?"), ((0,), (1,)), False, "imported")
TIE = (ONE, ("Hello.", "What?"), ((0, 1),), True, "imported")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (PAIR, CHOICE),
        ({**PAIR, "prompt": [USER], "chosen": [GOOD], "rejected": [WORSE]}, CHOICE),
        ({"chosen": [USER, GOOD], "rejected": [USER, WORSE]}, CHOICE),
        ({"prompt": "Hi", "prompt_id": "0", "chosen": [USER, GOOD], "rejected": [USER, WORSE], "score_chosen": 9.0,
          "score_rejected": 4.5}, CHOICE),
        ({**PAIR, "score_chosen": 4, "score_rejected": 4}, TIE),
        ({**PAIR, "margin": 0.0}, TIE),
        ({**PAIR, "margin": 1.5}, CHOICE),
        ({**PAIR, "chosen_shown_first": False}, (ONE, ("What?", "Hello."), ((1,), (0,)), False, "imported")),
        (
            {"chosen": HH + "In Rome.", "rejected": HH + "No."},
            ([("user", "Hi"), ("assistant", "Yes?"), ("user", "Where?")], ("In Rome.", "No."), ((0,), (1,)), False,
             "imported"),
        ),
        (
            {"chosen": "The sky is blue.", "rejected": "The sky is black."},
            ([("user", "The sky is")], (" blue.", " black."), ((0,), (1,)), False, "imported"),
        ),
        (
            {"source": "x", "instruction": "Hi", "completions": [
                {"model": "m1", "response": "a", "overall_score": 5.0},
                {"model": "m2", "response": "b", "overall_score": 8.0},
                {"model": "m3", "response": "c", "overall_score": 5.0}]},
            (ONE, ("a", "b", "c"), ((1,), (0, 2)), True, "imported"),
        ),
        ({"prompt": "Hi", "completion": "Hello.", "label": True}, (ONE, ("Hello.",), ((0,),), False, "imported")),
        ({"prompt": "Hi", "completion": "Hello.", "label": False}, (ONE, ("Hello.",), (), True, "imported")),
    ],
)  # fmt: skip
def test_common_layouts_become_votes(behind: Backstage, row: Any, expected: Any) -> None:
    report = import_rows(behind, row)
    assert (report.taken, report.problems) == (1, [])
    assert stored(behind) == [expected]


def webui(rating: Any, siblings: list[str] | None, children: tuple[str, ...] = ("a1", "a2")) -> dict[str, Any]:
    nodes = {
        "u1": {"id": "u1", "parentId": None, "childrenIds": list(children), "role": "user", "content": "Hi"},
        "a1": {
            "id": "a1",
            "parentId": "u1",
            "childrenIds": [],
            "role": "assistant",
            "content": "Hello.",
            "model": "m1",
        },
        "a2": {"id": "a2", "parentId": "u1", "childrenIds": [], "role": "assistant", "content": "What?", "model": "m2"},
    }
    chat = {"chat": {"id": "c", "chat": {"history": {"messages": nodes, "currentId": "a1"}}}}
    return {
        "id": "f1", "user_id": "u", "version": 0, "type": "rating", "created_at": 1730000000, "snapshot": chat,
        "data": {"rating": rating, "model_id": "m1", "sibling_model_ids": siblings, "reason": "good", "comment": "ok"},
        "meta": {"arena": bool(siblings), "chat_id": "c", "message_id": "a1"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "completions", "tiers"),
    [
        (webui(1, ["m2"]), ("Hello.", "What?"), ((0,), (1,))),
        (webui("-1", ["m2"]), ("Hello.", "What?"), ((1,), (0,))),
        (webui(1, None), ("Hello.",), ((0,),)),
        (webui(-1, None), ("Hello.",), ()),
    ],
)
def test_feedback_of_open_webui_becomes_votes(behind: Backstage, row: Any, completions: Any, tiers: Any) -> None:
    path = behind.data_dir / "feedback-history-export.json"
    path.write_text(json.dumps([row]), encoding="utf-8")
    assert taken(behind, path).taken == 1
    assert [(found[0], found[1], found[2]) for found in stored(behind)] == [(ONE, completions, tiers)]
    ((reason, created),) = rows(behind, "SELECT reason, created FROM preferences")
    assert reason == "good, ok"
    assert created.startswith("2024-10-27")


def rows(behind: Backstage, sql: str) -> list[Any]:
    with database.read(behind.db) as db:
        return list(db.conn.execute(sql))


@pytest.mark.parametrize("row", [{"messages": [USER, GOOD]}, {"prompt": "Hi", "completion": "Hello."}])
def test_conversations_that_end_with_an_answer_become_demonstrations(behind: Backstage, row: Any) -> None:
    assert import_rows(behind, row).taken == 1
    assert rows(behind, "SELECT completion, source FROM demonstrations") == [("Hello.", "imported")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([1], "a row must be an object"),
        ({"text": "x"}, "are not understood"),
        ({**PAIR, "rejected": "Hello."}, "are the same"),
        ({**PAIR, "prompt": ""}, "the prompt is empty"),
        ({**PAIR, "chosen": 3}, "must be"),
        ({**PAIR, "score_chosen": 1, "score_rejected": 2}, "less than"),
        ({**PAIR, "margin": -1}, "margin is -1"),
        ({"chosen": [USER, GOOD], "rejected": [GOOD, WORSE]}, "end with the user's"),
        ({"chosen": "abc", "rejected": "abd"}, "the prompt is empty"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "role must be"),
        ({"prompt": "Hi", "completion": "x", "label": "maybe"}, "label must be"),
        ({"prompt": "\ud800", "chosen": "a", "rejected": "b"}, "half a character"),
        (webui(5, None), "rating must be"),
        ({**webui(1, None), "snapshot": None}, "not in the snapshot"),
        ({"prompt": "Hi", "completions": ["a"], "ranks": [1, 2]}, "of one length"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_line_and_the_rest_is_taken(
    behind: Backstage, row: Any, why: str
) -> None:
    report = import_rows(behind, PAIR, row, {**PAIR, "prompt": "Ho"})
    assert (report.status, report.taken, report.refused) == ("finished", 2, 1)
    assert [(one.place, why in one.why) for one in report.problems] == [(2, True)], report.problems


def test_lines_that_are_not_json_are_named_and_a_long_list_of_them_is_counted(behind: Backstage) -> None:
    path = behind.data_dir / "broken.jsonl"
    path.write_text("\n".join([json.dumps(PAIR), "{", "", *["nonsense"] * 200]), encoding="utf-8")
    report = taken(behind, path)
    assert (report.taken, report.refused, len(report.problems)) == (1, 201, MOST_PROBLEMS)
    assert report.problems[0].place == 2
    assert "not JSON" in report.problems[0].why


def test_a_list_that_breaks_off_says_so_and_keeps_what_came_before(behind: Backstage) -> None:
    path = behind.data_dir / "broken.json"
    path.write_text(json.dumps([PAIR, {**PAIR, "prompt": "Ho"}])[:-20], encoding="utf-8")
    report = taken(behind, path)
    assert (report.taken, report.refused) == (1, 1)
    assert "from here on" in report.problems[0].why


def test_a_packed_file_is_read(behind: Backstage) -> None:
    path = behind.data_dir / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(PAIR).encode()))
    assert taken(behind, path).taken == 1


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.csv", b"a,b", "must end in"),
        ("x.parquet", b"not parquet", "cannot be read as Parquet"),
        ("x.jsonl", b"\xff\xfe{", "cannot be read as text in UTF-8"),
        ("x.jsonl.gz", b"{}", "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_and_the_import_is_marked(
    behind: Backstage, name: str, content: bytes, why: str
) -> None:
    path = behind.data_dir / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=why):
        taken(behind, path)
    assert [one.status for one in list_imports(behind.db)] in ([], ["stopped"])
    assert stored(behind) == []


def test_an_import_that_is_left_early_says_so_and_goes_on_when_it_is_begun_again(behind: Backstage) -> None:
    path = behind.data_dir / "many.jsonl"
    path.write_text("".join(json.dumps({**PAIR, "prompt": f"Ask {n}"}) + "\n" for n in range(1200)), encoding="utf-8")
    running = import_file(behind.services, token(behind.services), path, path.name)
    first = next(running)
    assert (first.status, first.taken) == ("running", 500)
    assert 0 < first.progress < 1
    running.close()
    assert [(one.status, one.taken) for one in list_imports(behind.db)] == [("stopped", 500)]
    report = taken(behind, path)
    assert (report.taken, report.known, report.refused) == (700, 500, 0)
    assert len(stored(behind)) == 1200


def test_an_import_that_the_app_died_in_is_marked_as_stopped_at_the_next_start(behind: Backstage) -> None:
    imports.begin_import(behind.db, "x.jsonl")
    imports.stop_left_over_imports(behind.db)
    assert [one.status for one in list_imports(behind.db)] == ["stopped"]
