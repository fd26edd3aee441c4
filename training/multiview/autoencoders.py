"""One autoencoder per view, and what holds them together once they are trained."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import cast

import torch
from torch import Tensor, nn

from relatent import Gaussian, MixturePrior
from training.multiview.batches import key_of
from training.multiview.config import ViewsModelConfig
from training.multiview.networks import FeatureDecoder, FeatureEncoder, Translator
from training.networks import Decoder, Encoder


class ViewAutoencoder(nn.Module):
    """Encoder, decoder and prior of one view; inside, features are standardised.

    Args:
        shape: Of a row: features, or channels, height and width.
        config: Of all views.
        position: Of this one among them.
        seed: Of all initial weights.
        origin: What was taken off the features; None for nothing.

    Attributes:
        shape: As given.
        latent_size: Dimension d of a code.
        probabilistic: Whether codes are Gaussians or points.
        encoder: Standardised rows to codes.
        decoder: Codes to standardised rows.
        prior: A mixture; one standard normal if it is fixed.
        origin: What was taken off the features before they became rows, float64, of the shape of a row: float32 could
            not have told those apart that lie far from 0 and near each other. None, as a rule, for nothing.
        feature_mean: Mean of the training rows, of the shape of a row; 0 for images.
        feature_std: Standard deviation of the training rows, likewise; 1 for images.
    """

    shape: tuple[int, ...]
    latent_size: int
    probabilistic: bool
    encoder: nn.Module
    decoder: nn.Module
    prior: MixturePrior
    origin: Tensor | None
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        config: ViewsModelConfig,
        position: int,
        *,
        seed: int,
        origin: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size = config.of("latent_size", position)
        self.probabilistic = config.codes == "gaussians"
        # Layers draw their initial weights from the global generator only: borrow it and put it back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if len(shape) == 1:
                hidden = config.of("hidden", position)
                self.encoder = FeatureEncoder(shape[0], self.latent_size, hidden, probabilistic=self.probabilistic)
                self.decoder = FeatureDecoder(shape[0], self.latent_size, hidden)
            else:
                image, width = cast(tuple[int, int, int], shape), config.of("width", position)
                self.encoder = Encoder(image, self.latent_size, width, probabilistic=self.probabilistic)
                self.decoder = Decoder(image, self.latent_size, width)
        learned = config.of("prior", position) == "mixture"
        components = config.of("components", position) if learned else 1
        self.prior = MixturePrior(components, self.latent_size, generator=torch.Generator().manual_seed(seed))
        if not learned:
            self.prior.assign(torch.zeros(1, self.latent_size), torch.ones(1, self.latent_size).diag_embed())
        self.prior.requires_grad_(learned)
        # A fact of the data that a run notes with them, not a weight.
        self.register_buffer(
            "origin", None if origin is None else torch.tensor(origin, dtype=torch.float64), persistent=False
        )
        self.register_buffer("feature_mean", torch.zeros(shape))
        self.register_buffer("feature_std", torch.ones(shape))

    def standardise(self, x: Tensor) -> Tensor:
        """Raw rows (n, *shape) to what the encoder takes and the decoder gives."""
        return (x - self.feature_mean) / self.feature_std

    def encode(self, x: Tensor) -> Gaussian:
        """Raw rows (n, *shape) to Gaussians of shapes (n, d); points have standard deviation 0."""
        encoded = self.encoder(self.standardise(x))
        return encoded if self.probabilistic else Gaussian(encoded, torch.zeros_like(encoded))

    def decode(self, z: Tensor) -> Tensor:
        """Codes (n, d) to raw rows (n, *shape)."""
        return self.decoder(z) * self.feature_std + self.feature_mean


class SoftmaxHead(nn.Module):
    """Softmax regression on the concatenated codes of all views.

    Args:
        size: Dimensions of all codes together.
        classes: How many.

    Attributes:
        weight: Shape (classes, size).
        bias: Shape (classes,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(classes, size))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        """Log probabilities of the classes, shape (n, classes), of concatenated codes (n, size)."""
        return (features @ self.weight.T + self.bias).log_softmax(1)


class CoAutoencoders(nn.Module):
    """What a co-training run trains, saves and exports.

    Args:
        shapes: Shape of a row by view, in the views' order.
        config: Of all views.
        anchors: Training codes kept of each view, by view.
        classes: Names of the classes; a head is there if there are at least two.
        seed: Of all initial weights; those of a view depend on its name and on nothing about the others.
        origins: What was taken off the features, of the views where something was.

    Attributes:
        views: Autoencoder by view.
        translators: Map of codes, by source and target: `translators["a:b"]`.
        head: Classifier of concatenated codes, in the views' order; None without classes.
        classes: Their names, in the order of the head's outputs.
    """

    views: nn.ModuleDict
    translators: nn.ModuleDict
    head: SoftmaxHead | None
    classes: tuple[str, ...]

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        config: ViewsModelConfig,
        *,
        anchors: Mapping[str, int],
        classes: Sequence[str],
        seed: int,
        origins: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        autoencoders = {
            name: ViewAutoencoder(
                tuple(shape), config, position, seed=key_of(seed, name), origin=(origins or {}).get(name)
            )
            for position, (name, shape) in enumerate(shapes.items())
        }
        self.views = nn.ModuleDict()
        self.views._modules.update(autoencoders)  # its own door refuses names that are methods of it: values, train
        self.translators = nn.ModuleDict(
            {
                f"{a}:{b}": Translator(anchors[a], autoencoders[a].latent_size, autoencoders[b].latent_size)
                for a, b in permutations(autoencoders, 2)
            }
        )
        size = sum(view.latent_size for view in autoencoders.values())
        self.head = SoftmaxHead(size, len(classes)) if len(classes) > 1 else None
        self.classes = tuple(classes)

    def __getitem__(self, name: str) -> ViewAutoencoder:
        """The autoencoder of a view."""
        return cast(ViewAutoencoder, self.views[name])

    @property
    def names(self) -> tuple[str, ...]:
        """The views, in order."""
        return tuple(self.views)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self[self.names[0]].feature_mean.device

    def features(self, x: Mapping[str, Tensor]) -> Tensor:
        """Codes without noise of all views side by side: raw rows (n, *shape) by view -> (n, sum of d)."""
        return torch.cat([self[name].encode(x[name]).mean for name in self.names], 1)

    def translate(self, x: Tensor, source: str, target: str) -> Tensor:
        """Raw rows of one view to raw rows of another: encode, carry over, decode."""
        return self[target].decode(self.translators[f"{source}:{target}"](self[source].encode(x).mean))
