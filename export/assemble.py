"""A trained run to a bundle folder: frozen, proven, then moved into place in one step."""

import re
import warnings
from pathlib import Path

import numpy as np
import torch

from export.atomic import replacing
from export.bundle_files import describe_files, write_manifest
from export.card import check_licence, write_card
from export.graphs import TorchGraph, torch_graphs
from export.manifest import describe_run, without_folders
from export.onnx_file import write_onnx
from export.parity import TOLERANCE, onnx_runner, prove_parity, torchscript_runner
from serving.bundle import check_name, read_manifest, verify_files
from serving.engine import Engine
from serving.manifest import GOLDEN, NAME, NAME_WORDS, PRIOR, Manifest, Parity
from training.runs import Run

GOLDEN_ROWS = 4  # per graph; a prior's graph has one per component at least


class ExportError(ValueError):
    """A run cannot be made a bundle, or not where it was asked for."""


def export_run(
    run: Run,
    out: Path,
    *,
    credit: str = "",
    licence: str = "",
    torchscript: bool = False,
    overwrite: bool = False,
) -> Manifest:
    """Freeze a run into a bundle.

    Args:
        run: The trained run, of one view or of several.
        out: The bundle's folder; its name is the model's name.
        credit: Whose data the run was trained on, and under which licence.
        licence: Licence of the model itself, by the name that model hubs give it (`apache-2.0`).
        torchscript: Also write each graph as TorchScript, into torchscript/, for C++.
        overwrite: Replace a bundle that is there.

    Returns:
        The manifest, as written.

    Raises:
        ExportError: If `out` exists and is not to be replaced, or is no bundle; or if a view has no name for a folder.
        RunError: If the run was stopped before it had what its method finds after the last step.
        ParityError: If a frozen graph does not compute what the network computes; nothing is left behind.
        CardError: If `licence` is not written as model hubs do.
        BundleError: If the service refuses the folder's name, or the finished bundle does not load in its engine;
            nothing is left behind.
    """
    check_licence(licence)
    check_name(out)
    check_views(run.model.names)
    if out.exists() and not overwrite:
        raise ExportError(f"{out} exists: choose another --out, or replace it with --overwrite")
    if out.exists() and not (out / "manifest.json").is_file():
        raise ExportError(f"{out} exists and is no bundle (no manifest.json): it will not be replaced")
    run.check_usable()
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as part:
        graphs = torch_graphs(run.model)
        parity = {name: _freeze(name, graph, part) for name, graph in graphs.items()}
        if torchscript:
            for name, graph in graphs.items():
                _freeze_torchscript(name.removesuffix(".onnx") + ".pt", graph, part / "torchscript")
        _write_golden(part / GOLDEN, graphs)
        files = describe_files(part)
        write_manifest(part, describe_run(run, files=files, parity=parity, credit=credit, licence=licence))
        return complete(part, name=out.name)


def complete(folder: Path, *, name: str) -> Manifest:
    """Write a bundle's card, and load the folder as finally written: what serving will do, done here first.

    Args:
        folder: A bundle with its graphs, golden pairs and manifest, before it takes its place.
        name: The model's name.

    Returns:
        The manifest, as written.
    """
    write_card(folder, Engine.load(folder), name=name)
    return Engine.load(folder).manifest


def rewrite_card(bundle: Path, *, credit: str | None = None, licence: str | None = None) -> Manifest:
    """Replace a bundle by the same graphs with a new card, in one step: a service that watches it takes it up.

    Args:
        bundle: The bundle's folder.
        credit: Whose data it was trained on, and under which licence; None leaves what the manifest says.
        licence: Licence of the model itself, by the name that model hubs give it; None likewise.

    Returns:
        The manifest, as written.

    Raises:
        BundleError: If the bundle is not sound; it stays as it is.
        CardError: If `licence` is not written as model hubs do.
    """
    check_licence(licence or "")
    folder = bundle.resolve()
    manifest = read_manifest(folder)
    contents = verify_files(folder, manifest)
    told = {"credit": credit, "licence": licence, "training": without_folders(manifest.training).model_dump()}
    changed = Manifest.model_validate(manifest.model_dump() | {key: v for key, v in told.items() if v is not None})
    with replacing(folder) as part:
        for name, content in contents.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        write_manifest(part, changed)
        return complete(part, name=folder.name)


def check_views(names: tuple[str, ...]) -> None:
    """Raise ExportError unless all views have names that the service takes."""
    for name in names:
        if not re.fullmatch(NAME, name):
            raise ExportError(f"view {name!r}: expected {NAME_WORDS}; rename its file or array and train anew")


def _freeze(name: str, graph: TorchGraph, folder: Path) -> Parity:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_onnx(graph, folder / name)
    return prove_parity(name, graph, onnx_runner(folder / name, graph.outputs), tolerance=TOLERANCE * graph.scale)


def _freeze_torchscript(name: str, graph: TorchGraph, folder: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Torch advises torch.export instead; C++ programs that load TorchScript today are why this exists.
        warnings.simplefilter("ignore", FutureWarning)
        example = {key: tensor[:2] for key, tensor in graph.inputs.items()}
        torch.jit.trace(graph.module, example_kwarg_inputs=example).save(str(folder / name))
        runner = torchscript_runner(folder / name, graph.outputs)
        prove_parity(f"torchscript/{name}", graph, runner, tolerance=TOLERANCE * graph.scale)


def _write_golden(path: Path, graphs: dict[str, TorchGraph]) -> None:
    """Inputs, and what torch makes of them, for the serving engine to check itself with."""
    arrays = {}
    for name, graph in graphs.items():
        rows = slice(None) if name.endswith(PRIOR) else slice(GOLDEN_ROWS)
        inputs = {key: tensor[rows] for key, tensor in graph.inputs.items()}
        for key, tensor in (inputs | graph.run(inputs)).items():
            arrays[f"{name}:{key}"] = tensor.numpy()
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its stub takes keywords for options
