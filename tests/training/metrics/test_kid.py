import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from training.metrics.kid import kernel_distance


def samples(*sizes: int, seed: int = 0, dimension: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dimension, generator=generator, dtype=torch.float64) for size in sizes]


# The second pair of sizes takes more than one block.
@pytest.mark.parametrize("sizes", [(12, 9), (620, 530)])
def test_it_is_the_u_statistic_of_the_cubic_kernel(sizes: tuple[int, int]) -> None:
    x, y = samples(*sizes)
    n, m = sizes
    within_x, within_y, between = (
        polynomial_kernel(a.numpy(), b.numpy(), degree=3, gamma=1 / 7, coef0=1) for a, b in ((x, x), (y, y), (x, y))
    )
    expected = (within_x.sum() - within_x.trace()) / (n * (n - 1)) - 2 * between.mean()
    expected += (within_y.sum() - within_y.trace()) / (m * (m - 1))
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert kernel_distance(x.float(), y.float()) == pytest.approx(expected, abs=1e-5)


def test_it_is_unbiased() -> None:
    # 400 pairs of 20 samples: the mean's standard error comes from the estimates themselves.
    estimates = torch.tensor([kernel_distance(*samples(20, 20, seed=seed)) for seed in range(400)])
    assert abs(estimates.mean()) < 4 * estimates.std() / 20
    assert (estimates < 0).any()


def test_single_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 samples on each side, got 1 and 5"):
        kernel_distance(*samples(1, 5))
