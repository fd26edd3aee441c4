"""Images in memory, as checked bytes: what every data set of images becomes."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

BATCH = 100  # what a core's cache holds of a decoder's last layers


class ImageData(NamedTuple):
    """A data set of images.

    Attributes:
        name: Name of the data set; a published one's is no other's.
        train: Training images, uint8, shape (n, channels, height, width).
        train_labels: Classes, int64, shape (n,); None if the data have none.
        test: Test images, uint8.
        test_labels: Classes, int64; None if the data have none.
        levels: The byte that stands for white: pixels become byte / levels, in [0, 1].
        split: How training and test images were told apart, in words.
        told: What was found, in a line for whoever starts a run; nothing if the name says it all.
    """

    name: str
    train: Tensor
    train_labels: Tensor | None
    test: Tensor
    test_labels: Tensor | None
    levels: int
    split: str
    told: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    def pixels(self, images: Tensor) -> Tensor:
        """Bytes to float32 pixels in [0, 1], same shape."""
        return images.float() / self.levels

    def batches(self, images: Tensor) -> Iterator[Tensor]:
        """The pixels of byte images, BATCH at a time, as convolutions like them best."""
        for part in images.split(BATCH):
            yield self.pixels(part).contiguous(memory_format=torch.channels_last)

    def test_items(self) -> tuple[dict[str, Tensor], list[str]]:
        """All test images, pixels in [0, 1], under the one view's name, and their classes; none if there are none."""
        labels = [] if self.test_labels is None else [str(label) for label in self.test_labels.tolist()]
        return {"image": self.pixels(self.test)}, labels

    def describe(self) -> dict[str, Any]:
        """What a run notes of its data."""
        return {
            "name": self.name,
            "train": len(self.train),
            "test": len(self.test),
            "shape": list(self.shape),
            "split": self.split,
            "sha256": self.fingerprint(),
        }

    def fingerprint(self) -> str:
        """sha256 over the training and test images, in this order."""
        digest = hashlib.sha256(self.train.contiguous().numpy().data)
        digest.update(self.test.contiguous().numpy().data)
        return digest.hexdigest()
