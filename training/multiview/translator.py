"""What a run of several views adds to its autoencoders after the last step: maps between codes, and a classifier."""

import math
from typing import Any

import torch
from torch import Tensor, nn

FACTORS = tuple(2 ** (half / 2) for half in range(7))  # widths of the kernel, in units of the narrowest
NOT_FOUND = -1.0  # in the place of trust: numbers of a checkpoint are finite


class Translator(nn.Module):
    """The barycentric map of a coupling between two views' codes, carried on to codes that it was not solved for.

    At an anchor, a training code of the source, the barycentric map gives the mean of the target codes that the optimal
    plan couples with it. A new code takes the mean of the anchors' images, weighted by a Gaussian kernel around it
    (Nadaraya-Watson), as wide as tells each anchor's image best from the others' (leave-one-out).

    Args:
        anchors: How many.
        source_size: Dimension of the source's codes.
        target_size: Dimension of the target's codes.

    Attributes:
        anchors: Codes of the source, shape (m, d).
        images: Their images, shape (m, e).
        width: The kernel's standard deviation in each dimension, a scalar; 0 until `fit`.
        trust: How far the coupling can be trusted, in [0, 1], where pairs were found; -1 where they were known, or the
            coupling is the optimal plan of the codes.
    """

    anchors: Tensor
    images: Tensor
    width: Tensor
    trust: Tensor

    def __init__(self, anchors: int, source_size: int, target_size: int) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.zeros(anchors, source_size))
        self.register_buffer("images", torch.zeros(anchors, target_size))
        self.register_buffer("width", torch.zeros(()))
        self.register_buffer("trust", torch.full((), NOT_FOUND))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """As ever; checkpoints of before pairs were found hold no trust."""
        state_dict.setdefault(f"{prefix}trust", torch.full((), NOT_FOUND))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @torch.no_grad()
    def fit(self, anchors: Tensor, images: Tensor) -> None:
        """Set anchors (m, d), images (m, e) and the width.

        Of the median distance of an anchor to its nearest one over sqrt(2), and of wider ones up to eight times that,
        the width is taken with the least squared error of images that the other anchors tell: where a coupling is
        noisy, as between views that share only a part, wide kernels average the noise away.
        """
        self.anchors.copy_(anchors)
        self.images.copy_(images)
        apart = torch.cdist(anchors, anchors).fill_diagonal_(math.inf)
        narrowest = apart.amin(1).median() / math.sqrt(2)
        if len(anchors) < 3 or narrowest == 0:
            self.width.copy_(narrowest)
            return
        widths = [narrowest * factor for factor in FACTORS]
        told = [(-apart.square() / (2 * width.square())).softmax(1) @ images for width in widths]
        self.width.copy_(min(zip(widths, told, strict=True), key=lambda each: (each[1] - images).square().sum())[0])

    def forward(self, z: Tensor) -> Tensor:
        """Carry codes (n, d) of the source over to the target's space, shape (n, e)."""
        # Written with products alone, as ONNX has them. A code's own length moves all exponents alike and is left out;
        # about the anchors' mean the products are no larger than the distances, so that float32 holds them.
        centre = self.anchors.mean(0)
        anchors = self.anchors - centre
        near = 2 * (z - centre) @ anchors.T - anchors.square().sum(1)  # (n, m), -|z - a|^2 up to a constant per code
        return (near / (2 * self.width.square().clamp_min(1e-12))).softmax(1) @ self.images


class SoftmaxHead(nn.Module):
    """Softmax regression on the concatenated codes of all views.

    Args:
        size: Dimensions of all codes together.
        classes: How many.

    Attributes:
        weight: Shape (classes, size).
        bias: Shape (classes,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(classes, size))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        """Log probabilities of the classes, shape (n, classes), of concatenated codes (n, size)."""
        return (features @ self.weight.T + self.bias).log_softmax(1)
