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
        lock = FileLock(target.parent / f".{target.name}.lock")
        lock.acquire()
    except OSError as error:
        raise ModelLoadError(f"{config.gguf} cannot be converted into {target.parent}: {error}") from error
    with lock:  # a second hold of it, which ends with the first one
        lock.release()
        if target.is_dir():
            return
        command = [sys.executable, "-m", "alignment.models.gguf", config.gguf, config.model]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not target.is_dir():
            last = done.stderr.strip().rpartition("\n")[2] or f"the process ended with code {done.returncode}"
            raise ModelLoadError(f"{config.gguf} could not be converted: {last}")
