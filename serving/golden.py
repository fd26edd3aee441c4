"""Golden outputs: a bundle's stored inputs must give its stored outputs, on this machine and this provider."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.bundle import BundleError
from serving.manifest import GOLDEN, Graph, Manifest, Space, Tensor
from serving.sessions import Session


def verify_golden(
    folder: Path, manifest: Manifest, contents: Mapping[str, bytes], sessions: Mapping[str, Session]
) -> bool:
    """Run every graph on the inputs in golden.npz and compare with the outputs there.

    Args:
        folder: The bundle's folder, for the messages.
        manifest: What the arrays must be.
        contents: The bundle's files.
        sessions: A session per ONNX file.

    Returns:
        Whether a row gives the same bytes alone as among others, in every graph. Kernels for one row or for the rest of
        a block may add in another order; that depends on the processor.

    Raises:
        BundleError: If arrays are missing, left over or misshapen, if a prior is not covered for every component,
            if an output is further from the stored one than the manifest's tolerance, or if the mixture that the
            manifest reports is not the one that its graph draws from.
    """
    graphs = manifest.graphs()
    arrays = _read_arrays(folder, contents[GOLDEN])
    _compare_keys(folder, graphs, arrays)
    for file, space in manifest.spaces().items():
        covered = set(arrays[f"{file}:component"].tolist())
        if covered != set(range(space.n_components)):
            raise BundleError(folder, GOLDEN, f"every component of {space.n_components}", f"{sorted(covered)}")
    alike = True
    for file, graph in graphs.items():
        given = {name: _array(folder, arrays, file, name, tensor) for name, tensor in graph.inputs.items()}
        outputs = sessions[file].run(list(graph.outputs), given)
        for (name, tensor), found in zip(graph.outputs.items(), outputs, strict=True):
            expected = _array(folder, arrays, file, name, tensor)
            _compare(folder, file, name, expected, found, manifest.parity[file].tolerance)
        alike = alike and _is_alike(sessions[file], given, outputs)
    for file, space in manifest.spaces().items():
        _compare_prior(folder, file, space, sessions[file], manifest.parity[file].tolerance)
    return alike


def _is_alike(session: Session, given: Mapping[str, NDArray], outputs: list[NDArray]) -> bool:
    n = len(outputs[0])
    for rows in (slice(0, 1), slice(n - 1, n), slice(0, 2), slice(0, 3)):
        some = session.run(None, {name: values[rows] for name, values in given.items()})
        if not all(np.array_equal(part, output[rows]) for part, output in zip(some, outputs, strict=True)):
            return False
    many: dict[str, NDArray] = {name: np.concatenate([values] * 7) for name, values in given.items()}
    some = session.run(None, many)
    return all(np.array_equal(part[-n:], output) for part, output in zip(some, outputs, strict=True))


def deviation(expected: NDArray, found: NDArray) -> float:
    """The largest difference between two arrays: absolute where |expected| <= 1, relative beyond; NaN if any is."""
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


def _compare_prior(folder: Path, file: str, space: Space, session: Session, tolerance: float) -> None:
    K, d = space.n_components, space.latent_size
    # Without noise a component gives its mean; along each axis of the noise, a column of its covariance's factor.
    noise = np.tile(np.vstack([np.zeros((1, d)), np.eye(d)]), (K, 1)).astype(np.float32)
    component, temperature = np.repeat(np.arange(K), d + 1), np.ones(K * (d + 1), dtype=np.float32)
    feeds: dict[str, NDArray] = {"component": component, "noise": noise, "temperature": temperature}
    latent = session.run(["latent"], feeds)[0].reshape(K, d + 1, d).astype(np.float64)
    std = np.sqrt(np.square(latent[:, 1:] - latent[:, :1]).sum(axis=1))
    for name, told, found in (("means", space.prior.means, latent[:, 0]), ("stds", space.prior.stds, std)):
        error = float(np.abs(found - np.array(told)).max())
        if not error <= tolerance:
            raise BundleError(folder, file, f"the manifest's prior.{name}", f"a difference of {error:g}")


def _read_arrays(folder: Path, content: bytes) -> dict[str, NDArray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(folder, GOLDEN, "arrays in NumPy's npz format", f"{error}") from None


def _compare_keys(folder: Path, graphs: Mapping[str, Graph], arrays: Mapping[str, NDArray]) -> None:
    expected = {f"{file}:{name}" for file, graph in graphs.items() for name in (*graph.inputs, *graph.outputs)}
    if expected != set(arrays):
        missing, extra = sorted(expected - set(arrays)), sorted(set(arrays) - expected)
        raise BundleError(folder, GOLDEN, "one array per tensor of each graph", f"missing {missing}, unknown {extra}")


def _array(folder: Path, arrays: Mapping[str, NDArray], file: str, name: str, tensor: Tensor) -> NDArray:
    array = arrays[f"{file}:{name}"]
    fits = array.ndim == len(tensor.shape) and array.shape[1:] == tensor.shape[1:] and len(array) > 0
    if not fits or array.dtype != tensor.dtype or not np.isfinite(array).all():
        expected = f"finite {tensor.dtype} ({', '.join(str(size or 'n') for size in tensor.shape)}) in {file}:{name}"
        raise BundleError(folder, GOLDEN, expected, f"{array.dtype} {array.shape}")
    return array


def _compare(folder: Path, file: str, name: str, expected: NDArray, found: NDArray, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise BundleError(folder, file, f"{name} of shape {expected.shape} from {GOLDEN}", f"{found.shape}")
    error = deviation(expected, found)
    if not error <= tolerance:  # NaN fails too
        raise BundleError(folder, file, f"{name} within {tolerance:g} of {GOLDEN}", f"a difference of {error:g}")
