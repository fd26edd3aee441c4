"""Check that an exported graph computes what torch computes: the largest deviation on the same inputs."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.graphs import TorchGraph
from serving.golden import deviation
from serving.manifest import Parity

# A three-hundredth of a grey level in pixels; float32 on one CPU stays a hundred times below, CUDA's other order of
# summation needs some of the room.
TOLERANCE = 1e-4
BATCHES = (1, 2, 17)

Runner = Callable[[dict[str, Tensor]], dict[str, NDArray]]


class ParityError(ValueError):
    """A frozen graph does not compute what the network computes."""


def onnx_runner(path: Path, outputs: tuple[str, ...]) -> Runner:
    """What runs an ONNX file on the CPU, from named tensors to named arrays."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, Tensor]) -> dict[str, NDArray]:
        arrays = session.run(list(outputs), {name: tensor.numpy() for name, tensor in inputs.items()})
        return dict(zip(outputs, arrays, strict=True))

    return run


def torchscript_runner(path: Path, outputs: tuple[str, ...]) -> Runner:
    """What runs a TorchScript file on the CPU, from named tensors to named arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = torch.jit.load(str(path), map_location="cpu")

    def run(inputs: dict[str, Tensor]) -> dict[str, NDArray]:
        with torch.inference_mode():
            result = module(**inputs)
        tensors = result if isinstance(result, tuple) else (result,)
        return {name: tensor.numpy() for name, tensor in zip(outputs, tensors, strict=True)}

    return run


def prove_parity(name: str, graph: TorchGraph, run: Runner, *, tolerance: float = TOLERANCE) -> Parity:
    """Compare a frozen graph with its module at batch 1, 2, 17 and on all example rows.

    Args:
        name: The file, for the message.
        graph: The module and its real and extreme inputs.
        run: What runs the frozen graph.
        tolerance: The largest deviation allowed (see `serving.golden.deviation`).

    Returns:
        The largest deviation seen, with the tolerance.

    Raises:
        ParityError: If the deviation is above the tolerance, not finite, or shapes differ.
    """
    worst = 0.0
    rows = len(next(iter(graph.inputs.values())))
    for batch in (*BATCHES, rows):
        for start in range(0, rows - batch + 1, batch):
            inputs = {key: tensor[start : start + batch].contiguous() for key, tensor in graph.inputs.items()}
            expected, found = graph.run(inputs), run(inputs)
            for output, tensor in expected.items():
                if found[output].shape != tuple(tensor.shape):
                    raise ParityError(
                        f"{name}: expected {output} of shape {tuple(tensor.shape)}, got {found[output].shape}"
                    )
                worst = (
                    np.fmax(worst, error) if np.isfinite(error := deviation(tensor.numpy(), found[output])) else np.nan
                )
                if not worst <= tolerance:
                    raise ParityError(
                        f"{name}: expected {output} within {tolerance:g} of torch at batch {batch}, got {worst:g}; "
                        "nothing was exported"
                    )
    return Parity(max_abs_error=float(worst), tolerance=tolerance)
