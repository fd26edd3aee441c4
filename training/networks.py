"""Encoders and decoders: DCGAN-style for images (section 6.1), one hidden layer for features (section 6.2).

An encoder gives Gaussians; points have standard deviation 0.
"""

import math

import torch
from torch import Tensor, nn

from readers.pictures.sides import doublings
from relatent import Gaussian
from relatent.precision import full_precision
from training.methods import Codes

FIRST = 8  # channels of the decoder's first map, in widths


def _downsampling(channels: int, height: int, width: int, features: int) -> tuple[nn.Sequential, int]:
    """Halve up to four times; returns the layers and the number of features they end in."""
    stages = min(4, int(math.log2(min(height, width))))
    layers: list[nn.Module] = []
    for stage in range(stages):
        out = features * 2**stage
        layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        channels, height, width = out, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten()), channels * height * width


class Encoder(nn.Module):
    """Images to codes.

    Four 4x4 convolutions of stride 2 (fewer for images below 16 pixels), each with batch norm and ReLU, widths
    1, 2, 4, 8 times `width`, then one linear head for the mean and, for Gaussians, one for the log variance.

    Args:
        shape: Channels, height and width of an image.
        latent_size: Dimension d of a code.
        width: Channels of the first convolution.
        codes: Whether codes are Gaussians or points.
        standardise: Give codes (means) mean 0 and variance 1 in each dimension over the batch; in evaluation, by the
            running moments of training.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent_size: int,
        width: int,
        *,
        codes: Codes,
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.features, size = _downsampling(*shape, width)
        self.mean = nn.Linear(size, latent_size)
        self.log_variance = nn.Linear(size, latent_size) if codes == "gaussians" else None
        self.standardise = nn.BatchNorm1d(latent_size, affine=False) if standardise else nn.Identity()

    def forward(self, x: Tensor) -> Gaussian:
        """Encode.

        Args:
            x: Images, shape (n, channels, height, width), values in [0, 1].

        Returns:
            Gaussians of shapes (n, d); float32 also under autocast.
        """
        features = self.features(x)
        mean = self.standardise(self.mean(features).float())  # (n, d)
        if self.log_variance is None:
            return Gaussian(mean, torch.zeros_like(mean))
        return Gaussian(mean, (self.log_variance(features).float() / 2).exp())


class Decoder(nn.Module):
    """Codes to images.

    One linear layer to a small map (7x7 for 28 pixels, 8x8 for 64), then 4x4 transposed convolutions of stride 2,
    each halving the 8 times `width` channels, batch norm and ReLU after each, and a 1x1 convolution with no
    nonlinearity at the end: values are near [0, 1] but not bound to it.

    Args:
        shape: Channels, height and width of an image; sides divisible by 4.
        latent_size: Dimension d of a code.
        width: An eighth of the channels of the first map.

    Raises:
        ValueError: If the sides cannot be reached by doubling.
    """

    def __init__(self, shape: tuple[int, int, int], latent_size: int, width: int) -> None:
        super().__init__()
        channels, height, width_pixels = shape
        stages = doublings(height, width_pixels)
        side = 2**stages
        if height % side or width_pixels % side:
            raise ValueError(
                f"expected image sides divisible by {side}, got {height}x{width_pixels}; resize or pad them"
            )
        features = FIRST * width
        start = (features, height // side, width_pixels // side)
        layers: list[nn.Module] = [nn.Linear(latent_size, math.prod(start)), nn.Unflatten(1, start)]
        layers += [nn.BatchNorm2d(features), nn.ReLU()]
        for _ in range(stages):
            layers += [nn.ConvTranspose2d(features, features // 2, 4, stride=2, padding=1, bias=False)]
            features //= 2
            layers += [nn.BatchNorm2d(features), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(features, channels, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Decode codes (n, d) to images (n, channels, height, width); float32 also under autocast."""
        return self.layers(z).float()


class FeatureEncoder(nn.Module):
    """Features to codes.

    Args:
        size: Features.
        latent_size: Dimension d of a code.
        hidden: Units of the hidden layer.
        codes: Whether codes are Gaussians or points.
    """

    def __init__(self, size: int, latent_size: int, hidden: int, *, codes: Codes) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(size, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, latent_size)
        self.log_variance = nn.Linear(hidden, latent_size) if codes == "gaussians" else None

    def forward(self, x: Tensor) -> Gaussian:
        """Encode features (n, size) to Gaussians of shapes (n, d); at least float32."""
        features = self.features(x)
        (mean,) = full_precision(self.mean(features))
        if self.log_variance is None:
            return Gaussian(mean, torch.zeros_like(mean))
        return Gaussian(mean, (full_precision(self.log_variance(features))[0] / 2).exp())


class FeatureDecoder(nn.Module):
    """Codes to features.

    Args:
        size: Features.
        latent_size: Dimension d of a code.
        hidden: Units of the hidden layer.
    """

    def __init__(self, size: int, latent_size: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent_size, hidden), nn.ReLU(), nn.Linear(hidden, size))

    def forward(self, z: Tensor) -> Tensor:
        """Decode codes (n, d) to features (n, size); at least float32."""
        return full_precision(self.layers(z))[0]
