"""A trained run to a bundle folder: frozen, proven, then moved into place in one step."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.graphs import TorchGraph, torch_graphs
from export.onnx_file import write_onnx
from export.parity import onnx_runner, prove_parity, torchscript_runner
from serving.bundle import GOLDEN, Manifest, Parity, Prior, Training, View, describe_files, write_manifest
from serving.engine import Engine
from training.evaluation import evaluate
from training.runs import Run

GOLDEN_ROWS = 4  # per graph; the prior's graph has one per component at least


class ExportError(ValueError):
    """The bundle cannot be written where it was asked for."""


def export_run(run: Run, out: Path, *, torchscript: bool = False, overwrite: bool = False) -> Manifest:
    """Freeze a run into a bundle.

    Args:
        run: The trained run.
        out: The bundle's folder; its name is the model's name.
        torchscript: Also write each graph as TorchScript, into torchscript/, for C++.
        overwrite: Replace a bundle that is there.

    Returns:
        The manifest, as written.

    Raises:
        ExportError: If `out` exists and is not to be replaced, or is no bundle.
        ParityError: If a frozen graph does not compute what the network computes; nothing is left behind.
        BundleError: If the finished bundle does not load in the serving engine; nothing is left behind.
    """
    if out.exists() and not overwrite:
        raise ExportError(f"{out} exists: choose another --out, or replace it with --overwrite")
    if out.exists() and not (out / "manifest.json").is_file():
        raise ExportError(f"{out} exists and is no bundle (no manifest.json): it will not be replaced")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.mkdir()
    try:
        manifest = _write(run, part, torchscript=torchscript)
        Engine(part)  # what serving will do, done here first
        move_into_place(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _write(run: Run, folder: Path, *, torchscript: bool) -> Manifest:
    graphs = torch_graphs(run.autoencoder, run.data.pixels(run.data.test[:32]))
    parity = {name: _freeze(name, graph, folder) for name, graph in graphs.items()}
    if torchscript:
        (folder / "torchscript").mkdir()
        for name, graph in graphs.items():
            _freeze_torchscript(name.removesuffix(".onnx") + ".pt", graph, folder / "torchscript")
    _write_golden(folder / GOLDEN, graphs)
    mean, std = (tensor.detach() for tensor in run.autoencoder.prior.gaussians())
    weights = run.autoencoder.prior.weights[None]
    manifest = Manifest(
        kind="probabilistic" if run.autoencoder.probabilistic else "deterministic",
        views={"image": View(kind="image", shape=run.data.shape, value_range=(0.0, 1.0))},
        latent_size=mean.shape[1],
        n_components=len(mean),
        prior=Prior(weights=_floats(weights)[0], means=_floats(mean), stds=_floats(std)),
        files=describe_files(folder),
        parity=parity,
        training=_training(run),
        scores=evaluate(run.autoencoder, run.data),
    )
    write_manifest(folder, manifest)
    return manifest


def _freeze(name: str, graph: TorchGraph, folder: Path) -> Parity:
    write_onnx(graph, folder / name)
    return prove_parity(name, graph, onnx_runner(folder / name, graph.outputs))


def _freeze_torchscript(name: str, graph: TorchGraph, folder: Path) -> None:
    with warnings.catch_warnings():
        # Torch advises torch.export instead; C++ programs that load TorchScript today are why this exists.
        warnings.simplefilter("ignore", FutureWarning)
        example = {key: tensor[:2] for key, tensor in graph.inputs.items()}
        torch.jit.trace(graph.module, example_kwarg_inputs=example).save(str(folder / name))
        prove_parity(f"torchscript/{name}", graph, torchscript_runner(folder / name, graph.outputs))


def _write_golden(path: Path, graphs: dict[str, TorchGraph]) -> None:
    """Inputs, and what torch makes of them, for the serving engine to check itself with."""
    arrays = {}
    for name, graph in graphs.items():
        rows = slice(None) if name == "prior.onnx" else slice(GOLDEN_ROWS)
        inputs = {key: tensor[rows] for key, tensor in graph.inputs.items()}
        for key, tensor in (inputs | graph.run(inputs)).items():
            arrays[f"{name}:{key}"] = tensor.numpy()
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its stub takes keywords for options


def _training(run: Run) -> Training:
    return Training(
        # Where the data lay and where the run went are facts of one machine, not of the model.
        config=run.config.model_dump(mode="json", exclude={"out": True, "data": {"data_dir"}}),
        dataset=run.data.name,
        epochs=run.epochs,
        seed=run.config.seed,
        code_revision=run.origin["code_revision"],
        date=run.origin["date"],
        command=run.config.command(),
    )


def _floats(tensor: Tensor) -> list[list[float]]:
    """Float32 values in the fewest digits that read back as the same float32."""
    return [[float(str(value)) for value in row] for row in tensor.numpy()]


def move_into_place(part: Path, out: Path) -> None:
    """Folders cannot be swapped in one step everywhere: the old one steps aside first, and back if the move fails."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        out.replace(old)
    try:
        part.replace(out)
    except OSError:
        if old.exists():
            old.replace(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
