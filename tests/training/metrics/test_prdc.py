import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from training.metrics.prdc import neighbour_coverage


def by_hand(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[float, ...]:
    """The four definitions over the whole matrix, radii by scikit-learn."""
    radius = {
        name: NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k]
        for name, x in (("real", real), ("generated", generated))
    }
    distance = np.linalg.norm(real[:, None] - generated, axis=-1)
    inside = distance < radius["real"][:, None]
    return (
        inside.any(0).mean(),
        (distance < radius["generated"]).any(1).mean(),
        inside.sum(0).mean() / k,
        (distance.min(1) < radius["real"]).mean(),
    )


@pytest.mark.parametrize("k", [1, 5])
def test_it_is_what_the_definitions_say(k: int) -> None:
    rng = np.random.default_rng(0)
    # More than one block of real samples; far from the origin, where products of rows lose digits.
    real, generated = rng.standard_normal((620, 4)) + 300, rng.standard_normal((90, 4)) * 1.5 + 300.5
    ours = neighbour_coverage(torch.from_numpy(real).float(), torch.from_numpy(generated).float(), neighbours=k)
    assert tuple(ours) == pytest.approx(by_hand(real, generated, k), abs=2e-3)


def test_four_points_on_a_line() -> None:
    # Radii for k = 1: real 1, 1, 7; generated 0.4, 0.4, 0.6.
    real, generated = torch.tensor([[0.0], [1.0], [8.0]]), torch.tensor([[0.5], [0.9], [1.5]])
    scores = neighbour_coverage(real, generated, neighbours=1)
    # 0.5 lies in the balls of 0 and 1, 0.9 in those of 0 and 1, 1.5 in those of 1 and 8 (6.5 away).
    assert scores == pytest.approx((1.0, 1 / 3, 2.0, 1.0))


def test_equal_samples_are_covered_and_distant_ones_are_not() -> None:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    assert neighbour_coverage(x, x)[:2] == (1, 1)
    assert neighbour_coverage(x, x + 100) == (0, 0, 0, 0)


def test_one_mode_of_two_is_precise_but_covers_half() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    real = x + torch.tensor([[50.0, 0.0], [-50.0, 0.0]]).repeat_interleave(50, 0)
    scores = neighbour_coverage(real, real[:50])
    assert (scores.precision, scores.recall, scores.coverage) == (1, 0.5, 0.5)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 5 samples on each side, got 5"):
        neighbour_coverage(torch.rand(9, 2), torch.rand(5, 2))
