"""A trained run to a bundle folder: frozen, proven, then moved into place in one step."""

import re
import warnings
from pathlib import Path

import numpy as np
import torch

from export.card import check_licence, write_card
from export.folders import replacing
from export.graphs import TorchGraph, torch_graphs
from export.manifests import image_manifest, views_manifest
from export.onnx_file import write_onnx
from export.parity import TOLERANCE, onnx_runner, prove_parity, torchscript_runner
from export.views import views_graphs
from serving.bundle import check_name, describe_files, write_manifest
from serving.manifest import GOLDEN, NAME, NAME_WORDS, PRIOR, Manifest, Parity
from training.multiview.runs import CotrainedRun
from training.runs import Run, resume_command

GOLDEN_ROWS = 4  # per graph; a prior's graph has one per component at least


class ExportError(ValueError):
    """A run cannot be made a bundle, or not where it was asked for."""


def export_run(
    run: Run | CotrainedRun,
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
        ExportError: If `out` exists and is not to be replaced, or is no bundle; or if a co-training run was not ended.
        ParityError: If a frozen graph does not compute what the network computes; nothing is left behind.
        CardError: If `licence` is not written as model hubs do.
        BundleError: If the service refuses the folder's name, or the finished bundle does not load in its engine;
            nothing is left behind.
    """
    check_licence(licence)
    check_name(out)
    if isinstance(run, CotrainedRun):
        _check_views(run.autoencoders.names)
    if out.exists() and not overwrite:
        raise ExportError(f"{out} exists: choose another --out, or replace it with --overwrite")
    if out.exists() and not (out / "manifest.json").is_file():
        raise ExportError(f"{out} exists and is no bundle (no manifest.json): it will not be replaced")
    if isinstance(run, CotrainedRun) and not run.finished:
        raise ExportError(
            f"{run.folder}: expected a run that was ended, with couplings and classifier, got one at step {run.step}; "
            f"go on with `{resume_command('cotrain', run.folder)}`"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as part:
        _write(run, part, credit=credit, licence=licence, torchscript=torchscript)
        return write_card(part, name=out.name)  # loads it too: what serving will do, done here first


def _check_views(names: tuple[str, ...]) -> None:
    for name in names:
        if not re.fullmatch(NAME, name):
            raise ExportError(f"view {name!r}: expected {NAME_WORDS}; rename its file or array and train anew")


def _write(run: Run | CotrainedRun, folder: Path, *, credit: str, licence: str, torchscript: bool) -> None:
    if isinstance(run, CotrainedRun):
        graphs = views_graphs(run.autoencoders)
    else:
        graphs = torch_graphs(run.autoencoder, run.data.pixels(run.data.test[:32]))
    parity = {name: _freeze(name, graph, folder) for name, graph in graphs.items()}
    if torchscript:
        for name, graph in graphs.items():
            _freeze_torchscript(name.removesuffix(".onnx") + ".pt", graph, folder / "torchscript")
    _write_golden(folder / GOLDEN, graphs)
    files = describe_files(folder)
    if isinstance(run, CotrainedRun):
        manifest = views_manifest(run, files=files, parity=parity, credit=credit)
    else:
        manifest = image_manifest(run, files=files, parity=parity, credit=credit)
    write_manifest(folder, Manifest.model_validate(manifest.model_dump() | {"licence": licence}))


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
