"""Torch module to a single ONNX file that is the same, byte for byte, each time and in each place."""

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from export.graphs import TorchGraph

OPSET = 20


def write_onnx(graph: TorchGraph, path: Path) -> None:
    """Freeze a module to ONNX.

    Args:
        graph: The module, with inputs to trace it with.
        path: The file to write; all data inside it, the first axis of every tensor dynamic and named "batch".

    Raises:
        onnx.checker.ValidationError: If the exporter produced a graph that breaks ONNX's rules.
        RuntimeError: If the exporter produced none.
    """
    with warnings.catch_warnings():
        # The prior's three inputs share one axis, and the exporter tells that it named it once.
        warnings.filterwarnings("ignore", message="# The axis name")
        program = torch.onnx.export(
            graph.module,
            # Two rows: with one, the exporter may take the batch for a constant.
            kwargs={name: tensor[:2] for name, tensor in graph.inputs.items()},
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes={name: {0: "batch"} for name in graph.inputs},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("expected torch.onnx.export to give a program, got None")
    model = program.model_proto
    strip(model)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the place it ran in: stack traces with the paths of source files."""
    parts: list[Any] = [model, model.graph]
    for body in (model.graph, *model.functions):
        parts += [body, *body.node, *body.value_info]
    parts += [*model.graph.input, *model.graph.output, *model.graph.initializer]
    for part in parts:
        for field in ("metadata_props", "doc_string"):
            if field in part.DESCRIPTOR.fields_by_name:
                part.ClearField(field)
