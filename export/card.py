"""The model card: README.md with the header that model hubs read, and a picture, written from the bundle alone.

Everything it says stands in the manifest, so that it can be written anew at any time; pictures come out of the frozen
graphs, with a fixed seed.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.bundle_files import describe_files, write_manifest
from export.card_words import method_sentence, score_meaning
from readers.atomic import write_text
from serving.engine import Engine
from serving.manifest import CARD, LICENCE, Manifest, Space, View
from training.pictures import save_grid

PICTURE = "components.png"
COLUMNS = 10  # a component's mean and nine samples
LARGEST_PICTURE = 1024  # pixels of a side
HUB_DATASETS = {"mnist": "ylecun/mnist"}
PAPER = "https://arxiv.org/abs/2002.02913"


class CardError(ValueError):
    """A card cannot say what it was asked to."""


def check_licence(name: str) -> None:
    """Raise CardError unless it is empty or written as model hubs write the names of licences."""
    if name and not re.fullmatch(LICENCE, name):
        raise CardError(f"expected a licence as model hubs name it, such as apache-2.0 or cc-by-4.0, got {name!r}")


def write_card(folder: Path, engine: Engine, *, name: str) -> Manifest:
    """Write a bundle's card and picture into it, and the manifest anew.

    Args:
        folder: A sound bundle that nobody serves yet; a card that is there is replaced.
        engine: What serves it.
        name: The model's name, which the folder has not taken yet.

    Returns:
        The manifest, as written.
    """
    manifest = engine.manifest
    (folder / PICTURE).unlink(missing_ok=True)
    picture = PICTURE if _is_picture(engine.view()) else None
    if picture:
        _draw(engine, folder / picture)
    write_text(folder / CARD, card_text(manifest, name=name, picture=picture))
    manifest = manifest.model_copy(update={"files": describe_files(folder)})
    write_manifest(folder, manifest)
    return manifest


def card_text(manifest: Manifest, *, name: str, picture: str | None) -> str:
    """The card in Markdown, its header in YAML.

    Args:
        manifest: The bundle's.
        name: The model's name.
        picture: File name of the picture of its components, if there is one.

    Returns:
        The text.
    """
    parts = ["---", *_yaml(header(manifest, name=name)), "---", "", f"# {name}", "", *_summary(manifest), ""]
    if picture:
        parts += [f"![Generated images, one row a component]({picture})", ""]
        parts += ["*One row per component of the prior: its mean, then samples.*", ""]
    parts += ["## Use", "", *_use(manifest, name), "", "## Scores", "", *_scores(manifest), ""]
    parts += ["## How it was trained", "", *_training(manifest), "", "## Intended use and limits", ""]
    parts += [*_limits(manifest), "", "## Licence", "", *_licence(manifest)]
    return "\n".join(parts) + "\n"


def header(manifest: Manifest, *, name: str) -> dict[str, Any]:
    """What the card's header says: licence, library, tags, data and scores.

    Args:
        manifest: The bundle's.
        name: The model's name.

    Returns:
        The header, as model hubs define its keys.
    """
    training = manifest.training
    image = next(iter(manifest.views.values())).kind == "image"
    task = "unconditional-image-generation" if image else "feature-extraction"
    dataset = HUB_DATASETS.get(training.dataset)
    metrics = [
        {"type": key, "name": meaning, "value": value}
        for key, value in manifest.scores.items()
        if (meaning := score_meaning(key, manifest))
    ]
    results = [
        {
            "task": {"type": task},
            "dataset": {"name": training.dataset, "type": dataset or training.dataset},
            "metrics": metrics,
        }
    ]
    tags = ["relatent", "autoencoder", "gaussian-mixture", "optimal-transport", "fused-gromov-wasserstein"]
    return {
        **({"license": manifest.licence} if manifest.licence else {}),
        "library_name": "onnx",
        "pipeline_tag": task,
        "tags": tags + (["multi-view"] if len(manifest.views) > 1 else []),
        **({"datasets": [dataset]} if dataset else {}),
        **({"model-index": [{"name": name, "results": results}]} if metrics else {}),
    }


def _is_picture(view: View) -> bool:
    return view.kind == "image" or view.layout is not None


def _draw(engine: Engine, path: Path) -> None:
    """The first components, a row each: mean, then samples."""
    view = engine.view()
    shape = (1, *view.layout) if view.layout else view.shape
    columns = max(1, min(COLUMNS, LARGEST_PICTURE // shape[2]))
    rows = max(1, min(engine.space().n_components, LARGEST_PICTURE // shape[1]))
    component = np.arange(rows).repeat(columns)
    x = engine.sample(len(component), seed=0, component=component).x.copy()
    x[::columns] = engine.sample(rows, seed=0, component=np.arange(rows), temperature=0).x
    low, high = view.value_range or (x.min(), x.max())
    pixels = torch.from_numpy((x - low) / (high - low)).reshape(-1, *shape)
    grow = max(1, 24 // max(shape))  # 8x8 images would be too small to see
    save_grid(path, pixels.repeat_interleave(grow, 2).repeat_interleave(grow, 3), columns=columns)


def _summary(manifest: Manifest) -> Iterator[str]:
    views = ", ".join(f"`{name}`: {_described(view)}" for name, view in manifest.views.items())
    training = manifest.training
    yield f"{method_sentence(manifest)} Trained on `{training.dataset}`; it reads and writes {views}."
    yield ""
    own = {f" of `{name}`": manifest.space(name) for name in manifest.views}
    for where, space in own.items() if manifest.prior is None else [("", next(iter(own.values())))]:
        yield f"* Latent space{where}: {space.latent_size} dimensions; prior: {_law(space)}."
    if manifest.classes:
        yield f"* Classes that the codes of all views together are told apart by: {', '.join(manifest.classes)}."


def _law(space: Space) -> str:
    return f"a mixture of {space.n_components} Gaussians" if space.n_components > 1 else "one Gaussian"


def _described(view: View) -> str:
    if view.kind == "vector":
        layout = f", grey pictures of {view.layout[1]}x{view.layout[0]} pixels" if view.layout else ""
        return f"rows of {view.shape[0]} numbers{layout}"
    channels, height, width = view.shape
    low, high = view.value_range or (0, 1)
    return f"{'grey' if channels == 1 else 'colour'} images of {width}x{height} pixels, values {low:g} to {high:g}"


def _use(manifest: Manifest, name: str) -> Iterator[str]:
    view_name, view = next(iter(manifest.views.items()))
    space = manifest.space(view_name)
    verb, save = ("sample.png", " -o sample.png") if view.kind == "image" else ("sample", "")
    fetch = f"hf download OWNER/{name} --local-dir models/{name}"
    yield f"Served by Relatent, where this folder is `models/{name}` (from a hub: `{fetch}`):"
    yield ""
    yield "    python -m serving --models models"
    yield f"""    curl -X POST localhost:3000/{verb} -d '{{"model": "{name}", "n": 16, "seed": 1}}'{save}"""
    yield ""
    yield "By onnxruntime alone, in this folder; `manifest.json` names every graph's inputs and outputs:"
    yield ""
    yield "```python"
    yield "import numpy as np"
    yield "import onnxruntime"
    yield ""
    yield f'prior = onnxruntime.InferenceSession("{view.prior}")'
    yield f'decoder = onnxruntime.InferenceSession("{view.decoder}")'
    yield f"component = np.random.default_rng(0).integers({space.n_components}, size=16)  # by choice, or by weight"
    yield f"noise = np.random.default_rng(1).standard_normal((16, {space.latent_size}), dtype=np.float32)"
    yield "temperature = np.ones(16, dtype=np.float32)  # 0 gives the components' means"
    yield '(latent,) = prior.run(None, {"component": component, "noise": noise, "temperature": temperature})'
    shape = ", ".join(map(str, (16, *view.shape)))
    yield f'(x,) = decoder.run(None, {{"latent": latent}})  # ({shape})'
    yield "```"


def _scores(manifest: Manifest) -> Iterator[str]:
    told = [(key, meaning) for key in manifest.scores if (meaning := score_meaning(key, manifest))]
    if not told:
        yield "None were taken."
        return
    yield "On the test part of the data, one run, one seed; all scores: `manifest.json`."
    yield ""
    yield "| Score | | Value |"
    yield "| --- | --- | --- |"
    for key, meaning in told:
        yield f"| `{key}` | {meaning} | {manifest.scores[key]:.4g} |"


def _training(manifest: Manifest) -> Iterator[str]:
    training = manifest.training
    worst = max(parity.max_abs_error for parity in manifest.parity.values())
    yield f"    {training.command}"
    yield ""
    revision = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28}\b", r"\1", training.code_revision)
    planned = training.config.get("optimizer", {}).get("epochs", training.epochs)
    told = f"Stopped after {training.epochs} of {planned}" if training.epochs < planned else f"{training.epochs}"
    yield f"{told} epochs, seed {training.seed}, {training.date}; the settings stand in `manifest.json`."
    yield f"Code: {revision}."
    yield f"Frozen to ONNX; the largest deviation of a graph from the network in PyTorch is {worst:.1e}."
    yield ""
    yield f"The method: [Learning Autoencoders with Relational Regularization]({PAPER}), Xu et al., ICML 2020."


def _limits(manifest: Manifest) -> Iterator[str]:
    yield "For research and teaching: to generate, encode, compare and cluster data like those it was trained on."
    yield ""
    yield f"* It knows `{manifest.training.dataset}` only. Anything of the right shape is encoded; what is unlike"
    yield "  those data comes back wrong, and a large reconstruction error is the only warning."
    yield "* Training minimises squared error, which blurs; samples are no records of anything that exists."
    yield "* Components are learned without labels and mean what the data made of them, not classes by design."
    yield "* It was not examined for bias, and is not meant for decisions about people."


def _licence(manifest: Manifest) -> Iterator[str]:
    yield f"* Model: {f'`{manifest.licence}`' if manifest.licence else 'not stated'}"
    yield f"* Data: {manifest.credit or 'not stated'}"


def _yaml(content: Any, indent: str = "") -> Iterator[str]:
    """Mappings and lists in YAML's block style; words and numbers as JSON, which is YAML too."""
    pairs = [(f"{key}:", value) for key, value in content.items()] if isinstance(content, dict) else None
    for start, value in pairs or [("-", value) for value in content]:
        if isinstance(value, dict | list):
            yield f"{indent}{start}"
            yield from _yaml(value, indent + "  ")
        else:
            yield f"{indent}{start} {json.dumps(value, ensure_ascii=False)}"
