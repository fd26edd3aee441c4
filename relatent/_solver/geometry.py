"""Costs within a space, and the split of each into a centred part and radii that the transport solver works with."""

from typing import NamedTuple

from torch import Tensor

from relatent._solver.units import rescale, unit_of
from relatent.validation import require_finite, require_floating, require_symmetric


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

    def tilt(self) -> Tensor:
        """Radii less their mean, shape (..., n): their mean adds to costs between the spaces what marginals absorb."""
        return self.radius - (self.radius * self.weights).sum(-1, keepdim=True)

    def matrix(self) -> Tensor:
        """A, shape (..., n, n)."""
        return -2 * self.factor @ self.factor.mT if self.is_cloud else self.factor

    def costs(self) -> Tensor:
        """C, shape (..., n, n)."""
        return self.matrix() + self.radius[..., :, None] + self.radius[..., None, :]

    def squares(self) -> Tensor:
        """sum_j a_j A_ij^2, shape (..., n)."""
        if self.is_cloud:
            moment = self.factor.mT @ (self.weights[..., None] * self.factor)
            return 4 * (self.factor @ moment * self.factor).sum(-1)
        return (self.factor.square() @ self.weights[..., None])[..., 0]

    def energy(self) -> Tensor:
        """sum_ij a_i a_j A_ij^2, shape (...)."""
        if self.is_cloud:
            return 4 * (self.factor.mT @ (self.weights[..., None] * self.factor)).square().sum((-2, -1))
        return (self.squares() * self.weights).sum(-1)


def length_unit(inner: Inner) -> Tensor:
    """A power of two of the order of the lengths whose squares the costs are, shape (..., 1, 1); 1 if all are zero."""
    if isinstance(inner, PointCloud):
        return unit_of(inner.points.abs().amax((-2, -1), keepdim=True))
    return unit_of(inner.abs().amax((-2, -1), keepdim=True).sqrt())


def in_units(inner: Inner, unit: Tensor) -> Inner:
    """The same costs in another unit of length, with the gradient of something of fourth order, see `units.rescale`."""
    if isinstance(inner, PointCloud):
        return PointCloud(rescale(inner.points, unit, forth=-1, back=3))
    return rescale(inner, unit, forth=-2, back=2)


def cast(inner: Inner, like: Tensor) -> Inner:
    """The same costs in the type and on the device of `like`."""
    return PointCloud(inner.points.to(like)) if isinstance(inner, PointCloud) else inner.to(like)


def require_inner(name: str, inner: Inner, count: int) -> None:
    """Raise ValueError unless the costs belong to `count` points, are finite and (a matrix) symmetric."""
    if not isinstance(inner, (Tensor, PointCloud)):
        raise TypeError(f"{name}: expected a tensor of costs or a PointCloud, got a {type(inner).__name__}")
    matrix = inner.points if isinstance(inner, PointCloud) else inner
    require_floating(name, matrix)
    wanted = f"(..., {count}, d)" if isinstance(inner, PointCloud) else f"(..., {count}, {count})"
    fits = matrix.ndim >= 2 and (matrix.shape[-1] > 0 if isinstance(inner, PointCloud) else matrix.shape[-1] == count)
    if not fits or matrix.shape[-2] != count:
        raise ValueError(f"{name}: expected shape {wanted}, got {tuple(matrix.shape)}")
    require_finite(name, matrix)
    if not isinstance(inner, PointCloud):
        require_symmetric(name, matrix)
