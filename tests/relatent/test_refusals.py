"""What the regularizers cannot do, they refuse in one line that names the argument."""

import numpy as np
import pytest
import torch

from relatent import (
    Gaussian,
    MixturePrior,
    PointCloud,
    best_fgw_plan,
    bures_w2_squared,
    empirical_fgw,
    fgw,
    fgw_plan,
    fgw_value,
    gaussian_w2_squared,
    gw_barycenter,
    hierarchical_fgw,
    hierarchical_gw,
    invariant_sliced_fgw,
    paired_directions,
    pairwise_gw,
    random_directions,
    reference_gw,
    sliced_fgw,
    sliced_gw,
)
from tests.relatent.cases import DOUBLE, clouds, double_sum, points_problem

X, Y = torch.arange(6.0).view(3, 2), torch.ones(2, 2)
P, Q = Gaussian(X, X), Gaussian(Y, Y)
COST, INNER_X, INNER_Y = torch.ones(3, 2), 1 - torch.eye(3), 1 - torch.eye(2)
COSTS = {"cost_xy": COST, "inner_x": INNER_X, "inner_y": INNER_Y, "beta": 0.5}
ASYMMETRIC = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 4.0, 0.0]])
PRODUCT = torch.full((3, 2), 1 / 6)
NAN = torch.tensor([[1.0, torch.nan], [0.0, 0.0], [0.0, 0.0]])
ELSEWHERE = torch.ones(2, 2, device="meta")
EYES = torch.eye(2).expand(3, 2, 2)


def rng():
    return torch.Generator().manual_seed(0)


def costs(**change):
    return COSTS | change


def prior():
    return MixturePrior(2, 2, generator=rng())


REFUSED = {
    # numbers
    "beta None": (lambda: hierarchical_fgw(P, Q, beta=None), "beta: expected a number, got None"),
    "beta text": (lambda: empirical_fgw(X, Y, beta="0.5"), "beta: expected a number, got a str"),
    "beta tensor": (
        lambda: sliced_fgw(X, Y, beta=torch.tensor(0.5), directions=EYES[0]),
        "beta: expected a number, got a",
    ),
    "beta above": (lambda: fgw(**costs(beta=1.5)), r"beta: expected a number in \[0, 1\], got 1.5"),
    "beta NaN": (
        lambda: fgw_value(PRODUCT, **costs(beta=float("nan"))),
        r"beta: expected a number in \[0, 1\], got nan",
    ),
    "max_iter half": (lambda: fgw_plan(**COSTS, max_iter=2.5), "max_iter: expected a whole number, got a float"),
    "max_iter None": (lambda: pairwise_gw([P, Q], max_iter=None), "max_iter: expected a whole number, got None"),
    "rounds text": (lambda: gw_barycenter([P], INNER_Y, rounds="3"), "rounds: expected a whole number, got a str"),
    "tol zero": (lambda: fgw_plan(**COSTS, tol=0), "tol: expected a finite number above 0, got 0"),
    "tol of a distance": (
        lambda: reference_gw([P], Q, tol=0.0),
        "tol: expected a finite number above 0, got 0.0",
    ),
    "epsilon inf": (lambda: fgw_plan(**COSTS, epsilon=float("inf")), "epsilon: expected a finite number above 0"),
    "quantiles": (
        lambda: invariant_sliced_fgw(X, Y, beta=1.0, directions=torch.ones(2, 2), quantiles=2.0),
        "quantiles: expected a whole number, got a float",
    ),
    # what is no tensor, no Gaussian, no generator
    "tuple": (
        lambda: hierarchical_fgw((X, X), Q, beta=0.5),
        r"posterior: expected a Gaussian\(mean, std\), got a tuple",
    ),
    "tuple, second": (
        lambda: hierarchical_gw(P, (Y, Y)),
        r"posterior_b: expected a Gaussian\(mean, std\), got a tuple",
    ),
    "tuple in a list": (lambda: gw_barycenter([P, (X, X)], INNER_Y), r"posteriors\[1\]: expected a Gaussian"),
    "tensor": (lambda: reference_gw([P], Y), r"posterior_b: expected a Gaussian\(mean, std\), got a Tensor"),
    "NumPy": (lambda: empirical_fgw(X.numpy(), Y, beta=0.5), "x: expected a floating point tensor, got a ndarray"),
    "NumPy costs": (lambda: fgw_plan(**costs(cost_xy=np.ones((3, 2)))), "cost_xy: expected a floating point tensor"),
    "NumPy inner": (
        lambda: fgw(**costs(inner_y=np.ones((2, 2)))),
        "inner_y: expected a tensor of costs or a PointCloud",
    ),
    "NumPy std": (lambda: gaussian_w2_squared(X, X.numpy(), Y, Y), "std_x: expected a floating point tensor, got a nd"),
    "directions": (
        lambda: sliced_fgw(X, Y, beta=0.5, directions=50),
        "directions: expected a floating point tensor, got",
    ),
    "directions_b": (
        lambda: sliced_gw(X, Y, directions_a=EYES[0], directions_b=2),
        "directions_b: expected a floating point tensor, got a int",
    ),
    "generator": (lambda: random_directions(2, 3, generator=0), "generator: expected a torch.Generator, got a int"),
    "no generator": (
        lambda: paired_directions(2, 3, 4, generator=None),
        "generator: expected a torch.Generator, got None",
    ),
    "restarts": (lambda: best_fgw_plan(**COSTS, generator=7), "generator: expected a torch.Generator, got a int"),
    # types, shapes, devices
    "integers": (lambda: empirical_fgw(X.int(), Y, beta=0.5), "x: expected a floating point tensor, got torch.int32"),
    "integer weights": (
        lambda: hierarchical_fgw(P, Q, beta=0.5, prior_weights=torch.tensor([1, 0])),
        "weights of prior: expected a floating point tensor, got torch.int64",
    ),
    "complex": (
        lambda: sliced_fgw(X, Y + 0j, beta=0.5, directions=EYES[0]),
        "y: expected a floating point tensor, got t",
    ),
    "no points": (
        lambda: hierarchical_gw(P, Gaussian(Y[:0], Y[:0])),
        r"posterior_b.mean: expected shape \(n, d\) with",
    ),
    "no dimension": (
        lambda: fgw(**costs(inner_x=PointCloud(X[:, :0]))),
        r"inner_x: expected shape \(..., 3, d\), got \(3, 0",
    ),
    "dimensions": (lambda: empirical_fgw(X, torch.ones(2, 3), beta=0.5), "y: expected 2 columns like x, got 3"),
    "batches": (
        lambda: fgw_plan(**costs(inner_x=INNER_X.expand(4, 3, 3))),
        r"inner_x: expected the batch \(\) like cost_xy",
    ),
    "device of y": (
        lambda: empirical_fgw(X, ELSEWHERE, beta=0.5),
        "y: expected a tensor on cpu like x, got one on meta",
    ),
    "device of prior": (
        lambda: hierarchical_fgw(P, Gaussian(ELSEWHERE, ELSEWHERE), beta=0.5),
        "prior.mean: expected a tensor on cpu like posterior.mean, got one on meta",
    ),
    "device of directions": (
        lambda: sliced_fgw(X, Y, beta=0.5, directions=ELSEWHERE),
        "directions: expected a tensor on cpu like x, got one on meta",
    ),
    "device of means": (lambda: gaussian_w2_squared(X, X, ELSEWHERE, ELSEWHERE), "mean_y: expected a tensor on cpu"),
    # values
    "NaN std": (
        lambda: hierarchical_fgw(Gaussian(X, X * torch.nan), Q, beta=0.5),
        "posterior.std: expected finite values",
    ),
    "negative std": (
        lambda: hierarchical_gw(P, Gaussian(Y, -Y)),
        "posterior_b.std: expected non-negative values, got -1",
    ),
    "NaN directions": (
        lambda: sliced_fgw(X, Y, beta=0.5, directions=EYES[0] * torch.nan),
        "directions: expected finite values",
    ),
    "NaN points": (lambda: fgw(**costs(inner_x=PointCloud(X * torch.nan))), "inner_x: expected finite values, got 6"),
    "infinite inner": (
        lambda: fgw_value(PRODUCT, **costs(inner_y=INNER_Y / 0)),
        "inner_y: expected finite values, got 4",
    ),
    "NaN weights": (lambda: fgw(**COSTS, a=torch.tensor([0.5, 0.5, torch.nan])), "a: expected finite values, got 1"),
    "weights": (lambda: fgw(**COSTS, b=torch.tensor([0.5, 0.6])), "b: expected weights that sum to 1, got 1.1"),
    "asymmetric": (
        lambda: fgw_plan(**costs(inner_x=ASYMMETRIC)),
        r"inner_x: expected symmetric matrices, got 3 at \(1, 2\)",
    ),
    "asymmetric y": (
        lambda: fgw(**costs(inner_y=torch.tensor([[0.0, 1.0], [2.0, 0.0]]))),
        r"inner_y: expected symmetric matrices, got 1 at \(0, 1\) and 2 at \(1, 0\)",
    ),
    "asymmetric value": (
        lambda: fgw_value(PRODUCT, **costs(inner_x=ASYMMETRIC)),
        "inner_x: expected symmetric matrices",
    ),
    "asymmetric start": (lambda: gw_barycenter([P], ASYMMETRIC), "start: expected symmetric matrices"),
    "asymmetric best": (
        lambda: best_fgw_plan(**costs(inner_x=ASYMMETRIC), generator=rng()),
        "inner_x: expected symmetric matrices",
    ),
    "negative coupling": (
        lambda: fgw_value(PRODUCT - 0.5, **COSTS),
        "coupling: expected non-negative values, got -0.33",
    ),
    "NaN coupling": (lambda: fgw_value(NAN, **COSTS), "coupling: expected finite values, got 1"),
    "shape of coupling": (
        lambda: fgw_value(PRODUCT.T, **COSTS),
        r"coupling: expected shape \(..., 3, 2\), got \(2, 3\)",
    ),
    "NaN start": (lambda: fgw_plan(**COSTS, start=NAN), "start: expected finite values, got 1"),
    "negative start": (
        lambda: fgw_plan(**COSTS, start=PRODUCT - 0.2),
        "start: expected non-negative values, got -0.03",
    ),
    "rows of start": (
        lambda: fgw_plan(**COSTS, start=torch.tensor([[0.5, 0.0], [0.0, 0.5], [0.0, 0.0]])),
        "start: expected row sums equal to the weights, 0.333333 in row 2, got 0",
    ),
    "columns of start": (
        lambda: fgw_plan(**COSTS, start=torch.tensor([[1 / 3, 0.0]] * 3)),
        "start: expected column sums equal to the weights, 0.5 in column 0, got 1",
    ),
    "weights of start": (
        lambda: fgw_plan(**COSTS, start=PRODUCT, a=torch.tensor([0.5, 0.25, 0.25])),
        "start: expected row sums equal to the weights, 0.5 in row 0, got 0.333333",
    ),
    "asymmetric covariance": (
        lambda: bures_w2_squared(X, EYES + torch.tensor([[0.0, 1.0], [0.0, 0.0]]), Y, EYES[:2]),
        r"cov_x: expected symmetric matrices, got 1 at \(0, 0, 1\) and 0 at \(0, 1, 0\)",
    ),
    "negative covariance": (
        lambda: bures_w2_squared(X, EYES, Y, torch.stack([EYES[0], torch.diag(torch.tensor([2.0, -0.5]))])),
        r"cov_y: expected positive semi-definite matrices, got smallest eigenvalue -0.5 at index \(1,\)",
    ),
    "a variance below zero": (
        lambda: bures_w2_squared(X[:1], -EYES[:1], Y, EYES[:2]),
        r"cov_x: expected positive semi-definite matrices, got smallest eigenvalue -1 at index",
    ),
    "NaN covariance": (lambda: bures_w2_squared(X, EYES / 0, Y, EYES[:2]), "cov_x: expected finite values"),
    # mixtures
    "no components": (lambda: MixturePrior(0, 2, generator=rng()), "components: expected at least 1, got 0"),
    "latent size": (lambda: MixturePrior(2, 2.0, generator=rng()), "latent_size: expected a whole number, got a float"),
    "covariance": (
        lambda: MixturePrior(2, 2, covariance="round", generator=rng()),
        "covariance: expected one of diagonal",
    ),
    "prior's generator": (lambda: MixturePrior(2, 2, generator=3), "generator: expected a torch.Generator, got a int"),
    "means": (lambda: prior().assign(X, EYES[:2]), r"mean: expected shape \(2, 2\), got \(3, 2\)"),
    "NaN means": (lambda: prior().assign(Y * torch.nan, EYES[:2]), "mean: expected finite values, got 4"),
    "factor": (
        lambda: prior().assign(Y, -EYES[:2]),
        r"the diagonal of factor: expected positive values, got -1 at \(0, 0\)",
    ),
    "mixture weights": (
        lambda: prior().assign(Y, EYES[:2], torch.tensor([0.4, 0.4])),
        "weights: expected weights that sum to 1, got 0.8",
    ),
    "zero mixture weight": (
        lambda: prior().assign(Y, EYES[:2], torch.tensor([1.0, 0.0])),
        r"weights: expected positive values, got 0 at \(1,\)",
    ),
    "sample": (lambda: prior().sample(0, generator=rng()), "count: expected at least 1, got 0"),
    "sample's generator": (
        lambda: prior().sample(3, generator=None),
        "generator: expected a torch.Generator, got None",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name):
    call, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match="^" + message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_what_rounding_alone_has_bent_is_taken():
    generator = rng()
    factor = torch.randn(3, 5, 2, generator=generator)
    singular = factor @ factor.mT  # of rank 2: eigenvalues a little below zero
    singular = singular + 1e-7 * torch.randn(3, 5, 5, generator=generator)
    means = torch.randn(3, 5, generator=generator)
    assert bures_w2_squared(means, singular, means, singular).isfinite().all()
    bent = INNER_X + 1e-6 * torch.rand(3, 3, generator=generator)
    assert fgw(**costs(inner_x=bent)).isfinite()
    half = torch.softmax(torch.randn(300, generator=generator), 0).bfloat16()  # sums to one but for its own rounding
    points = torch.randn(300, 2, generator=generator)
    cloud = Gaussian(points, points.abs())
    assert hierarchical_fgw(cloud, Q, beta=0.5, posterior_weights=half).isfinite()


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_value_of_a_coupling_of_any_mass_is_the_double_sum(beta):
    T, inner_x, inner_y = (
        torch.tensor(rows) for rows in ([[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 3.0], [3.0, 0.0]])
    )
    cost = torch.tensor([[1.0, 5.0], [7.0, 2.0]])
    torch.testing.assert_close(fgw_value(T, cost, inner_x, inner_y, beta=beta).item(), (1 - beta) * 5 + beta * 16)
    cost, x, y = points_problem(4, 3, 2, rng())
    T = 3 * torch.rand(4, 3, generator=rng(), dtype=DOUBLE)
    torch.testing.assert_close(fgw_value(T, cost, x, y, beta=beta), double_sum(T, cost, x, y, beta))
    leaves = [leaf.clone().requires_grad_() for leaf in (T, cost)]
    assert torch.autograd.gradcheck(lambda t, c: fgw_value(t, c, x, y, beta=beta), leaves)
    assert fgw_value(0 * T, cost, x, y, beta=beta) == 0


def test_inner_costs_and_points_get_the_gradient_of_the_value():
    cost, inner, _ = points_problem(4, 3, 2, rng())
    T, points = torch.rand(4, 3, generator=rng(), dtype=DOUBLE), clouds(4, 3, 2, rng())[1].requires_grad_()
    inner.requires_grad_()

    def value(half, points):
        return fgw_value(T, cost, half + half.mT, PointCloud(points), beta=0.4)

    assert torch.autograd.gradcheck(value, (inner, points))


def test_what_is_not_contiguous_or_of_two_types_is_the_same():
    x, y = torch.randn(3, 20, generator=rng()).T, torch.randn(6, 6, generator=rng())[:, ::2]
    plain = empirical_fgw(x.contiguous(), y.contiguous(), beta=0.3)
    torch.testing.assert_close(empirical_fgw(x, y, beta=0.3), plain)
    mixed = empirical_fgw(x, y.double(), beta=0.3)
    assert mixed.dtype == torch.float64
    torch.testing.assert_close(mixed.float(), plain, rtol=1e-4, atol=0)
