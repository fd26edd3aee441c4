"""Co-regularization by least squares (Sindhwani et al., 2005): codes of one object are close in all views."""

import torch
from torch import Tensor

from training.multiview.objectives.base import Codes, CoObjective, matched


class LeastSquaresTie(CoObjective):
    """Mean squared Euclidean distance of paired codes (means, if Gaussian)."""

    def tie(self, a: Codes, b: Codes, generator: torch.Generator) -> Tensor | None:  # noqa: D102
        first, second = matched(a, b)
        if not len(first):
            return None
        return (a.gaussian.mean[first] - b.gaussian.mean[second]).square().sum(1).mean()
