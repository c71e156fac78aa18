"""What may be said on the command line of `app.py`."""

import argparse
import re
from pathlib import Path
from reprlib import repr as brief

from alignment.models.catalogue import ModelChoice

COMMANDS = {
    "password": "password: set the admin's, once",
    "backup": "backup FILE: copy the data folder, also while the app runs",
    "restore": "restore FILE: make a new data folder of a backup",
    "hand-off": "hand-off --to DIR: write a folder with which TRL or OpenRLHF goes on",
}
MAX_WORKERS = 64
MAX_SEED = 2**63 - 1  # of a run, and what SQLite holds
ABOUT = "Triptych: base, instruction-tuned and RLHF answers side by side; your clicks train the third."


def port_number(text: str) -> int:
    """Return a TCP port, or raise ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {brief(text)}")
    return int(text)


def site_address(text: str) -> str:
    """Return the address of a site, "" for none, or raise ArgumentTypeError."""
    if text and not re.fullmatch(r"https?://[\w.-]+(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"a site is an address such as https://huggingface.co, got {brief(text)}")
    return text


def worker_count(text: str) -> int:
    """Return how many processes train together, or raise ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"workers are a number from 1 to {MAX_WORKERS}, got {brief(text)}")
    return int(text)


def address(text: str) -> str:
    """Return what is named, or raise ArgumentTypeError for nothing, as of a variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"got {text!r}, which names nothing; give an address, or leave the option out")
    return text


def seed_number(text: str) -> int:
    """Return a seed that comparisons and runs can take, or raise ArgumentTypeError."""
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 to {MAX_SEED:,}, got {brief(text)}")
    return int(text)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(
        prog="app.py",
        description=ABOUT,
        epilog="The admin's password is TRIPTYCH_ADMIN_PASSWORD in the environment, else what `app.py password` "
        "stored, else one that is made up at each start and printed.",
    )
    add = parser.add_argument
    add("command", nargs="?", choices=["serve", *COMMANDS], default="serve", help="; ".join(COMMANDS.values()))
    add("file", nargs="?", type=Path, help="of backup and restore")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others in (default: %(default)s)")
    add("--port", type=port_number, default=7860, help="port to listen on (default: %(default)s)")
    add("--embed-in", type=site_address, default="", help="site that may show the page in a frame (default: none)")
    add("--root-path", default="", help="where a proxy shows the page, such as /triptych (default: at the top)")
    add("--data-dir", type=Path, default=Path("data"), help="database, policies and runs (default: ./%(default)s)")
    add("--model", default="", help="preset, folder, name on the hub or .gguf file (default: the data folder's)")
    add("--base", default="", help="pretrained checkpoint for the first panel: a folder or a name on the hub")
    add("--sft", default="", help="instruction-tuned LoRA adapter on the model: a folder or a name on the hub")
    add("--quantize", choices=["none", "nf4", "int8"], default="", help="how weights are held in memory")
    add("--thinking", choices=["on", "off"], default="", help="whether a model that can think does so, for all people")
    add(
        "--seed",
        type=seed_number,
        help="makes comparisons repeatable and sets the seed of runs (default: drawn anew, runs 0)",
    )
    add(
        "--fold-harmful",
        action="store_true",
        help="fold base and instruction-tuned answers to what sounds harmful, a guess by words, until they are clicked",
    )
    add("--workers", type=worker_count, metavar="N", default=1, help="processes that train a run together")
    add(
        "--ray",
        type=address,
        metavar="ADDRESS",
        help="Ray cluster on which workers train: http://head:8265 (as a job), head:6379, or local, which starts one",
    )
    add("--engine", type=address, help="servers that write instead of this process: http://host:8000, or vllm:http://…")
    add("--lend-adapters", action="store_true", help="let programs have adapters loaded through /v1, as vLLM does")
    add("--to", type=Path, help="new folder that hand-off writes")
    add("--for", dest="trainer", choices=["trl", "openrlhf"], help="of hand-off (default: trl)")
    add("--list-models", action="store_true", help="print the presets and leave")
    parsed = parser.parse_intermixed_args(arguments)  # a file may stand behind options
    if problem := _misfit(parsed):
        parser.error(problem)
    return parsed


def named_model(arguments: argparse.Namespace) -> ModelChoice:
    """Return the model as the command line names it."""
    return ModelChoice(arguments.model, arguments.base, arguments.sft, arguments.quantize, arguments.thinking)


def _misfit(parsed: argparse.Namespace) -> str:
    """Return why the parts of a command line do not go together and what to write instead, "" if they do."""
    command, file = parsed.command, parsed.file
    if command == "backup" and file is None:
        return "backup needs the file that it is to write: app.py backup FILE"
    if command == "restore" and file is None:
        return "restore needs the file that backup wrote: app.py restore FILE"
    if command == "hand-off" and parsed.to is None:
        return f"hand-off needs a new folder: app.py hand-off --to {file or 'DIR'}"
    if file is not None and command not in ("backup", "restore"):
        return f"{command} takes no file, got {str(file)!r}; leave it out"
    if command != "hand-off" and (parsed.to is not None or parsed.trainer is not None):
        return f"--to and --for are of hand-off alone, not of {command}: app.py hand-off --to DIR"
    if parsed.ray and parsed.workers == 1:
        return "--ray needs --workers of at least 2, got 1; add --workers 2"
    return ""
