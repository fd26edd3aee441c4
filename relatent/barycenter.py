"""Relational regularizers over more than two spaces: what the paper leaves as future work.

With V posteriors of n components and k-point spaces, one call of `hierarchical_gw` costs O(n k d) per iteration, so
all pairs cost O(V^2 n^2 d) and comparing all with one reference O(V n k d): linear in V, and in n where k is fixed.
The value against a reference bounds that of the pairs: GW^(1/2) is a metric, so GW(a, b) <= 2 GW(a, r) + 2 GW(r, b).
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from relatent._solver.geometry import PointCloud, length_unit, require_inner
from relatent._solver.units import raised
from relatent.gaussian import Gaussian
from relatent.hierarchical import MAX_ITER, TOL, hierarchical_gw, require_gaussian
from relatent.precision import full_precision
from relatent.transport import fgw_plan
from relatent.validation import require_floating, require_positive


def pairwise_gw(posteriors: Sequence[Gaussian], *, max_iter: int = MAX_ITER, tol: float = TOL) -> Tensor:
    """Mean hierarchical Gromov-Wasserstein distance (eq. 14) over all pairs of V posteriors.

    Args:
        posteriors: At least two, each of any number of components and any dimension.
        max_iter: Maximum number of linearised problems of the transport solver, per pair.
        tol: Change of a plan (l1) below which it counts as found.

    Returns:
        Scalar; a mean over the V (V - 1) / 2 pairs, so that its weight does not depend on V.

    Raises:
        ValueError: If there are fewer than two posteriors, or as for `hierarchical_gw`.
    """
    if len(posteriors) < 2:
        raise ValueError(f"posteriors: expected at least 2, got {len(posteriors)}")
    pairs = combinations(posteriors, 2)
    return torch.stack([hierarchical_gw(first, second, max_iter=max_iter, tol=tol) for first, second in pairs]).mean()


def reference_gw(
    posteriors: Sequence[Gaussian], reference: Gaussian, *, max_iter: int = MAX_ITER, tol: float = TOL
) -> Tensor:
    """Mean hierarchical Gromov-Wasserstein distance of V posteriors to one reference, which may be learned with them.

    A learned reference of k components is a barycentre of the views' structures, found by gradient descent along
    with everything else; its dimension is free.

    Args:
        posteriors: At least one, each of any number of components and any dimension.
        reference: k components, shapes (k, e).
        max_iter: Maximum number of linearised problems of the transport solver, per posterior.
        tol: Change of a plan (l1) below which it counts as found.

    Returns:
        Scalar; a mean over posteriors.

    Raises:
        ValueError: If there is no posterior, or as for `hierarchical_gw`.
    """
    if not posteriors:
        raise ValueError("posteriors: expected at least 1, got 0")
    return torch.stack([hierarchical_gw(p, reference, max_iter=max_iter, tol=tol) for p in posteriors]).mean()


@torch.no_grad()
def gw_barycenter(posteriors: Sequence[Gaussian], start: Tensor, *, rounds: int = 10) -> Tensor:
    """Relational barycentre of V posteriors as a matrix of inner costs (Peyre et al., 2016), uniform weights.

    Alternates plans and, at fixed plans, the closed-form minimiser of the summed square loss:
    C = k^2 mean_v T_v^T C_v T_v. No round increases the mean distance, as long as the solver finds the better plan.

    Args:
        posteriors: At least one.
        start: Inner costs to start from, shape (k, k), symmetric.
        rounds: Alternations.

    Returns:
        Inner costs of the barycentre, shape (k, k), symmetric.

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If there is no posterior, rounds is below 1, `start` is not square or symmetric, or as for
            `hierarchical_gw`.
    """
    require_positive(posteriors=len(posteriors), rounds=rounds)
    require_floating("start", start)
    if start.ndim != 2 or start.shape[0] != start.shape[1] or not len(start):
        raise ValueError(f"start: expected shape (k, k) with k >= 1, got {tuple(start.shape)}")
    require_inner("start", start, len(start))
    for index, posterior in enumerate(posteriors):
        require_gaussian(f"posteriors[{index}]", posterior)
    (centre,) = full_precision(start)
    k = len(centre)
    clouds = [Gaussian(*full_precision(*posterior)).points().to(centre) for posterior in posteriors]
    clouds = [cloud - cloud.mean(0) for cloud in clouds]
    unit = torch.stack([length_unit(PointCloud(cloud)) for cloud in clouds]).amax(0)
    clouds = [cloud / unit for cloud in clouds]
    centre = raised(centre, unit, -2)
    for _ in range(rounds):
        total = torch.zeros_like(centre)
        for cloud in clouds:
            T = fgw_plan(cloud.new_zeros(len(cloud), k), PointCloud(cloud), centre, beta=1.0).coupling
            radius = cloud.square().sum(1)
            moved = T.mT @ cloud
            outer = (T.mT @ radius)[:, None] * T.sum(0)
            total += outer + outer.mT - 2 * moved @ moved.mT  # T^T C T for squared Euclidean C
        centre = total * k**2 / len(clouds)
    return raised(centre, unit, 2)
