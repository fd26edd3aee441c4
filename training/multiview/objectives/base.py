"""Eq. 14 for any number of views, whatever ties them."""

from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from relatent import (
    Gaussian,
    MixturePrior,
    gaussian_w2_squared,
    hierarchical_wasserstein,
    random_directions,
    sliced_wasserstein,
)
from relatent.precision import without_autocast
from training.config import OptimizerConfig
from training.multiview.after_training import finish
from training.multiview.autoencoders import CoAutoencoders
from training.multiview.batches import key_of
from training.multiview.config import CouplingConfig
from training.multiview.data import Batch, ViewsData
from training.objectives import Terms
from training.objectives.base import reparameterise


class Codes(NamedTuple):
    """Codes of one view's rows in a batch.

    Attributes:
        gaussian: Shapes (n, d); points have standard deviation 0.
        objects: The object of each, shape (n,).
    """

    gaussian: Gaussian
    objects: Tensor


class CoObjective(nn.Module):
    """The sum over views of reconstruction errors and distances to the priors, plus what ties the views (eq. 14).

    With V views the tie counts V times its mean over pairs of views: for two, eq. 14's factor 2.

    Args:
        autoencoders: One per view.
        config: Weights and settings of the regularizers, as a `CotrainConfig` has filled them in.
    """

    def __init__(self, autoencoders: CoAutoencoders, config: CouplingConfig) -> None:
        super().__init__()
        self.autoencoders = autoencoders
        self.config = config
        self.probabilistic = autoencoders[autoencoders.names[0]].probabilistic

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
        raise NotImplementedError

    def _own_terms(self, name: str, x: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor, Gaussian]:
        """Summed squared error, distance to the prior, and codes of one view."""
        view = self.autoencoders[name]
        x = view.standardise(x)
        encoded = view.encoder(x)
        if self.probabilistic:
            gaussian, z = encoded, reparameterise(encoded, noise)
        else:
            gaussian, z = Gaussian(encoded, torch.zeros_like(encoded)), encoded
        error = (view.decoder(z) - x).square().sum()
        with without_autocast(z):
            return error, self._distance(gaussian, z, view.prior, noise), gaussian

    def _distance(self, gaussian: Gaussian, z: Tensor, prior: MixturePrior, noise: torch.Generator) -> Tensor:
        if self.config.divergence == "kl":
            return (gaussian.log_prob(z) - prior.log_prob(z)).mean()
        if self.probabilistic:
            components = prior.gaussians()
            if len(components.mean) == 1:  # there is but one coupling: no need to solve for it
                return gaussian_w2_squared(*gaussian, *components).mean()
            return hierarchical_wasserstein(gaussian, components, max_iter=self.config.max_iter)
        directions = random_directions(z.shape[1], self.config.directions, generator=noise)
        return sliced_wasserstein(z, prior.sample(len(z), generator=noise), directions=directions)

    def parameter_groups(self, config: OptimizerConfig) -> list[dict[str, Any]]:
        """Adam's groups: networks, then, if one is learned, priors; "decay" asks for the cosine."""
        views = [self.autoencoders[name] for name in self.autoencoders.names]
        networks = [p for view in views for net in (view.encoder, view.decoder) for p in net.parameters()]
        priors = [p for view in views for p in view.prior.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": networks, "lr": config.learning_rate, "decay": False}]
        if priors:
            rate = config.learning_rate * config.prior_speed
            groups.append({"params": priors, "lr": rate, "decay": config.prior_decay})
        return groups

    def own_state(self) -> dict[str, Tensor]:
        """Nothing is kept from step to step beside the autoencoders."""
        return {}

    def load_own_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `own_state` gave."""

    def finish(self, data: ViewsData) -> None:
        """After the last step: find the couplings between the views' codes, fit the classifier."""
        finish(self.autoencoders, data, paired=self.config.pairs == "paired")


def relative(codes: Codes) -> Codes:
    """The same codes about their mean, divided by the root mean square distance from it; one code stays as it is."""
    mean, std = codes.gaussian
    if len(mean) < 2:
        return codes
    centred = mean - mean.mean(0)
    scale = (centred.square() + std.square()).sum(1).mean().sqrt().clamp_min(1e-12)
    return Codes(Gaussian(centred / scale, std / scale), codes.objects)


def matched(a: Codes, b: Codes) -> tuple[Tensor, Tensor]:
    """Row numbers in two views of the objects that both know, shapes (m,)."""
    same = a.objects[:, None] == b.objects  # (n, m)
    first, second = same.nonzero(as_tuple=True)
    return first, second
