"""Trains a run by workers of a Ray cluster: `python -m alignment.runs.ray_group`, where Ray is installed.

Ray places and watches the workers, and ends all of them where one is lost; each does what one of torchrun's does. Ray
is not among this project's requirements: `pip install 'ray[default]' tensorboardX`.
"""

import argparse
import json
import os
import socket
from pathlib import Path
from typing import Any

from alignment.runs.child import leave_with_parent
from alignment.runs.groups import run_parser, train_together
from alignment.settings import ModelConfig
from storage import database, run_folder, runs

ANSWER_SECONDS = 10.0  # in which a cluster has to be there
ROOT = Path(__file__).parents[2]


def work(given: dict[str, Any]) -> None:
    """Do a worker's part; Ray has joined it with the others."""
    from alignment.runs.job import carry_out  # torch, in the workers alone

    try:
        carry_out(Path(given["data_dir"]), ModelConfig(**given["model"]), given["run"], in_group=True)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"a worker of run {given['run']} ended with code {end.code}") from end


def parse_arguments() -> argparse.Namespace:
    """Return which run is to be trained, and where."""
    parser = run_parser(__doc__)
    parser.add_argument("--address", default="local", help="of the cluster; local: one of this process's own")
    parser.add_argument(
        "--submitted", action="store_true", help="by ray_job, which stops it; the app is not its parent"
    )
    return parser.parse_args()


def end_unstarted(arguments: argparse.Namespace, error: ImportError | OSError) -> None:
    """Mark the run as failed, with what to do: Ray cannot be used here, or no cluster answers."""
    if isinstance(error, ImportError):
        what = "Ray cannot be used here"
        instead = "pip install 'ray[default]' tensorboardX, or start the app without --ray"
    else:
        what = f"no Ray cluster answers at {arguments.address}"
        instead = "start one with `ray start --head`, or mend --ray"
    runs.end_run(database.file_in(arguments.data_dir), arguments.run_number, "failed", f"{what} ({error}); {instead}")


def _require_answer(address: str) -> None:
    """Raise OSError where nothing listens at host:port; Ray itself tries for more than ten minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()


def _join(address: str) -> None:
    """Join a cluster, or start one; raise ImportError where Ray cannot be used, OSError where no cluster answers."""
    import ray
    import ray.train.torch

    _require_answer(address)
    ray.init(address=address, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}}, include_dashboard=False)


def _train(arguments: argparse.Namespace) -> int:
    """Have the cluster that was joined train the run, and return what this process is to end with."""
    import ray
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    data_dir, run = arguments.data_dir.resolve(), arguments.run_number
    on_gpu = ray.cluster_resources().get("GPU", 0) >= arguments.workers

    def start() -> None:
        TorchTrainer(
            work,
            train_loop_config={"data_dir": str(data_dir), "model": json.loads(arguments.model), "run": run},
            torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout_s=86_400),
            scaling_config=ScalingConfig(num_workers=arguments.workers, use_gpu=on_gpu),
            run_config=RunConfig(name="ray", storage_path=str(run_folder.folder_of(data_dir, run))),
        ).fit()

    return train_together(start, TrainingFailedError, data_dir, run)


def main() -> None:
    """Start the workers and wait for them; a run that they could not end is marked as failed."""
    arguments = parse_arguments()
    if not arguments.submitted:
        leave_with_parent()
    try:
        _join(arguments.address)
    except (ImportError, OSError) as error:
        end_unstarted(arguments, error)
        return
    os._exit(_train(arguments))  # a cluster of its own ends with it; nothing is left to do


if __name__ == "__main__":
    main()
