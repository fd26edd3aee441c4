"""`experiments multiview`: work off what is missing, and write the results anew after every seed."""

from pathlib import Path

from tqdm import tqdm

from experiments.multiview.cells import Cell, MultiviewPaperConfig
from experiments.multiview.figures import draw_figures
from experiments.multiview.tables import write_tables
from experiments.multiview.worker import MultiviewJob
from experiments.records import collect, read_record
from experiments.runner import cores, run_jobs, set_aside
from readers.atomic import write_text
from training.multiview.config import CotrainConfig
from training.run_folder import alone_in


def make_multiview(config: MultiviewPaperConfig, *, jobs: int | None = None) -> int:
    """Train, score and tabulate all cells that are not complete yet.

    Args:
        config: Which cells, and where.
        jobs: Processes at a time, each with the cells of one seed; by default one per processor.

    Returns:
        How many seeds have a cell that failed.

    Raises:
        RunError: If another command is at work in the same folder.
    """
    cells = config.cells()
    with alone_in(config.out):
        todo = {seed: _missing(config, seed) for seed in config.seeds}
        missing = sum(len(job.cells) for job in todo.values() if job)
        tqdm.write(f"{len(cells)} cells, {len(cells) - missing} of them complete; results in {config.results}")
        waiting = [job for job in todo.values() if job]
        for job in waiting:
            for _, own in job.configs():
                set_aside(own)
        write_results(config)

        def done(job: MultiviewJob, well: bool) -> None:
            tqdm.write(
                f"{job.name}: {len(job.cells)} cells " + ("done" if well else f"with failures, see {job.folder}")
            )
            write_results(config)

        return run_jobs(waiting, parallel=jobs or cores(), done=done)


def write_results(config: MultiviewPaperConfig) -> Path:
    """Write multiview.json, multiview.md and the pictures from all records there are.

    Args:
        config: Which cells are at hand, where they lie, and where results go.

    Returns:
        The tables' path.
    """
    current = {cell.name: _config(config, cell).portable() for cell in config.cells()}
    results = collect(config.out, config.results / "multiview.json", current)
    pictures = draw_figures(config.out, config.results / "multiview", results.runs)
    path = config.results / "multiview.md"
    write_text(path, write_tables(results, pictures))
    return path


def _missing(config: MultiviewPaperConfig, seed: int) -> MultiviewJob | None:
    own = tuple(cell for cell in config.cells() if cell.seed == seed and read_record(_config(config, cell)) is None)
    return MultiviewJob(cells=own, out=config.out, data_dir=config.data_dir, machine=config.machine) if own else None


def _config(config: MultiviewPaperConfig, cell: Cell) -> CotrainConfig:
    return cell.config(config.out, data_dir=config.data_dir, machine=config.machine)
