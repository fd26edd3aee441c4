"""Autoencoders that know nothing of each other: eq. 14 with tau = 0."""

import torch
from torch import Tensor

from training.multiview.objectives.base import Codes, CoObjective


class IndependentAutoencoders(CoObjective):
    """Nothing ties the views."""

    def tie(self, a: Codes, b: Codes, generator: torch.Generator) -> Tensor | None:  # noqa: D102
        return None
