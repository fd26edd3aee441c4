"""Table 3 side by side: steps of all methods in turn in one process, so that whatever slows the machine slows them all.

On a CPU the clock is the processor time of one thread, which waiting for other processes does not lengthen.

python -m experiments.images.timing JOB    JOB is the JSON of a `TimingJob`; the verbs `images` and `timing` start it
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.child import run_child
from readers.atomic import write_json
from readers.image_data import ImageData
from training.config import Config, TrainConfig
from training.image_task import ImageTask, image_autoencoder
from training.loop import make_fabric
from training.objectives import OBJECTIVES
from training.step import Adam, Step

REFERENCE = "ae"
WARM_UP, FEWEST, MOST = 3, 10, 200  # rounds
BUDGET = 30.0  # seconds


class TimingJob(Config):
    """What is timed.

    The configurations share data, width and machine.
    """

    name: str
    rows: dict[str, TrainConfig]
    path: Path


def make_step(config: TrainConfig, data: ImageData, device: torch.device, *, wait: bool = True) -> Callable[[], None]:
    """A function that takes one training step on a fixed batch, as the loop does.

    Args:
        config: Method and sizes.
        data: Its first images are the batch.
        device: Where.
        wait: Whether to wait each time until it is done.

    Returns:
        The function.
    """
    fabric = make_fabric(config.machine)
    autoencoder = image_autoencoder(data.shape, config.model, seed=config.seed)
    method = OBJECTIVES[config.model.method](autoencoder, config.regularizer)
    method.start(data, seed=config.seed)
    adam = Adam(method.parameter_groups(config.optimizer), betas=config.optimizer.adam_betas, device=device)
    objective, optimizer = fabric.setup(method, adam)
    batch = data.train[: config.optimizer.batch_size].to(device)
    x = data.pixels(batch).contiguous(memory_format=torch.channels_last)
    one = Step(fabric, objective, optimizer, adam, method, capture=config.machine.capture)
    one.generator.manual_seed(config.seed)

    def step() -> None:
        one.take(x)
        if wait and device.type == "cuda":
            torch.cuda.synchronize()

    return step


def time_rows(job: TimingJob, data: ImageData) -> dict[str, Any]:
    """Time all rows in turn, for about half a minute.

    Args:
        job: What.
        data: Its data.

    Returns:
        The record: for each row its median seconds per step and per epoch, and the median ratio to the plain
        autoencoder's step of the same round.
    """
    configs = list(job.rows.values())
    device = make_fabric(configs[0].machine).device
    steps = {row: make_step(config, data, device) for row, config in job.rows.items()}
    for step in list(steps.values()) * WARM_UP:
        step()
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds: dict[str, list[float]] = {row: [] for row in steps}
    start, rounds = clock(), 0
    while rounds < FEWEST or (rounds < MOST and clock() - start < BUDGET):
        for row, step in steps.items():
            begun = clock()
            step()
            seconds[row].append(clock() - begun)
        rounds += 1
    steps_per_epoch = len(data.train) // configs[0].optimizer.batch_size
    rows = [
        {
            "row": row,
            "seconds_per_step": (median := statistics.median(own)),
            "seconds_per_epoch": median * steps_per_epoch,
            "ratio_to_ae": statistics.median(a / b for a, b in zip(own, seconds[REFERENCE], strict=True)),
        }
        for row, own in seconds.items()
    ]
    return {
        "name": job.name,
        "rounds": rounds,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "rows": rows,
    }


def work(job: TimingJob) -> None:
    """Time the rows of a job and write their record."""
    write_json(job.path, time_rows(job, ImageTask.load(next(iter(job.rows.values())).data, seed=0)))


def main() -> int:
    """Time the job in the first argument."""
    return run_child(lambda words: work(TimingJob.model_validate_json(words)))


if __name__ == "__main__":
    sys.exit(main())
