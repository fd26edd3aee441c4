"""What all methods have in common."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from readers.image_data import ImageData
from relatent import Gaussian, MixturePrior
from relatent.precision import without_autocast
from training.autoencoder import Autoencoder
from training.config import OptimizerConfig, RegularizerConfig
from training.distributed import all_rows, own_rows, world_size
from training.refit import fit_by_em, refit_by_em, refit_by_moments

Regularizer = Callable[[], Tensor]
MODEL = "autoencoder"  # what an objective's own names of the model begin with


class Terms(dict[str, Tensor]):
    """Named scalars of a step, detached; "reconstruction" is a sum of squared errors, a mean over rows."""


class Objective(nn.Module):
    """A method: what it minimises, what its optimizer is told, and what comes before the first and after the last step.

    A module of (batch, generator) -> (loss, terms) that holds the model under a name that begins with MODEL.
    """

    def parameter_groups(self, config: OptimizerConfig) -> list[dict[str, Any]]:
        """Adam's groups: all but the priors, then, if any is learned, the priors.

        In "decay" each says over what share of the run, at its end, its step size falls.
        """
        priors = [p for module in self.modules() if isinstance(module, MixturePrior) for p in module.parameters()]
        priors = [parameter for parameter in priors if parameter.requires_grad]
        ours = {id(parameter) for parameter in priors}
        others = [p for p in self.parameters() if p.requires_grad and id(p) not in ours]
        groups: list[dict[str, Any]] = [{"params": others, "lr": config.learning_rate, "decay": config.decay}]
        if priors:
            rate = config.learning_rate * config.prior_speed
            groups.append({"params": priors, "lr": rate, "decay": 1.0 if config.prior_decay else config.decay})
        return groups

    def begin(self, progress: float) -> None:
        """Set what changes over a run, before each step; progress is the share of steps behind it, in [0, 1)."""

    def start(self, data: Any, *, seed: int) -> None:
        """Set what the method owns beside the model, before the first step."""

    def is_capturable(self) -> bool:
        """Whether a CUDA graph can be a step: by now all do the same on the device and ask nothing of the host."""
        return False

    def own_state(self) -> dict[str, Tensor]:
        """What the method keeps beside the model and the next step depends on, for the checkpoint."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(MODEL)}

    def load_own_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `own_state` gave."""
        kept = {name: value for name, value in self.state_dict().items() if name.startswith(MODEL)}
        self.load_state_dict(kept | state)

    def finish(self, data: Any) -> None:
        """What comes after the last step; the model is left in evaluation mode."""
        raise NotImplementedError


class ImageObjective(Objective):
    """A method for images: reconstruction plus a weighted regularizer of the codes (eq. 5).

    Args:
        autoencoder: The model.
        config: Weight and settings of the regularizer, as a `TrainConfig` has filled them in.

    Attributes:
        weight: Of the regularizer at this step: gamma, or what a warm-up has let it rise to.
    """

    weight: Tensor

    def __init__(self, autoencoder: Autoencoder, config: RegularizerConfig) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.config = config
        # A tensor, so that a recorded step sees it change.
        self.register_buffer("weight", torch.tensor(config.gamma), persistent=False)

    def begin(self, progress: float) -> None:
        """Let the weight of the regularizer rise to gamma."""
        if self.config.warmup:
            self.weight.fill_(self.config.gamma * min(1.0, progress / self.config.warmup))

    def forward(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        """The loss of a batch.

        Args:
            x: This process's images, shape (n, channels, height, width), values in [0, 1].
            generator: Source of all noise; in the same state on every process.

        Returns:
            Loss (scalar; squared errors summed over the batch plus `weight` times the regularizer) and its terms.
        """
        z, regularizer = self.encode(x, generator)
        error = (self.autoencoder.decode(z) - x).square().sum()
        distance = regularizer()
        # DDP averages gradients over processes: the factor makes the average the sum over the whole batch.
        loss = world_size() * error + self.weight * distance
        return loss, Terms(reconstruction=error.detach() / len(x), distance=distance.detach())

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Regularizer]:
        """Codes to decode, shape (n, d), and what gives the regularizer of the whole batch's codes (scalar).

        It is called when the decoder has its work, so that it may wait for the device without leaving it idle.
        """
        raise NotImplementedError

    def is_capturable(self) -> bool:
        """Whether a CUDA graph can be a step."""
        return True

    def finish(self, data: ImageData) -> None:
        """Settle the prior, by default as `refit` says."""
        self.autoencoder.eval()
        refit = self.config.refit
        if refit in ("moments", "em"):
            refit_by_moments(self.autoencoder, data, beta=self.config.beta)
        if refit == "em":
            refit_by_em(self.autoencoder, data)
        if refit == "anew":
            fit_by_em(self.autoencoder, data)


class Probabilistic(ImageObjective):
    """Codes are Gaussians, reparameterised."""

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Regularizer]:  # noqa: D102
        batch = whole(self.autoencoder.encode(x))
        z = reparameterise(batch, generator)
        return own_rows(z), self.regularizer(batch, z)

    def regularizer(self, posterior: Gaussian, z: Tensor) -> Regularizer:
        """What gives the regularizer; by default it is computed at once."""
        with without_autocast(z):
            distance = self.distance(posterior, z)
        return lambda: distance

    def distance(self, posterior: Gaussian, z: Tensor) -> Tensor:
        """The regularizer (scalar) of the whole batch's posteriors and one code of each, all of shape (n, d)."""
        raise NotImplementedError


class Deterministic(ImageObjective):
    """Codes are points."""

    def encode(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Regularizer]:  # noqa: D102
        z = self.autoencoder.encode(x).mean
        batch = all_rows(z)
        with without_autocast(z):
            distance = self.distance(batch, generator)
        if self.config.code_noise:
            noise = torch.randn(batch.shape, generator=generator, device=batch.device)
            z = z + own_rows(self.config.code_noise * batch.std(0, correction=0) * noise)
        return z, lambda: distance

    def distance(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """The regularizer (scalar) of the whole batch's codes, shape (n, d)."""
        raise NotImplementedError


def whole(posterior: Gaussian) -> Gaussian:
    """The posteriors of all processes."""
    return Gaussian(all_rows(posterior.mean), all_rows(posterior.std))


def reparameterise(posterior: Gaussian, generator: torch.Generator) -> Tensor:
    """One code of each posterior, with gradient; shape (n, d)."""
    noise = torch.randn(posterior.mean.shape, generator=generator, device=posterior.mean.device)
    return posterior.mean + posterior.std * noise
