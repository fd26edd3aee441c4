"""How well the prior agrees with the codes, free of the latent space's scale.

Nothing in eq. 5 fixes that scale, and distances fall with it, so both sides are measured in units of the codes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent import empirical_fgw, random_directions, sliced_wasserstein
from relatent.validation import require_rows

DIRECTIONS = 256
POINTS = 1000  # of a side; a plan between all of 10 000 would take minutes and gigabytes


class Agreement(NamedTuple):
    """Two distances between codes and samples of the prior, about 0 for equal distributions.

    Attributes:
        sliced_wasserstein: Squared, mean over random directions, over the codes' mean variance per dimension: 1 for a
            prior that is a point at the codes' mean.
        fgw: Eq. 11, scaled so that the codes' mean squared distance from their mean is one, less what lies between two
            disjoint sets of codes: finite samples of one distribution are some way apart too.
    """

    sliced_wasserstein: float
    fgw: float


def latent_agreement(codes: Tensor, samples: Tensor, *, beta: float, generator: torch.Generator) -> Agreement:
    """Compare codes with samples of the prior; shifts and scalings of both together change nothing.

    Args:
        codes: In random order, shape (n, d); the first half, at most 1000, is compared by `fgw`.
        samples: From the prior, shape (m, d); `fgw` sees the first as many.
        beta: Weight of the relational term of `fgw`, in [0, 1].
        generator: Source of the directions.

    Returns:
        Both distances.

    Raises:
        ValueError: If a shape does not fit, a value is not finite, or all codes are equal.
    """
    require_rows("codes", codes)
    require_rows("samples", samples, columns=codes.shape[1], columns_of="codes")
    centre = codes.mean(0)
    scale = (codes - centre).square().sum(1).mean().sqrt()
    if scale == 0:
        raise ValueError("codes: expected codes that differ, got equal ones: the encoder has collapsed")
    codes, samples = (codes - centre) / scale, (samples - centre) / scale
    dimension, count = codes.shape[1], min(POINTS, len(codes) // 2)
    directions = random_directions(dimension, DIRECTIONS, generator=generator).to(codes)
    first, others = codes[:count], codes[count : 2 * count]
    far, floor = (empirical_fgw(first, other, beta=beta).item() for other in (samples[:count], others))
    return Agreement(
        # A scaled code's variance along a direction is 1 / d on average.
        sliced_wasserstein=dimension * sliced_wasserstein(codes, samples, directions=directions).item(),
        fgw=far - floor,
    )
