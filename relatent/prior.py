"""The Gaussian-mixture prior (section 2.1): weights 1/K while it is learned, as in eq. 5; a fit may change them."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from relatent.gaussian import Gaussian
from relatent.precision import readable
from relatent.validation import require_finite, require_floating, require_generator, require_positive, require_weights

_COVARIANCES = ("diagonal", "full", "fitted")


class MixturePrior(nn.Module):
    """K Gaussians; means and log variances start as draws from N(0, 1), weights equal, correlations zero.

    A full covariance is L L^T; the factor L has the diagonal exp(log_variance / 2), below it `lower`.

    Args:
        components: K.
        latent_size: Dimension d.
        covariance: Of the components; fitted: full, but only a fit (`assign`) gives them correlations.
        generator: Source of the initial values.

    Attributes:
        log_weights: Logarithms of the mixture weights, shape (K,).

    Raises:
        TypeError: If an argument is not what it should be.
        ValueError: If a size is below 1, the covariance none of the three, or the generator not on the CPU.
    """

    log_weights: Tensor

    def __init__(
        self,
        components: int,
        latent_size: int,
        *,
        covariance: Literal["diagonal", "full", "fitted"] = "diagonal",
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        require_positive(components=components, latent_size=latent_size)
        require_generator("generator", generator, device=torch.device("cpu"))
        if covariance not in _COVARIANCES:
            raise ValueError(f"covariance: expected one of {', '.join(_COVARIANCES)}, got {covariance!r}")
        self.covariance = covariance
        self.mean = nn.Parameter(torch.randn(components, latent_size, generator=generator))
        self.log_variance = nn.Parameter(torch.randn(components, latent_size, generator=generator))
        # What lies on and above the diagonal is never read.
        self.lower = (
            nn.Parameter(torch.zeros(components, latent_size, latent_size), requires_grad=covariance == "full")
            if covariance != "diagonal"
            else None
        )
        self.register_buffer("log_weights", torch.full((components,), -math.log(components)))

    def gaussians(self) -> Gaussian:
        """The components with their marginal standard deviations, shapes (K, d)."""
        if self.lower is None:
            return Gaussian(self.mean, (self.log_variance / 2).exp())
        return Gaussian(self.mean, self.factor().square().sum(-1).sqrt())

    def factor(self) -> Tensor:
        """Lower Cholesky factors L of the covariances, shape (K, d, d)."""
        diagonal = (self.log_variance / 2).exp().diag_embed()
        return diagonal if self.lower is None else diagonal + self.lower.tril(-1)

    def covariances(self) -> Tensor:
        """Covariances L L^T, shape (K, d, d)."""
        factor = self.factor()
        return factor @ factor.mT

    @property
    def weights(self) -> Tensor:
        """Mixture weights, shape (K,), summing to one."""
        return self.log_weights.softmax(-1)

    @torch.no_grad()
    def assign(self, mean: Tensor, factor: Tensor, weights: Tensor | None = None) -> None:
        """Set the mixture, in place; diagonal covariances take the marginal variances.

        Args:
            mean: Shape (K, d).
            factor: Lower Cholesky factors of the covariances, shape (K, d, d), diagonals positive.
            weights: Shape (K,), positive, summing to one; None leaves them as they are.

        Raises:
            TypeError: If an argument is no tensor.
            ValueError: If a shape does not fit or (on the CPU) a value is not finite, a diagonal entry or a weight not
                positive, or the weights do not sum to one. Nothing is set then.
        """
        k, d = self.mean.shape
        for name, tensor, shape in (("mean", mean, (k, d)), ("factor", factor, (k, d, d))):
            require_floating(name, tensor)
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
            require_finite(name, tensor)
        _require_above_zero("the diagonal of factor", factor.diagonal(dim1=-2, dim2=-1))
        if weights is not None:
            require_weights("weights", weights, shape=(k,))
            _require_above_zero("weights", weights)
        self.mean.copy_(mean)
        if self.lower is None:
            self.log_variance.copy_(factor.square().sum(-1).log())
        else:
            self.log_variance.copy_(2 * factor.diagonal(dim1=-2, dim2=-1).log())
            self.lower.copy_(factor.tril(-1))
        if weights is not None:
            self.log_weights.copy_(weights.log())

    def forward(self, component: Tensor, noise: Tensor, temperature: Tensor) -> Tensor:
        """Samples of given components; all randomness comes in.

        Args:
            component: Indices, int64, shape (n,), in [0, K).
            noise: Standard normal, shape (n, d).
            temperature: Factor on the component's spread, shape (n,), non-negative.

        Returns:
            Codes, shape (n, d).
        """
        if self.lower is None:
            spread = self.gaussians().std[component] * noise
        else:
            spread = (self.factor()[component] @ noise[:, :, None])[:, :, 0]
        return self.mean[component] + temperature[:, None] * spread

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draw codes from the mixture, shape (count, d), with gradient for the components."""
        require_positive(count=count)
        require_generator("generator", generator, device=self.mean.device)
        component = self.weights.multinomial(count, replacement=True, generator=generator)
        noise = torch.randn(count, self.mean.shape[1], generator=generator, device=self.mean.device)
        return self(component, noise, torch.ones(count, device=self.mean.device))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of the mixture at codes (n, d), shape (n,)."""
        return self.log_joint(z).logsumexp(-1)

    def log_responsibilities(self, z: Tensor) -> Tensor:
        """Log posterior probability of each component given a code.

        Args:
            z: Codes, shape (n, d).

        Returns:
            Shape (n, K); the exponentials of a row sum to one.
        """
        return self.log_joint(z).log_softmax(-1)

    def log_joint(self, z: Tensor) -> Tensor:
        """Log of each component's weight times its density, at codes (n, d); shape (n, K)."""
        return log_joint(z, self.mean, self.inverse_factor(), self.log_weights)

    def inverse_factor(self) -> Tensor:
        """What makes a centred code standard normal: 1 / std, shape (K, d), or L^-1, shape (K, d, d)."""
        if self.lower is None:
            return (-self.log_variance / 2).exp()
        factor = self.factor()
        return torch.linalg.solve_triangular(factor, torch.eye(factor.shape[-1]).to(factor), upper=False)


def _require_above_zero(name: str, values: Tensor) -> None:
    if readable(values) and not (values > 0).all():
        index = tuple(int(i) for i in torch.unravel_index(values.argmin(), values.shape))
        raise ValueError(f"{name}: expected positive values, got {values.min().item():.6g} at {index}")


def log_joint(z: Tensor, mean: Tensor, inverse_factor: Tensor, log_weights: Tensor) -> Tensor:
    """`MixturePrior.log_joint` of a mixture given by its parts: mean (K, d), inverse factor, log weights (K,)."""
    centred = z[:, None] - mean  # (n, K, d)
    if inverse_factor.ndim == 2:
        standard, scale = centred * inverse_factor, inverse_factor
    else:
        standard = (inverse_factor @ centred[..., None])[..., 0]
        scale = inverse_factor.diagonal(dim1=-2, dim2=-1)
    return log_weights + (scale.log() - standard.square() / 2 - math.log(2 * math.pi) / 2).sum(-1)
