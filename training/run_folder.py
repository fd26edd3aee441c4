"""The run folder: what is in it, how it is written, how it is read back.

config.json       the folder's format, the verb, and the resolved configuration, written before step 0
origin.json       code revisions, versions, data fingerprint, date
checkpoint.pt     weights, optimizer and step, replaced atomically
log.jsonl         one line per logged step and per epoch
tensorboard/      the same for TensorBoard
evaluation.json, pictures/    written by `evaluate`
"""

import pickle
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pydantic
import torch
from filelock import FileLock, Timeout

from readers import json_objects
from readers.atomic import atomic_path, write_json
from readers.errors import DataError
from relatent import solver
from training.config import RunConfig, refusal

C = TypeVar("C", bound=RunConfig)
FORMAT = 2  # of the folder; before it had a number, weights of one view and of several had other names
LAST_WITHOUT = "c9878202a"  # the last revision that reads those
# What may lie in a folder that a run is begun in: what a command that was stopped early, or that starts runs, leaves.
EARLY = {"origin.json", "output.log", "failure.json"}
RESTORE = "restore it from a copy, or train anew with another --out"
CHECKPOINT = {"model", "method", "optimizer", "step", "epochs", "finished"}


class Described(Protocol):
    """Data, as far as a run folder notes them."""

    def describe(self) -> dict[str, Any]:
        """Facts for origin.json, the fingerprint among them as "sha256"."""

    def fingerprint(self) -> str:
        """sha256 of the data."""


class RunError(ValueError):
    """A run folder is missing something or belongs to another run."""


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
        "solver": solver(),
        "data": data.describe(),
    }


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for one command at a time; the lock ends with the process.

    Args:
        folder: Made if missing.

    Raises:
        RunError: If it cannot be made or written, or if another process holds it.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise RunError(f"another command is at work in {folder}: wait for it, or use another --out") from None
    except OSError as error:
        raise RunError(
            f"--out {folder}: expected a folder that can be made and written, got {_reason(error)}; "
            "choose another with --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def open_run(
    folder: Path,
    config: RunConfig,
    data: Described,
    *,
    resume: bool,
    checkpoint: dict[str, Any] | None = None,
    steps_per_epoch: int = 1,
) -> None:
    """Begin a run in a folder and write its configuration, or check that it continues the same run.

    Args:
        folder: The run folder; it is there.
        config: The resolved configuration.
        data: The data it will train on.
        resume: Whether an existing run may go on.
        checkpoint: What it goes on from.
        steps_per_epoch: Of the run.

    Raises:
        RunError: If the folder holds other files, or a run and `resume` is false, or a run with other settings.
    """
    path = folder / "config.json"
    if not path.exists():
        others = sorted(
            file.name for file in folder.iterdir() if not file.name.startswith(".") and file.name not in EARLY
        )
        if others:
            raise RunError(
                f"--out {folder}: expected an empty folder or a run with its config.json, got {len(others)} other "
                f"files, {others[0]!r} the first; choose another with --out"
            )
        write_json(folder / "origin.json", describe_origin(data))
        _write_config(path, config)
        return
    if not resume:
        raise RunError(f"{folder} already holds a run: continue it with --resume, or choose another folder with --out")
    ours, theirs = config.comparable(), read_config(folder, type(config)).comparable()
    differing = [f"{key}: {theirs[key]} there, {value} here" for key, value in ours.items() if theirs[key] != value]
    if differing:
        raise RunError(
            f"{folder} holds a run with other settings ({'; '.join(differing)}); use those, or another --out"
        )
    if checkpoint is not None:
        _check_reachable(folder, config, checkpoint, steps_per_epoch)
    origin, revision = read_origin(folder), code_revision()
    check_data(folder, origin, data)
    if not origin["code_revision"].endswith(revision):
        write_json(folder / "origin.json", origin | {"code_revision": f"{origin['code_revision']}, then {revision}"})
    _write_config(path, config)


def _write_config(path: Path, config: RunConfig) -> None:
    write_json(path, {"format": FORMAT, "verb": config.verb, **config.model_dump(mode="json")})


def _check_reachable(folder: Path, config: Any, checkpoint: dict[str, Any], steps_per_epoch: int) -> None:
    """Refuse settings that no longer make the weights that are there: the run would tell an untrue command."""
    epochs, step = config.optimizer.epochs, checkpoint["step"]
    if step > epochs * steps_per_epoch:
        raise RunError(
            f"{folder}: --epochs: expected at least {-(-step // steps_per_epoch)}, which the run has begun, "
            f"got {epochs}; train anew with another --out for fewer"
        )
    # Only a fit from nothing forgets the one before it.
    before, now = checkpoint["finished"], getattr(config.regularizer, "refit", None)
    if now is not None and before not in (None, "none", now) and now != "anew":
        raise RunError(
            f"{folder}: --refit: expected {before}, as the run was ended, or anew, got {now}; "
            "train anew with another --out for that"
        )


def check_data(folder: Path, origin: dict[str, Any], data: Described) -> None:
    """Raise RunError unless data are those that a run was trained on.

    Args:
        folder: The run folder.
        origin: What it notes of its data, among other things.
        data: Those that are there now.
    """
    then, now = origin["data"], data.describe()
    if now["sha256"] == then["sha256"] and now.get("shape") == then.get("shape", now.get("shape")):
        return
    counts = [f"{told['train']} training and {told['test']} test items" for told in (then, now) if "train" in told]
    more = f" ({counts[0]} then, {counts[1]} now)" if len(set(counts)) == 2 else ""
    raise RunError(
        f"{folder} was trained on other data{more}: expected sha256 {then['sha256']}, got {now['sha256']}; restore "
        "them, name their folder by --data-dir, or train anew with another --out"
    )


def resume_command(verb: str, folder: Path) -> str:
    """The command that goes on with a run."""
    return shlex.join(["python", "-m", "training", verb, "--out", str(folder), "--resume"])


def read_config(folder: Path, *kinds: type[C]) -> C:
    """The configuration of a run.

    Args:
        folder: The run folder.
        kinds: Of configurations that it may be.

    Returns:
        The configuration, validated.

    Raises:
        RunError: If there is none, or if it is not one this version understands.
    """
    path = folder / "config.json"
    if not path.exists():
        got = "a file" if folder.is_file() else "none" if folder.is_dir() else "no such folder"
        raise RunError(f"{folder}: expected a run folder, with a config.json in it, got {got}; {path} does not exist")
    content = read_object(path, advice=RESTORE)
    made, verb = content.pop("format", None), content.pop("verb", None)
    if made != FORMAT:
        version = (
            f"an earlier version: train anew, or use revision {LAST_WITHOUT}" if made is None else "another version"
        )
        raise RunError(f"{path}: expected format {FORMAT} of a run folder, got {made}, made by {version}")
    kind = next((kind for kind in kinds if kind.verb == verb), None)
    if kind is None:
        expected = " or ".join(f"`{kind.verb}`" for kind in kinds)
        raise RunError(f"{folder}: expected a run of {expected}, got one of `python -m training {verb}`; use that")
    try:
        return kind.model_validate(content)
    except pydantic.ValidationError as error:
        faults = refusal(error, name=lambda place: ".".join(map(str, place)))
        raise RunError(f"{path} is not a configuration of this version: {faults}; {RESTORE}") from None


def read_origin(folder: Path) -> dict[str, Any]:
    """Where a run comes from, as `describe_origin` wrote it; RunError if it is missing or damaged."""
    path = folder / "origin.json"
    origin = read_object(path, advice=RESTORE)
    for key, kind in (("code_revision", str), ("date", str), ("data", dict)):
        if not isinstance(origin.get(key), kind):
            raise RunError(f"{path}: expected {key!r} in it, got {sorted(origin)}; {RESTORE}")
    if not isinstance(origin["data"].get("sha256"), str):
        raise RunError(f"{path}: expected the data's 'sha256' in it, got {sorted(origin['data'])}; {RESTORE}")
    return origin


def read_object(path: Path, *, advice: str) -> dict[str, Any]:
    """Read a JSON object from a file of a run.

    Args:
        path: The file.
        advice: What to do if it cannot be read.

    Returns:
        The object.

    Raises:
        RunError: If the file is missing, cannot be read, or holds no JSON object.
    """
    try:
        return json_objects.read_object(path, advice=advice)
    except OSError as error:
        raise RunError(f"{path}: expected a file of the run, got {_reason(error)}; {advice}") from None
    except DataError as error:
        raise RunError(f"{error}") from None


def _reason(error: OSError) -> str:
    return f"{error.strerror or error}".lower()


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
    """The last checkpoint on the CPU, or None if the run has none yet.

    Args:
        folder: The run folder.

    Returns:
        What `save_checkpoint` was given.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        return None
    advice = "restore it from a copy, or remove it and go on with --resume, from the first step"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        got = f"{type(error).__name__}: {f'{error}'.splitlines()[0] if f'{error}' else ''}"
        got = got if path.is_dir() or path.stat().st_size else "an empty file"
        raise RunError(f"{path}: expected a whole checkpoint, got {got}; {advice}") from None
    if not isinstance(state, dict) or not state.keys() >= CHECKPOINT:
        raise RunError(f"{path}: expected a checkpoint of a run, got another file of torch's; {advice}")
    return state


@contextmanager
def fitting(folder: Path) -> Iterator[None]:
    """Say which file it is that weights do not fit the configuration of."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder / 'checkpoint.pt'}: expected the weights of the model in config.json, got others "
            f"({' '.join(f'{error}'.split())[:160]}); {RESTORE}"
        ) from None
