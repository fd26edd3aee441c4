"""Writes what a bundle's folder holds beside its graphs: its examples, and the manifest that lists every file.

Put the files in a folder, then `write_manifest(folder, Manifest(..., files=describe_files(folder)))`.
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx

from readers.atomic import write_text
from serving.bundle import list_files
from serving.examples import LABELS, Examples
from serving.manifest import MANIFEST, FileEntry, Manifest


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """The manifest's `files` for a folder that holds everything but its manifest.

    Args:
        folder: The bundle's folder.

    Returns:
        An entry per file below the folder, by relative POSIX path; manifest.json, hidden files and the litter of file
        managers are left out.
    """
    entries = {}
    for name, path in list_files(folder).items():
        opset = _opset(path) if path.suffix == ".onnx" else None
        entries[name] = FileEntry(sha256=hash_file(path), size=path.stat().st_size, opset=opset)
    return entries


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json into a folder: all of it or nothing."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def write_examples(path: Path, examples: Examples) -> None:
    """Write the file that `serving.examples.read_examples` reads."""
    arrays = {f"views/{name}": values for name, values in examples.views.items()}
    if examples.labels:
        arrays[LABELS] = np.array(examples.labels)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _opset(path: Path) -> int:
    model = onnx.load(path, load_external_data=False)
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
