"""The graphs of a co-trained bundle: raw features in, raw features out, standardisation frozen in."""

from typing import cast

import torch
from torch import Tensor, nn

from export.graphs import ResponsibilitiesGraph, TorchGraph
from serving.manifest import HEAD, PRIOR, RESPONSIBILITIES
from training.multiview.autoencoders import CoAutoencoders, SoftmaxHead, ViewAutoencoder
from training.multiview.networks import Translator
from training.multiview.origins import warn_of_rounding, with_origin, without_origin

FAR = 5.0  # standard deviations from the mean, of extreme features
FAR_CODES = 10.0  # likewise, from a component's mean


class ViewEncoderGraph(nn.Module):
    """x -> mean [, std]."""

    def __init__(self, view: ViewAutoencoder) -> None:
        super().__init__()
        self.view = view

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Encode raw rows (n, *shape) to (n, d) each."""
        mean, std = self.view.encode(without_origin(x, self.view.origin))
        return (mean, std) if self.view.probabilistic else mean


class ViewDecoderGraph(nn.Module):
    """Latent -> x."""

    def __init__(self, view: ViewAutoencoder) -> None:
        super().__init__()
        self.view = view

    def forward(self, latent: Tensor) -> Tensor:
        """Decode codes (n, d) to raw rows (n, *shape)."""
        return with_origin(self.view.decode(latent), self.view.origin)


class TranslatorGraph(nn.Module):
    """Latent -> carried, in float64: far from all anchors, the kernel's exponents are differences of large numbers."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = _copy_in_float64(translator)

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


def views_graphs(autoencoders: CoAutoencoders) -> dict[str, TorchGraph]:
    """Every graph of a co-trained bundle.

    Args:
        autoencoders: The trained model; must be in evaluation mode.

    Returns:
        Graphs by file name. Inputs need no data set: codes are those that the couplings are kept at, draws from the
        prior, and codes ten standard deviations out; rows are what codes decode to, and features five standard
        deviations out, or black, white and noise.

    Raises:
        ValueError: If the model is in training mode.
    """
    if autoencoders.training:
        raise ValueError("expected a model in evaluation mode, got one in training mode: call .eval() first")
    graphs: dict[str, TorchGraph] = {}
    latents: dict[str, Tensor] = {}
    for name in autoencoders.names:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():  # tracing refuses tensors made in inference mode
            draw, latents[name] = _codes(autoencoders, name, generator)
            view = autoencoders[name]
            warn_of_rounding(name, view.origin, view.feature_std)
            x = with_origin(_rows(view, latents[name], generator), view.origin)
        graphs |= _view_graphs(autoencoders, name, x, latents[name], draw)
    if autoencoders.head is not None:
        count = min(map(len, latents.values()))
        features = torch.cat([latent[:count] for latent in latents.values()], 1)
        graphs[HEAD] = TorchGraph(HeadGraph(autoencoders.head), {"features": features}, ("log_probabilities",))
    for graph in graphs.values():
        graph.module.eval()
    return graphs


def _view_graphs(
    autoencoders: CoAutoencoders, name: str, x: Tensor, latent: Tensor, draw: dict[str, Tensor]
) -> dict[str, TorchGraph]:
    view, folder = autoencoders[name], f"views/{name}"
    outputs = ("mean", "std") if view.probabilistic else ("mean",)
    scale = max(1.0, view.feature_std.max().item())
    graphs = {
        f"{folder}/encoder.onnx": TorchGraph(ViewEncoderGraph(view), {"x": x}, outputs),
        f"{folder}/decoder.onnx": TorchGraph(ViewDecoderGraph(view), {"latent": latent}, ("x",), scale),
        f"{folder}/{PRIOR}": TorchGraph(view.prior, draw, ("latent",)),
        f"{folder}/{RESPONSIBILITIES}": TorchGraph(
            ResponsibilitiesGraph(view.prior), {"latent": latent}, ("log_responsibilities",)
        ),
    }
    for other in autoencoders.names:
        if other != name:
            translator = cast(Translator, autoencoders.translators[f"{name}:{other}"])
            graphs[f"{folder}/to/{other}.onnx"] = TorchGraph(
                TranslatorGraph(translator), {"latent": latent}, ("carried",)
            )
    return graphs


def _codes(autoencoders: CoAutoencoders, name: str, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """What to draw from a view's prior with, each component in 20 rows or more; and codes, real, drawn and far ones."""
    prior = autoencoders[name].prior
    components, latent_size = prior.mean.shape
    every = torch.arange(components).repeat(-(-20 // components))
    noise = torch.randn(len(every), latent_size, generator=generator)
    draw = {"component": every, "noise": noise, "temperature": torch.linspace(0, 2, len(every))}
    anchors = [
        cast(Translator, translator).anchors[:10]
        for key, translator in autoencoders.translators.items() if key.partition(":")[0] == name
    ]  # fmt: skip
    far = prior(every[:10], FAR_CODES * noise[:10].sign(), torch.ones(10))
    drawn = prior(every, noise, torch.ones(len(every)))
    return draw, torch.cat([*anchors[:1], drawn, torch.zeros(1, latent_size), far])


def _rows(view: ViewAutoencoder, latent: Tensor, generator: torch.Generator) -> Tensor:
    rows = view.decode(latent[:14])
    noise = torch.randn(4, *view.shape, generator=generator)
    if len(view.shape) == 3:
        return torch.cat([rows.clamp(0, 1), torch.zeros_like(rows[:1]), torch.ones_like(rows[:1]), (noise > 0).float()])
    return torch.cat([rows, view.feature_mean[None], view.feature_mean + FAR * noise.sign() * view.feature_std])


def _copy_in_float64(translator: Translator) -> Translator:
    (count, source), target = translator.anchors.shape, translator.images.shape[1]
    copy = Translator(count, source, target).double()
    copy.load_state_dict(translator.state_dict())
    return copy
