"""Ask a model one question and keep its three answers as the example that new visitors see.

    python -m scripts.record_example pocket
    python -m scripts.record_example smollm2-135m --prompt "Why is the sky blue?" --seed 3

The question goes through the app's own services, on a data folder that is thrown away. The answers are kept beside the
model, or in the folder of assets of its preset; `service/recorded_example.py` says with which models they are shown.
"""

import argparse
import asyncio
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import app
from alignment.models.model_folder import fingerprint
from alignment.serving.local import LocalEngine
from service.command_line import parse_arguments
from service.compare import compare, stored_comparison
from service.context import Services
from service.recorded_example import RecordedExample, path_beside, write
from service.requests import CompareRequest, checked


def record(model: str, prompt: str | None = None, seed: int = 1) -> tuple[RecordedExample, Path]:
    """Return what a model answers, by default to its first example, and where that is kept.

    Raises RuntimeError if the model cannot be loaded.
    """
    with tempfile.TemporaryDirectory() as folder, _opened(model, Path(folder)) as (opened, services):
        asked = prompt or opened.examples[0].prompt
        comparison_id = asyncio.run(_ask(services, asked, seed))
        example = RecordedExample(
            model=fingerprint(opened.model.config),
            policy=opened.live.sha256,
            recorded=f"{datetime.now(UTC):%Y-%m-%d}",
            prompt=asked,
            completions=tuple(stored_comparison(services, comparison_id).completions),
        )
        return example, path_beside(opened.model.config)


@contextmanager
def _opened(model: str, folder: Path) -> Iterator[tuple[app.Opened, Services]]:
    """Yield an open data folder and its services, the model loaded."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]  # opening a folder asks for a free one
    arguments = ["--model", model, "--data-dir", str(folder), "--port", str(port)]
    opened = app.open_data_folder(parse_arguments(arguments))
    app.convert(opened.model.config)
    services = app.services_of(opened, app.engine_of(opened, ""), 0, app.LOOPBACK[0])
    engine = services.engine
    assert isinstance(engine, LocalEngine)
    engine.start()
    try:
        while engine.state.status == "loading":
            time.sleep(0.1)
        if engine.state.status == "failed":
            raise RuntimeError(engine.state.message)
        yield opened, services
    finally:
        engine.stop()
        opened.lock.release()


async def _ask(services: Services, prompt: str, seed: int) -> str:
    """Return the id of the comparison that is stored when the question has been answered."""
    async for progress in compare(services, "recorder", checked(CompareRequest, prompt=prompt, seed=seed)):
        answered = progress.comparison_id
    return answered


def main() -> None:
    """Record one model's example and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="as --model of app.py")
    parser.add_argument("--prompt", help="the question (default: the first of the model's examples)")
    parser.add_argument("--seed", type=int, default=1, help="of the first answer (default: %(default)s)")
    arguments = parser.parse_args()
    example, path = record(arguments.model, arguments.prompt, arguments.seed)
    write(path, example)
    for one in example.completions:
        print(f"--- {one.role}\n{one.text}")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
