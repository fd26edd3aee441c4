"""One bundle, verified and loaded: arrays in, arrays out. Nothing here knows of HTTP.

>>> engine = Engine.load(Path("models/mnist-prae"))
>>> engine.sample(4, seed=7).x.shape
(4, 1, 28, 28)
"""

import hashlib
import math
import time
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving.bundle import read_manifest, verify_files
from serving.examples import Examples, read_examples
from serving.golden import verify_golden
from serving.manifest import HEAD, MANIFEST, Graph, Manifest, Space, View
from serving.onnx_checks import verify_graphs
from serving.randomness import draw_components, draw_noise
from serving.sessions import CPU, Session, open_session

Floats = NDArray[np.float32]
# Items and values per run of a graph: bounds the memory of a large request and how long it runs past its deadline.
CHUNK = 64
CHUNK_VALUES = 2**20

_end: ContextVar[float] = ContextVar("end", default=math.inf)


class NonFiniteError(ArithmeticError):
    """A graph gave NaN or infinity."""


class TooSlowError(TimeoutError):
    """The time for a request is over; whoever waited for its answer no longer does."""


def set_deadline(end: float) -> None:
    """Bound the work of this thread from now on, on the clock of `time.monotonic`; infinity is no bound."""
    _end.set(end)


def check_deadline() -> None:
    """Raise `TooSlowError` if the deadline has passed; called in loops, between chunks."""
    if time.monotonic() > _end.get():
        raise TooSlowError


class Posterior(NamedTuple):
    """What an encoder says of n items: mean (n, d), and std (n, d) if it is probabilistic."""

    mean: Floats
    std: Floats | None


class Codes(NamedTuple):
    """A posterior, and log_responsibilities (n, K) of the components for its means."""

    mean: Floats
    std: Floats | None
    log_responsibilities: Floats


class Sample(NamedTuple):
    """n generated items: component (n,), latent (n, d) and x (n, *shape)."""

    component: NDArray[np.int64]
    latent: Floats
    x: Floats


class Reconstruction(NamedTuple):
    """n items there and back: x (n, *shape), unclipped, and error (n,), the sum of squared differences per item."""

    x: Floats
    error: Floats


class Translation(NamedTuple):
    """n items of one view in another: carried (n, e), their codes in its space, and x (n, *shape), unclipped."""

    carried: Floats
    x: Floats


class Engine:
    """A loaded bundle. Methods that take rows compute each by itself, so that rows of several requests may go together.

    Where a method takes them, x is (n, *shape) in the view's value range, latent (n, d) codes of the view's space, and
    view a key of `manifest.views`, None for the first. What they return is float32, a row for each given. Rows of
    another shape, or that are not finite, are a ValueError; a graph that gives NaN or infinity is a NonFiniteError.

    Attributes:
        name: The folder's.
        version: The first 12 hexadecimal digits of the manifest's sha256; the manifest holds that of every other file.
        manifest: What the bundle says of itself.
        provider: Where its graphs run.
        examples: Real items that the bundle brings along, if any.
        together: How many rows of several requests may be computed as one; 1 if that would change their bytes.
    """

    def __init__(
        self,
        name: str,
        manifest: Manifest,
        sessions: Mapping[str, Session],
        *,
        version: str = "",
        provider: Literal["cpu", "cuda"] = "cpu",
        examples: Examples | None = None,
        alike: bool = False,
    ) -> None:
        """Put an engine together of parts that fit, which `load` sees to.

        Sessions go by the graphs' paths in the bundle; alike says whether a row's bytes are the same in batches of any
        size, or need not be; the rest are the attributes.
        """
        self.name, self.manifest, self.version = name, manifest, version
        self.provider, self.examples = provider, examples
        self._sessions, self._graphs = sessions, manifest.graphs()
        self._chunks = {file: _chunk(graph) for file, graph in self._graphs.items()}
        self.together = min(self._chunks.values()) if alike else 1
        first = next(iter(manifest.views))
        self._views: dict[str | None, View] = {None: manifest.views[first]} | dict(manifest.views)
        self._spaces: dict[str | None, Space] = {name: manifest.space(name or first) for name in self._views}
        self._files = {name: (view.encoder, view.decoder, view.prior) for name, view in self._views.items()}

    @classmethod
    def load(cls, folder: Path, provider: Literal["auto", "cpu", "cuda"] = "cpu") -> Self:
        """Verify a bundle and load it; no part of a bundle that fails is used.

        Raises `serving.bundle.BundleError` if the bundle is unsound, `serving.sessions.ProviderError` if the provider
        cannot be had: "auto" takes a CUDA device if there is one, "cuda" insists on it.
        """
        manifest = read_manifest(folder)
        version = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:12]
        contents = verify_files(folder, manifest)
        verify_graphs(folder, manifest, contents)
        sessions = {file: open_session(contents[file], provider) for file in manifest.graphs()}
        on_cpu = CPU in {session.get_providers()[0] for session in sessions.values()}
        alike = verify_golden(folder, manifest, contents, sessions) or not on_cpu  # equal bytes are promised for CPUs
        examples = read_examples(folder, manifest, contents)
        used: Literal["cpu", "cuda"] = "cpu" if on_cpu else "cuda"
        return cls(folder.name, manifest, sessions, version=version, provider=used, examples=examples, alike=alike)

    def view(self, name: str | None = None) -> View:
        """A view by name, a key of `manifest.views`; the first if None."""
        return self._views[name]

    def space(self, view: str | None = None) -> Space:
        """The latent space of a view; of the first if None."""
        return self._spaces[view]

    def draw(
        self, n: int = 1, *, seed: int, component: int | ArrayLike | None = None, view: str | None = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """What chance decides of n items: components (n,), and standard normal noise (n, d).

        Args:
            n: How many items.
            seed: In [0, 2^53); equal seeds give equal items.
            component: One for all, one per item (n,), or None to draw them by the mixture's weights; a ValueError if
                one is not in [0, K).
            view: The view whose prior to draw from.
        """
        space = self.space(view)
        if component is None:
            components = draw_components(seed, n, np.array(space.prior.weights))
        else:
            components = np.broadcast_to(np.asarray(component, dtype=np.int64), (n,)).copy()
        if components.min() < 0 or components.max() >= space.n_components:
            raise ValueError(f"component: expected 0 to {space.n_components - 1}, got {components.tolist()}")
        return components, draw_noise(seed, n, space.latent_size)

    def generate(
        self, component: NDArray[np.int64], noise: Floats, temperature: Floats, *, view: str | None = None
    ) -> Sample:
        """Items of what `draw` drew: components (n,), noise (n, d), and temperature (n,), which scales the spread."""
        (latent,) = self._run(self._files[view][2], component, noise, temperature)
        return Sample(component, latent, self.decode(latent, view=view))

    def sample(
        self,
        n: int = 1,
        *,
        seed: int,
        component: int | ArrayLike | None = None,
        temperature: float = 1.0,
        view: str | None = None,
    ) -> Sample:
        """Generate items from the prior: `draw`, then `generate`; temperature 0 gives the components' means."""
        components, noise = self.draw(n, seed=seed, component=component, view=view)
        return self.generate(components, noise, np.full(n, temperature, np.float32), view=view)

    def encode(self, x: ArrayLike, *, view: str | None = None) -> Posterior:
        """The posterior over latent codes, item by item."""
        mean, *std = self._run(self._files[view][0], _check("x", x, self.view(view).shape))
        return Posterior(mean, std[0] if std else None)

    def codes(self, x: ArrayLike, *, view: str | None = None) -> Codes:
        """Encode items and tell which components their codes belong to."""
        posterior = self.encode(x, view=view)
        return Codes(*posterior, self.log_responsibilities(posterior.mean, view=view))

    def decode(self, latent: ArrayLike, *, view: str | None = None) -> Floats:
        """Items that codes stand for: x as the decoder gives it, not clipped."""
        return self._run(self._files[view][1], self._check_latent(latent, view))[0]

    def reconstruct(self, x: ArrayLike, *, view: str | None = None) -> Reconstruction:
        """Encode items and decode the posterior's mean; the error of each is its sum of squared differences."""
        original = _check("x", x, self.view(view).shape)
        again = self.decode(self.encode(original, view=view).mean, view=view)
        error = np.square(again - original).reshape(len(original), -1).sum(axis=1)
        self._check_finite(error, f"{self._files[view][1]} gave a non-finite error")
        return Reconstruction(again, error)

    def translate(self, x: ArrayLike, source: str, target: str) -> Translation:
        """Encode items of view source, carry their codes over to target, one of its targets, and decode them there."""
        (carried,) = self._run(self.view(source).translator(target), self.encode(x, view=source).mean)
        return Translation(carried, self.decode(carried, view=target))

    def classify(self, *means: ArrayLike) -> Floats:
        """The log-probability (n, C) of each of `manifest.classes`, by codes of all views in the manifest's order."""
        parts = [self._check_latent(mean, view) for mean, view in zip(means, self.manifest.views, strict=True)]
        return self._run(HEAD, np.concatenate(parts, axis=1))[0]

    def log_responsibilities(self, latent: ArrayLike, *, view: str | None = None) -> Floats:
        """The log-probability (n, K) that each component, rather than another, gave each code."""
        return self._run(self.view(view).responsibilities, self._check_latent(latent, view))[0]

    def covariances(self, *, view: str | None = None) -> Floats:
        """The covariance (K, d, d) of every component."""
        space = self.space(view)
        K, d = space.n_components, space.latent_size
        # Along each axis of the noise a component adds a column of its covariance's factor to its mean.
        noise = np.tile(np.eye(d, dtype=np.float32), (K, 1))
        component, temperature = np.repeat(np.arange(K), d), np.ones(K * d, dtype=np.float32)
        (latent,) = self._run(self._files[view][2], component, noise, temperature)
        factor = latent.reshape(K, d, d) - np.array(space.prior.means, dtype=np.float32)[:, None]  # (K, d', d)
        return np.matmul(factor.transpose(0, 2, 1), factor)

    def interpolate(self, start: ArrayLike, end: ArrayLike, steps: int, *, view: str | None = None) -> Floats:
        """Codes (steps, d) on the straight line from start (d,) to end (d,), both included; at least 2 steps."""
        ends = self._check_latent(np.stack([np.asarray(start), np.asarray(end)]), view)
        weight = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return (1 - weight) * ends[0] + weight * ends[1]

    def _check_latent(self, latent: ArrayLike, view: str | None) -> Floats:
        return _check("latent", latent, (self.space(view).latent_size,))

    def _run(self, file: str, *inputs: NDArray) -> list[Floats]:
        session, graph, n = self._sessions[file], self._graphs[file], len(inputs[0])
        chunk, parts = self._chunks[file], []
        for first in range(0, n, chunk):
            check_deadline()
            rows = slice(first, first + chunk)
            feeds = {name: values[rows] for name, values in zip(graph.inputs, inputs, strict=True)}
            parts.append(session.run(None, feeds))
        outputs = parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]
        for name, values in zip(graph.outputs, outputs, strict=True):
            self._check_finite(values, f"{file} gave a non-finite {name}")
        return outputs

    def _check_finite(self, values: Floats, what: str) -> None:
        if not np.isfinite(values).all():
            raise NonFiniteError(f"model {self.name}: {what}")


def _chunk(graph: Graph) -> int:
    tensors = (*graph.inputs.values(), *graph.outputs.values())
    size = max(math.prod(size or 1 for size in tensor.shape) for tensor in tensors)  # None is the number of items
    return max(1, min(CHUNK, CHUNK_VALUES // size))


def _check(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(values, dtype=np.float32)
    if array.shape[1:] != shape or len(array) == 0:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"{name}: expected shape (n, {expected}) with n > 0, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite float32 values")
    return array
