"""A bundle as a model repository of NVIDIA Triton Inference Server, for those who outgrow `python -m serving`.

One model per graph, named BUNDLE-GRAPH or BUNDLE-VIEW-GRAPH, and three ensembles per view that chain them in Triton:

    BUNDLE-encode        x -> mean [, std], log_responsibilities
    BUNDLE-reconstruct   x -> reconstruction
    BUNDLE-sample        component, noise, temperature -> x

Randomness stays an input: the client draws components and noise, as the service does.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from export.assemble import ExportError
from export.atomic import move_into_place
from serving.bundle import read_manifest, verify_files
from serving.manifest import Graph, Manifest, Tensor
from serving.onnx_checks import verify_graphs

MAX_BATCH = 64  # items that Triton runs at once, as the service does by default
QUEUE_DELAY = 1000  # microseconds that a request may wait for others to share its batch
TYPES = {"float32": "TYPE_FP32", "int64": "TYPE_INT64"}


class _Word(str):
    """A name of an enumeration, which Protobuf's text format wants without quotes."""


def export_triton(bundle: Path, repository: Path) -> list[str]:
    """Write a bundle's models into a model repository.

    Args:
        bundle: The bundle's folder; its name begins the models' names.
        repository: The folder to write them into; made if it is not there, other models in it stay as they are.

    Returns:
        The names of the models, ensembles last.

    Raises:
        BundleError: If the bundle is not sound; nothing is written.
        ExportError: If a model of that name is there already; nothing is written.
    """
    folder = bundle.resolve()
    manifest = read_manifest(folder)
    contents = verify_files(folder, manifest)
    verify_graphs(folder, manifest, contents)
    models = {_name(folder.name, manifest, file): file for file in manifest.graphs()}
    ensembles = _ensembles(folder.name, manifest)
    names = [*models, *ensembles]
    for name in names:
        if (repository / name).exists():
            raise ExportError(f"{repository / name} exists: remove it, or choose another --out")
    repository.mkdir(parents=True, exist_ok=True)
    part = repository / f".{os.getpid()}.part"  # inside, since a repository may be a file system of its own
    try:
        for name, file in models.items():
            _write(part / name, _model(name, manifest.graphs()[file]), contents[file])
        for name, config in ensembles.items():
            _write(part / name, config)
        for name in names:  # ensembles last: a server that polls the repository finds their members there
            move_into_place(part / name, repository / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return names


def _write(folder: Path, config: dict[str, Any], model: bytes | None = None) -> None:
    version = folder / "1"  # Triton wants a version's folder of an ensemble too, empty
    version.mkdir(parents=True)
    (folder / "config.pbtxt").write_text("".join(line + "\n" for line in _text(config)), encoding="utf-8")
    if model is not None:
        (version / "model.onnx").write_bytes(model)


def _name(bundle: str, manifest: Manifest, file: str) -> str:
    folders = Path(file).parts[:-1][1:]  # below views/
    return "-".join([bundle, *(folders if len(manifest.views) > 1 else ()), Path(file).stem])


def _model(name: str, graph: Graph) -> dict[str, Any]:
    return {
        "name": name,
        "backend": "onnxruntime",
        "max_batch_size": MAX_BATCH,
        "input": [_tensor(key, tensor) for key, tensor in graph.inputs.items()],
        "output": [_tensor(key, tensor) for key, tensor in graph.outputs.items()],
        "dynamic_batching": {"max_queue_delay_microseconds": QUEUE_DELAY},
    }


def _tensor(name: str, tensor: Tensor, *, reshape: bool = True) -> dict[str, Any]:
    """A tensor without its axis of items, which Triton adds; one number per item is a vector of one to clients."""
    _, *dims = tensor.shape
    scalar: dict[str, Any] = {"reshape": {"shape": []}} if reshape and not dims else {}
    return {"name": name, "data_type": _Word(TYPES[tensor.dtype]), "dims": dims or [1]} | scalar


def _ensembles(bundle: str, manifest: Manifest) -> dict[str, dict[str, Any]]:
    graphs = manifest.graphs()
    ensembles = {}
    for view_name, view in manifest.views.items():
        encoder, decoder = graphs[view.encoder], graphs[view.decoder]
        sample = [(view.prior, {"latent": "latent"}), (view.decoder, {"latent": "latent", "x": "x"})]
        encode = [(view.encoder, {}), (view.responsibilities, {"latent": "mean"})]
        # Tensors of an ensemble share one space of names: what comes out cannot be called what went in.
        reconstruct = [(view.encoder, {}), (view.decoder, {"latent": "mean", "x": "reconstruction"})]
        described = {
            "sample": (graphs[view.prior].inputs, decoder.outputs, sample),
            "encode": (encoder.inputs, encoder.outputs | graphs[view.responsibilities].outputs, encode),
            "reconstruct": (encoder.inputs, {"reconstruction": decoder.outputs["x"]}, reconstruct),
        }
        prefix = f"{bundle}-{view_name}" if len(manifest.views) > 1 else bundle
        for verb, (inputs, outputs, steps) in described.items():
            name = f"{prefix}-{verb}"
            ensembles[name] = {
                "name": name,
                "platform": "ensemble",
                "max_batch_size": MAX_BATCH,
                "input": [_tensor(key, tensor, reshape=False) for key, tensor in inputs.items()],
                "output": [_tensor(key, tensor, reshape=False) for key, tensor in outputs.items()],
                "ensemble_scheduling": {
                    "step": [_step(_name(bundle, manifest, file), graphs[file], names) for file, names in steps]
                },
            }
    return ensembles


def _step(model: str, graph: Graph, names: dict[str, str]) -> dict[str, Any]:
    """One model of an ensemble; `names` tells what its tensors are called there, if otherwise."""
    return {
        "model_name": model,
        "model_version": -1,
        "input_map": [{"key": key, "value": names.get(key, key)} for key in graph.inputs],
        "output_map": [{"key": key, "value": names.get(key, key)} for key in graph.outputs],
    }


def _text(message: dict[str, Any], indent: str = "") -> Iterable[str]:
    """A message in Protobuf's text format, line by line."""
    for key, value in message.items():
        for item in value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]:
            if isinstance(item, dict):
                yield f"{indent}{key} {{"
                yield from _text(item, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{key}: {_scalar(item)}"


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return f'"{value}"' if isinstance(value, str) and not isinstance(value, _Word) else str(value)
