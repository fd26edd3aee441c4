"""What a bundle says of itself: the manifest of a run of one view, and of a co-trained one."""

from pathlib import Path

from torch import Tensor

from relatent import MixturePrior
from serving.manifest import FileEntry, Manifest, Parity, Prior, Space, Training, View
from training.evaluation import evaluate
from training.multiview.autoencoders import ViewAutoencoder
from training.multiview.origins import with_origin
from training.multiview.runs import CotrainedRun
from training.runs import Run, read_object


def image_manifest(run: Run, *, files: dict[str, FileEntry], parity: dict[str, Parity], credit: str) -> Manifest:
    """The manifest of a run of images.

    Args:
        run: The run.
        files: What lies in the bundle.
        parity: What was proven of its graphs.
        credit: Whose data the run was trained on.

    Returns:
        The manifest.
    """
    space = _space(run.autoencoder.prior)
    return Manifest(
        kind="probabilistic" if run.autoencoder.probabilistic else "deterministic",
        views={"image": View(kind="image", shape=run.data.shape, value_range=(0.0, 1.0), pictures="upright")},
        latent_size=space.latent_size,
        n_components=space.n_components,
        prior=space.prior,
        files=files,
        parity=parity,
        training=_training(run, dataset=run.data.name, epochs=run.epochs),
        scores=evaluate(run.autoencoder, run.data),
        credit=credit,
    )


def views_manifest(
    run: CotrainedRun, *, files: dict[str, FileEntry], parity: dict[str, Parity], credit: str
) -> Manifest:
    """The manifest of a co-trained run; scores are those that `python -m training evaluate` left in its folder, if any.

    Args:
        run: The run.
        files: What lies in the bundle.
        parity: What was proven of its graphs.
        credit: Whose data the run was trained on.

    Returns:
        The manifest.
    """
    autoencoders = run.autoencoders
    return Manifest(
        kind="probabilistic" if autoencoders[autoencoders.names[0]].probabilistic else "deterministic",
        views={name: _view(name, autoencoders[name], autoencoders.names) for name in autoencoders.names},
        classes=autoencoders.classes if autoencoders.head is not None else (),
        files=files,
        parity=parity,
        training=_training(run, dataset=run.config.data.data, epochs=run.config.optimizer.epochs),
        scores=_scores(run),
        credit=credit,
    )


def _view(name: str, autoencoder: ViewAutoencoder, names: tuple[str, ...]) -> View:
    image = len(autoencoder.shape) == 3
    return View(
        kind="image" if image else "vector",
        shape=autoencoder.shape,
        value_range=(0.0, 1.0) if image else None,
        pictures="upright" if image else "stored",
        feature_mean=None
        if image
        else tuple(_floats(with_origin(autoencoder.feature_mean[None], autoencoder.origin))[0]),
        feature_std=None if image else tuple(_floats(autoencoder.feature_std[None])[0]),
        folder=f"views/{name}",
        space=_space(autoencoder.prior),
        targets=tuple(other for other in names if other != name),
    )


def _scores(run: CotrainedRun) -> dict[str, float]:
    path = run.folder / "evaluation.json"
    if not path.exists():
        return {}
    found = read_object(path, advice=f"write it anew: `python -m training evaluate {run.folder}`")
    if found.get("step") != run.step:
        return {}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _space(prior: MixturePrior) -> Space:
    mean, std = (tensor.detach() for tensor in prior.gaussians())
    weights = prior.weights[None].detach()
    read = Prior(weights=_floats(weights)[0], means=_floats(mean), stds=_floats(std))
    return Space(latent_size=mean.shape[1], n_components=len(mean), prior=read)


def _training(run: Run | CotrainedRun, *, dataset: str, epochs: int) -> Training:
    # Where the data lay and where the run went are facts of one machine, not of the model.
    config = run.config.model_dump(mode="json", exclude={"out": True, "data": {"data_dir"}})
    if "files" in config["data"]:
        config["data"]["files"] = [Path(file).name for file in config["data"]["files"]]
    return Training(
        config=config,
        dataset=dataset,
        epochs=epochs,
        seed=run.config.seed,
        code_revision=run.origin["code_revision"],
        date=run.origin["date"],
        command=run.config.command(),
    )


def _floats(tensor: Tensor) -> list[list[float]]:
    """Float32 values in the fewest digits that read back as the same float32."""
    return [[float(str(value)) for value in row] for row in tensor.numpy()]
