"""Squared 2-Wasserstein distances between Gaussians (Definition 3.3, eq. 9 and 10)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from relatent._solver.units import rescale, unit_of
from relatent.precision import full_precision, readable, without_autocast
from relatent.validation import (
    require_finite,
    require_floating,
    require_nonnegative,
    require_one_device,
    require_symmetric,
)


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances between all rows, by one matrix product.

    Args:
        x: Points, shape (..., n, d), n and d at least 1.
        y: Points, shape (..., k, d), likewise.

    Returns:
        Distances, shape (..., n, k), at least zero, infinite where the type cannot hold them. Differentiable once.
    """
    with without_autocast(x):
        x, y = full_precision(x, y)
        unit = unit_of(*(points.abs().amax((-2, -1), keepdim=True) for points in (x, y)))
        x, y = (rescale(points, unit, forth=-1, back=1) for points in (x, y))
        # Far from the origin |x|^2 + |y|^2 - 2 x y cancels; distances do not change under a common shift.
        shift = y.detach().mean(dim=-2, keepdim=True)
        x, y = x - shift, y - shift
        squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]  # (..., n, k)
        return rescale((squares - 2 * x @ y.mT).clamp_min(0), unit, forth=2, back=0)


def gaussian_w2_squared(mean_x: Tensor, std_x: Tensor, mean_y: Tensor, std_y: Tensor) -> Tensor:
    """Squared W2 between diagonal Gaussians, eq. 10: |mean_x - mean_y|^2 + |std_x - std_y|^2.

    Args:
        mean_x: Means, shape (..., n, d).
        std_x: Standard deviations, shape (..., n, d), non-negative.
        mean_y: Means, shape (..., k, d).
        std_y: Standard deviations, shape (..., k, d), non-negative.

    Returns:
        Distances, shape (..., n, k), in float32 or wider.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape does not fit or (on the CPU) a value is not finite or a standard deviation negative.
    """
    _require_moments("mean_x", mean_x, "std_x", std_x, full=False)
    _require_moments("mean_y", mean_y, "std_y", std_y, full=False)
    _require_one_space(mean_x, mean_y)
    require_nonnegative("std_x", std_x)
    require_nonnegative("std_y", std_y)
    return squared_euclidean(torch.cat([mean_x, std_x], -1), torch.cat([mean_y, std_y], -1))


def bures_w2_squared(mean_x: Tensor, cov_x: Tensor, mean_y: Tensor, cov_y: Tensor) -> Tensor:
    """Squared W2 between Gaussians of full covariance, eq. 9: |mean_x - mean_y|^2 + squared Bures distance.

    tr (P^(1/2) Q P^(1/2))^(1/2) is the sum of singular values of P^(1/2) Q^(1/2); written as the smallest value of
    |P^(1/2) U - Q^(1/2)|^2 over rotations U, the distance does not cancel where P and Q are close, and is exactly
    differentiable there. A singular covariance is allowed: a Dirac is one.

    Args:
        mean_x: Means, shape (..., n, d).
        cov_x: Covariances, shape (..., n, d, d), symmetric and positive semi-definite.
        mean_y: Means, shape (..., k, d).
        cov_y: Covariances, shape (..., k, d, d), likewise.

    Returns:
        Distances, shape (..., n, k), in float32 or wider.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape does not fit or (on the CPU) a value is not finite or a covariance not symmetric and
            positive semi-definite, but for rounding.
    """
    _require_moments("mean_x", mean_x, "cov_x", cov_x, full=True)
    _require_moments("mean_y", mean_y, "cov_y", cov_y, full=True)
    _require_one_space(mean_x, mean_y)
    with without_autocast(mean_x):
        rounding = max(_relative_tolerance(cov_x), _relative_tolerance(cov_y))  # of the types they came in
        cov_x, cov_y = full_precision(cov_x, cov_y)
        P, Q = cov_x[..., :, None, :, :], cov_y[..., None, :, :, :]
        return squared_euclidean(mean_x, mean_y) + _Bures.apply(P, Q, rounding)


class _Bures(torch.autograd.Function):
    """Squared Bures distance of positive semi-definite matrices (..., d, d) that broadcast, gradient in closed form.

    With the optimal linear map A from N(0, P) to N(0, Q), the gradient in P is I - A: bounded where P is regular,
    and zero where P = Q, whatever the multiplicity of eigenvalues.
    """

    @staticmethod
    def forward(ctx: Any, P: Tensor, Q: Tensor, rounding: float) -> Tensor:
        """Distances, shape (...)."""
        root_p, root_q = _root("cov_x", P, rounding), _root("cov_y", Q, rounding)
        U, _, Vh = torch.linalg.svd(root_p @ root_q)
        rotation = U @ Vh  # P^(1/2) rotation is as close to Q^(1/2) as can be
        ctx.save_for_backward(root_p, root_q, rotation)
        return (root_p @ rotation - root_q).square().sum((-2, -1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """I - A for both sides."""
        root_p, root_q, rotation = ctx.saved_tensors
        scale = upstream[..., None, None]
        slope_p, slope_q = _slope(root_p, root_q @ rotation.mT), _slope(root_q, root_p @ rotation)
        return (scale * slope_p).sum_to_size(root_p.shape), (scale * slope_q).sum_to_size(root_q.shape), None


def _slope(root: Tensor, image: Tensor) -> Tensor:
    """I - A, where A maps `root` to `image` and is symmetric; on the kernel of a singular root A is taken as zero."""
    A = image @ torch.linalg.pinv(root, hermitian=True, rtol=_relative_tolerance(root))
    return torch.eye(root.shape[-1], dtype=root.dtype, device=root.device) - (A + A.mT) / 2


def _root(name: str, matrix: Tensor, rounding: float) -> Tensor:
    """Symmetric square root of positive semi-definite matrices (..., d, d); ValueError if on the CPU one is not."""
    values, vectors = torch.linalg.eigh(matrix)  # ascending
    if readable(matrix):
        below = values[..., 0] + rounding * values[..., -1].clamp_min(0)
        if (below < 0).any():
            index = torch.unravel_index(below.argmin(), below.shape)
            worst = values[index][0].item()
            # An axis of size one stands for the other distribution's components.
            at = tuple(int(i) for i, size in zip(index, below.shape, strict=True) if size > 1 or below.numel() == 1)
            raise ValueError(
                f"{name}: expected positive semi-definite matrices, got smallest eigenvalue {worst:.6g} at index {at}"
            )
    return (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT


def _relative_tolerance(matrix: Tensor) -> float:
    return 10 * matrix.shape[-1] * torch.finfo(matrix.dtype).eps


def _require_moments(mean_name: str, mean: Tensor, name: str, spread: Tensor, *, full: bool) -> None:
    require_floating(mean_name, mean)
    require_floating(name, spread)
    if mean.ndim < 2 or 0 in mean.shape:
        raise ValueError(f"{mean_name}: expected shape (..., n, d) with n, d >= 1, got {tuple(mean.shape)}")
    wanted = (*mean.shape, mean.shape[-1]) if full else tuple(mean.shape)
    if tuple(spread.shape) != wanted:
        raise ValueError(
            f"{name}: expected a shape to go with means {tuple(mean.shape)}, got {tuple(spread.shape)}; give {wanted}"
        )
    require_one_device(**{mean_name: mean, name: spread})
    require_finite(mean_name, mean)
    require_finite(name, spread)
    if full:
        require_symmetric(name, spread)


def _require_one_space(mean_x: Tensor, mean_y: Tensor) -> None:
    if mean_x.shape[-1] != mean_y.shape[-1]:
        raise ValueError(f"mean_y: expected dimension {mean_x.shape[-1]} like mean_x, got {mean_y.shape[-1]}")
    require_one_device(mean_x=mean_x, mean_y=mean_y)
