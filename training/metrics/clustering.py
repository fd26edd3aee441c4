"""What a prior's components have learned of the classes, and how evenly samples cover the classes."""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent import Gaussian, PointCloud, fgw_plan, gaussian_w2_squared


def component_purity(components: Tensor, labels: Tensor) -> float:
    """Share of images whose class is the commonest of their component, in [0, 1].

    Args:
        components: Component of each image, int64, shape (n,).
        labels: Class of each image, int64, shape (n,).

    Returns:
        The share; at least that of the commonest class.
    """
    table = torch.zeros(int(components.max()) + 1, int(labels.max()) + 1)
    table.index_put_((components, labels), torch.ones(len(labels)), accumulate=True)
    return (table.max(dim=1).values.sum() / len(labels)).item()


def clustering_scores(components: Tensor, labels: Tensor) -> dict[str, float]:
    """How well components and classes agree as two clusterings.

    Args:
        components: Component of each image, int64, shape (n,).
        labels: Class of each image, int64, shape (n,).

    Returns:
        purity: see `component_purity`; nmi: mutual information over the mean of the entropies, in [0, 1];
        ari: adjusted Rand index, 1 for equal clusterings, 0 in expectation for unrelated ones.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return {
        "purity": component_purity(components, labels),
        "nmi": float(normalized_mutual_info_score(labels.numpy(), components.numpy())),
        "ari": float(adjusted_rand_score(labels.numpy(), components.numpy())),
    }


def plan_components(posterior: Gaussian, components: Gaussian, *, beta: float, weights: Tensor | None = None) -> Tensor:
    """Component that the optimal plan T* between posteriors and prior (eq. 7) gives the most of each posterior.

    Unlike the largest responsibility, the plan gives every component its weight's share of the posteriors.

    Args:
        posterior: n Gaussians, shapes (n, d); std 0 for points.
        components: K Gaussians, shapes (K, d).
        beta: Weight of the relational term, in [0, 1].
        weights: Of the components, shape (K,); None for uniform ones.

    Returns:
        int64, shape (n,).
    """
    clouds = (PointCloud(side.points()) for side in (posterior, components))
    return fgw_plan(gaussian_w2_squared(*posterior, *components), *clouds, beta=beta, b=weights).coupling.argmax(1)


def count_used(components: Tensor) -> int:
    """How many components are that of at least one image in a thousand; components int64, shape (n,)."""
    return int((components.bincount() >= len(components) / 1000).sum())


class Balance(NamedTuple):
    """How evenly samples cover the classes.

    Attributes:
        entropy: Entropy of the classes' shares over that of even shares, in [0, 1].
        present: Classes with at least a tenth of an even share.
    """

    entropy: float
    present: int


def class_balance(classes: Tensor, *, count: int) -> Balance:
    """Balance of the classes that a classifier sees in samples.

    Args:
        classes: int64, shape (n,), in [0, count).
        count: Number of classes there are, at least 2.

    Returns:
        Entropy and number of classes present.
    """
    share = classes.bincount(minlength=count).double() / len(classes)
    entropy = torch.special.entr(share).sum() / torch.tensor(count).double().log()
    return Balance(entropy.item(), int((share >= 0.1 / count).sum()))
