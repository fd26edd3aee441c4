"""The small convolutional network whose features measure samples.

For MNIST it lies beside this file, trained by `python -m training features`; its JSON says how well. For any other data
it is trained when it is first asked for and kept in the user's cache: on the classes, or, where there are none, on
telling by how many quarter turns an image was rotated (Gidaris et al., 2018).
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from readers.image_data import ImageData
from training.metrics.weights import load_weights

SHIPPED = Path(__file__).parent / "mnist-features"
FEATURES = 128
BATCH = 100


class FeatureNetwork(nn.Module):
    """Three 3x3 convolutions of 16, 32 and 64 channels, each with batch norm, ReLU and pooling, then 128 features.

    Args:
        channels: Of an image, of any height and width.
        classes: Number of classes that it tells apart.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (16, 32, 64):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.AdaptiveAvgPool2d(3) if width == 64 else nn.MaxPool2d(2, ceil_mode=True)]
            channels = width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 9, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, 128), non-negative, of images (n, channels, height, width) with values in [0, 1]."""
        return self.layers(x)

    def classify(self, x: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        return self.head(self(x))


class Features(NamedTuple):
    """A trained network and what its classes are.

    Attributes:
        network: In evaluation mode.
        by_class: Whether it tells the data's classes apart, or rotations.
    """

    network: FeatureNetwork
    by_class: bool

    @torch.inference_mode()
    def of(self, data: ImageData, images: Tensor) -> Tensor:
        """Features (n, 128) of byte images (n, channels, height, width)."""
        return torch.cat([self.network(data.pixels(part)) for part in images.split(BATCH)])

    @torch.inference_mode()
    def classes(self, features: Tensor) -> Tensor:
        """Most probable class of each row of features, int64, shape (n,)."""
        return self.network.head(features).argmax(1)


def load_features(path: Path) -> Features:
    """Read a network from PATH.pt and PATH.json; WeightsError if they are missing or damaged."""
    state, record = load_weights(path)
    network = FeatureNetwork(record["channels"], record["classes"])
    network.load_state_dict(state)
    return Features(network.eval().to(memory_format=torch.channels_last), record["task"] == "classes")
