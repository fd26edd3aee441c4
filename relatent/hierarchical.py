"""Relational regularizers: distances between latent distributions, with gradients for both sides.

All are expectations under a coupling (eq. 4, 6, 11), so that a relational term is a mean over pairs of pairs. Weighting
them is the objective's business. Input in half precision is computed in float32, and so is everything under autocast.
Units do not matter: values and gradients are right as far as the type holds them, and infinite, not NaN, beyond.
Weights get a gradient too, see `relatent._solver.potentials`; its mean under the weights is zero.
"""

from torch import Tensor

from relatent._solver.geometry import Inner
from relatent._solver.point_clouds import cloud_fgw
from relatent._solver.potentials import with_weights
from relatent.gaussian import Gaussian
from relatent.transport import fgw_plan, value_of
from relatent.validation import (
    require_above_zero,
    require_beta,
    require_nonnegative,
    require_one_device,
    require_positive,
    require_rows,
    require_weights,
)

# Of all distances. Plans sharper than this change a distance by less than 0.1 % and take a fifth longer.
MAX_ITER, TOL = 40, 2e-2


def hierarchical_fgw(
    posterior: Gaussian,
    prior: Gaussian,
    *,
    beta: float,
    posterior_weights: Tensor | None = None,
    prior_weights: Tensor | None = None,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
) -> Tensor:
    """Hierarchical FGW distance between two mixtures of diagonal Gaussians, Definition 3.1 (eq. 6).

    Squared Wasserstein distances between the components (eq. 10) are squared Euclidean ones between the vectors
    (mean, std), so the cost is O(n d (k + d)) per iteration. By the envelope theorem the gradient of the optimal value
    is the objective's at a fixed plan. With std = 0 this is the empirical FGW distance, eq. 11 (Proposition 3.2).

    Args:
        posterior: n components, usually one per sample, shapes (n, d).
        prior: k components, shapes (k, d).
        beta: Weight of the relational term, in [0, 1]; 0 gives the hierarchical Wasserstein distance.
        posterior_weights: Shape (n,), non-negative, summing to one; None for uniform ones.
        prior_weights: Shape (k,), likewise.
        max_iter: Maximum number of linearised problems of the transport solver.
        tol: Change of the plan (l1) below which it counts as found.

    Returns:
        Scalar, at least zero; an expectation under the plan.

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If a shape does not fit, beta lies outside [0, 1], weights are negative or do not sum to one,
            max_iter is below 1, tol is not above 0, or (on the CPU) a value is not finite or a standard deviation
            negative.
    """
    require_beta(beta)
    require_gaussian("posterior", posterior)
    require_gaussian("prior", prior, dimension=posterior.mean.shape[1])
    return _clouds(posterior, prior, beta, posterior_weights, prior_weights, max_iter, tol, ("posterior", "prior"))


def hierarchical_wasserstein(
    posterior: Gaussian,
    prior: Gaussian,
    *,
    posterior_weights: Tensor | None = None,
    prior_weights: Tensor | None = None,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
) -> Tensor:
    """Hierarchical Wasserstein distance (Chen et al., 2018): `hierarchical_fgw` with beta = 0; same arguments.

    Args:
        posterior: n components, shapes (n, d).
        prior: k components, shapes (k, d).
        posterior_weights: Shape (n,); None for uniform ones.
        prior_weights: Shape (k,); None for uniform ones.
        max_iter: Maximum number of linearised problems of the transport solver.
        tol: Change of the plan (l1) below which it counts as found.

    Returns:
        Scalar; an expectation under the plan.
    """
    return hierarchical_fgw(
        posterior,
        prior,
        beta=0.0,
        posterior_weights=posterior_weights,
        prior_weights=prior_weights,
        max_iter=max_iter,
        tol=tol,
    )


def hierarchical_gw(
    posterior_a: Gaussian,
    posterior_b: Gaussian,
    *,
    weights_a: Tensor | None = None,
    weights_b: Tensor | None = None,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
) -> Tensor:
    """Hierarchical Gromov-Wasserstein distance of two posteriors (eq. 14), whose spaces may differ in dimension.

    Args:
        posterior_a: n components, shapes (n, d).
        posterior_b: m components, shapes (m, e).
        weights_a: Shape (n,), non-negative, summing to one; None for uniform ones.
        weights_b: Shape (m,), likewise.
        max_iter: Maximum number of linearised problems of the transport solver.
        tol: Change of the plan (l1) below which it counts as found.

    Returns:
        Scalar; an expectation under the plan. Isometries of either space (of means and of stds) do not change it.

    Raises:
        ValueError: As for `hierarchical_fgw`.
    """
    require_gaussian("posterior_a", posterior_a)
    require_gaussian("posterior_b", posterior_b)
    return _clouds(posterior_a, posterior_b, 1.0, weights_a, weights_b, max_iter, tol, ("posterior_a", "posterior_b"))


def empirical_fgw(x: Tensor, y: Tensor, *, beta: float, max_iter: int = MAX_ITER, tol: float = TOL) -> Tensor:
    """Empirical FGW distance between two samples, eq. 11, with squared Euclidean costs as in eq. 12.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, d); for beta = 1 of any dimension.
        beta: Weight of the relational term, in [0, 1].
        max_iter: Maximum number of linearised problems of the transport solver.
        tol: Change of the plan (l1) below which it counts as found.

    Returns:
        Scalar; an expectation under the plan.

    Raises:
        ValueError: If a shape does not fit, beta lies outside [0, 1], or (on the CPU) a value is not finite.
    """
    require_beta(beta)
    require_positive(max_iter=max_iter)
    require_above_zero(tol=tol)
    require_rows("x", x)
    require_rows("y", y, columns=x.shape[1] if beta < 1 else None, columns_of="x")
    require_one_device(x=x, y=y)
    return cloud_fgw(x, y, None, None, beta=beta, max_iter=max_iter, tol=tol)


def fgw(
    cost_xy: Tensor,
    inner_x: Inner,
    inner_y: Inner,
    *,
    beta: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
) -> Tensor:
    """FGW distance for any costs, differentiable in all and in weights: eq. 6 at the plan of eq. 7 (envelope theorem).

    With the costs of `bures_w2_squared` this is Definition 3.1 for full covariances.

    Args:
        cost_xy: Costs between the spaces, shape (..., n, k).
        inner_x: Costs within x, shape (..., n, n), symmetric, or points.
        inner_y: Costs within y, shape (..., k, k), symmetric, or points.
        beta: Weight of the relational term, in [0, 1].
        a: Weights of x, shape (..., n) or (n,); None for uniform ones.
        b: Weights of y, shape (..., k) or (k,); None for uniform ones.
        max_iter: Maximum number of linearised problems of the transport solver.
        tol: Change of the plan (l1) below which it counts as found.

    Returns:
        Distances, shape (...); expectations under the plans.

    Raises:
        ValueError: As for `fgw_plan`.
    """
    plan = fgw_plan(cost_xy, inner_x, inner_y, beta=beta, a=a, b=b, max_iter=max_iter, tol=tol)
    value = value_of(plan.coupling, cost_xy, inner_x, inner_y, beta)
    return with_weights(value, plan.coupling, cost_xy, inner_x, inner_y, beta, a, b)


def _clouds(
    x: Gaussian,
    y: Gaussian,
    beta: float,
    a: Tensor | None,
    b: Tensor | None,
    max_iter: int,
    tol: float,
    names: tuple[str, str],
) -> Tensor:
    require_positive(max_iter=max_iter)
    require_above_zero(tol=tol)
    if len({part.device for part in (*x, *y)}) > 1:  # before names are put together: this is asked at every step
        sides = zip(names, (x, y), strict=True)
        require_one_device(**{f"{name}.{part}": getattr(side, part) for name, side in sides for part in side._fields})
    for name, weights, gaussian in zip(names, (a, b), (x, y), strict=True):
        if weights is not None:
            require_weights(f"weights of {name}", weights, shape=(len(gaussian.mean),))
    return cloud_fgw(x.points(), y.points(), a, b, beta=beta, max_iter=max_iter, tol=tol)


def require_gaussian(name: str, gaussian: Gaussian, *, dimension: int | None = None) -> None:
    """Raise TypeError unless it is a Gaussian, ValueError unless its moments fit, are finite and no std negative."""
    if not isinstance(gaussian, Gaussian):
        raise TypeError(f"{name}: expected a Gaussian(mean, std), got a {type(gaussian).__name__}")
    require_rows(f"{name}.mean", gaussian.mean, columns=dimension, columns_of="the other distribution")
    require_rows(f"{name}.std", gaussian.std)
    if gaussian.std.shape != gaussian.mean.shape:
        raise ValueError(f"{name}.std: expected shape {tuple(gaussian.mean.shape)}, got {tuple(gaussian.std.shape)}")
    require_nonnegative(f"{name}.std", gaussian.std)
