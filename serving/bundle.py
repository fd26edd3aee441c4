"""The bundle: a folder of ONNX graphs and a manifest, the contract between export and serving.

    manifest.json            `serving.manifest.Manifest`
    README.md                the model card, with pictures beside it; for people and model hubs
    golden.npz               a few inputs and outputs of every graph, keyed "FILE:NAME"
    encoder.onnx             x (n, *shape) -> mean (n, d) [, std (n, d)]
    decoder.onnx             latent (n, d) -> x (n, *shape)
    prior.onnx               component (n,), noise (n, d), temperature (n,) -> latent (n, d)
    responsibilities.onnx    latent (n, d) -> log_responsibilities (n, K)

Views lie below `views/NAME/`, where there are several. Those of a co-trained run have a latent space each, so that the
prior's graphs lie there too, and beside them what joins the views:

    views/NAME/to/OTHER.onnx latent (n, d) -> carried (n, e)            codes in the space of another view
    head.onnx                features (n, sum of d) -> log_probabilities (n, C)

The prior takes two graphs because onnxruntime wants every input of a graph fed, even those that the asked-for output
does not depend on.
"""

import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from serving.manifest import CARD, MANIFEST, NAME, NAME_WORDS, Manifest, Tensor

# What file managers and file systems leave in every folder, beside the hidden files; in lower case.
LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "lost+found", "@eadir"})


class BundleError(ValueError):
    """A folder that is not a sound bundle; the message names bundle, file, what was expected and what was got."""

    def __init__(self, bundle: Path | str, file: str, expected: str, found: str) -> None:
        super().__init__(f"bundle {bundle}: {file}: expected {expected}, got {found}")


def check_name(folder: Path) -> None:
    """Raise `BundleError` if a folder, there or not, has a name that no request could say: it is the model's."""
    if not re.fullmatch(NAME, folder.name):
        raise BundleError(folder, "its folder", NAME_WORDS, repr(folder.name))


def read_manifest(folder: Path) -> Manifest:
    """Read and validate a bundle's manifest.json; its other files are not looked at.

    Raises:
        BundleError: If it is missing, malformed, of an unknown schema version, or contradicts itself.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(folder, MANIFEST, "a regular file", "none")
    _check_link(folder, path)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        expected = "schema version 1" if field == "schema_version" else "a manifest of schema version 1"
        found = f"{error.error_count()} fault(s), the first at {field}: {first['msg']}"
        raise BundleError(folder, MANIFEST, expected, found) from None


def verify_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Check that a folder holds exactly the manifest's files, bit for bit; hidden ones and litter apart.

    The model card alone may have the line ends of Windows, which a checkout gives to text.

    Returns:
        The files' contents by relative path, so that what was hashed is what gets loaded.

    Raises:
        BundleError: If a file is missing, not listed, a symlink out of the bundle, or of another size or hash.
    """
    found = list_files(folder)
    for name in sorted(manifest.files.keys() - found.keys()):
        raise BundleError(folder, name, "the file that the manifest lists", "no such file")
    for name in sorted(found.keys() - manifest.files.keys()):
        raise BundleError(folder, name, "only files that the manifest lists", "a file that it does not list")
    contents = {}
    for name, entry in manifest.files.items():
        size = found[name].stat().st_size
        if size != entry.size and name != CARD:
            raise BundleError(folder, name, f"{entry.size} bytes", f"{size} bytes")
        contents[name] = found[name].read_bytes()
        if name == CARD and size != entry.size:
            contents[name] = contents[name].replace(b"\r\n", b"\n")
        digest = hashlib.sha256(contents[name]).hexdigest()
        if digest != entry.sha256:
            raise BundleError(folder, name, f"sha256 {entry.sha256}", f"sha256 {digest}")
    return contents


def read_arrays(folder: Path, file: str, content: bytes) -> dict[str, NDArray]:
    """The arrays of an .npz file of a bundle, by name; `BundleError` if it is none."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(folder, file, "arrays in NumPy's npz format", f"{error}") from None


def check_array(folder: Path, file: str, name: str, array: NDArray, tensor: Tensor) -> None:
    """Raise `BundleError` unless an array has the tensor's dtype and shape, an item at least, and is finite."""
    sizes = zip(tensor.shape, array.shape, strict=False)
    fits = len(array.shape) == len(tensor.shape) and all(wanted in (None, size) for wanted, size in sizes)
    if array.dtype != tensor.dtype or not fits or not array.size or not np.isfinite(array).all():
        raise BundleError(folder, file, f"finite {tensor} in {name}", f"{array.dtype} {array.shape}")


def list_files(folder: Path) -> dict[str, Path]:
    """The files of a bundle but its manifest, hidden ones and litter, by relative POSIX path, in order."""
    files = {}
    for path in sorted(_walk(folder, folder, ())):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST:
            if not path.is_file():
                raise BundleError(folder, name, "a regular file", "something else")
            files[name] = path
    return files


def _walk(bundle: Path, folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """What lies below a folder of a bundle; links within the bundle, as Kubernetes makes them, are followed."""
    real = folder.resolve()
    if real in above:
        raise BundleError(bundle, folder.relative_to(bundle).as_posix(), "a folder", "a symlink to one that holds it")
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name.lower() in LITTER:
            continue  # what a hub's client, a version control or a file manager leaves behind; none of it is loaded
        _check_link(bundle, path)
        if path.is_dir():
            yield from _walk(bundle, path, (*above, real))
        else:
            yield path


def _check_link(bundle: Path, path: Path) -> None:
    # Not Path.resolve, which raises at a symlink to itself.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(bundle)):
        name = path.relative_to(bundle).as_posix()
        raise BundleError(bundle, name, "a regular file, or a symlink to one within the bundle", "a symlink out of it")
