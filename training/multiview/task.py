"""Co-training as the loop knows it."""

import torch

from training.data import DataError
from training.multiview.after_training import encode_rows
from training.multiview.autoencoders import CoAutoencoders
from training.multiview.batches import Batches
from training.multiview.config import CotrainConfig, ViewsModelConfig
from training.multiview.data import Batch, Rows, ViewsData
from training.multiview.objectives import OBJECTIVES
from training.multiview.origins import warn_of_rounding
from training.multiview.pairs import check_pairs


class CotrainTask:
    """One autoencoder per view, co-trained.

    Args:
        config: The run.
        data: Its data, from `load_views`, or from `views_from_arrays` for arrays of one's own.

    Raises:
        DataError: If settings are given for another number of views, the configuration names other data, or pairs are
            asked for and there are none.
    """

    def __init__(self, config: CotrainConfig, data: ViewsData) -> None:
        if config.data.data != data.name:
            raise DataError(f"expected data {config.data.data!r}, as the configuration says, got {data.name!r}")
        paired = config.regularizer.pairs == "paired"
        if paired and config.data.overlap == 1:
            check_pairs(data)
        self.config, self.data = config, data
        self.autoencoder = build_autoencoders(config, data.describe())
        for name in data.train:
            mean, std = data.moments(name)
            self.autoencoder[name].feature_mean.copy_(mean)
            self.autoencoder[name].feature_std.copy_(std)
            warn_of_rounding(name, self.autoencoder[name].origin, std)
        self.method = OBJECTIVES[config.model.method](self.autoencoder, config.regularizer)
        self._batches = Batches(data.train, batch_size=config.optimizer.batch_size, paired=paired, seed=config.seed)
        self.steps_per_epoch = self._batches.per_epoch

    def check(self, processes: int) -> None:
        """Raise DataError if there is more than one process."""
        if processes > 1:
            raise DataError(f"co-training runs in one process, got {processes}: start it without torchrun")

    def batch(self, step: int, device: torch.device) -> Batch:
        """The rows of each view at a step; a batch holds what it holds."""
        batch = self._batches.at(step)
        return {name: Rows(rows.x.to(device), rows.objects.to(device)) for name, rows in batch.items()}

    @torch.inference_mode()
    def score(self, device: torch.device) -> dict[str, float]:
        """Squared error of standardised test rows from codes without noise, mean over features, by view."""
        del device  # the model is where it is
        self.autoencoder.eval()
        scores = {f"test_reconstruction_{name}": reconstruction_error(self.autoencoder, self.data.test, name)
                  for name in self.autoencoder.names if len(self.data.test[name].x)}  # fmt: skip
        self.autoencoder.train()
        return scores

    def ending(self) -> str:
        """Couplings and head depend on nothing but the weights."""
        return "finished"

    def finish(self) -> None:
        """Solve the couplings, fit the head."""
        self.method.finish(self.data)


@torch.inference_mode()
def reconstruction_error(autoencoders: CoAutoencoders, part: Batch, name: str) -> float:
    """Squared error of standardised rows from codes without noise: mean over features and rows; 1 is the mean's."""
    view, x = autoencoders[name], part[name].x.to(autoencoders.device)
    codes = encode_rows(autoencoders, name, x).to(x)
    return (view.decoder(codes) - view.standardise(x)).square().mean().item()


def build_autoencoders(config: CotrainConfig, described: dict) -> CoAutoencoders:
    """Untrained autoencoders for data as a run folder describes them.

    Args:
        config: The run.
        described: What `ViewsData.describe` gave.

    Returns:
        The model.

    Raises:
        DataError: If settings are given for another number of views.
    """
    views = described["views"]
    _check_lengths(config.model, tuple(views))
    return CoAutoencoders(
        {name: facts["shape"] for name, facts in views.items()},
        config.model,
        anchors={name: min(config.model.anchors, facts["train"]) for name, facts in views.items()},
        classes=described["classes"],
        seed=config.seed,
        origins={name: facts["origin"] for name, facts in views.items() if "origin" in facts},
    )


def _check_lengths(config: ViewsModelConfig, views: tuple[str, ...]) -> None:
    for setting in ("hidden", "width", "latent_size", "prior", "components"):
        if len(given := getattr(config, setting)) not in (1, len(views)):
            raise DataError(f"{setting}: expected one value, or one for each of {', '.join(views)}; got {given}")
