"""How a chat checkpoint continues raw text, by its files alone, for servers that are told. Needs no torch.

`ChatTokenizer` knows the same where the model is loaded.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from alignment.errors import ModelLoadError
from alignment.models.checkpoint_facts import json_object, template_of

# What documents are set apart by where a chat checkpoint has made other tokens its bos and eos.
SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>", "<|END_OF_TEXT|>")


@dataclass(frozen=True)
class RawText:
    """What a raw continuation begins with, ends on and never holds."""

    begins: str = ""  # the token before a document; "" where tokenizers put it there by themselves
    ends: tuple[int, ...] = ()  # ids of tokens; () where the checkpoint's own end is enough
    barred: tuple[int, ...] = ()  # ids of the tokens of chat


def raw_text(folder: Path) -> RawText:
    """Return how the chat checkpoint in a folder continues raw text; nothing special where it has no tokenizer.json.

    Raises ModelLoadError for a file that is broken.
    """
    return _read(folder) if (folder / "tokenizer.json").is_file() else RawText()


@cache
def _read(folder: Path) -> RawText:
    added = _added_tokens(folder / "tokenizer.json")
    config, template = json_object(folder / "tokenizer_config.json"), template_of(folder)
    bos, eos = (_content(config.get(f"{end}_token")) for end in ("bos", "eos"))
    ids = {token["content"]: int(token["id"]) for token in added}
    apart = [name for name in SEPARATORS if name in ids and name not in template]
    documents = bool(bos) and bos not in template  # the checkpoint's bos begins a document, not a turn
    ends = {ids[name] for name in [*apart, bos if documents else ""] if name in ids}
    if not apart:  # its eos ends turns and documents alike
        ends |= {ids[eos]} if eos in ids else set()
    chat = {ids[token["content"]] for token in added if token.get("special") or token["content"].strip() in template}
    return RawText("" if documents or not apart else apart[0], tuple(sorted(ends)), tuple(sorted(chat - ends)))


def _added_tokens(path: Path) -> list[dict[str, Any]]:
    """Return the tokens with a meaning of their own. The vocabulary beside them is large, so it is not read."""
    try:
        text = path.read_text(encoding="utf-8")
        begin = text.index("[", text.index('"added_tokens"'))
        found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(text, begin)[0]
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} names no added tokens ({error}); copy the file anew") from error
    return [token for token in found if token["content"].strip()]


def _content(token: Any) -> str:
    """Return the text of a token as a tokenizer's config has it: by itself, with its settings, or not at all."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")
