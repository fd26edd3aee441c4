"""The learnable Gaussian-mixture prior (section 2.1) with weights 1/K, as in eq. 5."""

import math

import torch
from torch import Tensor, nn

from training.gaussian import Gaussian


class MixturePrior(nn.Module):
    """K diagonal Gaussians of equal weight; means and log variances start as draws from N(0, 1).

    Args:
        components: K.
        latent_size: Dimension d.
        generator: Source of the initial values.
    """

    def __init__(self, components: int, latent_size: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.randn(components, latent_size, generator=generator))
        self.log_variance = nn.Parameter(torch.randn(components, latent_size, generator=generator))

    def gaussians(self) -> Gaussian:
        """The components, shapes (K, d)."""
        return Gaussian(self.mean, (self.log_variance / 2).exp())

    def forward(self, component: Tensor, noise: Tensor, temperature: Tensor) -> Tensor:
        """Samples of given components; all randomness comes in.

        Args:
            component: Indices, int64, shape (n,), in [0, K).
            noise: Standard normal, shape (n, d).
            temperature: Factor on the component's standard deviation, shape (n,), non-negative.

        Returns:
            Codes, shape (n, d).
        """
        gaussians = self.gaussians()
        return gaussians.mean[component] + temperature[:, None] * gaussians.std[component] * noise

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draw codes from the mixture, shape (count, d), with gradient for the prior's parameters."""
        device, (components, latent_size) = self.mean.device, self.mean.shape
        component = torch.randint(components, (count,), generator=generator, device=device)
        noise = torch.randn(count, latent_size, generator=generator, device=device)
        return self(component, noise, torch.ones(count, device=device))

    def log_responsibilities(self, z: Tensor) -> Tensor:
        """Log posterior probability of each component given a code.

        Args:
            z: Codes, shape (n, d).

        Returns:
            Shape (n, K); the exponentials of a row sum to one.
        """
        mean, std = self.gaussians()
        standard = (z[:, None] - mean) / std  # (n, K, d)
        log_density = -(standard.square() / 2 + std.log() + math.log(2 * math.pi) / 2).sum(-1)
        return log_density.log_softmax(-1)
