from collections.abc import Callable
from pathlib import Path

import pytest

from training.config import DataConfig, MachineConfig, ModelConfig, OptimizerConfig, RegularizerConfig, TrainConfig


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., TrainConfig]:
    """A run of 12 steps on 200 digits; keywords go to whichever group has them."""

    def make(**changes: object) -> TrainConfig:
        defaults = {
            "data": "digits", "train_samples": 200, "width": 4, "batch_size": 50, "epochs": 3,
            "accelerator": "cpu", "out": tmp_path / "run",
        }  # fmt: skip
        settings = defaults | changes
        groups = {
            "data": DataConfig,
            "model": ModelConfig,
            "regularizer": RegularizerConfig,
            "optimizer": OptimizerConfig,
            "machine": MachineConfig,
        }
        parts = {
            name: kind(**{key: settings.pop(key) for key in list(settings) if key in kind.model_fields})
            for name, kind in groups.items()
        }
        return TrainConfig(**parts, **settings)

    return make
