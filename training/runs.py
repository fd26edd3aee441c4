"""The run folder: what is in it, how it is written, how it is read back.

config.json       the resolved configuration, written before step 0
origin.json       code revisions, versions, data fingerprint, date
checkpoint.pt     weights, optimizer and step, replaced atomically
log.jsonl         one line per logged step and per epoch
tensorboard/      the same for TensorBoard
evaluation.json, pictures/    written by `evaluate`
"""

import json
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import pydantic
import torch

from training.autoencoder import Autoencoder
from training.config import Config, TrainConfig
from training.data import ImageData, load_images
from training.files import atomic_path, write_json
from training.methods import METHODS

C = TypeVar("C", bound=Config)


class Described(Protocol):
    """Data, as far as a run folder notes them."""

    def describe(self) -> dict[str, Any]:
        """Facts for origin.json, the fingerprint among them as "sha256"."""

    def fingerprint(self) -> str:
        """sha256 of the data."""


class RunError(ValueError):
    """A run folder is missing something or belongs to another run."""


class Run(NamedTuple):
    """A trained run, read back.

    Attributes:
        folder: Where it lies.
        config: Its configuration.
        origin: Code revisions, versions, data fingerprint, date.
        autoencoder: The model with its last saved weights, in evaluation mode, on the CPU.
        data: The data it was trained on.
        step: Steps taken when the weights were saved.
        epochs: Whole epochs among them.
    """

    folder: Path
    config: TrainConfig
    origin: dict[str, Any]
    autoencoder: Autoencoder
    data: ImageData
    step: int
    epochs: int


def code_revision() -> str:
    """The git commit of this code, with "-dirty" if tracked files differ from it; "unknown" outside a checkout."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe_origin(data: Described) -> dict[str, Any]:
    """Where a run comes from: code revision, versions, data and date."""
    return {
        "code_revision": code_revision(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "data": data.describe(),
    }


def open_run(folder: Path, config: Config, data: Described, *, resume: bool) -> None:
    """Make a run folder and write its configuration, or check that it continues the same run.

    Args:
        folder: The run folder.
        config: The resolved configuration.
        data: The data it will train on.
        resume: Whether an existing run may go on.

    Raises:
        RunError: If the folder holds a run and `resume` is false, or if it holds one with other settings.
    """
    path = folder / "config.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "origin.json", describe_origin(data))
        write_json(path, config.model_dump(mode="json"))
        return
    if not resume:
        raise RunError(f"{folder} already holds a run: continue it with --resume, or choose another folder with --out")
    ours, theirs = _comparable(config), _comparable(read_config(folder, type(config)))
    differing = [f"{key}: {theirs[key]} there, {value} here" for key, value in ours.items() if theirs[key] != value]
    if differing:
        raise RunError(
            f"{folder} holds a run with other settings ({'; '.join(differing)}); use those, or another --out"
        )
    origin, revision = read_origin(folder), code_revision()
    if (now := data.fingerprint()) != (then := origin["data"]["sha256"]):
        raise RunError(f"{folder} was trained on other data: expected sha256 {then}, came {now}")
    if not origin["code_revision"].endswith(revision):
        write_json(folder / "origin.json", origin | {"code_revision": f"{origin['code_revision']}, then {revision}"})
    write_json(path, config.model_dump(mode="json"))


def _comparable(config: Config) -> dict[str, Any]:
    """Settings that must stay as they are when a run goes on: all but where it runs, for how long, and how it ends."""
    groups = config.model_dump(mode="json", exclude={"out": True, "machine": {"accelerator"}, "data": {"data_dir"}})
    groups.pop("recipe")  # its settings count, not its name
    if not groups["optimizer"]["prior_decay"]:
        groups["optimizer"].pop("epochs")
    groups["regularizer"].pop("refit", None)  # a step of its own, after the last
    return {
        key: value
        for group, settings in groups.items()
        for key, value in (settings.items() if isinstance(settings, dict) else [(group, settings)])
    }


def read_config(folder: Path, kind: type[C]) -> C:
    """The configuration of a run.

    Args:
        folder: The run folder.
        kind: Of configuration.

    Returns:
        The configuration, validated.

    Raises:
        RunError: If there is none, or if it is not one this version understands.
    """
    path = folder / "config.json"
    try:
        return kind.model_validate_json(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"expected a run folder, with a config.json in it; {path} does not exist") from None
    except pydantic.ValidationError as error:
        raise RunError(f"{path} is not a configuration of this version: {error}") from error


def read_origin(folder: Path) -> dict[str, Any]:
    """Where a run comes from, as `describe_origin` wrote it."""
    return json.loads((folder / "origin.json").read_text())


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint atomically: a kill at any moment leaves the old one or the new one.

    Args:
        folder: The run folder.
        state: What to save.

    Raises:
        RunError: If it cannot be written, as on a full disk; the old one stays.
    """
    try:
        with atomic_path(folder / "checkpoint.pt") as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:  # torch's own writer knows but the latter
        free = shutil.disk_usage(folder).free / 2**20
        raise RunError(
            f"{folder / 'checkpoint.pt'} could not be written, with {free:.0f} MiB free there: "
            f"{str(error).splitlines()[0]}; make room and go on with --resume"
        ) from error


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint on the CPU, or None if the run has none yet."""
    path = folder / "checkpoint.pt"
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def load_run(folder: Path, *, data_dir: Path | None = None) -> Run:
    """Read a trained run back.

    Args:
        folder: The run folder.
        data_dir: Where its data lie now, if elsewhere than when it was trained.

    Returns:
        The run, its model in evaluation mode.

    Raises:
        RunError: If the folder is no run, nothing is trained yet, or its prior, fitted at the end, is not yet there.
    """
    config = read_config(folder, TrainConfig)
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise RunError(
            f"{folder} has no checkpoint.pt: nothing is trained yet; run `python -m training train` with --resume"
        )
    if METHODS[config.model.method].prior == "fitted" and checkpoint["finished"] is None:
        raise RunError(
            f"{folder}: {config.model.method} fits its prior after the last step, and this run stopped before; "
            "run `python -m training train` with --resume"
        )
    data = load_images(config.data.model_copy(update={"data_dir": data_dir}) if data_dir else config.data)
    autoencoder = Autoencoder(data.shape, config.model, seed=config.seed)
    autoencoder.load_state_dict(checkpoint["autoencoder"])
    steps_per_epoch = len(data.train) // config.optimizer.batch_size
    step = checkpoint["step"]
    return Run(folder, config, read_origin(folder), autoencoder.eval(), data, step, step // steps_per_epoch)
