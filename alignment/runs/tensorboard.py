"""A run's metrics as TensorBoard's event files as well, where a setting asks for them and the package is there."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from storage.records import Metric

FOLDER = "tensorboard"  # in the folder of all runs: `tensorboard --logdir` shows them side by side


def installed() -> bool:
    """Return whether event files can be written: the package `tensorboard` is no dependency."""
    return find_spec("tensorboard") is not None


def event_writer(folder: Path) -> Callable[[Sequence[Metric]], None]:
    """Return what writes metrics into event files in a folder, which are whole after each call."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def write(metrics: Sequence[Metric]) -> None:
        for metric in metrics:
            writer.add_scalar(metric.name, metric.value, metric.step)
        writer.flush()

    return write
