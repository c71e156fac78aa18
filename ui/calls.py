"""The calls that make an answer again as people copy them: gradio_client, curl in any shell, OpenAI's client."""

import json
import shlex
from collections.abc import Sequence
from time import monotonic_ns
from typing import Any

import gradio as gr

from service.calls import Arguments, calls_of
from service.compare import stored_comparison
from service.context import Services
from storage.messages import Messages, messages_to_json
from ui import strings
from ui.annotator import annotator_id
from ui.errors import sentence
from ui.render import render

ADDRESS = "ADDRESS-OF-THIS-PAGE"  # assets/calls.js puts it in, at its first place: a server does not know it
SCRIPT = "triptychCalls(element, props, trigger, watch)  // assets/calls.js; it triggers 'select'"
ORDER = (  # of the arguments of `/compare`, with what stands for one that is left out
    ("prompt", None),
    ("columns", None),
    ("temperature", None),
    ("max_new_tokens", None),
    ("seed", None),
    ("blind", False),
    ("best_of", 1),
    ("conversation_id", None),
    ("continue_from", None),
    ("system", None),
    ("top_p", None),
)
CHAT = '"$CHAT"'  # where a shell puts in the conversation that the call before began
ASK = """ask() {  # posts a call, and reads its events by the id that this returns
  id=$(curl -s "$URL" -H 'Content-Type: application/json' -d "$1" | sed 's/.*"event_id": *"//; s/".*//')
  curl -sN "$URL/$id"
}"""
FIND = """sed -n 's/.*"conversation_id": *"\\([^"]*\\)".*/\\1/p' | tail -n 1"""


def python_call(calls: Sequence[Arguments]) -> str:
    """Return a script with gradio_client that prints the answer."""
    lines = ["from gradio_client import Client", "", f'client = Client("{ADDRESS}", verbose=False)']
    for place, arguments in enumerate(calls):
        lines.append("answer = client.predict(")
        lines += [f"    {name}={value!r}," for name, value in arguments.items()]
        lines += ['    conversation_id=answer["conversation_id"],'] if place else []
        lines += ['    api_name="/compare",', ")"]
    return "\n".join([*lines, 'print(answer["completions"][0]["text"])'])


def curl_call(calls: Sequence[Arguments]) -> str:
    """Return the same for a shell; what comes are server-sent events, the last one whole."""
    lines = [f'URL="{ADDRESS}/gradio_api/call/compare"', ASK]
    for place, arguments in enumerate(calls):
        last = place == len(calls) - 1
        call = f"ask {_shell_data(arguments, goes_on=place > 0)}"
        lines.append(call if last else f"CHAT=$({call} | {FIND})")
    return "\n".join(lines)


def openai_call(arguments: Arguments, messages: Messages) -> str | None:
    """Return a script with OpenAI's client that prints the answer; None for the best of several, which it cannot ask.

    `arguments` are those of the answer's own call, `messages` all that was said before it.
    """
    if "best_of" in arguments:
        return None
    asked = {
        "model": arguments["columns"][0],
        "messages": messages_to_json(messages),
        "temperature": arguments["temperature"],
        "top_p": arguments["top_p"],
        "max_tokens": arguments["max_new_tokens"],
        "seed": arguments["seed"],
    }
    return "\n".join(
        [
            "from openai import OpenAI",
            "",
            f'client = OpenAI(base_url="{ADDRESS}/v1", api_key="none")',
            "reply = client.chat.completions.create(",
            *(f"    {name}={value!r}," for name, value in asked.items()),
            ")",
            "print(reply.choices[0].message.content)",
        ]
    )


def _shell_data(arguments: Arguments, *, goes_on: bool) -> str:
    """Return the body of a call as one word of a shell."""
    values = [arguments.get(name, absent) for name, absent in ORDER]
    if not goes_on:
        return shlex.quote(json.dumps({"data": values}, ensure_ascii=False))
    place = [name for name, _ in ORDER].index("conversation_id")
    before, after = (json.dumps(part, ensure_ascii=False)[1:-1] for part in (values[:place], values[place + 1 :]))
    return shlex.quote(f'{{"data": [{before}, "') + CHAT + shlex.quote(f'", {after}]}}')


def call_room() -> Any:
    """Build what shows the call of an answer; its button is in the panel's foot."""
    frame = {"title": strings.CALL_TITLE, "close": strings.CLOSE, "opener": ".panel footer .call"}
    return gr.HTML(frame, html_template="", js_on_load=SCRIPT, elem_id="calls", apply_default_css=False)


def shown_call(services: Services, annotator: str, comparison_id: str, slot: object) -> dict[str, Any]:
    """Return the calls that make an answer again as `assets/calls.js` takes them."""
    try:
        calls = calls_of(services, annotator, comparison_id, slot)
        texts = [("Python", python_call(calls)), ("curl", curl_call(calls))] if calls else []
        if calls and (text := openai_call(calls[-1], stored_comparison(services, comparison_id).messages)):
            texts.append((strings.CALL_OPENAI, text))
        html = render("calls", texts=texts, several=len(calls) > 1)
    except Exception as error:
        html = render("notice", text=sentence(error), kind="error")
    return {"html": html, "at": monotonic_ns()}  # also the same call again is shown anew


def bind(services: Services, room: Any, pending: Any, quiet: dict[str, Any]) -> None:
    """Bind the button in a panel's foot."""

    def show(event: gr.EventData, remembered: dict[str, Any] | None, caller: gr.Request) -> dict[str, Any]:
        comparison = str((remembered or {}).get("comparison", ""))
        return shown_call(services, annotator_id(caller), comparison, event.slot)

    room.select(show, pending, room, **quiet)
