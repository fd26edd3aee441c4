"""What the loop, and whoever reads a run back, ask of a kind of training: images, or several views of objects."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from training.autoencoders import Autoencoders
from training.config import Config, RunConfig
from training.objectives import Objective


class Task(Protocol):
    """A model to train, its objective, and its batches.

    Attributes:
        run_config: The kind of configuration of its runs.
        data_config: The kind that names its data.
        config: The run.
        data: Its data, which a run folder describes.
        model: Its weights are the checkpoint's.
        method: The objective.
        steps_per_epoch: Batches in an epoch.
    """

    run_config: ClassVar[type[RunConfig]]
    data_config: ClassVar[type[Config]]
    config: Any
    data: Any
    model: Autoencoders
    method: Objective
    steps_per_epoch: int

    def __init__(self, config: Any, data: Any) -> None: ...

    @staticmethod
    def load(config: Any, *, seed: int) -> Any:
        """The data that a `data_config` names, checked; the seed is that of the split."""

    @staticmethod
    def count(data: Any) -> int:
        """How many training items there are."""

    @staticmethod
    def build(config: Any, described: dict[str, Any]) -> Autoencoders:
        """An untrained model for data as a run folder describes them."""

    @staticmethod
    def evaluate(model: Autoencoders, data: Any, *, seed: int, **images: Any) -> dict[str, float]:
        """Scores on the test part; further settings are those of images."""

    @staticmethod
    def draw(folder: Path, model: Autoencoders, data: Any) -> list[Path]:
        """Pictures of the model into a folder; the files written."""

    def check(self, processes: int) -> None:
        """Raise DataError if the batch does not fit the data or the number of processes."""

    def batch(self, step: int, device: torch.device) -> Any:
        """What the objective gets at a step; depends on seed and step alone."""

    def score(self) -> dict[str, float]:
        """Scores on the test data, after every epoch."""

    def ending(self) -> str:
        """What `finish` does, in a word: a resumed run whose word is another is finished anew."""

    def finish(self) -> None:
        """What comes after the last step."""
