from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from readers.views_data import ViewsData, views_from_arrays
from training.multiview.config import CotrainConfig


@pytest.fixture
def two_views() -> ViewsData:
    """150 objects of three classes in two views of 6 and 4 features."""
    return make_multiview({"near": 6, "far": 4})


@pytest.fixture
def three_views() -> ViewsData:
    return make_multiview({"near": 6, "far": 4, "wide": 9})


def make_multiview(sizes: dict[str, int], *, count: int = 150) -> ViewsData:
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    hidden = 3 * np.eye(3)[labels] + 0.3 * generator.normal(size=(count, 3))
    arrays = {
        name: hidden @ generator.normal(size=(3, size)) + 0.1 * generator.normal(size=(count, size)) + 5
        for name, size in sizes.items()
    }
    return views_from_arrays(arrays, labels=labels.tolist())


@pytest.fixture
def make_cotrain(tmp_path: Path) -> Callable[..., CotrainConfig]:
    """A run of 6 epochs of 3 steps; keywords go to whichever group has them."""

    def make(**changes: Any) -> CotrainConfig:
        flat: dict[str, Any] = {
            "data": "arrays", "hidden": (8,), "latent_size": (3,), "batch_size": 40, "epochs": 2, "accelerator": "cpu",
            "anchors": 30, "out": tmp_path / "run",
        } | changes  # fmt: skip
        groups: dict[str, Any] = {}
        for name, field in CotrainConfig.model_fields.items():
            fields = getattr(field.annotation, "model_fields", None)
            if fields is not None:
                groups[name] = {key: flat.pop(key) for key in fields if key in flat}
        return CotrainConfig.model_validate(groups | flat)

    return make
