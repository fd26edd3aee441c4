"""Squared 2-Wasserstein distances between Gaussians (Definition 3.3, eq. 9 and 10)."""

import torch
from torch import Tensor


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances between all rows, by one matrix product.

    Args:
        x: Points, shape (..., n, d).
        y: Points, shape (..., k, d).

    Returns:
        Distances, shape (..., n, k), clamped at zero.
    """
    # Far from the origin |x|^2 + |y|^2 - 2xy cancels; the distance does not change under a common shift.
    shift = y.mean(dim=-2, keepdim=True).detach()
    x, y = x - shift, y - shift
    squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]  # (..., n, k)
    return (squares - 2 * x @ y.mT).clamp_min(0)


def gaussian_w2_squared(mean_x: Tensor, std_x: Tensor, mean_y: Tensor, std_y: Tensor) -> Tensor:
    """Squared W2 between diagonal Gaussians, eq. 10: |mean_x - mean_y|^2 + |std_x - std_y|^2.

    Args:
        mean_x: Means, shape (n, d).
        std_x: Standard deviations, shape (n, d), non-negative.
        mean_y: Means, shape (k, d).
        std_y: Standard deviations, shape (k, d), non-negative.

    Returns:
        Distances, shape (n, k).
    """
    return squared_euclidean(torch.cat([mean_x, std_x], -1), torch.cat([mean_y, std_y], -1))
