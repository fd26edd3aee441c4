"""The servers that one would write in an afternoon: FastAPI over onnxruntime, FastAPI over eager PyTorch.

    python -m benchmarks.serving.peers onnx models/mnist-prae 8080

Handlers compute on the event loop, the fastest way for a server of one process: there is no thread to hand work to. The
price is that nothing else is answered meanwhile, probes included, and that there is no bound on what waits.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from benchmarks.serving import work
from benchmarks.serving.work import Array, Model, OnnxModel


class TorchModel:
    """By eager PyTorch on one thread: the network of the bundle, with random weights, which take as long."""

    def __init__(self, folder: Path) -> None:
        """Build the network that the bundle's manifest tells of."""
        import torch

        from training.networks import Decoder, Encoder

        torch.set_num_threads(1)
        manifest = json.loads((folder / "manifest.json").read_text())
        width, d, prior = manifest["training"]["config"]["model"]["width"], manifest["latent_size"], manifest["prior"]
        self.name, self.weights, self._torch = folder.name, work.np.array(prior["weights"]), torch
        self._means, self._stds = torch.tensor(prior["means"]), torch.tensor(prior["stds"])
        self._log_weights = torch.tensor(prior["weights"]).log()
        self._decoder = Decoder(work.SHAPE, d, width).eval()
        self._encoder = Encoder(work.SHAPE, d, width, codes="gaussians").eval()

    def draw(self, component: Array, noise: Array) -> Array:
        """Mean and standard deviation of the component."""
        with self._torch.inference_mode():
            index = self._torch.from_numpy(component)
            return (self._means[index] + self._stds[index] * self._torch.from_numpy(noise)).numpy()

    def decode(self, latent: Array) -> Array:
        """By the decoder."""
        with self._torch.inference_mode():
            return self._decoder(self._torch.from_numpy(latent)).numpy()

    def encode(self, x: Array) -> tuple[Array, Array]:
        """By the encoder."""
        with self._torch.inference_mode():
            posterior = self._encoder(self._torch.from_numpy(x))
            return posterior.mean.numpy(), posterior.std.numpy()

    def log_responsibilities(self, latent: Array) -> Array:
        """By Bayes' rule."""
        with self._torch.inference_mode():
            apart = (self._torch.from_numpy(latent)[:, None] - self._means) / self._stds
            joint = self._log_weights - (self._stds.log() + apart.square() / 2).sum(-1)
            return joint.log_softmax(-1).numpy()


class Sample(BaseModel):
    """How many pictures, and their seed."""

    n: Annotated[int, Field(ge=1, le=64)] = 1
    seed: Annotated[int, Field(ge=0)] = 0


class Pictures(BaseModel):
    """Pictures in base64."""

    images: Annotated[list[str], Field(min_length=1, max_length=64)]


def build(model: Model) -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.post("/sample.png")
    async def sample_png(request: Sample) -> Response:
        return Response(work.sample_png(model, request.model_dump()), media_type="image/png")

    @app.post("/sample")
    async def sample(request: Sample) -> Response:
        return _json(work.sample_json(model, request.model_dump()))

    @app.post("/encode")
    async def encode(request: Pictures) -> Response:
        return _json(work.encode(model, request.model_dump()))

    @app.post("/reconstruct")
    async def reconstruct(request: Pictures) -> Response:
        return _json(work.reconstruct(model, request.model_dump()))

    return app


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def main(kind: str, folder: str, port: str) -> None:
    """Serve until a signal ends it; uvloop and httptools, like the service, and an access log, like the service."""
    make: Any = {"onnx": OnnxModel, "torch": TorchModel}[kind]
    uvicorn.run(build(make(Path(folder))), host="127.0.0.1", port=int(port), loop="uvloop", http="httptools")


if __name__ == "__main__":
    main(*sys.argv[1:])
