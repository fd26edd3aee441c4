"""One bundle, verified and loaded: arrays in, arrays out. Nothing here knows of HTTP.

>>> engine = Engine(Path("models/mnist-prae"))
>>> engine.sample(4, seed=7).x.shape
(4, 1, 28, 28)
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving.bundle import hash_file, read_manifest, verify_files
from serving.deadline import check
from serving.examples import Examples, read_examples
from serving.golden import verify_golden
from serving.graphs import verify_graphs
from serving.manifest import HEAD, MANIFEST, Graph, Manifest, Space, View
from serving.provider import CPU, open_session
from serving.randomness import draw_components, draw_noise

Floats = NDArray[np.float32]
# Items and values per run of a graph: bounds the memory of a large request and how long it runs past its deadline.
CHUNK = 64
CHUNK_VALUES = 2**20


class NonFiniteError(ArithmeticError):
    """A graph gave NaN or infinity."""


class Posterior(NamedTuple):
    """What an encoder says of n items: mean (n, d), and std (n, d) if it is probabilistic."""

    mean: Floats
    std: Floats | None


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
    """A loaded bundle: its `name` (the folder's), `version`, `manifest`, and the `provider` its sessions report."""

    name: str
    version: str
    """The first 12 hexadecimal digits of the manifest's sha256; the manifest holds that of every other file."""
    manifest: Manifest
    provider: Literal["cpu", "cuda"]
    examples: Examples | None
    """Real items that the bundle brings along."""

    def __init__(self, folder: Path, provider: Literal["auto", "cpu", "cuda"] = "cpu") -> None:
        """Verify a bundle and load it; no part of a bundle that fails is used.

        Raises `serving.bundle.BundleError` if the bundle is unsound, `serving.provider.ProviderError` if the provider
        cannot be had.

        Args:
            folder: The bundle's folder.
            provider: "auto" takes a CUDA device if there is one, "cuda" insists on it.
        """
        self.name = folder.name
        self.manifest = read_manifest(folder)
        self.version = hash_file(folder / MANIFEST)[:12]
        contents = verify_files(folder, self.manifest)
        verify_graphs(folder, self.manifest, contents)
        self._graphs = self.manifest.graphs()
        self._spaces = {name: self.manifest.space(name) for name in self.manifest.views}
        self._chunks = {file: _chunk(graph) for file, graph in self._graphs.items()}
        self._sessions = {file: open_session(contents[file], provider) for file in self._graphs}
        used = {session.get_providers()[0] for session in self._sessions.values()}
        self.provider = "cpu" if CPU in used else "cuda"
        verify_golden(folder, self.manifest, contents, self._sessions)
        self.examples = read_examples(folder, self.manifest, contents)

    def view(self, name: str | None = None) -> View:
        """A view by name, a key of `manifest.views`; the first if None."""
        return self.manifest.views[self._view_name(name)]

    def space(self, view: str | None = None) -> Space:
        """The latent space of a view; of the first if None."""
        return self._spaces[self._view_name(view)]

    def sample(
        self,
        n: int = 1,
        *,
        seed: int,
        component: int | ArrayLike | None = None,
        temperature: float = 1.0,
        view: str | None = None,
    ) -> Sample:
        """Generate items from the prior.

        Args:
            n: How many.
            seed: In [0, 2^53); equal seeds give equal items.
            component: One component for all, one per item (n,), or None to draw them by the mixture's weights.
            temperature: Scales every component's standard deviation; 0 gives the means.
            view: The view to generate; None for the first.

        Returns:
            The items, their latent codes and their components.

        Raises:
            ValueError: If a component is not in [0, K).
        """
        space = self.space(view)
        if component is None:
            components = draw_components(seed, n, np.array(space.prior.weights))
        else:
            components = np.broadcast_to(np.asarray(component, dtype=np.int64), (n,)).copy()
        if components.min() < 0 or components.max() >= space.n_components:
            raise ValueError(f"component: expected 0 to {space.n_components - 1}, got {components.tolist()}")
        noise = draw_noise(seed, n, space.latent_size)
        (latent,) = self._run(self.view(view).prior, components, noise, np.full(n, temperature, dtype=np.float32))
        return Sample(components, latent, self.decode(latent, view=view))

    def encode(self, x: ArrayLike, *, view: str | None = None) -> Posterior:
        """Encode items.

        Args:
            x: (n, *shape), in the view's value range.
            view: The view that x is of; None for the first.

        Returns:
            The posterior over latent codes, item by item.
        """
        mean, *std = self._run(self.view(view).encoder, _check("x", x, self.view(view).shape))
        return Posterior(mean, std[0] if std else None)

    def decode(self, latent: ArrayLike, *, view: str | None = None) -> Floats:
        """Decode latent codes.

        Args:
            latent: (n, d).
            view: The view to decode into; None for the first.

        Returns:
            x, (n, *shape), as the decoder gives it, not clipped.
        """
        return self._run(self.view(view).decoder, self._check_latent(latent, view))[0]

    def reconstruct(self, x: ArrayLike, *, view: str | None = None) -> Reconstruction:
        """Encode items and decode the posterior's mean.

        Args:
            x: (n, *shape), in the view's value range.
            view: The view that x is of; None for the first.

        Returns:
            The reconstruction and its error, per item the sum over all values of squared differences.
        """
        original = _check("x", x, self.view(view).shape)
        again = self.decode(self.encode(original, view=view).mean, view=view)
        error = np.square(again - original).reshape(len(original), -1).sum(axis=1)
        self._check_finite(error, f"{self.view(view).decoder} gave a non-finite error")
        return Reconstruction(again, error)

    def translate(self, x: ArrayLike, source: str, target: str) -> Translation:
        """Encode items of one view, carry their codes over to another, decode them there.

        Args:
            x: (n, *shape), in the value range of `source`.
            source: The view that x is of.
            target: The view to translate into, one of the targets of `source`.

        Returns:
            The items as the other view would show them, and their codes there.
        """
        (carried,) = self._run(self.view(source).translator(target), self.encode(x, view=source).mean)
        return Translation(carried, self.decode(carried, view=target))

    def classify(self, means: Mapping[str, ArrayLike]) -> Floats:
        """The log-probability of each of `manifest.classes`, of which there must be some.

        Args:
            means: Codes (n, d) of every view.

        Returns:
            (n, C); the exponentials of a row sum to 1.
        """
        parts = [self._check_latent(means[name], name) for name in self.manifest.views]
        return self._run(HEAD, np.concatenate(parts, axis=1))[0]

    def log_responsibilities(self, latent: ArrayLike, *, view: str | None = None) -> Floats:
        """The log-probability that each component, rather than another, gave each code.

        Args:
            latent: (n, d).
            view: The view whose space the codes are in; None for the first.

        Returns:
            (n, K); the exponentials of a row sum to 1.
        """
        return self._run(self.view(view).responsibilities, self._check_latent(latent, view))[0]

    def covariances(self, *, view: str | None = None) -> Floats:
        """The covariance of every component.

        Args:
            view: The view whose prior to look at; None for the first.

        Returns:
            (K, d, d).
        """
        space = self.space(view)
        K, d = space.n_components, space.latent_size
        # Along each axis of the noise a component adds a column of its covariance's factor to its mean.
        noise = np.tile(np.eye(d, dtype=np.float32), (K, 1))
        component, temperature = np.repeat(np.arange(K), d), np.ones(K * d, dtype=np.float32)
        (latent,) = self._run(self.view(view).prior, component, noise, temperature)
        factor = latent.reshape(K, d, d) - np.array(space.prior.means, dtype=np.float32)[:, None]  # (K, d', d)
        return np.matmul(factor.transpose(0, 2, 1), factor)

    def interpolate(self, start: ArrayLike, end: ArrayLike, steps: int, *, view: str | None = None) -> Floats:
        """Latent codes on the straight line between two.

        Args:
            start: (d,), the first.
            end: (d,), the last.
            steps: How many, both ends included; at least 2.
            view: The view whose space the codes are in; None for the first.

        Returns:
            (steps, d).
        """
        ends = self._check_latent(np.stack([np.asarray(start), np.asarray(end)]), view)
        weight = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return (1 - weight) * ends[0] + weight * ends[1]

    def _view_name(self, name: str | None) -> str:
        return next(iter(self.manifest.views)) if name is None else name

    def _check_latent(self, latent: ArrayLike, view: str | None) -> Floats:
        return _check("latent", latent, (self.space(view).latent_size,))

    def _run(self, file: str, *inputs: NDArray) -> list[Floats]:
        session, graph, n = self._sessions[file], self._graphs[file], len(inputs[0])
        chunk, parts = self._chunks[file], []
        for first in range(0, n, chunk):
            check()
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
