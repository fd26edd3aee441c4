"""The graphs of a bundle as torch modules, with example inputs and the names that the bundle's contract gives them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from relatent import MixturePrior
from relatent.prior import log_joint
from training.autoencoder import Autoencoder


class TorchGraph(NamedTuple):
    """A module to freeze and what to feed it.

    Attributes:
        module: In evaluation mode; its forward's parameters are named as the graph's inputs.
        inputs: Real and extreme inputs by name, 17 rows or more each, the same number for all.
        outputs: Names of the module's outputs, in order.
        scale: The unit that its outputs may deviate in: 1, or the spread of raw features where that is more.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    scale: float = 1.0

    def run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The module's outputs by name, without gradient."""
        with torch.inference_mode():
            result = self.module(**inputs)
        return dict(zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=True))


class EncoderGraph(nn.Module):
    """x -> mean [, std]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Encode images (n, channels, height, width) to (n, d) each."""
        encoded = self.encoder(x)
        return tuple(encoded) if isinstance(encoded, tuple) else encoded


class DecoderGraph(nn.Module):
    """Latent -> x."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> Tensor:
        """Decode codes (n, d) to images (n, channels, height, width)."""
        return self.decoder(latent)


class ResponsibilitiesGraph(nn.Module):
    """Latent -> log_responsibilities."""

    mean: Tensor
    inverse_factor: Tensor
    log_weights: Tensor

    def __init__(self, prior: MixturePrior) -> None:
        super().__init__()
        with torch.no_grad():  # solved here, so that the graph holds the inverse and need not find it
            self.register_buffer("mean", prior.mean.clone())
            self.register_buffer("inverse_factor", prior.inverse_factor())
        self.register_buffer("log_weights", prior.log_weights)

    def forward(self, latent: Tensor) -> Tensor:
        """Log responsibilities (n, K) of codes (n, d)."""
        return log_joint(latent, self.mean, self.inverse_factor, self.log_weights).log_softmax(-1)


def torch_graphs(autoencoder: Autoencoder, images: Tensor) -> dict[str, TorchGraph]:
    """The four graphs of a single-view bundle.

    Args:
        autoencoder: The trained model; must be in evaluation mode.
        images: Real images, shape (n, channels, height, width), n >= 10, values in [0, 1].

    Returns:
        Graphs by file name. Inputs hold real values (images, their codes, every component) and extreme ones (black,
        white, noise; codes ten standard deviations out; temperature 0).

    Raises:
        ValueError: If the model is in training mode.
    """
    if autoencoder.training:
        raise ValueError("expected a model in evaluation mode, got one in training mode: call .eval() first")
    generator = torch.Generator().manual_seed(0)
    prior = autoencoder.prior
    with torch.no_grad():  # tracing refuses tensors made in inference mode
        components, latent_size = prior.mean.shape
        every = torch.arange(components).repeat(-(-20 // components))  # each component, 20 rows or more
        noise = torch.randn(len(every), latent_size, generator=generator)
        temperature = torch.linspace(0, 2, len(every))
        far = prior(every[:10], 10 * noise[:10].sign(), torch.ones(10))
        latent = torch.cat([autoencoder.code(images[:10]), prior.mean, torch.zeros(1, latent_size), far])
        extreme = torch.rand(4, *images.shape[1:], generator=generator).round()
        x = torch.cat([images[:14], torch.zeros_like(images[:1]), torch.ones_like(images[:1]), extreme])
    outputs = ("mean", "std") if autoencoder.probabilistic else ("mean",)
    draw = {"component": every, "noise": noise, "temperature": temperature}
    graphs = {
        "encoder.onnx": TorchGraph(EncoderGraph(autoencoder.encoder), {"x": x}, outputs),
        "decoder.onnx": TorchGraph(DecoderGraph(autoencoder.decoder), {"latent": latent}, ("x",)),
        "prior.onnx": TorchGraph(prior, draw, ("latent",)),
        "responsibilities.onnx": TorchGraph(
            ResponsibilitiesGraph(prior), {"latent": latent}, ("log_responsibilities",)
        ),
    }
    for graph in graphs.values():
        graph.module.eval()
    return graphs
