"""Checks of ONNX graphs: tensors as the contract names them, finite constants, no random operators, one file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

from serving.bundle import BundleError
from serving.manifest import Graph, Manifest, Tensor

# Randomness is an input: an operator that draws keeps its state in the session, so that equal seeds would differ.
RANDOM_OPERATORS = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def verify_graphs(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Check every ONNX file of a bundle without running it; the contents are by path, as they were verified.

    Raises `BundleError` if a file is no ONNX model, keeps data outside itself, draws random numbers, holds a non-finite
    constant, or takes or gives other tensors than the contract says.
    """
    for file, graph in manifest.graphs().items():
        _verify_graph(folder, file, graph, contents[file])


def _verify_graph(folder: Path, file: str, expected: Graph, content: bytes) -> None:
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise BundleError(folder, file, "an ONNX model", f"{error}") from None
    _compare_tensors(folder, file, "inputs", expected.inputs, _tensors(model.graph.input))
    _compare_tensors(folder, file, "outputs", expected.outputs, _tensors(model.graph.output))
    for body in _bodies([model.graph, *model.functions]):
        for node in body.node:
            if node.op_type in RANDOM_OPERATORS:
                raise BundleError(folder, file, "randomness as an input", f"a node of type {node.op_type}")
        for name, tensor in _constants(body):
            _verify_constant(folder, file, name, tensor)


def _verify_constant(folder: Path, file: str, name: str, tensor: Any) -> None:
    if tensor.data_location == TensorProto.EXTERNAL:
        raise BundleError(folder, file, "all data in one file", f"constant '{name}' in another file")
    if tensor.data_type == TensorProto.STRING:
        return
    values = numpy_helper.to_array(tensor)
    if values.dtype.kind in "biu":
        return
    bad = int(np.size(values) - np.isfinite(values.astype(np.float64)).sum())
    if bad:
        raise BundleError(folder, file, "finite constants", f"{bad} non-finite value(s) in constant '{name}'")


def _compare_tensors(folder: Path, file: str, role: str, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    if list(found) != list(expected):
        raise BundleError(folder, file, f"{role} {list(expected)}", f"{role} {list(found)}")
    for name, tensor in expected.items():
        if found[name] != tensor:
            raise BundleError(folder, file, f"{name}: {tensor}", f"{found[name]}")


def _tensors(values: Any) -> dict[str, Tensor]:
    tensors = {}
    for value in values:
        kind = value.type.tensor_type
        shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
        tensors[value.name] = Tensor(str(helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape)  # type: ignore[arg-type]
    return tensors


def _bodies(bodies: list[Any]) -> Iterator[Any]:
    """Graphs and functions, and the branches and loops inside them."""
    for body in bodies:
        yield body
        for node in body.node:
            for attribute in node.attribute:
                yield from _bodies([attribute.g, *attribute.graphs])


def _constants(body: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor stored in one graph or function: initializers, and whatever its nodes carry as attributes."""
    for tensor in getattr(body, "initializer", []):
        yield tensor.name, tensor
    for sparse in getattr(body, "sparse_initializer", []):
        yield sparse.values.name, sparse.values
    for node in body.node:
        name = node.output[0] if node.output else node.op_type
        for attribute in node.attribute:
            for tensor in [attribute.t, attribute.sparse_tensor.values, *attribute.tensors]:
                if tensor.data_type:
                    yield name, tensor
            floats = [attribute.f, *attribute.floats]
            yield name, numpy_helper.from_array(np.array(floats, dtype=np.float32))
