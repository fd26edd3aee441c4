"""The graphs of a bundle as torch modules, with example inputs and the names that the bundle's contract gives them.

Raw rows go in and come out: what standardises features is frozen in. Nothing in a graph is random.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from readers.origins import warn_of_rounding, with_origin, without_origin
from relatent import MixturePrior
from relatent.prior import log_joint
from serving.manifest import HEAD, PRIOR, RESPONSIBILITIES
from training.autoencoder import Autoencoder
from training.autoencoders import Autoencoders
from training.multiview.translator import SoftmaxHead, Translator

FAR = 5.0  # standard deviations from the mean, of extreme features
FAR_CODES = 10.0  # likewise, from a component's mean


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

    def __init__(self, view: Autoencoder) -> None:
        super().__init__()
        self.view = view

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Encode raw rows (n, *shape) to (n, d) each."""
        mean, std = self.view.encode(without_origin(x, self.view.origin))
        return (mean, std) if self.view.codes == "gaussians" else mean


class DecoderGraph(nn.Module):
    """Latent -> x."""

    def __init__(self, view: Autoencoder) -> None:
        super().__init__()
        self.view = view

    def forward(self, latent: Tensor) -> Tensor:
        """Decode codes (n, d) to raw rows (n, *shape)."""
        return with_origin(self.view.decode(latent), self.view.origin)


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


class TranslatorGraph(nn.Module):
    """Latent -> carried, in float64: far from all anchors, the kernel's exponents are differences of large numbers."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        (count, source), target = translator.anchors.shape, translator.images.shape[1]
        self.translator = Translator(count, source, target).double()
        self.translator.load_state_dict(translator.state_dict())

    def forward(self, latent: Tensor) -> Tensor:
        """Carry codes (n, d) over, (n, e)."""
        return self.translator(latent.double()).float()


class HeadGraph(nn.Module):
    """Features -> log_probabilities."""

    def __init__(self, head: SoftmaxHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Log probabilities (n, C) of concatenated codes (n, sum of d)."""
        return self.head(features)


def view_folder(model: Autoencoders, name: str) -> str:
    """Where a view's files lie in a bundle: at the top if it is the only one."""
    return f"views/{name}" if len(model.names) > 1 else ""


def torch_graphs(model: Autoencoders) -> dict[str, TorchGraph]:
    """Every graph of a bundle.

    Args:
        model: The trained model; must be in evaluation mode.

    Returns:
        Graphs by file name. Codes are those that the couplings between views are kept at, draws from the prior, and
        codes ten standard deviations out; rows are what codes decode to, and black, white and noise, or features five
        standard deviations out.

    Raises:
        ValueError: If the model is in training mode.
    """
    if model.training:
        raise ValueError("expected a model in evaluation mode, got one in training mode: call .eval() first")
    graphs: dict[str, TorchGraph] = {}
    latents: dict[str, Tensor] = {}
    for name in model.names:
        generator = torch.Generator().manual_seed(0)
        view = model[name]
        with torch.no_grad():  # tracing refuses tensors made in inference mode
            draw, latents[name] = _codes(model, name, generator)
            if view.feature_std is not None:
                warn_of_rounding(name, view.origin, view.feature_std)
            x = with_origin(_rows(view, latents[name], generator), view.origin)
        graphs |= _view_graphs(model, name, x, latents[name], draw)
    if model.head is not None:
        count = min(map(len, latents.values()))
        features = torch.cat([latent[:count] for latent in latents.values()], 1)
        head = HeadGraph(cast(SoftmaxHead, model.head))
        graphs[HEAD] = TorchGraph(head, {"features": features}, ("log_probabilities",))
    for graph in graphs.values():
        graph.module.eval()
    return graphs


def _view_graphs(
    model: Autoencoders, name: str, x: Tensor, latent: Tensor, draw: dict[str, Tensor]
) -> dict[str, TorchGraph]:
    view, folder = model[name], f"{view_folder(model, name)}/".lstrip("/")
    outputs = ("mean", "std") if view.codes == "gaussians" else ("mean",)
    scale = 1.0 if view.feature_std is None else max(1.0, view.feature_std.max().item())
    graphs = {
        f"{folder}encoder.onnx": TorchGraph(EncoderGraph(view), {"x": x}, outputs),
        f"{folder}decoder.onnx": TorchGraph(DecoderGraph(view), {"latent": latent}, ("x",), scale),
        f"{folder}{PRIOR}": TorchGraph(view.prior, draw, ("latent",)),
        f"{folder}{RESPONSIBILITIES}": TorchGraph(
            ResponsibilitiesGraph(view.prior), {"latent": latent}, ("log_responsibilities",)
        ),
    }
    for target, translator in _translators(model, name).items():
        graphs[f"{folder}to/{target}.onnx"] = TorchGraph(TranslatorGraph(translator), {"latent": latent}, ("carried",))
    return graphs


def _translators(model: Autoencoders, name: str) -> dict[str, Translator]:
    """Those of a view's codes, by target."""
    pairs = {tuple(key.split(":")): cast(Translator, net) for key, net in model.translators.items()}
    return {target: net for (source, target), net in pairs.items() if source == name}


def _codes(model: Autoencoders, name: str, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """What to draw from a view's prior with, 20 rows or more of all components; and real, drawn and far codes."""
    prior = model[name].prior
    components, latent_size = prior.mean.shape
    every = torch.arange(components).repeat(-(-20 // components))
    noise = torch.randn(len(every), latent_size, generator=generator)
    draw = {"component": every, "noise": noise, "temperature": torch.linspace(0, 2, len(every))}
    anchors = [translator.anchors[:10] for translator in _translators(model, name).values()]
    far = prior(every[:10], FAR_CODES * noise[:10].sign(), torch.ones(10))
    drawn = prior(every, noise, torch.ones(len(every)))
    return draw, torch.cat([*anchors[:1], drawn, torch.zeros(1, latent_size), far])


def _rows(view: Autoencoder, latent: Tensor, generator: torch.Generator) -> Tensor:
    rows = view.decode(latent[:14])
    noise = torch.randn(4, *view.shape, generator=generator)
    if view.feature_mean is None or view.feature_std is None:
        return torch.cat([rows.clamp(0, 1), torch.zeros_like(rows[:1]), torch.ones_like(rows[:1]), (noise > 0).float()])
    return torch.cat([rows, view.feature_mean[None], view.feature_mean + FAR * noise.sign() * view.feature_std])
