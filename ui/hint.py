"""What the three panels are, in a sentence each, and what a click does: shown to a newcomer once."""

from service.context import ServedModel
from ui import strings
from ui.render import render


def hint(model: ServedModel, version: int) -> str:
    """Return what the three panels of a model are, in a sentence each, and what a click does.

    `version` is the one that is served.
    """
    first = (strings.NAMES["base"], strings.BASE_IS) if model.shape != "chat" else (strings.RAW_NAME, strings.RAW_IS)
    second = strings.SFT_IS if model.shape == "adapter" else strings.CHAT_IS
    third = strings.RLHF_UNTRAINED_IS if version in model.untrained else strings.RLHF_IS
    roles: list[tuple[str, str, str]] = [
        ("base", *first),
        ("sft", strings.NAMES["sft"], second),
        ("rlhf", strings.NAMES["rlhf"], third),
    ]
    return render("hint", first=strings.THREE_MODELS, roles=roles, last=strings.CLICK_DOES, dismiss=strings.GOT_IT)
