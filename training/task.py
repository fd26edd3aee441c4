"""What the loop asks of a kind of training: single images here, several views in `training.multiview.task`."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.autoencoder import Autoencoder
from training.config import TrainConfig
from training.data import DataError, ImageData
from training.distributed import own_rows
from training.evaluation import reconstruction_error
from training.methods import METHODS
from training.networks import FIRST, doublings
from training.objectives import OBJECTIVES
from training.shuffle import Shuffle


class Task(Protocol):
    """A model to train, its objective, and its batches.

    Attributes:
        config: The run, as `TrainConfig` and its like.
        data: Its data, which a run folder describes.
        method: The objective, a module of (batch, generator) -> (loss, terms), with parameter groups and own state.
        steps_per_epoch: Batches in an epoch.
    """

    config: Any
    data: Any
    method: Any
    steps_per_epoch: int

    @property
    def autoencoder(self) -> nn.Module:
        """The model; its weights are the checkpoint's."""

    def check(self, processes: int) -> None:
        """Raise DataError if the batch does not fit the data or the number of processes."""

    def batch(self, step: int, device: torch.device) -> Any:
        """What the objective gets at a step; depends on seed and step alone."""

    def score(self, device: torch.device) -> dict[str, float]:
        """Scores on the test data, after every epoch."""

    def ending(self) -> str:
        """What `finish` does, in a word: if a resumed run's word is another, it is done again."""

    def finish(self) -> None:
        """What comes after the last step."""


def check_counts(config: TrainConfig, data: ImageData) -> None:
    """Refuse before the first step what would fail in a layer, or after the last one.

    Args:
        config: The run.
        data: Its data.

    Raises:
        DataError: If there are too few images for the prior, no two that differ, or channels that halve to none.
    """
    components, width, count = config.model.components, config.model.width, len(data.train)
    if METHODS[config.model.method].prior != "fixed" and components > count:
        raise DataError(
            f"--components: expected at most {count}, as many as there are training images, got {components}"
        )
    if not len(data.test):
        raise DataError(f"{data.name}: expected test images, got none; add images")
    if all(torch.equal(image, data.train[0]) for image in data.train):
        raise DataError(f"{data.name}: expected training images that differ, got {count} equal ones")
    height, wide = data.shape[1:]
    least = -(-(2 ** doublings(height, wide)) // FIRST)
    if width < least:
        raise DataError(
            f"--width: expected at least {least} for images of {wide}x{height} pixels, whose decoder halves its "
            f"{FIRST} x width channels {doublings(height, wide)} times, got {width}"
        )


class ImageTask:
    """One autoencoder of images.

    Args:
        config: The run.
        data: Its data.

    Raises:
        DataError: If its counts do not fit the data.
    """

    def __init__(self, config: TrainConfig, data: ImageData) -> None:
        check_counts(config, data)
        self.config, self.data = config, data
        self.autoencoder = Autoencoder(data.shape, config.model, seed=config.seed).to(memory_format=torch.channels_last)
        self.method = OBJECTIVES[config.model.method](self.autoencoder, config.regularizer)
        self.method.start(data, seed=config.seed)
        self.steps_per_epoch = len(data.train) // config.optimizer.batch_size
        self._shuffle = Shuffle(len(data.train), config.optimizer.batch_size, seed=(config.seed,))
        self._pixels: Tensor | None = None

    def check(self, processes: int) -> None:
        """Raise DataError unless the batch fits the data and the number of processes."""
        batch_size = self.config.optimizer.batch_size
        if batch_size > len(self.data.train):
            raise DataError(f"expected batch_size <= {len(self.data.train)} (the training images), got {batch_size}")
        if batch_size % processes:
            raise DataError(f"expected batch_size divisible by {processes} processes, got {batch_size}")
        if batch_size < 2 * processes:
            raise DataError(
                f"--batch-size: expected at least {2 * processes}, two images for each of {processes} processes that a "
                f"batch norm can tell apart, got {batch_size}"
            )

    def batch(self, step: int, device: torch.device) -> Tensor:
        """This process's images of a step, shape (n, channels, height, width)."""
        if self._pixels is None:
            self._pixels = self.data.train.to(device)
        own = own_rows(self._shuffle.at(step)).to(device)
        return self.data.pixels(self._pixels[own]).contiguous(memory_format=torch.channels_last)

    def score(self, device: torch.device) -> dict[str, float]:
        """Reconstruction error of the test images."""
        return {"test_reconstruction": reconstruction_error(self.autoencoder, self.data, self.data.test, device=device)}

    def ending(self) -> str:
        """How the prior is refitted."""
        return str(self.config.regularizer.refit)

    def finish(self) -> None:
        """Settle the prior."""
        self.method.finish(self.data)
