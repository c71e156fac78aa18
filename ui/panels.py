"""The three panels of the Compare tab and its example prompts, as HTML."""

from collections.abc import Mapping, Sequence

from service.completions import ShownCompletion
from storage.records import Role
from ui.render import render
from ui.words import panel_name

ORIGINS: dict[Role, str] = {
    "base": "continues text",
    "sft": "from demonstrations",
    "rlhf": "from preferences",
}
SILENCE = "(ended without a word)"


def unasked(version: int) -> tuple[ShownCompletion, ...]:
    """Return three completions with nothing in them; the third is the live version's."""
    return (
        ShownCompletion("A", "base", None),
        ShownCompletion("B", "sft", None),
        ShownCompletion("C", "rlhf", version),
    )


def panel(completion: ShownCompletion, *, hint: str = "", mark: str = "", busy: bool = False) -> str:
    """Return one panel: `hint` stands in for a text that is empty, `mark` says what the vote made of it."""
    role = completion.role
    return render(
        "panel",
        completion=completion,
        role=role or "hidden",
        name=panel_name(completion),
        why=ORIGINS[role] if role else "name hidden until you vote",
        text=completion.text.strip(),
        hint=hint,
        mark=mark,
        busy=busy,
    )


def chips(examples: Mapping[str, Sequence[str]]) -> str:
    """Return the example prompts as one menu a group."""
    return render("chips", groups=examples)
