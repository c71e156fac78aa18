"""Words and HTML that the tabs share. All text from models and people is escaped here."""

from datetime import UTC, datetime
from html import escape
from typing import Any

from storage.records import Comparison

NAMES = {"base": "Base", "sft": "Instruction-tuned", "rlhf": "RLHF"}
WHENCE = {"base": "continues text", "sft": "from demonstrations", "rlhf": "from preferences"}
COLUMNS = ("base", "sft", "rlhf")


def answers(comparison: Comparison, *, reveal: bool) -> list[dict[str, Any]]:
    """Return a stored comparison's completions as `/compare` gives them; names are null unless revealed."""
    return [
        {
            "slot": completion.slot,
            "role": completion.role if reveal else None,
            "policy_version": completion.policy_version if reveal else None,
            "text": completion.text,
            "tokens": len(completion.token_ids),
            "finish_reason": completion.finish_reason,
            "seconds": completion.seconds,
        }
        for completion in comparison.completions
    ]


def unasked(version: int) -> list[dict[str, Any]]:
    """Return three columns with nothing in them; the third is the live version."""
    return [
        {"slot": slot, "role": role, "policy_version": version if role == "rlhf" else None, "text": "", "tokens": 0}
        for slot, role in zip("ABC", COLUMNS, strict=True)
    ]


def panel_name(answer: dict[str, Any]) -> str:
    """Return what a panel is called: its model, or its letter while that is hidden."""
    if answer["role"] is None:
        return str(answer["slot"])
    version = answer["policy_version"]
    return NAMES[answer["role"]] + (f" v{version}" if version is not None else "")


def panel(answer: dict[str, Any], *, hint: str = "", mark: str = "", busy: bool = False) -> str:
    """Return one panel as HTML: `hint` stands in for an answer, `mark` says what the vote made of it."""
    role, name = answer["role"] or "hidden", escape(panel_name(answer))
    kind, words = ("answer", answer["text"].strip()) if answer["text"].strip() else ("hint", hint)
    why = WHENCE.get(role, "name hidden until you vote")
    state = f'data-mark="{"best" if mark else ""}" aria-busy="{str(busy).lower()}"'
    return (
        f'<article class="panel" data-role="{role}" aria-label="{name}" {state}>'
        f'<header><h2>{name}</h2><span class="why">{why}</span></header>'
        f'<div class="text"><p class="{kind}">{escape(words)}</p></div>'
        f"<footer><span>{_measures(answer)}</span><strong>{escape(mark)}</strong></footer></article>"
    )


def _measures(answer: dict[str, Any]) -> str:
    if not answer["tokens"]:
        return "&nbsp;"
    cut = " · cut at the length limit" if answer.get("finish_reason") == "length" else ""
    return f"{counted(answer['tokens'], 'token')} · {answer['seconds']:.1f} s{cut}"


def notice(text: str, kind: str = "plain") -> str:
    """Return the line that speaks to the person; screen readers read it out when it changes."""
    role = "alert" if kind == "error" else "status"
    return f'<p class="notice" data-kind="{kind}" role="{role}">{escape(text) or "&nbsp;"}</p>'


def counted(number: int, word: str) -> str:
    """Return "1 vote", "2 votes"."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def ago(stamp: str | None) -> str:
    """Return a time as HTML: how long ago, with the moment itself on hover."""
    if not stamp:
        return "–"
    moment = datetime.fromisoformat(stamp)
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    words = "just now" if seconds < 60 else f"{span(seconds // 60 * 60)} ago"
    return f'<time datetime="{escape(stamp)}" title="{moment:%Y-%m-%d %H:%M:%S} UTC">{words}</time>'


def span(seconds: float) -> str:
    """Return a length of time in its largest fitting unit or two: "42 s", "3 min 5 s", "2 h 10 min", "4 days"."""
    whole = round(seconds)
    for size, unit, below in ((86400, "days", None), (3600, "h", (60, "min")), (60, "min", (1, "s"))):
        if whole >= size * (2 if below is None else 1):
            rest = whole % size // below[0] if below else 0
            return f"{whole // size} {unit}" + (f" {rest} {below[1]}" if below and rest else "")
    return f"{whole} s"


def table(head: list[str], rows: list[list[str]], label: str) -> str:
    """Return a table of cells that are HTML already; on a narrow screen each row is a list of named cells."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(_row(head, row) for row in rows)
    return (
        f'<div class="scroll"><table role="table" aria-label="{escape(label)}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(head: list[str], row: list[str]) -> str:
    # The roles are those that a browser takes away from rows and cells that are laid out otherwise.
    named = zip(head, row, strict=True)
    cells = "".join(f'<td role="cell" data-name="{escape(name)}"><div>{cell}</div></td>' for name, cell in named)
    return f'<tr role="row">{cells}</tr>'
