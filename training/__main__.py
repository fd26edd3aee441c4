"""Train autoencoders of one view or of several, and score them.

python -m training train --data digits --smoke            seconds, no files needed
python -m training train --data-dir FOLDER                P-RAE on MNIST
python -m training train --method drae --width 128        D-RAE, the paper's network
python -m training train --data folder:PICTURES           your own PNG or JPEG files, all of one size
python -m training train --out runs/mine --resume         go on where it was killed
python -m training cotrain --data-dir FOLDER              autoencoders of two views of the same digits
python -m training cotrain --data tables --files a.csv b.csv --smoke
torchrun --nproc-per-node 4 -m training train             one batch over four processes
python -m training evaluate runs/mnist-prae               scores and pictures of the test set
python -m training encode runs/mine rna.h5ad --out new.h5ad     codes and translations of cells, in obsm of a copy
python -m training features --data-dir FOLDER             the network that measures MNIST's samples, trained anew
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from training.task import Task

try:
    import pydantic
    import tyro

    from training.commandline import run_program
    from training.config import RunConfig, Seed, TrainConfig
    from training.multiview.config import CotrainConfig
    from training.run_folder import read_config
except KeyboardInterrupt:
    sys.exit(130)
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] in {"readers", "relatent", "training"}:
        raise  # a mistake of ours, not of the installation
    sys.exit(f"error: {error.name} is not installed: run `make setup` and use .venv")


def train(
    config: Annotated[TrainConfig, tyro.conf.arg(name="")],
    *,
    resume: bool = False,
    smoke: bool = False,
    dry_run: bool = False,
) -> None:
    """Train an autoencoder into a run folder.

    python -m training train --data digits --smoke

    python -m training train --data folder:PICTURES --epochs 30 --out runs/mine

    python -m training train --data-dir FOLDER --method drae --resume

    Args:
        config: The run.
        resume: Go on with the run in the folder, if there is one; without it an existing run is an error. With --out
            RUN, what is not said is as the run has it.
        smoke: Shrink everything to seconds: width 8, two epochs, at most 1000 images, a batch no larger than that.
        dry_run: Print the resolved configuration and stop.
    """
    from training.image_task import ImageTask

    folder = _run(ImageTask, config, resume=resume, smoke=smoke, dry_run=dry_run)
    if folder:
        print(f"next: python -m training evaluate {folder}; python -m export {folder} --out models/NAME")


def cotrain(
    config: Annotated[CotrainConfig, tyro.conf.arg(name="")],
    *,
    resume: bool = False,
    smoke: bool = False,
    dry_run: bool = False,
) -> None:
    """Train autoencoders of several views together into a run folder, and score them.

    python -m training cotrain --data tables --files sensors.csv notes.csv

    python -m training cotrain --data-dir FOLDER --smoke

    Args:
        config: The run.
        resume: Go on with the run in the folder, if there is one; without it an existing run is an error. With --out
            RUN, what is not said is as the run has it.
        smoke: Shrink everything to seconds: two epochs, at most 1000 objects.
        dry_run: Print the resolved configuration and stop.
    """
    from training.multiview.task import CotrainTask

    folder = _run(CotrainTask, config, resume=resume, smoke=smoke, dry_run=dry_run)
    if folder:
        print(f"next: python -m training evaluate {folder}")


def _run(task: "type[Task]", config: RunConfig, *, resume: bool, smoke: bool, dry_run: bool) -> Path | None:
    """Train; the run folder, or nothing after a dry run."""
    if dry_run:
        print((config.smoke() if smoke else config).model_dump_json(indent=2))
        return None
    from training.loop import run

    data = task.load(config.data, seed=config.seed)
    if told := getattr(data, "told", ""):
        print(told)
    if smoke:
        config = config.smoke(task.count(data))
        data = task.load(config.data, seed=config.seed)
    folder = run(task(config, data), resume=resume)
    print(f"trained: {folder}")
    return folder


def evaluate(
    run: tyro.conf.Positional[Path],
    *,
    data_dir: Path | None = None,
    inception_weights: Path | None = None,
) -> None:
    """Score a run on its test images and draw pictures into its folder.

    python -m training evaluate runs/mnist-prae

    python -m training evaluate runs/mnist-prae --data-dir FOLDER

    Args:
        run: The run folder.
        data_dir: Where its data lie now, if elsewhere than when it was trained.
        inception_weights: The file pt_inception-2015-12-05-6726825d.pth that pytorch-fid publishes, for the published
            FID; default: torch hub's cache, and no such score where it holds none.
    """
    from training.runs import evaluate_run

    scores, pictures = evaluate_run(run, data_dir=data_dir, inception_weights=inception_weights)
    for name, value in scores.items():
        print(f"{name} {value:.4f}")
    for picture in pictures:
        print(picture)


def encode(
    run: tyro.conf.Positional[Path], file: tyro.conf.Positional[Path], *, out: Path, view: str | None = None
) -> None:
    """Write a copy of an AnnData file that holds its cells' codes and translations in obsm.

    python -m training encode runs/mine rna.h5ad --out coded/rna.h5ad

    Args:
        run: The run folder, of `python -m training cotrain`.
        file: The .h5ad file: cells that the run has seen or new ones, features as a view was trained on, in one order.
        out: The copy. obsm gets X_relatent, the codes; X_relatent_VIEW, codes in the latent space of each other view;
            and relatent_VIEW, its features.
        view: Which view the cells are seen in; default the one that has the file's name.
    """
    from training.multiview.encoding import encode_file
    from training.runs import load_run

    for key, shape in encode_file(load_run(run), file, out, view=view).items():
        print(f"obsm {key} {shape[0]} x {shape[1]}")
    print(f"written: {out}")


def features(*, data_dir: Path | None = None, out: Path = Path("mnist-features"), seed: Seed = 0) -> None:
    """Train the small network whose features measure samples of MNIST: minutes on one core.

    python -m training features --data-dir FOLDER --out mnist-features

    Args:
        data_dir: Folder that holds MNIST/raw.
        out: Where to, without suffix: OUT.pt, and OUT.json with its sha256, accuracy and settings.
        seed: Of its initial weights and batches.
    """
    from readers.loaders import load_images
    from training.metrics.pretraining import train_features

    record = train_features(load_images("mnist", data_dir), out, seed=seed)
    print(f"{out.with_suffix('.pt')}: test accuracy {record['test_accuracy']:.4f}, sha256 {record['sha256']}")


def going_on(words: list[str], verb: Callable[..., None], kind: type[RunConfig]) -> Callable[..., None]:
    """A verb whose options are by default those of the run that a command line with --resume names by --out."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    named = [after if word == "--out" else word[6:] for word, after in pairs if word == "--out" or word[:6] == "--out="]
    if words[:1] != [verb.__name__] or "--resume" not in words or not named:
        return verb
    folder = Path(named[-1])
    if not (folder / "config.json").exists():
        return verb
    config = read_config(folder, kind)
    data = config.data
    if data.data == "folder":  # in one word, of which another takes the place
        data = data.model_copy(update={"data": f"folder:{data.data_dir}", "data_dir": None})
    return partial(verb, config=config.model_copy(update={"data": data}))


def main() -> int:
    """Parse the command line and run one verb; 0 if it went well, 1 or 2 with one line on stderr if not."""
    words = sys.argv[1:]

    def build(app: tyro.extras.SubcommandApp) -> None:
        app.command(name="train")(going_on(words, train, TrainConfig))
        app.command(name="cotrain")(going_on(words, cotrain, CotrainConfig))
        app.command(evaluate)
        app.command(encode)
        app.command(pydantic.validate_call(features))

    return run_program(build, words, prog="python -m training", description=str(__doc__))


if __name__ == "__main__":
    sys.exit(main())
