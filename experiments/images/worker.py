"""One cell, in a process of its own: train or go on training, score, draw, and leave a record.

python -m experiments.images.worker JOB    JOB is the JSON of a `Job`; `experiments images` starts it
"""

import itertools
import json
import resource
import statistics
import sys
from pathlib import Path
from typing import Any, ClassVar

import torch

from experiments.child import run_child
from experiments.images.cells import Cell
from experiments.records import RECORD, write_record
from readers.atomic import write_json
from training.config import Config, TrainConfig

PEAK = "peak-memory.json"


class Job(Config):
    """What a worker is told."""

    cell: Cell
    config: TrainConfig
    inception_weights: Path | None
    samples: int
    pictures: bool
    worker: ClassVar[str] = "experiments.images.worker"

    @property
    def name(self) -> str:
        """The cell's."""
        return self.cell.name

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.config.run_dir

    def is_complete(self) -> bool:
        """Whether its record is there."""
        return (self.folder / RECORD).exists()

    def facts(self) -> dict[str, Any]:
        """The cell's."""
        return self.cell.model_dump()


def work(job: Job) -> None:
    """Train, score and draw one cell; its record is written last.

    Args:
        job: What to do.

    Raises:
        DataError: If the data cannot be had.
        RunError: If the run folder holds a run with other settings.
        NonFiniteError: If training broke down.
        WeightsError: If a file of a network that scores is missing or broken.
    """
    from experiments.images.gallery import save_gallery
    from training.image_task import ImageTask
    from training.loop import make_fabric, run
    from training.runs import evaluate, load_run

    data = ImageTask.load(job.config.data, seed=job.config.seed)
    folder = run(ImageTask(job.config, data), resume=True)
    peak = _peak_memory(folder)
    trained = load_run(folder)
    device = make_fabric(job.config.machine).device
    trained.model.to(device)
    measures = evaluate(trained, data, inception_weights=job.inception_weights, samples=job.samples)
    if job.pictures:
        save_gallery(folder, trained.model.only.cpu(), data)
    curve, seconds = _read_log(folder)
    facts = {
        "name": job.cell.name,
        **job.cell.model_dump(),
        "method": job.config.model.method,
        "recipe": job.config.recipe,
        "measures": measures,
        "samples": job.samples,
        "test_reconstruction_by_epoch": curve,
        "seconds_per_epoch": seconds,
        "peak_memory_mib": peak,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "origin": trained.origin,
    }
    write_record(job.config, facts)


def _peak_memory(folder: Path) -> float:
    """Most memory that training took, MiB: the device's on CUDA, else the process's; the largest of all attempts."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    path = folder / PEAK
    peak = max(peak, json.loads(path.read_text()) if path.exists() else 0.0)
    write_json(path, peak)
    return peak


def _read_log(folder: Path) -> tuple[list[float], float | None]:
    """Test reconstruction error after each epoch, and the median seconds of an epoch, from the run's log."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if "test_reconstruction" in line]
    clock = [0.0, *(line["seconds"] for line in epochs)]
    # The clock starts anew with each process; whoever was killed midway has no time for that epoch.
    seconds = [later - earlier for earlier, later in itertools.pairwise(clock) if later > earlier]
    return [line["test_reconstruction"] for line in epochs], statistics.median(seconds) if seconds else None


def main() -> int:
    """Work off the job in the first argument."""
    return run_child(lambda words: work(Job.model_validate_json(words)))


if __name__ == "__main__":
    sys.exit(main())
