"""Optimal plans of the fused Gromov-Wasserstein problem (eq. 6-8) by the proximal gradient method."""

from typing import NamedTuple

import torch
from torch import Tensor


class Plan(NamedTuple):
    """A solved transport problem.

    Attributes:
        coupling: Joint distribution, shape (..., n, k), non-negative, with marginals a and b.
        value: FGW objective at the coupling (an expectation under it), shape (...).
        residual: Total variation between the last two couplings, shape (...).
        iterations: Number of proximal steps taken.
        converged: Whether the residual fell below the tolerance, shape (...).
    """

    coupling: Tensor
    value: Tensor
    residual: Tensor
    iterations: int
    converged: Tensor


def fgw_value(coupling: Tensor, cost_xy: Tensor, inner_x: Tensor, inner_y: Tensor, *, beta: float) -> Tensor:
    """FGW objective of a coupling T, eq. 6 (square loss), in the matrix form of eq. 7.

    Args:
        coupling: T, shape (..., n, k).
        cost_xy: Costs between the spaces, shape (..., n, k).
        inner_x: Distances within x, shape (..., n, n), symmetric.
        inner_y: Distances within y, shape (..., k, k), symmetric.
        beta: Weight of the relational term, in [0, 1].

    Returns:
        (1 - beta) sum T cost + beta sum |inner_x - inner_y|^2 T T, shape (...); an expectation under T.
    """
    a, b = coupling.sum(-1), coupling.sum(-2)
    spread_x = torch.einsum("...i,...ij,...j->...", a, inner_x.square(), a)
    spread_y = torch.einsum("...i,...ij,...j->...", b, inner_y.square(), b)
    cross = (inner_x @ coupling @ inner_y * coupling).sum((-2, -1))
    return (1 - beta) * (cost_xy * coupling).sum((-2, -1)) + beta * (spread_x + spread_y - 2 * cross)


@torch.no_grad()
def fgw_plan(
    cost_xy: Tensor,
    inner_x: Tensor,
    inner_y: Tensor,
    *,
    beta: float,
    iterations: int = 20,
    sinkhorn_iterations: int = 10,
    step: float = 1.0,
    tolerance: float = 1e-6,
) -> Plan:
    """Solve eq. 7 with uniform marginals by the proximal gradient method of Xu et al. (2019b).

    Each step minimises the linearised objective plus a Kullback-Leibler proximal term, which is a
    Sinkhorn problem solved in the log domain. No gradient flows through the result.

    Args:
        cost_xy: Costs between the spaces, shape (..., n, k).
        inner_x: Distances within x, shape (..., n, n), symmetric.
        inner_y: Distances within y, shape (..., k, k), symmetric.
        beta: Weight of the relational term, in [0, 1].
        iterations: Most proximal steps.
        sinkhorn_iterations: Sinkhorn sweeps inside each.
        step: Inverse proximal weight in units of the gradient's own spread (dimensionless).
        tolerance: Stop when the total variation between two couplings falls below it.

    Returns:
        The plan; its value is that of `fgw_value`.
    """
    n, k = cost_xy.shape[-2:]
    log_a, log_b = -torch.log(torch.tensor(float(n))).item(), -torch.log(torch.tensor(float(k))).item()
    log_coupling = torch.full_like(cost_xy, log_a + log_b)
    coupling = log_coupling.exp()
    residual = torch.full_like(cost_xy[..., 0, 0], torch.inf)
    taken = 0
    for taken in range(1, iterations + 1):
        # Terms of the gradient constant along rows or columns are absorbed by the marginal constraints.
        gradient = (1 - beta) * cost_xy - 4 * beta * inner_x @ coupling @ inner_y
        gradient = gradient - gradient.mean(-1, keepdim=True)
        gradient = gradient - gradient.mean(-2, keepdim=True)
        spread = gradient.square().mean((-2, -1), keepdim=True).sqrt()
        log_kernel = log_coupling - step * gradient / spread.clamp_min(torch.finfo(spread.dtype).tiny)
        for _ in range(sinkhorn_iterations):
            log_kernel = log_kernel - log_kernel.logsumexp(-2, keepdim=True) + log_b
            log_kernel = log_kernel - log_kernel.logsumexp(-1, keepdim=True) + log_a
        log_coupling, previous, coupling = log_kernel, coupling, log_kernel.exp()
        residual = (coupling - previous).abs().sum((-2, -1)) / 2
        if bool((residual < tolerance).all()):
            break
    value = fgw_value(coupling, cost_xy, inner_x, inner_y, beta=beta)
    return Plan(coupling, value, residual, taken, residual < tolerance)
