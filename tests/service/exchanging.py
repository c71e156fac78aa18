"""A data folder with something of everything in it, for the tests of export and import."""

from pathlib import Path

from service.context import Services
from storage import preferences
from storage.demonstrations import save_demonstration
from storage.messages import Message, Messages, one_turn
from storage.records import Comparison, Completion, PreferenceKind, Role
from tests.harness.scripted import PASSWORD

SLOTS: tuple[tuple[str, Role], ...] = (("A", "base"), ("B", "sft"), ("C", "rlhf"))
CHAT = (Message("system", "Be brief."), Message("user", "Hi ☂"), Message("assistant", "Hello."), Message("user", "Go"))
VOTES: list[tuple[str, Messages, tuple[str, ...], list[list[str]], PreferenceKind]] = [
    ("ann", one_turn("Where is Paris?"), ("in\ntext", "France.", 'In France, "there".'), [["B"], ["A", "C"]], "choice"),
    ("bob", CHAT, ("a", "bé", "☂"), [["C"], ["A", "B"]], "choice"),
    ("ann", one_turn("  two words "), ("x", "y", "z"), [["C"], ["A"], ["B"]], "ranking"),
    ("ann", one_turn("Say it"), ("same", "same", "other"), [["A"], ["B", "C"]], "choice"),
    ("bob", one_turn("A tie"), ("k", "l", "m"), [["A", "B", "C"]], "tie"),
    ("ann", one_turn("All bad"), ("n", "o", ""), [], "all_bad"),
    ("bob", one_turn("Two"), ("p", "q"), [["B"], ["A"]], "choice"),
    ("ann", one_turn("A thumb"), ("r",), [["A"]], "choice"),
]


def fill(db: Path) -> None:
    """Store votes of two annotators, one of them on both's comparison, and demonstrations."""
    for number, (annotator, messages, texts, tiers, kind) in enumerate(VOTES):
        preferences.save_comparison(db, _comparison(f"c{number}", messages, texts))
        preferences.save_preference(
            db,
            comparison_id=f"c{number}",
            annotator_id=annotator,
            tiers=tiers,
            kind=kind,
            source="human" if annotator == "ann" else "simulated",
            reason="too long" if number == 0 else "",
        )
    preferences.save_preference(db, comparison_id="c0", annotator_id="bob", tiers=[["A"], ["B", "C"]], kind="choice")
    save_demonstration(db, messages=one_turn("Who?"), completion="I am a model.", annotator_id="ann")
    save_demonstration(db, messages=one_turn("All bad"), completion="Better.", annotator_id="ann")
    save_demonstration(db, messages=CHAT, completion="Gone.", annotator_id="bob", source="simulated")


def _comparison(name: str, messages: Messages, texts: tuple[str, ...]) -> Comparison:
    completions = [
        Completion(
            slot=slot,
            role=role,
            policy_version=4 if role == "rlhf" else None,
            text=text,
            token_ids=[5, 6],
            seed=11 + place,
            sampling={"temperature": 0.7, "max_new_tokens": 96},
            finish_reason="length" if text in ("a", "x") else "stop",
            first_token_seconds=0.1,
            seconds=0.5,
        )
        for place, ((slot, role), text) in enumerate(zip(SLOTS, texts, strict=False))
    ]
    return Comparison(id=name, messages=messages, kind="compare", blind=name == "c1", completions=completions)


def token(services: Services) -> str:
    """Return an admin's token."""
    return services.admin.login(PASSWORD)
