"""The cells of one seed, in a process of its own: train or go on training, score, and leave a record of each.

python -m experiments.multiview.worker JOB    JOB is the JSON of a `MultiviewJob`; `experiments multiview` starts it
"""

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from sklearn.cross_decomposition import CCA
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from experiments.child import EXPECTED, run_child
from experiments.multiview.alone import score_coupling
from experiments.multiview.cells import COUPLINGS, ROWS, Cell
from experiments.multiview.mixes import leave_out, score_mix
from experiments.multiview.solvers import couple_rows
from experiments.records import FAILURE, read_record, write_failure, write_record
from readers.errors import DataError
from readers.subsets import complete
from readers.views_data import Batch, ViewsData
from training.config import Config, MachineConfig
from training.loop import run
from training.multiview.config import CotrainConfig
from training.multiview.evaluation import Part, classification_scores
from training.multiview.task import CotrainTask
from training.run_folder import RunError, describe_origin
from training.runs import evaluate, load_run


class MultiviewJob(Config):
    """What a worker is told."""

    cells: tuple[Cell, ...]
    out: Path
    data_dir: Path | None
    machine: MachineConfig
    worker: ClassVar[str] = "experiments.multiview.worker"

    @property
    def name(self) -> str:
        """The seed's."""
        return f"seed{self.cells[0].seed}"

    @property
    def folder(self) -> Path:
        """For what the worker prints."""
        return self.out / self.name

    def configs(self) -> list[tuple[Cell, CotrainConfig]]:
        """The cells with their configurations."""
        return [(cell, cell.config(self.out, data_dir=self.data_dir, machine=self.machine)) for cell in self.cells]

    def is_complete(self) -> bool:
        """Whether the records of all cells are there."""
        return all(read_record(config) for _, config in self.configs())

    def facts(self) -> dict[str, Any]:
        """Nothing: each cell has a note of its own."""
        return {}


def work(cell: Cell, config: CotrainConfig) -> None:
    """Train and score one cell; its record is written last.

    Args:
        cell: Which.
        config: Its configuration.

    Raises:
        DataError: If the data cannot be had.
        RunError: If the run folder holds a run with other settings.
        NonFiniteError: If training broke down.
    """
    data = CotrainTask.load(config.data, seed=config.seed)
    # Labels are given to objects that all views know, whatever the autoencoders were trained on.
    whole = CotrainTask.load(config.data.model_copy(update={"overlap": 1.0}), seed=config.seed)
    folder = config.run_dir
    begun = time.process_time()
    if ROWS[cell.row].settings is None:
        folder.mkdir(parents=True, exist_ok=True)
        if cell.experiment == "unequal":
            data = leave_out(data, cell.change, seed=config.seed)
            scores = score_mix(data, cell.change)
        elif cell.row in COUPLINGS:
            scores = score_coupling(couple_rows(cell.row, data, seed=config.seed), data)
        else:
            scores = score_linear(cell.row, whole, seed=config.seed)
        origin = describe_origin(data)
    else:
        run(CotrainTask(config, data), resume=True)
        trained = load_run(folder)
        scores = evaluate(trained, whole)
        origin = trained.origin
    facts = {
        "name": cell.name,
        **cell.model_dump(),
        "measures": scores,
        "processor_seconds": time.process_time() - begun,
        "threads": torch.get_num_threads(),
        "origin": origin,
    }
    write_record(config, facts)


def score_linear(row: str, data: ViewsData, *, seed: int) -> dict[str, float]:
    """Scores of features that no network has made: the standardised ones, or their canonical variates.

    Args:
        row: raw or cca-linear.
        data: Two views for cca-linear.
        seed: Of the labelled objects.

    Returns:
        As `classification_scores`.
    """
    parts = [_standardised(data, part) for part in (data.train, data.validation, data.test)]
    if row == "cca-linear":
        size = min(20, *(codes.shape[1] for codes in parts[0][0]))
        cca = CCA(n_components=size, scale=False, max_iter=2000).fit(*(codes.numpy() for codes in parts[0][0]))
        parts = [
            ([torch.from_numpy(z).float() for z in cca.transform(*(codes.numpy() for codes in part))], labels)
            for part, labels in parts
        ]
    return classification_scores(*parts, seed=seed)


def _standardised(data: ViewsData, part: Batch) -> Part:
    rows, objects = complete(part)
    if data.labels is None:
        raise DataError(f"{data.name}: expected classes, got none")
    return [data.standardise(name, x) for name, x in rows.items()], data.labels[objects]


def work_off(job: MultiviewJob) -> None:
    """Work on all cells of a job that are not complete; what fails is noted, and does not stop the others.

    Args:
        job: Which cells.

    Raises:
        RunError: At the end, if a cell failed.
    """
    failed = 0
    for cell, config in job.configs():
        if read_record(config) is not None:
            continue
        try:
            work(cell, config)
            (config.run_dir / FAILURE).unlink(missing_ok=True)
        except EXPECTED as error:
            failed += 1
            message = f"{error}".splitlines()[0]
            write_failure(config.run_dir, {"name": cell.name, **cell.model_dump()}, message)
            print(f"error: {cell.name}: {error}", file=sys.stderr)  # noqa: T201
    if failed:
        raise RunError(f"{failed} of {len(job.cells)} cells failed")


def main() -> int:
    """Work off the job in the first argument."""
    # Matrices of a hundred rows: threads would wait for each other, spinning, most of the time.
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return run_child(lambda words: work_off(MultiviewJob.model_validate_json(words)))


if __name__ == "__main__":
    sys.exit(main())
