"""What a bundle says of itself: the manifest of a run."""

import logging
import shlex
from pathlib import PurePath
from typing import Any, cast

from torch import Tensor

from export.graphs import view_folder
from readers.origins import with_origin
from relatent import MixturePrior
from serving.manifest import FileEntry, Manifest, Parity, Prior, Space, Training, View
from training.autoencoders import Autoencoders
from training.multiview.translator import NOT_FOUND, Translator
from training.run_folder import read_object
from training.runs import Run

_log = logging.getLogger(__name__)


def describe_run(
    run: Run, *, files: dict[str, FileEntry], parity: dict[str, Parity], credit: str = "", licence: str = ""
) -> Manifest:
    """The manifest of a run; scores are those that `python -m training evaluate` left in its folder, if any.

    Args:
        run: The run.
        files: What lies in the bundle.
        parity: What was proven of its graphs.
        credit: Whose data the run was trained on, and under which licence.
        licence: Licence of the model itself.

    Returns:
        The manifest.
    """
    model = run.model
    several = len(model.names) > 1
    shared = None if several else _space(model.only.prior)
    return Manifest(
        kind="probabilistic" if model[model.names[0]].codes == "gaussians" else "deterministic",
        views={name: describe_view(model, name) for name in model.names},
        latent_size=shared.latent_size if shared else None,
        n_components=shared.n_components if shared else None,
        prior=shared.prior if shared else None,
        classes=model.classes,
        files=files,
        parity=parity,
        training=_training(run),
        scores=_scores(run),
        credit=credit,
        licence=licence,
    )


def without_folders(training: Training) -> Training:
    """How a model was made, of absolute paths the last part alone: earlier versions wrote where data lay."""
    words = shlex.split(training.command)
    cut = [_name(word) for word in words]
    command = training.command if cut == words else shlex.join(cut)
    return training.model_copy(update={"config": _name(training.config), "command": command})


def _name(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _name(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_name(item) for item in value]
    return PurePath(value).name if isinstance(value, str) and PurePath(value).is_absolute() else value


def describe_view(model: Autoencoders, name: str) -> View:
    """What a manifest says of one view."""
    view = model[name]
    several = len(model.names) > 1
    told = View(
        kind="image" if view.feature_mean is None else "vector",
        shape=view.shape,
        value_range=(0.0, 1.0) if view.feature_mean is None else None,
        pictures="upright" if view.feature_mean is None else "stored",
        folder=view_folder(model, name),
        space=_space(view.prior) if several else None,
        targets=tuple(other for other in model.names if other != name),
        found={other: trust for other in model.names if (trust := _trust(model, name, other)) is not None},
    )
    if view.feature_mean is None or view.feature_std is None:
        return told
    mean, std = with_origin(view.feature_mean[None], view.origin), view.feature_std[None]
    moments = {"feature_mean": tuple(_floats(mean)[0]), "feature_std": tuple(_floats(std)[0])}
    return View.model_validate(told.model_dump() | moments)


def _trust(model: Autoencoders, source: str, target: str) -> float | None:
    """How far the pairs of two views can be trusted, if they were found, not given."""
    key = f"{source}:{target}"
    trust = float(cast(Translator, model.translators[key]).trust) if key in model.translators else NOT_FOUND
    return None if trust == NOT_FOUND else round(trust, 3)


def _scores(run: Run) -> dict[str, float]:
    path, advice = run.folder / "evaluation.json", f"`python -m training evaluate {run.folder}`"
    if not path.exists():
        _log.warning("no scores: run %s first to have some", advice)
        return {}
    found = read_object(path, advice=f"write it anew: {advice}")
    if found.get("step") != run.step:
        _log.warning("no scores: %s is of step %s, the weights of step %d; run %s", path, found.get("step"), run.step,
                     advice)  # fmt: skip
        return {}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _space(prior: MixturePrior) -> Space:
    mean, std = (tensor.detach() for tensor in prior.gaussians())
    weights = prior.weights[None].detach()
    read = Prior(weights=_floats(weights)[0], means=_floats(mean), stds=_floats(std))
    return Space(latent_size=mean.shape[1], n_components=len(mean), prior=read)


def _training(run: Run) -> Training:
    return Training(
        config=run.config.portable(),
        dataset=run.origin["data"]["name"],
        epochs=run.epochs,
        seed=run.config.seed,
        code_revision=run.origin["code_revision"],
        date=run.origin["date"],
        command=run.config.command(),
    )


def _floats(tensor: Tensor) -> list[list[float]]:
    """Float32 values in the fewest digits that read back as the same float32."""
    return [[float(str(value)) for value in row] for row in tensor.numpy()]
