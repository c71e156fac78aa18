"""Whether a server serves the model that the app has: by a fingerprint, else by how it cuts a text into tokens.

No server tells its weights. A Triptych tells their fingerprint, vLLM the folder or name that it loaded and the ids of
a text's tokens, others how many tokens a text has. Needs no torch.
"""

import logging
from functools import cache
from pathlib import Path
from typing import Literal

from alignment.errors import ConfigError
from alignment.models.model_folder import fingerprint
from alignment.serving.openai_server import VLLM_OWNER, Listed, Server
from alignment.settings import ModelConfig

log = logging.getLogger(__name__)

# "like": nothing speaks against it. "unlike": it counts the tokens of a text otherwise, which may have other causes.
Likeness = Literal["same", "like", "unlike"]
CACHED = "models--"  # before the name of a model in the hub's cache, "models--owner--name"
SHORT = "Where is it?"
# What tokenizers cut differently: numbers, blanks, capitals, accents and other scripts. It begins and ends as SHORT.
LONG = "Where is 31,415 + 9265?   Überraschung, naïveté; HTTPServer_v2 == getById(x) 東京 Москва … 0.5%\n\tis it?"
NEXT_STEP = "name a server of this model, or start the app with the server's as --model and a --data-dir for it"


class OtherModelError(ConfigError):
    """A server serves another model than the one that votes train."""


def likeness(server: Server, listed: tuple[Listed, ...], main: Listed, config: ModelConfig) -> Likeness:
    """Return how sure it is that a server serves the app's model, `main` in its list.

    Raises OtherModelError for one that shows to be another, UnreachableError for a server that does not answer.
    """
    if main.fingerprint:
        _require_same_weights(server, listed, main, config)
        return "same"
    if main.owner == VLLM_OWNER and _loaded_from(main, config):
        return "same"
    own = token_ids(Path(config.model), LONG)
    if own is None:
        return "like"
    if main.owner == VLLM_OWNER and (ids := server.token_ids(main.name, LONG)):  # llama.cpp's route is another one
        if ids != own:
            raise OtherModelError(
                f"{server.url} serves another model ({_name(main.root or main.name)}) than {_name(config.model)}: it "
                f"cuts a text into other tokens ({len(ids)}, not {len(own)}); {NEXT_STEP}"
            )
        return "like"
    return _counted(server, main, config)


def _require_same_weights(server: Server, listed: tuple[Listed, ...], main: Listed, config: ModelConfig) -> None:
    """Raise OtherModelError unless a Triptych has the app's model, and its base checkpoint where the app has one."""
    told = {one.name: one.fingerprint for one in listed}
    chat, own = told.get("sft", main.fingerprint), _fingerprint(config)
    if chat != own:
        raise OtherModelError(
            f"{server.url} serves another model (fingerprint {chat[:12]}) than {_name(config.model)} ({own[:12]}), or "
            f"another copy of it; {NEXT_STEP}"
        )
    base = _fingerprint(ModelConfig(config.base)) if config.base else own
    if main.fingerprint != base:
        raise OtherModelError(
            f"{server.url} serves another base ({main.fingerprint[:12]}) than {_name(config.base) or 'the raw model'} "
            f"({base[:12]}); start both apps with the same --base"
        )


def _loaded_from(main: Listed, config: ModelConfig) -> bool:
    """Return whether a server says that it loaded the app's folder, or the name on the hub that lies there."""
    return bool(main.root) and (Path(main.root) == Path(config.model) or main.root == _hub_name(Path(config.model)))


def _hub_name(folder: Path) -> str | None:
    """Return the name on the hub of a checkpoint that lies in the hub's cache, None for any other."""
    cached = next((part for part in folder.parts if part.startswith(CACHED)), None)
    return cached.removeprefix(CACHED).replace("--", "/", 1) if cached else None


def _name(place: str) -> str:
    """Return what a model is called, on the hub or by its folder: what everybody is told shows no paths."""
    path = Path(place)
    return _hub_name(path) or (path.name if path.is_absolute() else place)


def _counted(server: Server, main: Listed, config: ModelConfig) -> Likeness:
    """Compare by how many more tokens one question takes than another: what a template adds is the same in both."""
    try:
        short, long = (server.prompt_tokens(main.name, text) for text in (SHORT, LONG))
    except ConfigError:  # it refuses such a question, and so tells nothing
        return "like"
    own = [len(token_ids(Path(config.model), text) or ()) for text in (SHORT, LONG)]
    return "like" if not short or not long or long - short == own[1] - own[0] else "unlike"


@cache
def token_ids(folder: Path, text: str) -> tuple[int, ...] | None:
    """Return the ids of a text by a folder's tokenizer.json, without what begins a document; None where none is."""
    from tokenizers import Tokenizer  # takes half a second, which the app's start does not have

    try:
        return tuple(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids)
    except Exception as error:  # its own kind, for a file that is not there or cannot be read
        log.warning("%s has no tokenizer to compare with (%s)", folder, error)
        return None


@cache
def _fingerprint(config: ModelConfig) -> str:
    return fingerprint(config)
