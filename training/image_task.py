"""Training on images: one view, called "image"."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from readers.errors import DataError
from readers.image_data import ImageData
from readers.loaders import load_images
from readers.pictures.sides import doublings
from training.autoencoder import Autoencoder
from training.autoencoders import Autoencoders
from training.config import DataConfig, ModelConfig, TrainConfig
from training.distributed import own_rows
from training.evaluation import evaluate_images, reconstruction_error
from training.methods import METHODS
from training.networks import FIRST
from training.objectives import OBJECTIVES
from training.pictures import save_pictures
from training.shuffle import Shuffle
from training.task import Task

VIEW = "image"


def image_autoencoder(shape: tuple[int, ...], config: ModelConfig, *, seed: int) -> Autoencoder:
    """An untrained autoencoder of images.

    Args:
        shape: Channels, height and width of an image.
        config: Method, sizes and prior, as a `TrainConfig` has filled them in.
        seed: Of all initial weights.

    Returns:
        The model.
    """
    method = METHODS[config.method]
    return Autoencoder(
        shape,
        latent_size=config.latent_size,
        width=config.width,
        codes=method.codes,
        prior=method.prior,
        components=config.components,
        covariance=config.covariance or "diagonal",
        standardise_codes=bool(config.standardise),
        seed=seed,
    ).to(memory_format=torch.channels_last)


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


class ImageTask(Task):
    """One autoencoder of images.

    Args:
        config: The run.
        data: Its data.

    Raises:
        DataError: If its counts do not fit the data.
    """

    run_config: ClassVar[type[TrainConfig]] = TrainConfig
    data_config: ClassVar[type[DataConfig]] = DataConfig

    def __init__(self, config: TrainConfig, data: ImageData) -> None:
        check_counts(config, data)
        self.config, self.data = config, data
        self.model = self.build(config, {"shape": data.shape})
        self.method = OBJECTIVES[config.model.method](self.model.only, config.regularizer)
        self.method.start(data, seed=config.seed)
        self.steps_per_epoch = len(data.train) // config.optimizer.batch_size
        self._shuffle = Shuffle(len(data.train), config.optimizer.batch_size, seed=(config.seed,))
        self._pixels: Tensor | None = None

    @staticmethod
    def load(config: DataConfig, *, seed: int) -> ImageData:
        """The images; how they are split is theirs to say."""
        return load_images(config.data, config.data_dir, train_samples=config.train_samples)

    @staticmethod
    def count(data: ImageData) -> int:
        """How many training images there are."""
        return len(data.train)

    @staticmethod
    def build(config: TrainConfig, described: dict[str, Any]) -> Autoencoders:
        """An untrained autoencoder for images as a run folder describes them."""
        return Autoencoders({VIEW: image_autoencoder(tuple(described["shape"]), config.model, seed=config.seed)})

    @staticmethod
    def evaluate(model: Autoencoders, data: ImageData, *, seed: int, **images: Any) -> dict[str, float]:
        """Scores of the test images and of as many generated ones; their noise is the same for all runs."""
        return evaluate_images(model.only, data, **images)

    @staticmethod
    def draw(folder: Path, model: Autoencoders, data: ImageData) -> list[Path]:
        """Reconstructions, samples, components, and the way between four images."""
        return save_pictures(folder, model.only, data)

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
        own = own_rows(self._shuffle.at(step, device=device))
        return self.data.pixels(self._pixels[own]).contiguous(memory_format=torch.channels_last)

    def score(self) -> dict[str, float]:
        """Reconstruction error of the test images."""
        return {"test_reconstruction": reconstruction_error(self.model.only, self.data.batches(self.data.test))}

    def ending(self) -> str:
        """How the prior is refitted."""
        return str(self.config.regularizer.refit)

    def finish(self) -> None:
        """Settle the prior."""
        self.method.finish(self.data)
