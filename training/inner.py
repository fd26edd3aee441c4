"""Costs within a space, and the split of each into a centred part and radii that the transport solver works with."""

from typing import NamedTuple

from torch import Tensor

from training.checks import require_finite, require_floating


class PointCloud(NamedTuple):
    """Squared Euclidean costs within a space, given by its points instead of by a matrix.

    Attributes:
        points: Shape (..., n, d).
    """

    points: Tensor


Inner = Tensor | PointCloud


class Centred(NamedTuple):
    """C_ij = A_ij + r_i + r_j with A a = 0, for weights a. Squared Euclidean costs have A = -2 F F^T, r = |F|^2.

    Attributes:
        factor: A itself, shape (..., n, n), or the centred points F, shape (..., n, d).
        radius: r, shape (..., n).
        weights: a, shape (..., n).
        is_cloud: Whether `factor` holds points.
    """

    factor: Tensor
    radius: Tensor
    weights: Tensor
    is_cloud: bool

    @classmethod
    def of(cls, inner: Inner, weights: Tensor) -> "Centred":
        """Split a cost matrix or a point cloud."""
        if isinstance(inner, PointCloud):
            points = inner.points - weights[..., None, :] @ inner.points
            return cls(points, points.square().sum(-1), weights, is_cloud=True)
        mean = (inner @ weights[..., None])[..., 0]  # (..., n)
        radius = mean - (mean * weights).sum(-1, keepdim=True) / 2
        return cls(inner - radius[..., :, None] - radius[..., None, :], radius, weights, is_cloud=False)

    def times(self, rows: Tensor) -> Tensor:
        """The product rows A, shape (..., k, n)."""
        if self.is_cloud:
            return -2 * (rows @ self.factor) @ self.factor.mT
        return rows @ self.factor

    def matrix(self) -> Tensor:
        """A, shape (..., n, n)."""
        return -2 * self.factor @ self.factor.mT if self.is_cloud else self.factor

    def energy(self) -> Tensor:
        """sum_ij a_i a_j A_ij^2, shape (...)."""
        if self.is_cloud:
            return 4 * (self.factor.mT @ (self.weights[..., None] * self.factor)).square().sum((-2, -1))
        return (self.weights[..., None, :] @ self.factor.square() @ self.weights[..., None])[..., 0, 0]


def cast(inner: Inner, like: Tensor) -> Inner:
    """The same costs in the type and on the device of `like`."""
    return PointCloud(inner.points.to(like)) if isinstance(inner, PointCloud) else inner.to(like)


def require_inner(name: str, inner: Inner, count: int) -> None:
    """Raise ValueError unless the costs belong to `count` points, are finite and (a matrix) symmetric in shape."""
    matrix = inner.points if isinstance(inner, PointCloud) else inner
    require_floating(name, matrix)
    wanted = f"(..., {count}, d)" if isinstance(inner, PointCloud) else f"(..., {count}, {count})"
    square = isinstance(inner, PointCloud) or matrix.shape[-1] == count
    if matrix.ndim < 2 or matrix.shape[-2] != count or not square:
        raise ValueError(f"{name}: expected shape {wanted}, got {tuple(matrix.shape)}")
    require_finite(name, matrix)
