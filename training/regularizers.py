"""Relational regularizers: distances between a posterior and a prior, with gradients for both."""

from torch import Tensor

from training.distances import gaussian_w2_squared
from training.gaussian import Gaussian
from training.transport import fgw_plan, fgw_value


def hierarchical_fgw(posterior: Gaussian, prior: Gaussian, *, beta: float, iterations: int = 20) -> Tensor:
    """Hierarchical FGW distance between two Gaussian mixtures with uniform weights, Definition 3.1 (eq. 6).

    By the envelope theorem the gradient of the optimal value is the objective's gradient at a fixed plan,
    so the plan is computed without gradient and the objective evaluated at it with gradient.

    Args:
        posterior: n components, one per sample, shapes (n, d).
        prior: k components, shapes (k, d).
        beta: Weight of the relational term, in [0, 1].
        iterations: Most proximal gradient steps.

    Returns:
        Scalar; an expectation under the plan.
    """
    costs = (
        gaussian_w2_squared(*posterior, *prior),
        gaussian_w2_squared(*posterior, *posterior),
        gaussian_w2_squared(*prior, *prior),
    )
    plan = fgw_plan(*costs, beta=beta, iterations=iterations)
    return fgw_value(plan.coupling, *costs, beta=beta)
