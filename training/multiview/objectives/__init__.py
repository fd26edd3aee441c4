"""What a co-training step minimises: eq. 14 and its rivals in Table 4, which differ in what ties the views alone."""

from training.multiview.objectives.base import CoObjective
from training.multiview.objectives.correlation import CorrelationTie
from training.multiview.objectives.gromov import GromovWassersteinTie
from training.multiview.objectives.independent import IndependentAutoencoders
from training.multiview.objectives.least_squares import LeastSquaresTie
from training.multiview.objectives.wasserstein import WassersteinTie

OBJECTIVES: dict[str, type[CoObjective]] = {
    "independent": IndependentAutoencoders,
    "coreg": LeastSquaresTie,
    "cca": CorrelationTie,
    "w": WassersteinTie,
    "gw": GromovWassersteinTie,
}

__all__ = ["OBJECTIVES", "CoObjective"]
