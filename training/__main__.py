"""Train and evaluate.

python -m training train --data digits --smoke            seconds, no files needed
python -m training train --data-dir FOLDER                P-RAE on MNIST
python -m training train --method drae --width 128        D-RAE, the paper's network
python -m training train --out runs/mine --resume         go on where it was killed
torchrun --nproc-per-node 4 -m training train             one batch over four processes
python -m training evaluate runs/mnist-prae               scores and pictures of the test set
"""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from training.checks import NonFiniteError
from training.config import TrainConfig
from training.data import DataError
from training.files import write_json
from training.runs import RunError, load_run


def train(
    config: Annotated[TrainConfig, tyro.conf.arg(name="")],
    *,
    resume: bool = False,
    smoke: bool = False,
    dry_run: bool = False,
) -> None:
    """Train an autoencoder into a run folder.

    Args:
        config: The run.
        resume: Go on with the run in the folder, if there is one; without it an existing run is an error.
        smoke: Shrink everything to seconds: width 8, two epochs, at most 1000 images.
        dry_run: Print the resolved configuration and stop.
    """
    config = config.smoke() if smoke else config
    if dry_run:
        print(config.model_dump_json(indent=2))
        return
    from training.data import load_images
    from training.loop import train as run

    folder = run(config, load_images(config.data), resume=resume)
    print(f"trained: {folder}\nnext: python -m training evaluate {folder}; python -m export {folder} --out models/NAME")


def evaluate(run: tyro.conf.Positional[Path], *, data_dir: Path | None = None, report: Path | None = None) -> None:
    """Score a run on its test images and draw pictures into its folder.

    Args:
        run: The run folder.
        data_dir: Where its data lie now, if elsewhere than when it was trained.
        report: Also add the run to a folder of results: its record, its pictures, and the table over all records.
    """
    from training.evaluation import evaluate as score
    from training.pictures import save_pictures
    from training.report import write_report

    loaded = load_run(run, data_dir=data_dir)
    scores = score(loaded.autoencoder, loaded.data)
    write_json(
        run / "evaluation.json",
        {"data": loaded.data.name, "test": len(loaded.data.test), "step": loaded.step, **scores},
    )
    for name, value in scores.items():
        print(f"{name} {value:.4f}")
    pictures = save_pictures(run / "pictures", loaded.autoencoder, loaded.data)
    print(*pictures, sep="\n")
    if report is not None:
        print(write_report(report, loaded, scores, pictures))


def main() -> int:
    """Parse the command line and run one verb; 0 if it went well, 1 with one line on stderr if not."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"train": train, "evaluate": evaluate},
            prog="python -m training",
            description="\n\n".join(str(__doc__).splitlines()),
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )
    except (DataError, NonFiniteError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
