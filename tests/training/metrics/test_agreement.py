import math

import pytest
import torch

from training.metrics.agreement import Agreement, latent_agreement


def draw(count: int, seed: int) -> torch.Tensor:
    normal = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normal * torch.tensor([1.0, 2.0, 3.0])


CODES = draw(200, 0)


def agree(codes: torch.Tensor, samples: torch.Tensor) -> Agreement:
    return latent_agreement(codes, samples, beta=0.1, generator=torch.Generator().manual_seed(1))


def test_samples_of_the_codes_distribution_agree() -> None:
    assert agree(CODES, CODES.flip(0)).sliced_wasserstein == pytest.approx(0, abs=1e-12)
    # The second half of the codes is also what the first is compared with.
    assert agree(CODES, CODES[100:]).fgw == pytest.approx(0, abs=1e-12)
    values = [agree(draw(200, seed), draw(100, seed + 100)).fgw for seed in range(12)]
    apart = [agree(draw(200, seed), 1.3 * draw(100, seed + 100)).fgw for seed in range(12)]
    mean, error = sum(values) / 12, torch.tensor(values).std().item() / math.sqrt(12)
    assert abs(mean) < 4 * error < sum(apart) / 12


def test_a_point_at_the_mean_is_the_unit() -> None:
    # 256 random directions see the mean variance up to chance; a direction's own varies by two thirds of it.
    assert agree(CODES, CODES.mean(0).expand(100, 3)).sliced_wasserstein == pytest.approx(1, abs=4 * 0.67 / 16)


def test_a_shift_costs_its_square_in_units_of_the_spread() -> None:
    angle = torch.arange(300) * (2 * math.pi / 300)
    circle = torch.stack([angle.cos(), angle.sin()], 1).double()
    # Variance per dimension 1/2; a shift by s moves projections by s cos, in the mean square s^2 / 2.
    sliced = agree(circle, circle + torch.tensor([0.3, 0.0])).sliced_wasserstein
    assert sliced == pytest.approx(0.09, rel=0.2)


def test_a_shift_moves_the_transport_cost_and_no_distance_within() -> None:
    # With samples = second half + s every plan costs |s|^2 + 2 s (mean of the second half - mean of the first) more.
    shift = torch.tensor([0.5, -1.0, 2.0]).double()
    first, second = CODES[:100], CODES[100:]
    expected = 0.9 * (shift.square().sum() + 2 * shift @ (second.mean(0) - first.mean(0)))
    variance = (CODES - CODES.mean(0)).square().sum(1).mean()
    # The solver stops within its tolerance of 1e-3, at another plan for other costs.
    assert agree(CODES, second + shift).fgw == pytest.approx((expected / variance).item(), rel=2e-2)


def test_the_latent_scale_does_not_matter() -> None:
    samples = 1.5 * CODES.flip(0) + 1
    assert agree(1e-3 * CODES + 7, 1e-3 * samples + 7) == pytest.approx(agree(CODES, samples), rel=1e-6)


def test_collapsed_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="the encoder has collapsed"):
        agree(torch.ones(9, 3), CODES.float())
