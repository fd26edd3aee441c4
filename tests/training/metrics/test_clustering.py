import math

import numpy as np
import pytest
import torch
from sklearn.metrics.cluster import contingency_matrix

from relatent import Gaussian
from training.metrics.clustering import (
    class_balance,
    clustering_scores,
    component_purity,
    count_used,
    plan_components,
)


def test_purity_is_that_of_the_contingency_table() -> None:
    rng = np.random.default_rng(0)
    components, labels = rng.integers(0, 7, 500), rng.integers(0, 10, 500)
    expected = contingency_matrix(components, labels).max(axis=1).sum() / 500
    assert component_purity(torch.from_numpy(components), torch.from_numpy(labels)) == pytest.approx(expected)
    assert component_purity(torch.tensor([0, 0, 4]), torch.tensor([1, 1, 2])) == 1.0


def test_clusterings_that_are_equal_unrelated_and_halved() -> None:
    labels = torch.arange(4).repeat_interleave(24)
    assert clustering_scores(labels.flip(0), labels) == pytest.approx({"purity": 1, "nmi": 1, "ari": 1})
    crossed = clustering_scores(torch.arange(4).repeat(24), labels)  # six images in each of the 16 pairs
    assert (crossed["purity"], crossed["nmi"]) == pytest.approx((0.25, 0))
    # Two components of two classes each: H(component) = log 2 = mutual information, H(class) = log 4.
    halved = clustering_scores(labels // 2, labels)
    assert (halved["purity"], halved["nmi"]) == pytest.approx((0.5, 2 / 3))
    # Pairs together in both: 4 C(24,2) = 1104, as in classes; in components 2 C(48,2) = 2256; of C(96,2) = 4560.
    expected = 2256 * 1104 / 4560
    assert halved["ari"] == pytest.approx((1104 - expected) / ((2256 + 1104) / 2 - expected))


def clusters(sizes: list[int]) -> tuple[Gaussian, Gaussian, torch.Tensor]:
    """Points around 0, 10, 20, ... on a line, a component at each, and each point's centre."""
    component = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    noise = torch.randn(len(component), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.stack([10 * component + noise, torch.zeros_like(noise)], 1)
    means = torch.stack([10.0 * torch.arange(len(sizes)), torch.zeros(len(sizes))], 1).double()
    return Gaussian(points, torch.zeros_like(points)), Gaussian(means, torch.ones_like(means)), component


def test_the_plan_finds_clusters() -> None:
    posterior, components, truth = clusters([20, 20, 20])
    assert torch.equal(plan_components(posterior, components, beta=0.1), truth)


def test_the_plan_gives_each_component_the_share_of_its_weight() -> None:
    posterior, components, truth = clusters([10, 30])
    even = plan_components(posterior, components, beta=0.0)
    # Half of the points must go to the first component: its own and the ten nearest of the other's.
    nearest = posterior.mean[:, 0].argsort()[:20]
    assert torch.equal((even == 0).nonzero()[:, 0], nearest.sort().values)
    weighted = plan_components(posterior, components, beta=0.1, weights=torch.tensor([0.25, 0.75]).double())
    assert torch.equal(weighted, truth)


def test_a_component_is_used_by_one_image_in_a_thousand() -> None:
    counts = [1996, 2, 1, 0, 1]
    assert count_used(torch.repeat_interleave(torch.arange(5), torch.tensor(counts))) == 2


def test_balance_of_even_single_and_halved_classes() -> None:
    assert class_balance(torch.arange(10).repeat(7), count=10) == pytest.approx((1.0, 10))
    assert class_balance(torch.full((7,), 3), count=10) == (0.0, 1)
    entropy, present = class_balance(torch.tensor([0, 1] * 200 + [2]), count=10)
    assert present == 2  # one in 401 is less than a tenth of one in ten
    assert entropy == pytest.approx(math.log(2) / math.log(10), rel=0.03)
