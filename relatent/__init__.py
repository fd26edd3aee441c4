"""Relational regularizers: distances between latent distributions, with gradients for both sides.

Tensors go in, distances, plans and gradients come out; nothing here knows of a model, a data set or a run.

    gaussian, prior           a batch of Gaussians; a learnable Gaussian mixture
    hierarchical              fused Gromov-Wasserstein distances of mixtures and of samples (eq. 6, 11, 14)
    sliced, invariant         the same along random directions (eq. 12-14), and one that isometries do not change
    barycenter                more than two spaces
    alignment                 two clouds whose spaces cannot be compared, brought together without pairs
    distances, transport      costs between Gaussians (eq. 9, 10); optimal plans (eq. 7)
    validation, precision     what all of them ask of their input, and in what type they compute
    _alignment                what `align` is made of
    _solver, _native          the solver in PyTorch, and in C for small problems on the CPU; `solver()` says which of
                              the two takes those
"""

from relatent._native import CompileError
from relatent._solver.geometry import PointCloud
from relatent._solver.quadratic import solver
from relatent.alignment import Alignment, align
from relatent.barycenter import gw_barycenter, pairwise_gw, reference_gw
from relatent.distances import bures_w2_squared, gaussian_w2_squared, squared_euclidean
from relatent.gaussian import Gaussian
from relatent.hierarchical import empirical_fgw, fgw, hierarchical_fgw, hierarchical_gw, hierarchical_wasserstein
from relatent.invariant import distance_profiles, invariant_sliced_fgw
from relatent.prior import MixturePrior
from relatent.sliced import paired_directions, random_directions, sliced_fgw, sliced_gw, sliced_wasserstein
from relatent.transport import Plan, best_fgw_plan, fgw_plan, fgw_value
from relatent.validation import NonFiniteError

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "CompileError",
    "Gaussian",
    "MixturePrior",
    "NonFiniteError",
    "Plan",
    "PointCloud",
    "align",
    "best_fgw_plan",
    "bures_w2_squared",
    "distance_profiles",
    "empirical_fgw",
    "fgw",
    "fgw_plan",
    "fgw_value",
    "gaussian_w2_squared",
    "gw_barycenter",
    "hierarchical_fgw",
    "hierarchical_gw",
    "hierarchical_wasserstein",
    "invariant_sliced_fgw",
    "paired_directions",
    "pairwise_gw",
    "random_directions",
    "reference_gw",
    "sliced_fgw",
    "sliced_gw",
    "sliced_wasserstein",
    "solver",
    "squared_euclidean",
]
