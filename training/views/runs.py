"""A co-trained run, read back: all that scoring, export and serving need."""

from pathlib import Path
from typing import Any, NamedTuple

from training.runs import RunError, fitting, load_checkpoint, read_config, read_origin, resume_command
from training.runs import is_cotrained as is_cotrained
from training.views.autoencoders import CoAutoencoders
from training.views.config import CotrainConfig
from training.views.task import build_autoencoders


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
