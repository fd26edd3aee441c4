"""What a step minimises, a file per method: reconstruction plus a weighted regularizer of the codes (eq. 5).

An objective is a module, so that every parameter is reached through one forward call, as DDP wants it. In a
run of several processes each holds its rows of the batch; the regularizer always sees the whole batch, and the
gradients, averaged over processes, are those of one process with the whole batch (batch norm aside).

One more method is one more file here, its line below and in `training.methods`, and its name in the configuration.
"""

from training.objectives.ae import PlainAutoencoder
from training.objectives.base import ImageObjective, Objective, Terms
from training.objectives.drae import DeterministicRAE
from training.objectives.gmvae import GaussianMixtureVAE
from training.objectives.prae import ProbabilisticRAE
from training.objectives.swae import SlicedWassersteinAutoencoder
from training.objectives.vae import VariationalAutoencoder
from training.objectives.vampprior import VampPriorVAE
from training.objectives.wae import WassersteinAutoencoder

OBJECTIVES: dict[str, type[ImageObjective]] = {
    "vae": VariationalAutoencoder,
    "gmvae": GaussianMixtureVAE,
    "vampprior": VampPriorVAE,
    "prae": ProbabilisticRAE,
    "wae": WassersteinAutoencoder,
    "swae": SlicedWassersteinAutoencoder,
    "drae": DeterministicRAE,
    "ae": PlainAutoencoder,
}

__all__ = ["OBJECTIVES", "ImageObjective", "Objective", "Terms"]
