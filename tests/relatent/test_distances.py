"""W2 between Gaussians against an independent library, closed forms and central differences."""

import ot
import pytest
import torch
from torch.autograd import gradcheck

from relatent import bures_w2_squared, gaussian_w2_squared, squared_euclidean
from tests.relatent.cases import covariances, mixture


def test_diagonal_distance_is_that_of_an_independent_library(rng):
    mean, std = mixture(5, 3, rng)
    ours = gaussian_w2_squared(mean, std, mean[:2], std[:2])
    cov = torch.diag_embed(std.square())
    for i in range(5):
        for j in range(2):
            theirs = ot.gaussian.bures_wasserstein_distance(mean[i], mean[j], cov[i], cov[j]) ** 2
            torch.testing.assert_close(ours[i, j], theirs.squeeze(), rtol=1e-6, atol=1e-6)


def test_full_distance_is_that_of_an_independent_library(rng):
    mean, cov = mixture(4, 3, rng).mean, covariances(4, 3, rng)
    ours = bures_w2_squared(mean, cov, mean.flip(0) + 1, cov.flip(0))  # column 1 is component 2
    for i in range(4):
        theirs = ot.gaussian.bures_wasserstein_distance(mean[i], mean[2] + 1, cov[i], cov[2]) ** 2
        torch.testing.assert_close(ours[i, 1], theirs.squeeze(), rtol=1e-6, atol=1e-9)


def test_full_covariance_agrees_with_the_diagonal_form(rng):
    mean, std = mixture(4, 3, rng, torch.float32)
    cov = torch.diag_embed(std.square())
    torch.testing.assert_close(
        bures_w2_squared(mean, cov, mean[:2], cov[:2]),
        gaussian_w2_squared(mean, std, mean[:2], std[:2]),
        atol=1e-5,
        rtol=1e-4,
    )


def test_between_diracs_it_is_the_squared_distance_of_points(rng):
    mean = torch.randn(4, 3, generator=rng)
    zero = torch.zeros(4, 3)
    expected = torch.cdist(mean.double(), mean.double()).square().float()
    torch.testing.assert_close(gaussian_w2_squared(mean, zero, mean, zero), expected, atol=1e-5, rtol=1e-5)
    covariance = torch.zeros(4, 3, 3)
    torch.testing.assert_close(bures_w2_squared(mean, covariance, mean, covariance), expected, atol=1e-5, rtol=1e-5)


def test_far_from_the_origin_no_digits_are_lost(rng):
    x, y = torch.randn(6, 4, generator=rng), torch.randn(5, 4, generator=rng)
    far = 4096.0  # a power of two: adding it rounds the points, subtracting it gives the rounded points back exactly
    near_x, near_y = (x + far) - far, (y + far) - far
    torch.testing.assert_close(
        squared_euclidean(x + far, y + far), squared_euclidean(near_x, near_y), rtol=1e-4, atol=1e-4
    )


def test_batches_are_solved_one_by_one(rng):
    mean, cov = mixture(6, 2, rng).mean, covariances(6, 2, rng)
    batched = bures_w2_squared(mean.view(2, 3, 2), cov.view(2, 3, 2, 2), mean.view(2, 3, 2), cov.view(2, 3, 2, 2))
    torch.testing.assert_close(batched[1], bures_w2_squared(mean[3:], cov[3:], mean[3:], cov[3:]))


def test_bures_gradient_matches_central_differences(rng):
    mean, cov = mixture(3, 3, rng).mean, covariances(3, 3, rng)
    other_mean, other = mixture(2, 3, rng).mean, covariances(2, 3, rng)

    def distance(m, c):
        return bures_w2_squared(m, (c + c.mT) / 2, other_mean, other)

    assert gradcheck(distance, (mean.requires_grad_(), cov.requires_grad_()))


def test_bures_gradient_is_zero_between_equal_covariances_even_with_equal_eigenvalues():
    mean, cov = torch.zeros(1, 3), torch.eye(3)[None].requires_grad_()
    bures_w2_squared(mean, cov, mean, torch.eye(3)[None]).sum().backward()
    torch.testing.assert_close(cov.grad, torch.zeros(1, 3, 3), atol=1e-6, rtol=0)


def test_bures_gradient_is_finite_and_right_for_nearly_singular_covariances():
    # In one dimension W2^2 = (sqrt(p) - sqrt(q))^2, whose derivative in p is 1 - sqrt(q / p).
    p = torch.diag(torch.tensor([1.0, 1e-8], dtype=torch.double))[None].requires_grad_()
    q = torch.diag(torch.tensor([4.0, 1e-8], dtype=torch.double))[None]
    zero = torch.zeros(1, 2, dtype=torch.double)
    value = bures_w2_squared(zero, p, zero, q)
    value.sum().backward()
    torch.testing.assert_close(value.item(), 1.0, atol=1e-9, rtol=0)
    torch.testing.assert_close(p.grad[0].diagonal(), torch.tensor([-1.0, 0.0], dtype=torch.double), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda m, s: (m, s[:1], m, s), r"expected a shape to go with means \(2, 3\), got \(1, 3\)"),
        (lambda m, s: (m, -s, m, s), "std_x: expected non-negative"),
        (lambda m, s: (m * torch.nan, s, m, s), "mean_x: expected finite values, got 6"),
        (lambda m, s: (m, s, m[:, :2], s[:, :2]), "mean_y: expected dimension 3 like mean_x, got 2"),
        (lambda m, s: (m[:0], s[:0], m, s), r"mean_x: expected shape \(..., n, d\) with n, d >= 1, got \(0, 3\)"),
        (lambda m, s: (m.int(), s, m, s), "mean_x: expected a floating point tensor, got torch.int32"),
    ],
)
def test_bad_input_is_named(arguments, message):
    mean, std = torch.ones(2, 3), torch.ones(2, 3)
    with pytest.raises(ValueError, match=message):
        gaussian_w2_squared(*arguments(mean, std))
