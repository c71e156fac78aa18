"""Trains a run by workers on this machine: `python -m alignment.runs.torch_group`.

torchrun's own code starts and watches them, and ends all of them where one is lost. It is not asked to start them
again, as it would without a look at why.
"""

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from alignment.runs.groups import run_parser, train_together


def main() -> None:
    """Start the workers and wait for them."""
    given = run_parser(__doc__).parse_args()
    job = ["-m", "alignment.runs.job", *sys.argv[1:]]
    workers = parse_args(["--standalone", "--nproc-per-node", str(given.workers), *job])
    sys.exit(train_together(lambda: run(workers), ChildFailedError, given.data_dir, given.run_number))


if __name__ == "__main__":
    main()
