"""What a co-training step minimises: eq. 14 and its rivals in Table 4, which differ in what ties the views alone."""

from training.views.objectives.base import CoObjective
from training.views.objectives.correlation import CorrelationTie
from training.views.objectives.gromov import GromovWassersteinTie
from training.views.objectives.independent import IndependentAutoencoders
from training.views.objectives.least_squares import LeastSquaresTie
from training.views.objectives.wasserstein import WassersteinTie

OBJECTIVES: dict[str, type[CoObjective]] = {
    "independent": IndependentAutoencoders,
    "coreg": LeastSquaresTie,
    "cca": CorrelationTie,
    "w": WassersteinTie,
    "gw": GromovWassersteinTie,
}

__all__ = ["OBJECTIVES", "CoObjective"]
