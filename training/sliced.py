"""Sliced fused Gromov-Wasserstein distance (eq. 12-13, Definition 3.5) in O(L(ND + N log N))."""

import torch
from torch import Tensor


def random_directions(dimension: int, count: int, *, generator: torch.Generator) -> Tensor:
    """Draw directions uniformly on the unit sphere.

    Args:
        dimension: Ambient dimension d.
        count: Number of directions l.
        generator: Source of randomness; the result lives on its device.

    Returns:
        Unit columns, shape (d, l), float32.
    """
    normal = torch.randn(dimension, count, generator=generator, device=generator.device)
    return normal / normal.norm(dim=0, keepdim=True)


def _fused_cost(x: Tensor, y: Tensor, beta: float) -> Tensor:
    """Cost of matching row i of x with row i of y in one dimension, mean over N (N^2 pairs), shape (l,)."""
    # With u = x - y and v = x + y, ((x_i - x_j)^2 - (y_i - y_j)^2)^2 = (u_i - u_j)^2 (v_i - v_j)^2, whose mean over
    # pairs needs only moments of the centred u and v; every term is non-negative, so nothing cancels.
    u, v = x - y, x + y
    wasserstein = u.square().mean(0)
    u, v = u - u.mean(0), v - v.mean(0)
    relational = (
        2 * (u * v).square().mean(0)
        + 2 * u.square().mean(0) * v.square().mean(0)
        + 4 * (u * v).mean(0).square()
    )
    return (1 - beta) * wasserstein + beta * relational


def sliced_fgw(x: Tensor, y: Tensor, *, beta: float, directions: Tensor) -> Tensor:
    """Sliced FGW distance, eq. 13: the mean over directions of the smaller of two one-dimensional costs.

    The two candidate matchings of the sorted projections are the identity and the reversal. That the better of
    them is optimal (Theorem 3.4) is false in general, so this is an upper bound of eq. 12's minimum.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (n, d).
        beta: Weight of the relational term, in [0, 1].
        directions: Unit columns, shape (d, l).

    Returns:
        Scalar; a mean over samples (direct term), pairs of samples (relational term) and directions.
    """
    x, y = (x @ directions).sort(0).values, (y @ directions).sort(0).values  # (n, l)
    identity, reversal = _fused_cost(x, y, beta), _fused_cost(x, y.flip(0), beta)
    return torch.minimum(identity, reversal).mean()


def sliced_wasserstein(x: Tensor, y: Tensor, *, directions: Tensor) -> Tensor:
    """Squared sliced 2-Wasserstein distance (Kolouri et al., 2018).

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (n, d).
        directions: Unit columns, shape (d, l).

    Returns:
        Scalar; a mean over samples and directions.
    """
    return ((x @ directions).sort(0).values - (y @ directions).sort(0).values).square().mean()
