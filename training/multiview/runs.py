"""A co-trained run, read back: all that scoring, export and serving need."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

from training.data import DataError
from training.multiview.autoencoders import CoAutoencoders
from training.multiview.config import CotrainConfig
from training.multiview.data import ViewsData
from training.multiview.loaders import load_views
from training.multiview.task import build_autoencoders
from training.runs import RunError, check_data, fitting, load_checkpoint, read_config, read_origin, resume_command
from training.runs import is_cotrained as is_cotrained

_log = logging.getLogger(__name__)


class CotrainedRun(NamedTuple):
    """A trained run.

    Attributes:
        folder: Where it lies.
        config: Its configuration.
        origin: Code revisions, versions, date, and under "data" what the data were: shapes, counts, classes.
        autoencoders: The model with its last saved weights, in evaluation mode, on the CPU.
        step: Steps taken when the weights were saved.
        finished: Whether couplings and head are there.
    """

    folder: Path
    config: CotrainConfig
    origin: dict[str, Any]
    autoencoders: CoAutoencoders
    step: int
    finished: bool


def load_cotrained(folder: Path) -> CotrainedRun:
    """Read a co-trained run back; its data need not be at hand.

    Args:
        folder: The run folder.

    Returns:
        The run.

    Raises:
        RunError: If the folder is no co-training run, or nothing is trained yet.
    """
    config = read_config(folder, CotrainConfig)
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise RunError(
            f"{folder} has no checkpoint.pt: nothing is trained yet; run `{resume_command('cotrain', folder)}`"
        )
    origin = read_origin(folder)
    autoencoders = build_autoencoders(config, origin["data"])
    with fitting(folder):
        autoencoders.load_state_dict(checkpoint["autoencoder"])
    return CotrainedRun(
        folder, config, origin, autoencoders.eval(), checkpoint["step"], checkpoint["finished"] is not None
    )


def load_data(run: CotrainedRun, *, data_dir: Path | None = None) -> ViewsData:
    """The data a run was trained on.

    Args:
        run: The run.
        data_dir: Where they lie now, if elsewhere than when it was trained.

    Returns:
        The data, split and thinned as they were.

    Raises:
        DataError: If they cannot be had.
        RunError: If they are others: what was a training row might be a test row now.
    """
    config = run.config.data.model_copy(update={"data_dir": data_dir}) if data_dir else run.config.data
    data = load_views(config, seed=run.config.seed)
    check_data(run.folder, run.origin, data)
    return data


def compare_data(run: CotrainedRun, *, data_dir: Path | None = None) -> None:
    """Refuse to go on, with RunError, if the data have changed since; where they are not at hand, only say so."""
    try:
        load_data(run, data_dir=data_dir)
    except DataError as error:
        _log.warning("%s: its data could not be compared with those it was trained on: %s", run.folder, error)
