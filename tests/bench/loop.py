"""The loop at full size: `python -m tests.bench.loop` starts the app on a fresh data folder and prints JSON."""

import argparse
import json
import tempfile
from pathlib import Path

from tests.harness.app import running_app
from tests.harness.loop import Size, measured_loop


def main() -> None:
    """Run the loop and print what was measured as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=32)
    parser.add_argument("--compared", type=int, default=100, help="prompts on which old and new are compared")
    parser.add_argument("--capitals", type=int, default=193, help="countries asked for")
    parser.add_argument("--settings", type=json.loads, default=None, help="overrides of the run's settings, as JSON")
    arguments = parser.parse_args()
    size = Size(arguments.votes, arguments.compared, arguments.capitals)
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder), "--model", "pocket", "--seed", "1") as app:
        print(json.dumps(measured_loop(app, Path(folder), size, arguments.settings), indent=2))


if __name__ == "__main__":
    main()
