from pathlib import Path

import pytest
import torch

from readers.image_data import ImageData
from readers.loaders import load_images
from training.config import DataConfig, MachineConfig, ModelConfig, OptimizerConfig, TrainConfig
from training.image_task import ImageTask
from training.loop import run
from training.recipes import Recipe
from training.runs import Run, evaluate_run, load_run


def _train(method: str, folder: Path, recipe: Recipe = "paper") -> Run:
    config = TrainConfig(
        data=DataConfig(data="digits", train_samples=400),
        model=ModelConfig(method=method, width=4),
        optimizer=OptimizerConfig(epochs=2),
        recipe=recipe,
        machine=MachineConfig(accelerator="cpu"),
        out=folder,
    )
    run(ImageTask(config, ImageTask.load(config.data, seed=config.seed)))
    evaluate_run(folder)
    trained = load_run(folder)
    with torch.no_grad():  # two epochs leave batch norm and prior near their start: exercise the export harder
        for name, buffer in trained.model.named_buffers():
            if name.endswith("running_mean"):
                buffer += torch.linspace(-1, 1, len(buffer))
    return trained


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """What they are trained on."""
    return load_images("digits")


@pytest.fixture(scope="session")
def prae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A probabilistic run on 8x8 digits, trained for seconds."""
    return _train("prae", tmp_path_factory.mktemp("runs") / "prae")


@pytest.fixture(scope="session")
def drae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A deterministic run on 8x8 digits, trained for seconds."""
    return _train("drae", tmp_path_factory.mktemp("runs") / "drae")


@pytest.fixture(scope="session")
def ae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose prior has full covariances and unequal weights, fitted to its codes."""
    return _train("ae", tmp_path_factory.mktemp("runs") / "ae")


@pytest.fixture(scope="session")
def swae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose prior is fixed."""
    return _train("swae", tmp_path_factory.mktemp("runs") / "swae")
