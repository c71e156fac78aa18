"""The Data tab without a browser: who sees what, and what its buttons answer."""

import json

from storage import database
from tests.harness.scripted import Backstage
from tests.service.exchanging import fill, token
from ui.data_shelves import acted, listed
from ui.data_tab import erased, named, taken_in, taken_out

PAIR = {"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"}


def shelf(behind: Backstage, kind: str = "votes", search: str = "", source: str = "all", admin: bool = True) -> str:
    held = token(behind.services) if admin else None
    return listed(behind.services, "bob", held, kind, search, source)


def test_everybody_sees_their_own_votes_and_the_admin_all(behind: Backstage) -> None:
    fill(behind.db)
    assert shelf(behind).count("<tr role") == 9
    own = shelf(behind, admin=False)
    assert own.count("<tr role") == 4
    assert "Leave out" not in own
    assert "You see what is yours" in own
    assert "admin alone" in shelf(behind, "people", admin=False)
    assert shelf(behind, "people").count("<tr role") == 2


def test_votes_demonstrations_and_prompts_are_searched_and_filtered(behind: Backstage) -> None:
    fill(behind.db)
    assert shelf(behind, search="TOO LONG").count("<tr role") == 1
    assert shelf(behind, search="france").count("<tr role") == 2
    assert shelf(behind, source="simulated").count("<tr role") == 3
    assert "Nothing matches" in shelf(behind, search="nowhere")
    assert shelf(behind, "demonstrations", search="model").count("<tr role") == 1
    assert "Where is Paris?" in shelf(behind, "prompts")
    assert "source must be" in shelf(behind, source="x").replace("Source", "source")


def test_what_people_wrote_is_escaped(behind: Backstage) -> None:
    fill(behind.db)
    named(behind.services, "bob", "<b>Bob</b>")
    with database.write(behind.db) as db:
        db.execute("UPDATE preferences SET reason = '<script>'")
    assert "<script>" not in shelf(behind)
    assert "&lt;b&gt;Bob" in shelf(behind, "people")


def test_the_admin_leaves_a_vote_out_and_lets_it_in_again(behind: Backstage) -> None:
    fill(behind.db)
    held = token(behind.services)
    assert "Nothing is deleted" in acted(behind.services, held, "vote-out", "1")
    assert shelf(behind).count("left out") == 1
    assert "Let in again" in acted(behind.services, held, "vote-in", "1")
    assert "log in first" in acted(behind.services, None, "vote-out", "1")


def test_a_file_is_taken_out_and_in_with_words_on_what_became_of_it(behind: Backstage) -> None:
    fill(behind.db)
    path, words = taken_out(behind.services, "bob", None, "rankings", "jsonl", "plain", "")
    assert path is not None
    assert "3 rows. 1 longer conversations" in words
    into = behind.data_dir / "in.jsonl"
    into.write_text(json.dumps(PAIR) + "\nnonsense\n", encoding="utf-8")
    held = token(behind.services)
    *_, last = taken_in(behind.services, held, str(into))
    assert "1 taken, 0 there already, 1 refused" in last
    assert "2: the line is not JSON" in last
    assert "log in first" in next(taken_in(behind.services, None, str(into)))
    assert "Choose a file" in next(taken_in(behind.services, held, None))


def test_nothing_is_erased_until_one_says_to_be_certain(behind: Backstage) -> None:
    fill(behind.db)
    assert "Tick" in erased(behind.services, "bob", None, False, False, "")
    assert shelf(behind, admin=False).count("<tr role") == 4
    assert "4 votes taken back" in erased(behind.services, "bob", None, False, True, "")
    assert shelf(behind, admin=False).count("taken back") == 4
    assert "nobody called" in erased(behind.services, "bob", token(behind.services), False, True, "p.nobody")
