"""Frames around questions, clauses and nouns, and how often the plain phrasings come."""

from recipes.pocket.frames import framed, phrasings, politely, reasoned, without


def test_a_text_that_opens_its_frame_begins_with_a_capital_letter() -> None:
    assert framed(("Write {}.", "{}, please."), ("a story", "a poem about {plural}")) == (
        *("Write a story.", "Write a poem about {plural}."),
        *("A story, please.", "A poem about {plural}, please."),
    )


def test_plain_phrasings_are_half_of_the_seen_ones() -> None:
    asked = phrasings(("a", "b"), ("c", "d", "e", "f", "g"), ("h",))
    assert asked["held_out"] == ("h",)
    assert asked["seen"] == (*("a", "b") * 3, "c", "d", "e", "f", "g")


def test_frames_of_held_out_phrasings_are_left_out_wherever_their_words_stand() -> None:
    assert without(("Please tell me {}.", "Hello! Please tell me {}.", "Tell me {}."), "please tell me {}") == (
        "Tell me {}.",
    )
    asked = politely(("Who was it?",), ("who it was",), ("the name",), left_out=("tell me {}",))
    assert {"Q: Who was it?", "I wonder who it was.", "Name the name."} <= set(asked)
    assert [one for one in asked if "tell me who" in one.lower() or "tell me the" in one.lower()] == []


def test_a_rationale_is_asked_for_before_and_after_the_question() -> None:
    assert reasoned(("Why?",), ("Explain.",)) == ("Why? Explain.", "Explain. Why?", "Q: Why? Explain.")
