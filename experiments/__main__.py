"""Make the paper's tables and figures, with its numbers beside ours.

python -m experiments images                           Tables 1-3 and Figures 3-5, small networks, hours on a laptop
nice -n 19 python -m experiments images --preset workstation --jobs 2    larger ones, two cells at a time; resumable
python -m experiments images --preset paper            the same with the paper's networks, on a GPU
python -m experiments images --methods drae ae --seeds 0 --jobs 2 --report docs/results
python -m experiments images --methods ablation        what each part of our D-RAE's recipe buys
python -m experiments timing                           measure Table 3 anew
python -m experiments multiview --data-dir FOLDER      Table 4, and what co-training is worth beside it
python -m experiments trained runs/mnist-prae --report docs/results
"""

import sys
from pathlib import Path
from typing import Annotated

try:
    import pydantic
    import tyro

    from experiments.images.cells import PaperConfig
    from experiments.multiview.cells import MultiviewPaperConfig
    from training.commandline import run_program
    from training.config import Positive
    from training.run_folder import RunError
except KeyboardInterrupt:
    sys.exit(130)
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] in {"experiments", "readers", "relatent", "training"}:
        raise  # a mistake of ours, not of the installation
    sys.exit(f"error: {error.name} is not installed: run `make setup` and use .venv")


def images(config: Annotated[PaperConfig, tyro.conf.arg(name="")], *, jobs: Positive | None = None) -> None:
    """Train and score every method on every data set and seed; write the paper's Tables 1-3 and Figures 3-5.

    What is complete in the folder of runs is not done again, and a killed command goes on where it was. The results
    are written anew after every cell. A cell that fails is reported in the table and does not stop the others.

    python -m experiments images --data-dir FOLDER --jobs 2

    python -m experiments images --preset paper --methods drae ae --seeds 0 --report docs/results

    Args:
        config: Which cells, and where.
        jobs: Cells at a time, the processors divided between them; default one per processor, or one on CUDA.
    """
    from experiments.images.command import make_images

    if failed := make_images(config, jobs=jobs):
        raise RunError(f"{failed} cells failed: {config.results / 'images.md'} says why")


def timing(config: Annotated[PaperConfig, tyro.conf.arg(name="")]) -> None:
    """Measure Table 3 anew: one step of each method in turn, in one process, and the ratio to the plain autoencoder.

    python -m experiments timing --data-dir FOLDER

    Args:
        config: Which methods and data; seeds and epochs do not matter.
    """
    from experiments.images.command import time_methods, write_results
    from training.run_folder import alone_in

    with alone_in(config.out):
        failures = time_methods(config, write_results(config), anew=True)
        write_results(config)
        print(config.results / "images.md")
    if failures:
        raise RunError("; ".join(failures))


def multiview(config: Annotated[MultiviewPaperConfig, tyro.conf.arg(name="")], *, jobs: Positive | None = None) -> None:
    """Co-train with every method on every data set and seed; write the paper's Table 4 and what stands beside it.

    What is complete in the folder of runs is not done again, and a killed command goes on where it was. The results
    are written anew after every seed. A cell that fails is reported and does not stop the others.

    python -m experiments multiview --data-dir FOLDER --seeds 0 1

    Args:
        config: Which experiments, and where.
        jobs: Processes at a time, each with the cells of one seed; default one per processor.
    """
    from experiments.multiview.command import make_multiview

    if failed := make_multiview(config, jobs=jobs):
        raise RunError(f"{failed} seeds have failures: {config.results / 'multiview.md'} says why")


def trained(run: tyro.conf.Positional[Path], *, report: Path, data_dir: Path | None = None) -> None:
    """Score a run and add it to a folder of results: its record, its pictures, and the table over all records.

    python -m experiments trained runs/mnist-prae --data-dir FOLDER --report docs/results

    Args:
        run: The run folder, of one view.
        report: The folder of results.
        data_dir: Where its data lie now, if elsewhere than when it was trained.
    """
    from experiments.trained import write_report
    from training.runs import evaluate_run, load_run

    scores, pictures = evaluate_run(run, data_dir=data_dir)
    print(write_report(report, load_run(run), scores, pictures))


def main() -> int:
    """Parse the command line and run one verb; 0 if it went well, 1 or 2 with one line on stderr if not."""

    def build(app: tyro.extras.SubcommandApp) -> None:
        app.command(pydantic.validate_call(images))
        app.command(timing)
        app.command(pydantic.validate_call(multiview))
        app.command(trained)

    return run_program(build, sys.argv[1:], prog="python -m experiments", description=str(__doc__))


if __name__ == "__main__":
    sys.exit(main())
