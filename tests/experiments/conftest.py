from collections.abc import Callable
from typing import Any

import pytest

from experiments.images.cells import Cell


@pytest.fixture
def make_record() -> Callable[..., dict[str, Any]]:
    """A record as a worker leaves it, for tests that need no training."""

    def make(row: str = "vae", seed: int = 0, *, data: str = "mnist", **measures: float) -> dict[str, Any]:
        cell = Cell(data=data, row=row, seed=seed, width=8, epochs=3)
        return {
            "name": cell.name,
            **cell.model_dump(),
            "measures": {"reconstruction_error": 20.0 + seed} | measures,
            "samples": 500,
            "test_reconstruction_by_epoch": [30.0, 25.0, 20.0 + seed],
            "seconds_per_epoch": 4.0 + 2 * seed,
            "peak_memory_mib": 700.0 + seed,
            "config": {"any": "thing", "machine": {"precision": "float32"}},
            "origin": {"data": {"train": 60000, "test": 10000, "split": "official"}},
        }

    return make
