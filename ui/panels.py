"""The three panels and the example prompts of the Compare tab, as HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.completions import ShownCompletion
from service.context import ServedModel
from service.preview import FIRST_VOTES, Fitted, Preview
from service.requests import ROLES
from storage.records import Role
from ui import strings
from ui.answers import Drawn, drawn_whole
from ui.render import render
from ui.words import panel_name

CUTS = {"length": strings.CUT_BY_LENGTH, "cancelled": strings.CUT_BY_VOTE}
BETWEEN = "<!-- -->"  # two blocks; none has a comment in it, as none passes the sanitiser


def unasked(version: int, columns: Sequence[str] = ROLES) -> tuple[ShownCompletion, ...]:
    """Return completions with nothing in them, one a column; "rlhf" is the live version's, which is given."""
    roles: dict[str, Role] = {"base": "base", "sft": "sft"}
    versions = [None if name in roles else version if name == "rlhf" else int(name[1:]) for name in columns]
    named = enumerate(zip(columns, versions, strict=True))
    return tuple(ShownCompletion(chr(ord("A") + i), roles.get(name, "rlhf"), number) for i, (name, number) in named)


def panel(
    completion: ShownCompletion,
    model: ServedModel,
    *,
    hint: str = "",
    mark: str = "",
    origin: str | None = None,
    drawn: Drawn | None = None,
    stored: bool = False,
) -> dict[str, Any]:
    """Return one panel as `assets/panel.js` takes it: its frame, its text as written, and as blocks of HTML.

    `hint` stands in for a text that is empty, `mark` says what the vote made of it. `origin` is the slot that the next
    question goes on from, "" for none yet, None where it cannot go on. `drawn` is the text as HTML while it grows. Of
    one that is `stored` there is a call that makes it again, once its name is told.
    """
    role, shown = completion.role, drawn or drawn_whole(completion.text)
    said = bool(completion.text.strip())
    frame = render(
        "panel",
        completion=completion,
        role=role or "hidden",
        name=panel_name(completion, model),
        why=_origin(completion, model),
        checkpoint=_checkpoint(role, model),
        said=said,
        thought=shown.thought.blocks,
        thinking=shown.thinking and drawn,
        hint=strings.UNREAD if completion.unread else hint,
        mark=mark,
        origin=origin,
        busy=drawn is not None,
        ended=drawn is None and completion.finish_reason is not None,
        cuts=CUTS,
        call=stored and role is not None,
    )
    return {
        "frame": frame,
        "text": completion.text,
        "thought": joined(shown.thought.blocks),
        "answer": joined(shown.answer.blocks),
        "plain": as_plain(role),
    }


def joined(blocks: Sequence[str]) -> list[str]:
    """Return blocks as three strings at most: those that stay as they are while the text grows, and the last two.

    Gradio's page reads every string of a value several times a step, which took most of its time in long answers.
    """
    settled, growing = blocks[:-2], blocks[-2:]
    return [BETWEEN.join(settled), *growing] if settled else list(growing)


def no_panel() -> dict[str, Any]:
    """Return a panel that is not there, as `assets/panel.js` takes it."""
    return {"frame": render("no_panel"), "text": "", "thought": [], "answer": [], "plain": False}


def as_plain(role: Role | None) -> bool:
    """Return whether a panel shows its text as it was written until somebody asks for more.

    A base model goes on with a text; it does not format an answer. Read as Markdown, "**hi **2** = 20 **hi **3" (what
    SmolLM2 makes of "hi"), lists that begin anew and fences that never close hide what it wrote. While names are hidden
    all three look alike: one plain panel among them would give the base away.
    """
    return role == "base"


def preview_line(preview: Preview, completions: Sequence[ShownCompletion], *, stored: bool = False) -> str:
    """Return what is said below the panels of the preview: nothing while names are hidden, so that it tells none.

    Of answers that are `stored` it can also be asked what RLHF changed about the last one that a version of it wrote.
    """
    latest, words = preview.latest, ""
    if any(one.role is None for one in completions):
        pass
    elif preview.lacks:
        words = strings.SERVED_ELSEWHERE.format(lacks="; ".join(strings.LACKS[lack] for lack in preview.lacks))
    elif samples := max(one.preview for one in completions):
        words = _picked_by(samples, latest)
    elif latest is None:
        begins = strings.PREVIEW_BEGINS.format(votes=strings.votes(FIRST_VOTES))
        words = strings.PREVIEW_READS if preview.standing >= FIRST_VOTES else begins
    elif not latest.convincing:
        words = strings.NO_PREVIEW.format(votes=strings.votes(latest.votes))
    changed = [one.slot for one in completions if stored and one.role == "rlhf" and one.text][-1:]
    return render("preview", words=words, changed=changed[0] if changed else "", lacking="preview" in preview.lacks)


def _picked_by(samples: int, fitted: Fitted | None) -> str:
    """Return how the preview's answer was picked, and how often it is right, where that is known."""
    if fitted is None:
        return strings.PREVIEW_BEST.format(samples=samples)
    votes, share = strings.votes(fitted.votes), fitted.agreement.accuracy.share if fitted.agreement else None
    words = strings.PREVIEW_BY if share is None else strings.PREVIEW_BY_TRIED
    return words.format(samples=samples, votes=votes, share=share)


def _origin(completion: ShownCompletion, model: ServedModel) -> str:
    if completion.role is None:
        return strings.NAME_HIDDEN
    if completion.role == "rlhf" and completion.policy_version in model.untrained:
        return strings.UNTRAINED
    return strings.RAW if completion.role == "base" and model.shape == "chat" else strings.ORIGINS[completion.role]


def _checkpoint(role: Role | None, model: ServedModel) -> str:
    """Return the name of the checkpoint that answers, as people see it when they point at the panel's head."""
    if role is None:
        return ""
    if role == "base" and model.shape == "chat":
        return strings.RAW_CHECKPOINT.format(model=model.name)
    return (model.base_name if role == "base" else "") or model.name


def chips(examples: Mapping[str, Sequence[str]]) -> str:
    """Return the example prompts as one menu a group."""
    return render("chips", groups=examples)
