"""Networks for a view of features: one hidden layer of rectified units, as in section 6.2's experiments."""

import math

import torch
from torch import Tensor, nn

from relatent import Gaussian
from relatent.precision import full_precision


class FeatureEncoder(nn.Module):
    """Features to codes.

    Args:
        size: Features.
        latent_size: Dimension d of a code.
        hidden: Units of the hidden layer.
        probabilistic: Whether codes are Gaussians or points.
    """

    def __init__(self, size: int, latent_size: int, hidden: int, *, probabilistic: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(size, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, latent_size)
        self.log_variance = nn.Linear(hidden, latent_size) if probabilistic else None

    def forward(self, x: Tensor) -> Gaussian | Tensor:
        """Encode features (n, size): Gaussian of shapes (n, d), or points (n, d); at least float32."""
        features = self.features(x)
        (mean,) = full_precision(self.mean(features))
        if self.log_variance is None:
            return mean
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


class Translator(nn.Module):
    """The barycentric map of a coupling between two views' codes, carried on to codes that it was not solved for.

    At an anchor, a training code of the source, the barycentric map gives the mean of the target codes that the optimal
    plan couples with it. A new code takes the mean of the anchors' images, weighted by a Gaussian kernel around it
    (Nadaraya-Watson), as wide as anchors lie apart.

    Args:
        anchors: How many.
        source_size: Dimension of the source's codes.
        target_size: Dimension of the target's codes.

    Attributes:
        anchors: Codes of the source, shape (m, d).
        images: Their images, shape (m, e).
        width: The kernel's standard deviation in each dimension, a scalar; 0 until `fit`.
    """

    anchors: Tensor
    images: Tensor
    width: Tensor

    def __init__(self, anchors: int, source_size: int, target_size: int) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.zeros(anchors, source_size))
        self.register_buffer("images", torch.zeros(anchors, target_size))
        self.register_buffer("width", torch.zeros(()))

    @torch.no_grad()
    def fit(self, anchors: Tensor, images: Tensor) -> None:
        """Set anchors (m, d), images (m, e) and the width: the median distance of an anchor to its nearest one."""
        self.anchors.copy_(anchors)
        self.images.copy_(images)
        apart = torch.cdist(anchors, anchors).fill_diagonal_(math.inf)
        self.width.copy_(apart.amin(1).median() / math.sqrt(2))

    def forward(self, z: Tensor) -> Tensor:
        """Carry codes (n, d) of the source over to the target's space, shape (n, e)."""
        # Written with products alone, as ONNX has them. A code's own length moves all exponents alike and is left out;
        # about the anchors' mean the products are no larger than the distances, so that float32 holds them.
        centre = self.anchors.mean(0)
        anchors = self.anchors - centre
        near = 2 * (z - centre) @ anchors.T - anchors.square().sum(1)  # (n, m), -|z - a|^2 up to a constant per code
        return (near / (2 * self.width.square().clamp_min(1e-12))).softmax(1) @ self.images
