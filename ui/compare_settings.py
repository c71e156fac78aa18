"""The settings beside the question: their fields, what a browser keeps of them, and the way back to the model's own."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import gradio as gr

from alignment.settings import MAX_BEST_OF, MAX_PROMPT_CHARACTERS
from service import policies
from service.context import ServedModel, Services
from service.requests import MAX_SEED, ROLES
from ui import strings

LONGEST_ANSWER = 4096  # tokens that the slider goes to, where the model reads as many
NONE = "none"  # in the third panel: there are two
PANELS = ("first", "second", "third")
Values = dict[str, Any]  # of the settings, by name


@dataclass(frozen=True)
class SettingsForm:
    """The fields of the settings, by the names of the fields of `Question`, and what belongs to them."""

    blind: Any
    temperature: Any
    top_p: Any
    tokens: Any
    best_of: Any
    seed: Any
    system: Any
    preview: Any
    first: Any
    second: Any
    third: Any
    room: Any  # that the others but `blind` and `preview` are in
    reset: Any  # a button: all as it was made
    kept: Any  # what differs from that, which the browser keeps

    @property
    def all(self) -> list[Any]:
        """The fields, in the order of `SETTINGS`."""
        return [getattr(self, name) for name in SETTINGS]


SETTINGS = tuple(field.name for field in fields(SettingsForm))[:-3]


def settings_form(services: Services) -> SettingsForm:
    """Build the settings as they are unless somebody changes them."""
    own, slider = own_values(services.model), partial(gr.Slider, interactive=True)
    kept = gr.BrowserState({}, storage_key="triptych-settings", secret="triptych")
    made: Values = {"blind": gr.Checkbox(label=strings.BLIND, elem_id="blind", container=False)}
    with gr.Accordion(strings.SETTINGS, open=False, elem_id="settings") as room:
        with gr.Row(elem_id="columns"):
            for name, label in zip(PANELS, strings.PANELS, strict=True):
                offered = panel_choices(services, name)
                made[name] = gr.Dropdown(offered, value=own[name], label=label, filterable=False, min_width=90)
        made["temperature"] = slider(0, 2, own["temperature"], step=0.05, label=strings.TEMPERATURE)
        made["top_p"] = slider(0.05, 1, own["top_p"], step=0.05, label=strings.TOP_P)
        made["tokens"] = slider(1, _longest(services.model), own["tokens"], step=1, label=strings.LONGEST_ANSWER)
        made["best_of"] = slider(1, MAX_BEST_OF, 1, step=1, label=strings.BEST_OF)
        made["seed"] = gr.Textbox("", label=strings.SEED, max_lines=1, elem_id="seed")
        made["system"] = gr.Textbox("", label=strings.SYSTEM, lines=2, max_lines=4, elem_id="system")
        reset = gr.Button(strings.MODELS_OWN, elem_id="own-way", size="sm")
    # It stands below the panels, beside what it turns off.
    made["preview"] = gr.Checkbox(
        True, label=strings.PREVIEW, elem_id="preview-switch", container=False, min_width=0, render=False
    )
    return SettingsForm(**made, room=room, reset=reset, kept=kept)


def own_values(model: ServedModel) -> Values:
    """Return each setting as it is unless somebody changes it: sampling is the model's own."""
    own = model.sampling
    sampling = {"temperature": own.temperature, "top_p": own.top_p, "tokens": min(own.max_new_tokens, _longest(model))}
    rest = {"best_of": 1, "seed": "", "system": "", "preview": True}
    return {"blind": False, **sampling, **rest, **dict(zip(PANELS, ROLES, strict=True))}


def _longest(model: ServedModel) -> int:
    return min(model.max_tokens, LONGEST_ANSWER)


def panel_choices(services: Services, name: str) -> list[tuple[str, str]]:
    """Return what a panel may show, as people read it and as `/compare` takes it; the third may be left out."""
    named = strings.NAME_AND_VERSION.format
    numbers = [one.version for one in policies.versions(services) if not one.pruned]
    versions = [(named(name=strings.NAMES["rlhf"], version=number), f"v{number}") for number in numbers]
    first = {"base": strings.RAW_NAME} if services.model.shape == "chat" else {}
    names = strings.NAMES | {"rlhf": strings.LIVE} | first
    roles = [(names[role], role) for role in ROLES]
    return roles + versions + ([(strings.NO_PANEL, NONE)] if name == "third" else [])


def kept_of(services: Services, named: Values) -> Values:
    """Return what a browser keeps: what differs from what the model and the page do by themselves."""
    own = own_values(services.model)
    return {name: value for name, value in named.items() if value != own[name]}


def restored(services: Services, kept: Any) -> Values:
    """Return all settings as a browser kept them; one that does not fit this model or this app is as it was made."""
    own = own_values(services.model)
    known: Mapping[str, Any] = kept if isinstance(kept, dict) else {}
    values = own | {name: value for name, value in known.items() if name in own and _fits(services, name, value)}
    if len({values[name] for name in PANELS}) < len(PANELS):
        values |= {name: own[name] for name in PANELS}
    return values


def _fits(services: Services, name: str, value: Any) -> bool:
    """Return whether a value may stand in a field."""
    if name in PANELS:
        return value in [choice for _, choice in panel_choices(services, name)]
    if name in ("blind", "preview"):
        return isinstance(value, bool)
    if name == "seed":
        return isinstance(value, str) and value.strip().isdecimal() and int(value) <= MAX_SEED
    if name == "system":
        return isinstance(value, str) and len(value) <= MAX_PROMPT_CHARACTERS
    low, high = {
        "temperature": (0, 2),
        "top_p": (0.05, 1),
        "tokens": (1, _longest(services.model)),
        "best_of": (1, MAX_BEST_OF),
    }[name]
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def columns_of(named: Values) -> list[str]:
    """Return what the panels show, from the left, as `/compare` takes it."""
    return [named[name] for name in PANELS if named[name] != NONE]


def without_twins(values: Values, before: Values) -> Values:
    """Return what another panel than the one that was changed shows from now on, where both would show the same.

    The two change places; where the one that was changed was left out, the other shows what no panel does.
    """
    changed = next((name for name in PANELS if values[name] != before[name]), "")
    twin = next((name for name in PANELS if changed and name != changed and values[name] == values[changed]), "")
    if not twin:
        return {}
    shown = [values[name] for name in PANELS]
    free = before[changed] if before[changed] != NONE else next(role for role in ROLES if role not in shown)
    return {twin: free}


def bind(services: Services, form: SettingsForm, quiet: Values) -> None:
    """Bind what the browser keeps, what it may choose from, and the way back."""
    panels = [form.first, form.second, form.third]

    def changed(kept: Any, *values: Any) -> list[Any]:
        named = dict(zip(SETTINGS, values, strict=True))
        moved = without_twins(named, restored(services, kept))
        return [kept_of(services, named | moved), *(moved.get(name, gr.skip()) for name in PANELS)]

    def offered() -> list[Any]:
        return [gr.update(choices=panel_choices(services, name)) for name in PANELS]

    def reset(blind: bool, preview: bool) -> list[Any]:
        own = own_values(services.model) | {"blind": blind, "preview": preview}  # they stand outside
        return [kept_of(services, own), *(own[name] for name in SETTINGS)]

    by_hand = [field.input for field in form.all]
    gr.on(by_hand, changed, [form.kept, *form.all], [form.kept, *panels], trigger_mode="always_last", **quiet)
    form.room.expand(offered, None, panels, **quiet)  # a training may have made a version since
    form.reset.click(reset, [form.blind, form.preview], [form.kept, *form.all], **quiet)


def opened(services: Services, kept: Any) -> list[Any]:
    """Return the fields as a browser kept them, in the order of `SETTINGS`, with the versions that there are now."""
    values = restored(services, kept)
    return [
        gr.update(value=values[name], choices=panel_choices(services, name)) if name in PANELS else values[name]
        for name in SETTINGS
    ]
