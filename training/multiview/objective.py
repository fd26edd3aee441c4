"""The co-training loss (eq. 14) for any number of views, with any of the distances or rivals between codes."""

from itertools import combinations

import torch
from torch import Tensor

from readers.views_data import Batch, ViewsData
from relatent import Gaussian, MixturePrior
from relatent.precision import without_autocast
from training.autoencoders import Autoencoders
from training.multiview.after_training import finish
from training.multiview.batches import key_of
from training.multiview.config import CouplingConfig
from training.multiview.distances import distances_of
from training.multiview.found_pairs import FoundPairs
from training.multiview.ties import TIES, Codes, Comparing
from training.objectives.base import Objective, Terms


class CoObjective(Objective):
    """The sum over views of reconstruction errors and distances to the priors, plus what ties the views (eq. 14).

    With V views the tie counts V times its mean over pairs of views: for two, eq. 14's factor 2.

    Args:
        autoencoders: One per view.
        config: Weights and settings of the regularizers, as a `CotrainConfig` has filled them in.
        method: What ties the views, of TIES.
        found: Pairs that were found, where they are not known.
    """

    def __init__(
        self, autoencoders: Autoencoders, config: CouplingConfig, method: str, found: FoundPairs | None = None
    ) -> None:
        super().__init__()
        self.autoencoders = autoencoders
        self.config = config
        self.method = method
        self.found = found
        self.distances = distances_of(autoencoders[autoencoders.names[0]].codes, config)

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Terms]:
        """The loss of a batch.

        Args:
            batch: Raw rows of each view that is in it.
            generator: Source of all noise. A view's noise depends on its name and on nothing about the others, nor
                does the loss depend on the order of views.

        Returns:
            Loss (scalar; squared errors of standardised rows, summed over rows and views, plus gamma times the
            regularizers) and its terms; "reconstruction" is the sum over views of mean errors per row.
        """
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        gamma, tau = self.config.gamma, self.config.tau
        loss: Tensor = 0  # type: ignore[assignment]
        terms = Terms(reconstruction=torch.zeros((), device=generator.device))
        codes: dict[str, Codes] = {}
        for name in sorted(batch):
            noise = torch.Generator(generator.device).manual_seed(key_of(seed, name))
            error, distance, gaussian = self._own_terms(name, batch[name].x, noise)
            loss = loss + error + gamma * (1 - tau) * distance
            terms["reconstruction"] += error.detach() / len(batch[name].x)
            terms[f"distance_{name}"] = distance.detach()
            codes[name] = Codes(gaussian, batch[name].objects)
        compared = {name: relative(own) if self.config.relative else own for name, own in codes.items()}
        ties = [self.tie(compared[a], compared[b], generator) for a, b in combinations(compared, 2)] if tau else []
        present = [tie for tie in ties if tie is not None]
        if present:
            tie = torch.stack(present).mean()
            loss = loss + gamma * tau * len(codes) * tie
            terms["tie"] = tie.detach()
        return loss, terms

    def tie(self, a: Codes, b: Codes, generator: torch.Generator) -> Tensor | None:
        """What ties two views (scalar); None if this batch has nothing to compare."""
        return TIES[self.method](a, b, Comparing(self.distances, self.config, generator))

    def _own_terms(self, name: str, x: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor, Gaussian]:
        """Summed squared error, distance to the prior, and codes of one view."""
        view = self.autoencoders[name]
        x = view.standardise(x)
        gaussian: Gaussian = view.encoder(x)
        z = self.distances.draw(gaussian, noise)
        error = (view.decoder(z) - x).square().sum()
        with without_autocast(z):
            return error, self.distance(gaussian, z, view.prior, noise), gaussian

    def distance(self, gaussian: Gaussian, z: Tensor, prior: MixturePrior, noise: torch.Generator) -> Tensor:
        """How far a view's codes, Gaussians and one draw z (n, d) of each, are from its prior; a mean over rows."""
        if self.config.divergence == "kl":
            return (gaussian.log_prob(z) - prior.log_prob(z)).mean()
        return self.distances.to_prior(gaussian, prior, noise)

    def finish(self, data: ViewsData) -> None:
        """Find the couplings between the views' codes, fit the classifier."""
        finish(self.autoencoders, data, paired=self.config.pairs == "paired", found=self.found)


def relative(codes: Codes) -> Codes:
    """The same codes about their mean, divided by the root mean square distance from it; one code stays as it is."""
    mean, std = codes.gaussian
    if len(mean) < 2:
        return codes
    centred = mean - mean.mean(0)
    scale = (centred.square() + std.square()).sum(1).mean().sqrt().clamp_min(1e-12)
    return Codes(Gaussian(centred / scale, std / scale), codes.objects)
