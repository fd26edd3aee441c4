"""Fidelity and variety of generated samples by nearest neighbours.

Precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020). The ball of a sample is the
open one whose radius is the distance to its k-th nearest neighbour in its own sample.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from relatent.validation import require_positive, require_rows

BLOCK = 500


class Coverage(NamedTuple):
    """Four shares.

    Attributes:
        precision: Share of generated samples inside the ball of some real one, in [0, 1].
        recall: Share of real samples inside the ball of some generated one, in [0, 1].
        density: In how many balls of real samples a generated one lies, mean, over k; about 1 for equal distributions.
        coverage: Share of real samples whose ball holds a generated one, in [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_coverage(real: Tensor, generated: Tensor, *, neighbours: int = 5) -> Coverage:
    """Precision, recall, density and coverage; memory O(n + m) but for a block.

    Args:
        real: Samples, shape (n, d), n > neighbours.
        generated: Samples, shape (m, d), m > neighbours.
        neighbours: k.

    Returns:
        The four shares; they depend on n and m, so compare only at equal sizes.

    Raises:
        ValueError: If a shape does not fit, a sample is too small, or a value is not finite.
    """
    require_positive(neighbours=neighbours)
    require_rows("real", real)
    require_rows("generated", generated, columns=real.shape[1], columns_of="real")
    if (least := min(len(real), len(generated))) <= neighbours:
        raise ValueError(f"expected more than {neighbours} samples on each side, got {least}")
    # Distances come from products of rows, which lose digits far from the origin.
    centre = real.mean(0)
    real, generated = real - centre, generated - centre
    real_radius, generated_radius = _radius(real, neighbours), _radius(generated, neighbours)

    balls = torch.zeros(len(generated), dtype=torch.int64, device=real.device)
    recalled, covered = [], []
    for squared, radius in zip(_squared_distances(real, generated), real_radius.split(BLOCK), strict=True):
        inside = squared < radius[:, None]  # (block, m)
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((squared < generated_radius).any(1))
    return Coverage(
        precision=_share(balls > 0),
        recall=_share(torch.cat(recalled)),
        density=(balls.double().mean() / neighbours).item(),
        coverage=_share(torch.cat(covered)),
    )


def _radius(x: Tensor, neighbours: int) -> Tensor:
    """Squared distance of each sample to its k-th nearest neighbour, shape (n,); the nearest of all is itself."""
    # kthvalue takes eight times as long.
    nearest = (part.topk(neighbours + 1, dim=1, largest=False).values for part in _squared_distances(x, x))
    return torch.cat([part[:, -1] for part in nearest])


def _squared_distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Blocks of rows of the matrix (n, m)."""
    norms = y.square().sum(1)
    for part in x.split(BLOCK):
        yield torch.addmm(norms, part, y.T, alpha=-2).add_(part.square().sum(1, keepdim=True))


def _share(mask: Tensor) -> float:
    return mask.double().mean().item()
