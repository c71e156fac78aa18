"""Having a GGUF file converted, once, by a process of its own. Needs no torch."""

import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from alignment.errors import ModelLoadError
from alignment.settings import ModelConfig

ROOT = Path(__file__).parents[2]


def ensure_converted(config: ModelConfig) -> None:
    """Convert the model's GGUF file, if it comes from one and was not converted yet; raise ModelLoadError if it fails.

    It takes some seconds for a small model, and minutes for one of billions of parameters, most of them in Python: in
    this process they would hold up the page. If it is being converted already, that is waited for.
    """
    target = Path(config.model)
    if not config.gguf or target.is_dir():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            if not target.is_dir():
                _convert(config.gguf, target)
    except OSError as error:
        raise ModelLoadError(f"{config.gguf} cannot be converted into {target.parent}: {error}") from error


def _convert(file: str, target: Path) -> None:
    command = [sys.executable, "-m", "alignment.models.gguf", file, str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode or not target.is_dir():
        last = done.stderr.strip().rpartition("\n")[2] or f"the process ended with code {done.returncode}"
        raise ModelLoadError(f"{file} could not be converted: {last}")
