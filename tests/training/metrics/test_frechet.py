import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from training.metrics.frechet import Moments, frechet_distance, moments_distance


def diagonal(mean: list[float], variance: list[float]) -> Moments:
    return Moments(torch.tensor(mean).double(), torch.tensor(variance).double().diag())


def test_gaussians_whose_covariances_commute_have_a_closed_form() -> None:
    x, y = diagonal([1, 2, 3], [4, 9, 0]), diagonal([1, 0, 3], [1, 16, 25])
    assert moments_distance(x, y) == pytest.approx(4 + (2 - 1) ** 2 + (3 - 4) ** 2 + 25, rel=1e-12)


def test_any_gaussians_agree_with_the_matrix_square_root() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 6)) @ rng.standard_normal((6, 6)), rng.standard_normal((80, 6)) + 1
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = shift + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, rel=1e-9)


def test_a_shift_costs_its_square_also_where_covariances_have_low_rank() -> None:
    x = torch.randn(10, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert frechet_distance(x, x + 0.5) == pytest.approx(40 * 0.25, rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_rotations_do_not_change_it() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(30, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64)).Q
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_bad_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="x: expected at least 2 samples"):
        frechet_distance(torch.ones(1, 3), torch.ones(4, 3))
    with pytest.raises(ValueError, match="y: expected 3 columns"):
        frechet_distance(torch.ones(4, 3), torch.ones(4, 2))
    with pytest.raises(ValueError, match="expected finite"):
        frechet_distance(torch.full((4, 3), torch.nan), torch.ones(4, 3))
