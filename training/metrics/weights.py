"""Weights of fixed networks: files whose sha256 is known, so that equal scores come from equal networks."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from readers.atomic import atomic_path, write_json


class WeightsError(ValueError):
    """A file of weights is missing or is not the one it should be."""


def save_weights(path: Path, state: dict[str, Tensor], record: dict[str, Any]) -> dict[str, Any]:
    """Write PATH.pt, and PATH.json with its sha256 first and then the record, each atomically.

    Args:
        path: Where, without suffix; the folder is made if missing.
        state: The network's weights.
        record: What there is to say of them, ready for JSON.

    Returns:
        The record with the sha256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Given a path, torch would write its name into the file, and equal weights would have another sha256 each time.
    with atomic_path(path.with_suffix(".pt")) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
    digest = hashlib.sha256(path.with_suffix(".pt").read_bytes()).hexdigest()
    record = {"sha256": digest, **record}
    write_json(path.with_suffix(".json"), record)
    return record


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_weights` wrote.

    Args:
        path: Where, without suffix.

    Returns:
        The weights, on the CPU, and the record.

    Raises:
        WeightsError: If a file is missing, or if PATH.pt has not the sha256 that PATH.json says.
    """
    weights, about = path.with_suffix(".pt"), path.with_suffix(".json")
    for file in (weights, about):
        if not file.exists():
            raise WeightsError(f"expected {weights.name} and {about.name} in {path.parent}, {file.name} is missing")
    record = json.loads(about.read_text())
    return read_checked(weights, sha256=record["sha256"]), record


def read_checked(path: Path, *, sha256: str) -> dict[str, Tensor]:
    """Read weights from a file of known content.

    Args:
        path: The file, as `torch.save` wrote it.
        sha256: Its digest, or the digest's beginning, in hexadecimal.

    Returns:
        The weights, on the CPU.

    Raises:
        WeightsError: If the file is missing or another one.
    """
    if not path.is_file():
        raise WeightsError(f"expected a file of weights, {path} does not exist")
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if not got.startswith(sha256):
        raise WeightsError(f"{path}: expected sha256 {sha256}, got {got[: len(sha256)]}; fetch or train it anew")
    return torch.load(path, map_location="cpu", weights_only=True)
