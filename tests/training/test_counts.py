"""What cannot end well is refused before the first step, and so are data that have changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from readers.errors import DataError
from readers.image_data import ImageData
from training import loop
from training.config import TrainConfig
from training.image_task import ImageTask
from training.pictures import interpolation_images
from training.run_folder import RunError
from training.runs import load_data, load_run


def images(count: int = 60, side: int = 8, channels: int = 1) -> ImageData:
    pixels = torch.randint(0, 256, (count, channels, side, side), generator=torch.Generator().manual_seed(0)).byte()
    return ImageData("made", pixels[10:], None, pixels[:10], None, 255, "the first ten")


def train(config: TrainConfig, data: ImageData, *, resume: bool = False) -> Path:
    return loop.run(ImageTask(config, data), resume=resume)


@pytest.mark.parametrize("method", ["prae", "drae", "ae", "gmvae", "vampprior"])
def test_more_components_than_images(make_config: Callable[..., TrainConfig], method: str) -> None:
    with pytest.raises(DataError, match=r"--components: expected at most 50, .* got 51"):
        train(make_config(method=method, components=51), images())


def test_a_prior_of_one_component_needs_no_more_images(make_config: Callable[..., TrainConfig]) -> None:
    ImageTask(make_config(method="vae", components=51), images())


def test_a_batch_of_one(make_config: Callable[..., TrainConfig]) -> None:
    with pytest.raises(DataError, match=r"--batch-size: expected at least 2, .* got 1"):
        train(make_config(batch_size=1), images())
    with pytest.raises(DataError, match=r"--batch-size: expected at least 4, .* got 2"):
        ImageTask(make_config(batch_size=2), images()).check(2)


def test_equal_images(make_config: Callable[..., TrainConfig]) -> None:
    data = images()
    with pytest.raises(DataError, match="expected training images that differ, got 50 equal ones"):
        train(make_config(), data._replace(train=data.train[:1].expand(50, -1, -1, -1)))


@pytest.mark.parametrize(("side", "width", "least"), [(192, 2, 4), (512, 7, 8), (96, 1, 2)])
def test_a_width_that_halves_to_nothing(
    make_config: Callable[..., TrainConfig], side: int, width: int, least: int
) -> None:
    data = images(12, side=side)
    with pytest.raises(DataError, match=rf"--width: expected at least {least} for images of {side}x{side} .* {width}$"):
        train(make_config(width=width, components=2, batch_size=2), data)
    ImageTask(make_config(width=least, components=2, batch_size=2), data)


@pytest.mark.parametrize("labels", [[3] * 10, [0, 1] * 5, None])
def test_four_corners_are_found_with_few_classes(
    make_config: Callable[..., TrainConfig], labels: list[int] | None
) -> None:
    data = images()._replace(test_labels=None if labels is None else torch.tensor(labels))
    autoencoder = ImageTask(make_config(), data).model.only.eval()
    drawn = interpolation_images(autoencoder, data, 2).flatten(0, 1)
    with torch.inference_mode():
        corners = autoencoder.decode(autoencoder.encode(data.pixels(data.test[:4])).mean)
    torch.testing.assert_close(drawn, corners)


def write(folder: Path, names: list[str], size: tuple[int, int] = (8, 16)) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        pixels = np.random.default_rng(int(name)).integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def test_data_that_have_changed_are_refused(make_config: Callable[..., TrainConfig], tmp_path: Path) -> None:
    folder, names = tmp_path / "pictures", [f"{index:03}" for index in range(0, 300, 3)]
    write(folder, names)
    config = make_config(
        data="folder", data_dir=folder, train_samples=None, epochs=1, batch_size=30, components=2, refit="none"
    )
    run = train(config, ImageTask.load(config.data, seed=config.seed))
    assert load_run(run).epochs == 1
    write(folder, ["100"])  # in the middle: what was a training image is a test image now
    with pytest.raises(RunError, match=r"trained on other data \(90 training and 10 test .* then, 91 training"):
        load_data(load_run(run))
    (folder / "100.png").unlink()
    assert len(load_data(load_run(run)).train) == 90
    for path in folder.iterdir():  # the same bytes, lying otherwise
        Image.fromarray(np.asarray(Image.open(path)).reshape(16, 8)).save(path)
    with pytest.raises(RunError, match="trained on other data"):
        load_data(load_run(run))
    with pytest.raises(RunError, match="trained on other data"):
        train(config, ImageTask.load(config.data, seed=config.seed), resume=True)
