"""Test items of a model's own data, put into its bundle for people to look at the model with."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np

from export.assemble import ExportError, complete
from export.atomic import replacing
from export.bundle_files import describe_files, write_examples, write_manifest
from serving.bundle import read_manifest
from serving.examples import Examples
from serving.manifest import EXAMPLES, Manifest
from training.runs import TASKS

LAYOUTS = {("handwritten", "pixels"): (16, 15)}
"""Rows and columns of vectors that are pictures, by data set and view."""


def add_examples(bundle: Path, *, count: int, data_dir: Path | None = None) -> Manifest:
    """Put test items into a bundle, in place of any that it has; its graphs stay as they are.

    Args:
        bundle: The bundle's folder; replaced in one step once the new one loads.
        count: How many items, drawn from the test set, the same each time; all if it has fewer.
        data_dir: Where the data lie, if not where they are looked for by themselves.

    Returns:
        The manifest, as written.

    Raises:
        ExportError: If the data have no test item that every view shows.
        DataError: If the data are not at hand, or not where `data_dir` says.
        BundleError: If the bundle is unsound, before or after.
    """
    manifest = read_manifest(bundle)
    examples = draw_examples(manifest, count, data_dir)
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
        return complete(part, name=bundle.name)


def draw_examples(manifest: Manifest, count: int, data_dir: Path | None) -> Examples:
    """Test items of the data that a bundle's model was trained on.

    Args:
        manifest: The bundle's.
        count: Maximum number of them.
        data_dir: Where the data lie, if not where they are looked for by themselves.

    Returns:
        The items; images in bytes.
    """
    training = manifest.training
    settings = training.config["data"] | {"data_dir": data_dir}  # a manifest has names of folders and files alone
    task = next(
        task
        for task in TASKS.values()
        if settings["data"] in get_args(task.data_config.model_fields["data"].annotation)
    )
    data = task.load(task.data_config.model_validate(settings), seed=training.seed)
    items, labels = data.test_items()
    size = len(next(iter(items.values())))
    chosen = np.random.default_rng(0).permutation(size)[:count].tolist()
    views = {}
    for name in manifest.views:
        x = items[name][chosen]
        views[name] = (x * 255).round().byte().numpy() if x.ndim > 2 else x.numpy()
    return Examples(views, tuple(labels[item] for item in chosen) if labels else ())
