"""A run, read back from its folder and scored."""

from pathlib import Path
from typing import Any, NamedTuple

from readers.atomic import write_json
from training.autoencoders import Autoencoders
from training.config import RunConfig
from training.image_task import ImageTask
from training.multiview.task import CotrainTask
from training.run_folder import (
    RunError,
    check_data,
    fitting,
    load_checkpoint,
    read_config,
    read_origin,
    resume_command,
)
from training.task import Task

TASKS: dict[str, type[Task]] = {task.run_config.verb: task for task in (ImageTask, CotrainTask)}


class Run(NamedTuple):
    """A trained run.

    Attributes:
        folder: Where it lies.
        config: Its configuration.
        origin: Code revisions, versions, date, and under "data" what the data were: shapes, counts, classes.
        model: With its last saved weights, in evaluation mode, on the CPU.
        step: Steps taken when the weights were saved.
        epochs: Whole epochs among them.
        finished: Whether there is what comes after the last step: a fitted prior, couplings, a classifier.
    """

    folder: Path
    config: RunConfig
    origin: dict[str, Any]
    model: Autoencoders
    step: int
    epochs: int
    finished: bool

    def check_usable(self) -> None:
        """Raise RunError if it was stopped before it had what its method finds after the last step."""
        if self.config.ending and not self.finished:
            raise RunError(
                f"{self.folder}: expected a run that was ended, with {self.config.ending}, got one at step "
                f"{self.step}; go on with `{resume_command(self.config.verb, self.folder)}`"
            )


def load_run(folder: Path) -> Run:
    """Read a run back; its data need not be at hand.

    Args:
        folder: The run folder.

    Returns:
        The run.

    Raises:
        RunError: If the folder is no run, was made by another version, or nothing is trained yet.
    """
    config: RunConfig = read_config(folder, *(task.run_config for task in TASKS.values()))
    origin, checkpoint = read_origin(folder), load_checkpoint(folder)
    if checkpoint is None:
        raise RunError(
            f"{folder} has no checkpoint.pt: nothing is trained yet; run `{resume_command(config.verb, folder)}`"
        )
    with fitting(folder):
        model = TASKS[config.verb].build(config, origin["data"])
        model.load_state_dict(checkpoint["model"])
    finished = checkpoint["finished"] is not None
    return Run(folder, config, origin, model.eval(), checkpoint["step"], checkpoint["epochs"], finished)


def load_data(run: Run, *, data_dir: Path | None = None) -> Any:
    """The data a run was trained on.

    Args:
        run: The run.
        data_dir: Where they lie now, if elsewhere than when it was trained.

    Returns:
        The data, split and shortened as they were.

    Raises:
        DataError: If they cannot be had.
        RunError: If they are others: what was a training row might be a test row now.
    """
    config = run.config.data.model_copy(update={"data_dir": data_dir}) if data_dir else run.config.data
    data = TASKS[run.config.verb].load(config, seed=run.config.seed)
    check_data(run.folder, run.origin, data)
    return data


def evaluate(run: Run, data: Any, *, inception_weights: Path | None = None, samples: int = 10_000) -> dict[str, float]:
    """Scores on the test part; one that the data do not allow is left out.

    Args:
        run: The run; its model may lie on any device.
        data: Its data, or those of another size of the same kind.
        inception_weights: The file that pytorch-fid publishes; None looks into torch hub's cache.
        samples: Most generated images to compare.

    Returns:
        Of images, see `training.evaluation.evaluate_images`; of several views, see
        `training.multiview.evaluation.evaluate_views`.

    Raises:
        RunError: If the run was stopped before it had what is to be scored.
        WeightsError: If a file of weights is missing or damaged.
    """
    run.check_usable()
    task = TASKS[run.config.verb]
    return task.evaluate(run.model, data, seed=run.config.seed, inception_weights=inception_weights, samples=samples)


def evaluate_run(
    folder: Path, *, data_dir: Path | None = None, inception_weights: Path | None = None
) -> tuple[dict[str, float], list[Path]]:
    """Score a run folder, write its evaluation.json, and draw what can be drawn into pictures/.

    Args:
        folder: The run folder.
        data_dir: Where its data lie now, if elsewhere than when it was trained.
        inception_weights: As for `evaluate`.

    Returns:
        Scores, and the pictures' files.

    Raises:
        RunError: If the folder holds no trained run, or the data have changed since.
        DataError: If the data cannot be had.
        WeightsError: If a file of weights is missing or damaged.
    """
    run = load_run(folder)
    run.check_usable()
    data = load_data(run, data_dir=data_dir)
    scores = evaluate(run, data, inception_weights=inception_weights)
    told = run.origin["data"]
    counts = {"test": told["test"]} if "test" in told else {}
    write_json(folder / "evaluation.json", {"data": told["name"], **counts, "step": run.step, **scores})
    return scores, TASKS[run.config.verb].draw(folder / "pictures", run.model, data)
