"""Golden outputs: a bundle's stored inputs must give its stored outputs, on this machine and this provider."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.bundle import BundleError, check_array, read_arrays
from serving.manifest import GOLDEN, Manifest, Space
from serving.sessions import Session


def verify_golden(
    folder: Path, manifest: Manifest, contents: Mapping[str, bytes], sessions: Mapping[str, Session]
) -> bool:
    """Run every graph, by its session, on the inputs in golden.npz and compare with the outputs there.

    Returns:
        Whether a row gives the same bytes alone as among others, in every graph. Kernels for one row or for the rest of
        a block may add in another order; that depends on the processor.

    Raises:
        BundleError: If arrays are missing, left over or misshapen, if a prior is not covered for every component,
            if an output is further from the stored one than the manifest's tolerance, or if the mixture that the
            manifest reports is not the one that its graph draws from.
    """
    graphs = manifest.graphs()
    arrays = read_arrays(folder, GOLDEN, contents[GOLDEN])
    tensors = {
        f"{file}:{name}": tensor
        for file, graph in graphs.items()
        for name, tensor in (graph.inputs | graph.outputs).items()
    }
    if tensors.keys() != arrays.keys():
        missing, extra = sorted(tensors.keys() - arrays.keys()), sorted(arrays.keys() - tensors.keys())
        raise BundleError(folder, GOLDEN, "one array per tensor of each graph", f"missing {missing}, unknown {extra}")
    for name, tensor in tensors.items():
        check_array(folder, GOLDEN, name, arrays[name], tensor)
    for file, space in manifest.spaces().items():
        covered = set(arrays[f"{file}:component"].tolist())
        if covered != set(range(space.n_components)):
            raise BundleError(folder, GOLDEN, f"every component of {space.n_components}", f"{sorted(covered)}")
    alike = True
    for file, graph in graphs.items():
        given = {name: arrays[f"{file}:{name}"] for name in graph.inputs}
        outputs = sessions[file].run(list(graph.outputs), given)
        for name, found in zip(graph.outputs, outputs, strict=True):
            _compare(folder, file, name, arrays[f"{file}:{name}"], found, manifest.parity[file].tolerance)
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


def _compare(folder: Path, file: str, name: str, expected: NDArray, found: NDArray, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise BundleError(folder, file, f"{name} of shape {expected.shape} from {GOLDEN}", f"{found.shape}")
    error = deviation(expected, found)
    if not error <= tolerance:  # NaN fails too
        raise BundleError(folder, file, f"{name} within {tolerance:g} of {GOLDEN}", f"a difference of {error:g}")
