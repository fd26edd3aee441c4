"""The verbs `images` and `timing`: work off what is missing, and write the results anew after every cell."""

from tqdm import tqdm

from experiments.images.cells import ROWS, Cell, PaperConfig
from experiments.images.figures import draw_figures
from experiments.images.tables import write_tables
from experiments.images.timing import REFERENCE, TimingJob
from experiments.images.worker import Job
from experiments.records import Results, collect
from experiments.runner import cores, end, last_line, run_jobs, set_aside, start
from readers.atomic import write_text
from training.config import TrainConfig
from training.run_folder import alone_in

MOST_JOBS = 8


def make_images(config: PaperConfig, *, jobs: int | None = None) -> int:
    """Train, score and tabulate all cells that are not complete yet.

    Args:
        config: Which cells, and where.
        jobs: Cells at a time; by default one per processor, at most eight, and one on CUDA.

    Returns:
        How many cells failed.

    Raises:
        RunError: If another command is at work in the same folder.
    """
    cells = config.cells()
    with alone_in(config.out):
        pictured = {cell.name for cell in cells if cell.seed == config.seeds[0]}
        todo = [_job(config, cell, pictures=cell.name in pictured) for cell in cells]
        before = write_results(config)
        complete = {run["name"] for run in before.runs}  # here, or kept in images.json
        todo = [job for job in todo if job.cell.name not in complete]
        tqdm.write(f"{len(cells)} cells, {len(cells) - len(todo)} of them complete; results in {config.results}")
        for job in todo:
            if aside := set_aside(job.config):
                tqdm.write(f"{job.cell.name}: its settings have changed; the old run is now {aside}")
        with tqdm(total=len(cells), initial=len(cells) - len(todo), unit="cell", smoothing=0) as bar:

            def done(job: Job, well: bool) -> None:
                bar.write(f"{job.cell.name}: " + ("done" if well else f"failed: {last_line(job.config.run_dir)}"))
                bar.update()
                write_results(config)

            failed = run_jobs(todo, parallel=jobs or _default_jobs(config), done=done)
        # Last, when no cell disturbs it.
        for failure in time_methods(config, before, anew=False):
            tqdm.write(failure)
        write_results(config)
        return failed


def write_results(config: PaperConfig) -> Results:
    """Write images.json, images.md and the pictures from all records there are.

    Args:
        config: Which cells are at hand, where they lie, and where results go.

    Returns:
        What the tables were written from.
    """
    current = {cell.name: _train_config(config, cell).portable() for cell in config.cells()}
    results = collect(config.out, config.results / "images.json", current)
    pictures = draw_figures(config.out, config.results / "images", results.runs)
    write_text(config.results / "images.md", write_tables(results, pictures))
    return results


def time_methods(config: PaperConfig, results: Results, *, anew: bool) -> list[str]:
    """Time one training step of each row against the plain autoencoder's, in one process with one thread.

    Rows of an ablation are left out; a row that was not timed yet has all that were timed with it anew.

    Args:
        config: Which rows and data.
        results: What is known; a measurement takes the place of the older one of its name.
        anew: Whether to measure again what was measured.

    Returns:
        What failed, a line for each data set.
    """
    failures = []
    wanted = {REFERENCE, *(row for row in config.rows if row in ROWS)}
    for data in config.data:
        width = config.cells()[0].width
        name = f"timing-{data}-width{width}"
        path = config.out / f"{name}.json"
        known = {row["row"] for record in results.timing if record["name"] == name for row in record["rows"]}
        if wanted <= known and not anew:
            continue
        rows = [row for row in ROWS if row in wanted | known]
        cells = {row: Cell(data=data, row=row, seed=0, width=width, epochs=1) for row in rows}
        configs = {row: _train_config(config, cell) for row, cell in cells.items()}
        job, folder = TimingJob(name=name, rows=configs, path=path), config.out / name
        child = start(["experiments.images.timing", job.model_dump_json()], folder, 1)
        try:
            child.wait()
        finally:
            end([child])
        if child.returncode:
            failures.append(f"{name} failed: {last_line(folder)}")
    return failures


def _job(config: PaperConfig, cell: Cell, *, pictures: bool) -> Job:
    return Job(
        cell=cell,
        config=_train_config(config, cell),
        inception_weights=config.inception_weights,
        samples=config.samples,
        pictures=pictures,
    )


def _train_config(config: PaperConfig, cell: Cell) -> TrainConfig:
    return cell.config(config.out, data_dir=config.data_dir, machine=config.machine)


def _default_jobs(config: PaperConfig) -> int:
    import torch

    on_cuda = config.machine.accelerator != "cpu" and torch.cuda.is_available()
    return 1 if on_cuda else min(cores(), MOST_JOBS)
