"""The turns, the three panels and the example prompts of the Compare tab, as HTML."""

from collections.abc import Mapping, Sequence

from service.completions import ShownCompletion
from service.context import ServedModel
from service.conversations import PastTurn
from service.preview import FIRST_VOTES, Fitted, Preview
from storage.records import Role
from ui.render import render
from ui.words import counted, panel_name

ORIGINS: dict[Role, str] = {
    "base": "continues text",
    "sft": "from demonstrations",
    "rlhf": "from preferences",
}
UNTRAINED = "not trained yet"
RAW = "same weights, no chat template"
BEGINS = f"Preview begins after {FIRST_VOTES} votes"
SILENCE = "(ended without a word)"


def unasked(version: int) -> tuple[ShownCompletion, ...]:
    """Return three completions with nothing in them; the third is the live version's."""
    return (
        ShownCompletion("A", "base", None),
        ShownCompletion("B", "sft", None),
        ShownCompletion("C", "rlhf", version),
    )


def panel(
    completion: ShownCompletion,
    model: ServedModel,
    *,
    hint: str = "",
    mark: str = "",
    origin: str | None = None,
    busy: bool = False,
) -> str:
    """Return one panel: `hint` stands in for a text that is empty, `mark` says what the vote made of it.

    `origin` is the slot that the next question goes on from, "" for none yet, None where it cannot go on.
    """
    role = completion.role
    return render(
        "panel",
        completion=completion,
        role=role or "hidden",
        name=panel_name(completion, model),
        why=_origin(completion, model),
        checkpoint=_checkpoint(role, model),
        hint=hint,
        mark=mark,
        origin=origin,
        busy=busy,
    )


def preview_line(preview: Preview, completions: Sequence[ShownCompletion]) -> str:
    """Return what is said below the panels of the preview: nothing while names are hidden, so that it tells none."""
    latest = preview.latest
    if any(one.role is None for one in completions):
        words = ""
    elif samples := max(one.preview for one in completions):
        votes = f" by {counted(latest.votes, 'vote')}{_unseen(latest)}" if latest else ""
        words = f"Preview: best of {samples}{votes}"
    elif latest is None:
        words = "Preview: the votes are being read" if preview.standing >= FIRST_VOTES else BEGINS
    else:
        words = "" if latest.convincing else f"No preview: {counted(latest.votes, 'vote')} show no one taste yet"
    return render("preview", words=words)


def _unseen(fitted: Fitted) -> str:
    """Return how often the preview is right, where that is known."""
    share = fitted.agreement.accuracy.share if fitted.agreement else None
    return "" if share is None else f" (right on {share:.0%} of votes it had not seen)"


def _origin(completion: ShownCompletion, model: ServedModel) -> str:
    if completion.role is None:
        return "name hidden until you vote"
    if completion.role == "rlhf" and completion.policy_version in model.untrained:
        return UNTRAINED
    return RAW if completion.role == "base" and model.shape == "chat" else ORIGINS[completion.role]


def _checkpoint(role: Role | None, model: ServedModel) -> str:
    """Return the name of the checkpoint that answers, as people see it when they point at the panel's head."""
    if role is None:
        return ""
    if role == "base" and model.shape == "chat":
        return f"{model.name}, raw continuation, no chat template"
    return (model.base_name if role == "base" else "") or model.name


def turns(model: ServedModel, system: str = "", before: Sequence[PastTurn] = (), question: str = "") -> str:
    """Return the conversation above the panels: what was asked, which answers it went on from, what is asked now."""
    named = [(past, panel_name(past.answer, model)) for past in before]
    return render("turns", system=system, before=named, question=question)


def chips(examples: Mapping[str, Sequence[str]]) -> str:
    """Return the example prompts as one menu a group."""
    return render("chips", groups=examples)
