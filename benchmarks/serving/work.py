"""What every server in the benchmark does, by itself: a model's graphs, pictures and JSON; no HTTP, checks or queue.

Run in a loop it is the limit of what one core can do. The plain servers are these functions behind FastAPI, so that
they too have our PNG encoder and orjson: what they cost more or less than the service is HTTP, checks and queueing.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.images import decode_image, encode_image, encode_png, from_pixels, tile, to_pixels
from serving.randomness import draw_components, draw_noise
from serving.sessions import open_session

Array = NDArray[Any]
SHAPE, RANGE = (1, 28, 28), (0.0, 1.0)  # of the digits that the shipped models are of


class Model(Protocol):
    """The graphs of one bundle, arrays in and out; one thread."""

    name: str
    weights: Array

    def draw(self, component: Array, noise: Array) -> Array:
        """Codes (n, d)."""

    def decode(self, latent: Array) -> Array:
        """Pictures (n, 1, 28, 28)."""

    def encode(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, each (n, d)."""

    def log_responsibilities(self, latent: Array) -> Array:
        """(n, K)."""


class OnnxModel:
    """By onnxruntime, with the service's session options."""

    def __init__(self, folder: Path) -> None:
        """Load a bundle of one probabilistic image view, unchecked."""
        self.name = folder.name
        self.weights = np.array(json.loads((folder / "manifest.json").read_text())["prior"]["weights"])
        names = ("prior", "decoder", "encoder", "responsibilities")
        self._sessions = {name: open_session((folder / f"{name}.onnx").read_bytes(), "cpu") for name in names}

    def draw(self, component: Array, noise: Array) -> Array:
        """By prior.onnx."""
        temperature = np.ones(len(noise), dtype=np.float32)
        feeds = {"component": component, "noise": noise, "temperature": temperature}
        return self._sessions["prior"].run(["latent"], feeds)[0]

    def decode(self, latent: Array) -> Array:
        """By decoder.onnx."""
        return self._sessions["decoder"].run(["x"], {"latent": latent})[0]

    def encode(self, x: Array) -> tuple[Array, Array]:
        """By encoder.onnx."""
        mean, std = self._sessions["encoder"].run(["mean", "std"], {"x": x})
        return mean, std

    def log_responsibilities(self, latent: Array) -> Array:
        """By responsibilities.onnx."""
        return self._sessions["responsibilities"].run(None, {"latent": latent})[0]


def sample(model: Model, n: int, seed: int) -> tuple[Array, Array, Array]:
    """Components, codes and pixels of n items."""
    component = draw_components(seed, n, model.weights)
    latent = model.draw(component, draw_noise(seed, n, 8))
    return component, latent, to_pixels(model.decode(latent), RANGE)


def sample_png(model: Model, body: dict[str, Any]) -> bytes:
    """What /sample.png gives."""
    return encode_png(tile(sample(model, body["n"], body["seed"])[2]))


def sample_json(model: Model, body: dict[str, Any]) -> bytes:
    """What /sample gives."""
    component, latent, pixels = sample(model, body["n"], body["seed"])
    reply = {"model": model.name, "seed": body["seed"], "components": component.tolist(), "latents": latent}
    return _json(reply | {"images": list(map(encode_image, pixels))})


def encode(model: Model, body: dict[str, Any]) -> bytes:
    """What /encode gives."""
    mean, std = model.encode(_read(body["images"]))
    logs = model.log_responsibilities(mean)
    reply = {"model": model.name, "latents": mean, "responsibilities": np.exp(logs)}
    return _json(reply | {"components": logs.argmax(axis=1).tolist(), "stds": std})


def reconstruct(model: Model, body: dict[str, Any]) -> bytes:
    """What /reconstruct gives."""
    x = _read(body["images"])
    again = model.decode(model.encode(x)[0])
    errors = np.square(again - x).reshape(len(x), -1).sum(axis=1)
    return _json({"model": model.name, "errors": errors, "images": list(map(encode_image, to_pixels(again, RANGE)))})


ROUTES: dict[str, Callable[[Model, dict[str, Any]], bytes]] = {
    "/sample.png": sample_png,
    "/sample": sample_json,
    "/encode": encode,
    "/reconstruct": reconstruct,
}


class Case(NamedTuple):
    """One kind of request."""

    name: str
    path: str
    body: dict[str, Any]


def cases(model: Model) -> list[Case]:
    """The requests that are measured; pictures to encode are the model's own."""
    picture = [encode_image(sample(model, 1, 7)[2][0])]
    drawn = [
        Case(f"{path}, n = {n}", path, {"n": n, "seed": 7}) for path in ("/sample.png", "/sample") for n in (1, 16, 64)
    ]
    sent = [Case(f"{path}, 1 picture", path, {"images": picture}) for path in ("/encode", "/reconstruct")]
    return drawn + sent


def _read(images: list[str]) -> Array:
    return from_pixels(np.stack([decode_image(text, SHAPE) for text in images]), RANGE)


def _json(reply: dict[str, Any]) -> bytes:
    return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)
