"""The co-training task: data, one autoencoder per view, batches, scores and what follows the last step."""

import logging
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar

import torch

from readers.errors import DataError
from readers.loaders import load_views
from readers.origins import warn_of_rounding
from readers.subsets import known_objects
from readers.views_data import Batch, Rows, ViewsData
from training.autoencoder import Autoencoder
from training.autoencoders import Autoencoders
from training.multiview.batches import Batches, key_of
from training.multiview.config import CotrainConfig, ViewsDataConfig, ViewsModelConfig
from training.multiview.evaluation import evaluate_views, left_out, reconstruction_scores
from training.multiview.found_pairs import find_pairs
from training.multiview.objective import CoObjective
from training.multiview.pairs import check_pairs
from training.multiview.pictures import save_pictures
from training.multiview.translator import SoftmaxHead, Translator
from training.task import Task

INDEPENDENT = {"tau": 0.0, "gamma": 1.0}  # where no alignment can be trusted: as method independent has it

_log = logging.getLogger(__name__)


class CotrainTask(Task):
    """One autoencoder per view, co-trained.

    Args:
        config: The run.
        data: Its data, from `load_views`, or from `views_from_arrays` for arrays of one's own.

    Raises:
        DataError: If settings are given for another number of views, the configuration names other data, or pairs are
            asked for and there are none.
    """

    run_config: ClassVar[type[CotrainConfig]] = CotrainConfig
    data_config: ClassVar[type[ViewsDataConfig]] = ViewsDataConfig

    def __init__(self, config: CotrainConfig, data: ViewsData) -> None:
        if config.data.data != data.name:
            raise DataError(f"expected data {config.data.data!r}, as the configuration says, got {data.name!r}")
        paired, regularizer, rows = config.regularizer.pairs == "paired", config.regularizer, data.train
        if paired and config.data.overlap == 1:
            check_pairs(data)
        self.found = find_pairs(data, some=regularizer.pairs == "some") if config.finds_pairs else None
        if self.found is not None and self.found.trustworthy:
            paired, rows = True, self.found.rows
            regularizer = regularizer.model_copy(update={"pairs": "paired"})
        elif self.found is not None:
            regularizer = regularizer.model_copy(update=INDEPENDENT)
        self.config, self.data = config, data
        if data.labels is not None and not data.told_apart:
            _log.warning("no classifier: no two classes have training objects that are in all views")
        self.model = self.build(config, data.describe())
        for name in data.train:
            view, (mean, std) = self.model[name], data.moments(name)
            if view.feature_mean is not None and view.feature_std is not None:
                view.feature_mean.copy_(mean)
                view.feature_std.copy_(std)
            warn_of_rounding(name, view.origin, std)
        self.method = CoObjective(self.model, regularizer, config.model.method, self.found)
        self._batches = Batches(rows, batch_size=config.optimizer.batch_size, paired=paired, seed=config.seed)
        self.steps_per_epoch = self._batches.per_epoch

    @staticmethod
    def load(config: ViewsDataConfig, *, seed: int) -> ViewsData:
        """The views, split and thinned."""
        return load_views(
            config.data, config.data_dir, files=config.files, layer=config.layer, obsm=config.obsm, label=config.label,
            views=config.views, units=config.units, train_samples=config.train_samples, overlap=config.overlap,
            seed=seed,
        )  # fmt: skip

    @staticmethod
    def count(data: ViewsData) -> int:
        """How many training objects there are."""
        return len(known_objects(data.train))

    @staticmethod
    def build(config: CotrainConfig, described: dict[str, Any]) -> Autoencoders:
        """Untrained autoencoders for data as a run folder describes them; DataError if settings fit no such views."""
        views, model = described["views"], config.model
        _check_lengths(model, tuple(views))
        autoencoders = {
            name: _autoencoder(model, position, facts, seed=key_of(config.seed, name))
            for position, (name, facts) in enumerate(views.items())
        }
        translators = {
            f"{a}:{b}": Translator(
                min(model.anchors, views[a]["train"]), autoencoders[a].latent_size, autoencoders[b].latent_size
            )
            for a, b in permutations(views, 2)
        }
        size, classes = sum(view.latent_size for view in autoencoders.values()), described["classes"]
        head = SoftmaxHead(size, len(classes)) if classes else None
        return Autoencoders(autoencoders, translators=translators, head=head, classes=classes)

    @staticmethod
    def evaluate(model: Autoencoders, data: ViewsData, *, seed: int, **images: Any) -> dict[str, float]:
        """Scores of the test objects; a line for each reason says what is not among them."""
        for reason in left_out(data):
            _log.warning("left out: %s", reason)
        return evaluate_views(model, data, seed=seed)

    @staticmethod
    def draw(folder: Path, model: Autoencoders, data: ViewsData) -> list[Path]:
        """Codes of all views side by side; reconstructions of image views."""
        return save_pictures(folder, model, data)

    def check(self, processes: int) -> None:
        """Raise DataError if there is more than one process."""
        if processes > 1:
            raise DataError(f"co-training runs in one process, got {processes}: start it without torchrun")

    def batch(self, step: int, device: torch.device) -> Batch:
        """The rows of each view at a step; a batch holds what it holds."""
        batch = self._batches.at(step)
        return {name: Rows(rows.x.to(device), rows.objects.to(device)) for name, rows in batch.items()}

    def score(self) -> dict[str, float]:
        """Squared error of standardised test rows from codes without noise, mean over features, by view."""
        return {f"test_{name}": value for name, value in reconstruction_scores(self.model, self.data.test).items()}

    def ending(self) -> str:
        """Couplings and head depend on nothing but the weights."""
        return "finished"

    def finish(self) -> None:
        """Solve the couplings, fit the head."""
        self.method.finish(self.data)


def _autoencoder(config: ViewsModelConfig, position: int, facts: dict[str, Any], *, seed: int) -> Autoencoder:
    """The autoencoder of the view at that position."""
    return Autoencoder(
        facts["shape"],
        latent_size=config.of("latent_size", position),
        width=config.of("hidden" if len(facts["shape"]) == 1 else "width", position),
        codes=config.codes,
        prior="learned" if config.of("prior", position) == "mixture" else "fixed",
        components=config.of("components", position),
        seed=seed,
        origin=facts.get("origin"),
    )


def _check_lengths(config: ViewsModelConfig, views: tuple[str, ...]) -> None:
    for setting in ("hidden", "width", "latent_size", "prior", "components"):
        if len(given := getattr(config, setting)) not in (1, len(views)):
            raise DataError(f"{setting}: expected one value, or one for each of {', '.join(views)}; got {given}")
