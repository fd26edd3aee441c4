"""Test items of a model's own data, put into its bundle for people to look at the model with."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from export.assemble import ExportError
from export.card import write_card
from export.folders import replacing
from serving.bundle import describe_files, read_manifest, write_manifest
from serving.examples import Examples, write_examples
from serving.manifest import EXAMPLES, Manifest
from training.config import DataConfig
from training.data import load_images
from training.multiview.config import ViewsDataConfig
from training.multiview.loaders import load_views
from training.multiview.origins import with_origin

LAYOUTS = {("handwritten", "pixels"): (16, 15), ("mnist-handwritten", "uci"): (16, 15)}
"""Rows and columns of vectors that are pictures, by data set and view."""

NO_CLASS = "no class"


def add_examples(bundle: Path, *, count: int, data_dir: Path | None = None) -> Manifest:
    """Put test items into a bundle, in place of any that it has; its graphs stay as they are.

    Args:
        bundle: The bundle's folder; replaced in one step once the new one loads.
        count: How many items, drawn from the test set, the same each time; all if it has fewer.
        data_dir: Where the data lie, if not where they are looked for by themselves.

    Returns:
        The manifest, as written.

    Raises:
        ExportError: If the data have no test item that every view shows, or `data_dir` does not hold their files.
        DataError: If the data are not at hand.
        BundleError: If the bundle is unsound, before or after.
    """
    manifest = read_manifest(bundle)
    cotrained = any(view.folder for view in manifest.views.values())
    examples = (_views_examples if cotrained else _image_examples)(manifest, count, data_dir)
    if not len(examples):
        raise ExportError(f"{manifest.training.dataset}: expected test items that every view shows, got none")
    with replacing(bundle) as part:
        shutil.copytree(bundle, part, dirs_exist_ok=True)
        write_examples(part / EXAMPLES, examples)
        views = {
            name: view.model_copy(update={"layout": LAYOUTS.get((manifest.training.dataset, name), view.layout)})
            for name, view in manifest.views.items()
        }
        told = {"views": views, "files": describe_files(part)}
        write_manifest(part, Manifest.model_validate(manifest.model_copy(update=told).model_dump()))
        return write_card(part, name=bundle.name)  # loads it too: what serving will do, done here first


def _image_examples(manifest: Manifest, count: int, data_dir: Path | None) -> Examples:
    config = DataConfig(**manifest.training.config["data"], data_dir=data_dir)
    if config.data == "folder" and not (data_dir and data_dir.is_dir()):
        raise ExportError(f"--data-dir: expected the folder of images {manifest.training.dataset!r}, got {data_dir}")
    data = load_images(config)
    (view,) = manifest.views
    chosen = _draw(len(data.test), count)
    labels = () if data.test_labels is None else tuple(map(str, data.test_labels[chosen].tolist()))
    return Examples({view: _bytes(data.pixels(data.test[chosen]))}, labels)


def _views_examples(manifest: Manifest, count: int, data_dir: Path | None) -> Examples:
    config = _find_files(ViewsDataConfig(**manifest.training.config["data"], data_dir=data_dir))
    test = load_views(config, seed=manifest.training.seed)
    shared = set.intersection(*(set(test.test[name].objects.tolist()) for name in manifest.views))
    ordered = sorted(shared)
    chosen = [ordered[index] for index in _draw(len(ordered), count)]
    views = {}
    for name in manifest.views:
        position = {item: row for row, item in enumerate(test.test[name].objects.tolist())}
        x = test.test[name].x[[position[item] for item in chosen]]
        views[name] = _bytes(x) if x.ndim > 2 else with_origin(x, test.origins.get(name)).numpy()
    names = (*test.classes, NO_CLASS)  # whose number is -1
    labels = () if test.labels is None else tuple(names[label] for label in test.labels[chosen].tolist())
    return Examples(views, labels)


def _find_files(config: ViewsDataConfig) -> ViewsDataConfig:
    """The configuration with the files of tables where --data-dir says; a manifest has their names alone."""
    if config.data == "arrays":
        raise ExportError("expected data that lie in files, got arrays, which were given in Python")
    files = tuple(config.data_dir / file.name if config.data_dir else file for file in config.files)
    if missing := [file.name for file in files if not file.is_file()]:
        raise ExportError(f"--data-dir: expected the folder that holds {', '.join(missing)}, got {config.data_dir}")
    return config.model_copy(update={"files": files})


def _draw(size: int, count: int) -> list[int]:
    return np.random.default_rng(0).permutation(size)[:count].tolist()


def _bytes(pixels: Tensor) -> NDArray[np.uint8]:
    return (pixels * 255).round().byte().numpy()
