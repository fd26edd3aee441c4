from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training.config import DataConfig, MachineConfig, ModelConfig, OptimizerConfig, RegularizerConfig, TrainConfig
from training.image_task import image_autoencoder
from training.objectives import OBJECTIVES, Objective


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., TrainConfig]:
    """A run of 12 steps on 200 digits that can be made longer (no warm-up); keywords go to whichever group has them."""

    def make(**changes: object) -> TrainConfig:
        defaults = {
            "data": "digits", "train_samples": 200, "width": 4, "batch_size": 50, "epochs": 3,
            "accelerator": "cpu", "warmup": 0.0, "out": tmp_path / "run",
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


@pytest.fixture
def make_objective() -> Callable[..., Objective]:
    """A method on 8x8 images, by the paper's recipe; keywords go to model or regularizer."""

    def make(method: str, **settings: object) -> Objective:
        model = {"width": 2, "latent_size": 3, "components": 4}
        model |= {key: settings.pop(key) for key in list(settings) if key in ModelConfig.model_fields}
        config = TrainConfig(
            recipe="paper", model=ModelConfig(method=method, **model), regularizer=RegularizerConfig(**settings)
        )
        autoencoder = image_autoencoder((1, 8, 8), config.model, seed=0)
        for module in autoencoder.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()  # its statistics couple the rows of a batch
        return OBJECTIVES[method](autoencoder, config.regularizer)

    return make
