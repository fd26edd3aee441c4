"""Train, evaluate, and make the paper's tables.

python -m training train --data digits --smoke            seconds, no files needed
python -m training train --data-dir FOLDER                P-RAE on MNIST
python -m training train --method drae --width 128        D-RAE, the paper's network
python -m training train --data folder:PICTURES           your own PNG or JPEG files, all of one size
python -m training train --out runs/mine --resume         go on where it was killed
python -m training cotrain --data-dir FOLDER              autoencoders of two views of the same digits
python -m training cotrain --data tables --files a.csv b.csv --smoke
torchrun --nproc-per-node 4 -m training train             one batch over four processes
python -m training evaluate runs/mnist-prae               scores and pictures of the test set
python -m training features --data-dir FOLDER             the network that measures MNIST's samples, trained anew
python -m training paper images                           Tables 1-3 and Figures 3-5, small networks, hours on a laptop
python -m training paper images --preset paper            the same with the paper's networks, on a GPU
python -m training paper images --methods drae ae --seeds 0 --jobs 2 --report docs/results
python -m training paper timing                           measure Table 3 anew
python -m training paper views --data-dir FOLDER          Table 4, and what co-training is worth beside it
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

try:
    import pydantic
    import tyro
    from tqdm import tqdm

    from training.checks import NonFiniteError
    from training.commandline import REGISTRY, OptionError, option
    from training.config import Config, Positive, Seed, TrainConfig, refusal
    from training.data import DataError
    from training.files import write_json
    from training.metrics.weights import WeightsError
    from training.paper.cells import PaperConfig
    from training.paper.views.cells import ViewsPaperConfig
    from training.runs import RunError, is_cotrained, load_run, read_config
    from training.signals import Terminated, ended_by_signal
    from training.views.config import CotrainConfig
except KeyboardInterrupt:
    sys.exit(130)
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed: run `make setup` and use .venv, or pip install '.[train]' here")


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
    if dry_run:
        print((config.smoke() if smoke else config).model_dump_json(indent=2))
        return
    from training.data import first, load_images
    from training.loop import train as run

    data = load_images(config.data)
    if data.told:
        print(data.told)
    if smoke:
        config = config.smoke(len(data.train))
        data = first(data, config.data.train_samples)
    folder = run(config, data, resume=resume)
    print(f"trained: {folder}\nnext: python -m training evaluate {folder}; python -m export {folder} --out models/NAME")


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
    if dry_run:
        print((config.smoke() if smoke else config).model_dump_json(indent=2))
        return
    from training.loop import run
    from training.views.parts import known_objects
    from training.views.sources import load_views
    from training.views.task import CotrainTask

    data = load_views(config.data, seed=config.seed)
    if smoke:
        config = config.smoke(len(known_objects(data.train)))
        data = load_views(config.data, seed=config.seed)
    folder = run(CotrainTask(config, data), resume=resume)
    print(f"trained: {folder}\nnext: python -m training evaluate {folder}")


def evaluate(
    run: tyro.conf.Positional[Path],
    *,
    data_dir: Path | None = None,
    inception_weights: Path | None = None,
    report: Path | None = None,
) -> None:
    """Score a run on its test images and draw pictures into its folder.

    python -m training evaluate runs/mnist-prae

    python -m training evaluate runs/mnist-prae --data-dir FOLDER --report docs/results

    Args:
        run: The run folder.
        data_dir: Where its data lie now, if elsewhere than when it was trained.
        inception_weights: The file pt_inception-2015-12-05-6726825d.pth that pytorch-fid publishes, for the published
            FID; default: torch hub's cache, and no such score where it holds none.
        report: Also add the run to a folder of results: its record, its pictures, and the table over all records.
    """
    if is_cotrained(run):
        from training.views.evaluation import evaluate_run

        for name, value in evaluate_run(run, data_dir=data_dir).items():
            print(f"{name} {value:.4f}")
        return
    from training.evaluation import evaluate as score
    from training.pictures import save_pictures
    from training.report import write_report

    loaded = load_run(run, data_dir=data_dir)
    scores = score(loaded.autoencoder, loaded.data, inception_weights=inception_weights)
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


def images(config: Annotated[PaperConfig, tyro.conf.arg(name="")], *, jobs: Positive | None = None) -> None:
    """Train and score every method on every data set and seed; write the paper's Tables 1-3 and Figures 3-5.

    What is complete in the folder of runs is not done again, and a killed command goes on where it was. The results
    are written anew after every cell. A cell that fails is reported in the table and does not stop the others.

    python -m training paper images --data-dir FOLDER --jobs 2

    python -m training paper images --preset paper --methods drae ae --seeds 0 --report docs/results

    Args:
        config: Which cells, and where.
        jobs: Cells at a time, the processors divided between them; default one per processor, or one on CUDA.
    """
    from training.paper.images import make_images

    if failed := make_images(config, jobs=jobs):
        raise RunError(f"{failed} cells failed: {config.results / 'images.md'} says why")


def timing(config: Annotated[PaperConfig, tyro.conf.arg(name="")]) -> None:
    """Measure Table 3 anew: one step of each method in turn, in one process, and the ratio to the plain autoencoder.

    python -m training paper timing --data-dir FOLDER

    Args:
        config: Which methods and data; seeds and epochs do not matter.
    """
    from training.paper.images import time_methods, write_results
    from training.runs import alone_in

    with alone_in(config.out):
        failures = time_methods(config, anew=True)
        write_results(config)
        print(config.results / "images.md")
    if failures:
        raise RunError("; ".join(failures))


def views(config: Annotated[ViewsPaperConfig, tyro.conf.arg(name="")], *, jobs: Positive | None = None) -> None:
    """Co-train with every method on every data set and seed; write the paper's Table 4 and what stands beside it.

    What is complete in the folder of runs is not done again, and a killed command goes on where it was. The results
    are written anew after every seed. A cell that fails is reported and does not stop the others.

    python -m training paper views --data-dir FOLDER --seeds 0 1

    Args:
        config: Which experiments, and where.
        jobs: Processes at a time, each with the cells of one seed; default one per processor.
    """
    from training.paper.views.command import make_views

    if failed := make_views(config, jobs=jobs):
        raise RunError(f"{failed} seeds have failures: {config.results / 'views.md'} says why")


def features(
    *, data_dir: Path | None = None, out: Path = Path("training/metrics/mnist-features"), seed: Seed = 0
) -> None:
    """Train the small network whose features measure samples of MNIST: minutes on one core.

    python -m training features --data-dir FOLDER --out mnist-features

    Args:
        data_dir: Folder that holds MNIST/raw.
        out: Where to, without suffix: OUT.pt, and OUT.json with its sha256, accuracy and settings.
        seed: Of its initial weights and batches.
    """
    from training.config import DataConfig
    from training.data import load_images
    from training.metrics.pretraining import train_features

    record = train_features(load_images(DataConfig(data="mnist", data_dir=data_dir)), out, seed=seed)
    print(f"{out.with_suffix('.pt')}: test accuracy {record['test_accuracy']:.4f}, sha256 {record['sha256']}")


def split_folder(words: list[str]) -> list[str]:
    """A command line with `--data folder:PATH` written out as `--data folder --data-dir PATH`."""
    whole: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        option, _, path = word.partition("folder:")
        if path and (option == "--data=" or (option == "" and before == "--data")):
            whole += [*(["--data"] if option else []), "folder", "--data-dir", path]
        else:
            whole.append(word)
    return whole


def going_on(words: list[str], verb: Callable[..., None], kind: type[Config]) -> Callable[..., None]:
    """A verb whose options are by default those of the run that a command line with --resume names by --out."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    named = [after if word == "--out" else word[6:] for word, after in pairs if word == "--out" or word[:6] == "--out="]
    if words[:1] != [verb.__name__] or "--resume" not in words or not named:
        return verb
    folder = Path(named[-1])
    return partial(verb, config=read_config(folder, kind)) if (folder / "config.json").exists() else verb


def last_words(text: str) -> None:
    """Print to stderr, in one line of its own, even where a bar stands."""
    tqdm.write(" ".join(text.split("\n")), file=sys.stderr)


def main() -> int:
    """Parse the command line and run one verb; 0 if it went well, 1 or 2 with one line on stderr if not."""
    words = split_folder(sys.argv[1:])
    app, paper = tyro.extras.SubcommandApp(), tyro.extras.SubcommandApp()
    try:
        app.command(name="train")(going_on(words, train, TrainConfig))
        app.command(name="cotrain")(going_on(words, cotrain, CotrainConfig))
        app.command(evaluate)
        app.command(pydantic.validate_call(features))
        paper.command(pydantic.validate_call(images))
        paper.command(timing)
        paper.command(pydantic.validate_call(views))
        app.command(paper, name="paper", help="The paper's experiments, with its numbers beside ours.")
        with ended_by_signal():
            app.cli(
                args=words,
                prog="python -m training",
                description="\n\n".join(str(__doc__).splitlines()),
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
                registry=REGISTRY,
            )
    except OptionError as error:
        last_words(f"error: {error}")
        sys.exit(2)  # as for a word that is no option
    except pydantic.ValidationError as error:
        last_words(f"error: {refusal(error, name=option)}")
        sys.exit(2)
    except (DataError, NonFiniteError, OSError, RunError, WeightsError) as error:
        last_words(f"error: {error}")
        return 1
    except KeyboardInterrupt as stop:
        is_term = isinstance(stop, Terminated)
        last_words(f"{'terminated' if is_term else 'interrupted'}{f': {stop}' if f'{stop}' else ''}")
        return 143 if is_term else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
