import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics.cluster import contingency_matrix

from training.autoencoder import Autoencoder
from training.config import DataConfig, ModelConfig
from training.data import load_images
from training.evaluation import component_purity, evaluate, reconstruction_error
from training.pictures import save_grid, save_pictures


def make_model(method: str = "prae") -> Autoencoder:
    return Autoencoder((1, 8, 8), ModelConfig(method=method, width=2, components=3), seed=0).eval()


def test_purity_is_that_of_the_contingency_table() -> None:
    rng = np.random.default_rng(0)
    components, labels = rng.integers(0, 7, 500), rng.integers(0, 10, 500)
    expected = contingency_matrix(components, labels).max(axis=1).sum() / 500
    assert component_purity(torch.from_numpy(components), torch.from_numpy(labels)) == pytest.approx(expected)
    assert component_purity(torch.tensor([0, 0, 4]), torch.tensor([1, 1, 2])) == 1.0


def test_the_error_is_summed_over_pixels_and_averaged_over_images() -> None:
    data, model = load_images(DataConfig(data="digits")), make_model()
    x = data.pixels(data.test)
    with torch.inference_mode():
        y = model.decoder(model.encoder(x).mean)
    expected = ((y.numpy().astype(np.float64) - x.numpy()) ** 2).sum() / len(x)
    assert reconstruction_error(model, data, data.test) == pytest.approx(expected, rel=1e-5)


def test_the_error_leaves_the_training_mode_as_it_was() -> None:
    data, model = load_images(DataConfig(data="digits")), make_model().train()
    reconstruction_error(model, data, data.test)
    assert model.training


def test_scores_of_a_model_whose_components_are_dead_say_so() -> None:
    data, model = load_images(DataConfig(data="digits")), make_model()
    with torch.no_grad():
        model.prior.mean[1:] = 1e4
    scores = evaluate(model, data)
    assert scores["components_used"] == 1
    assert scores["component_purity"] == pytest.approx(data.test_labels.bincount().max().item() / len(data.test))


def test_pictures_show_what_they_say(tmp_path) -> None:
    data, model = load_images(DataConfig(data="digits")), make_model("drae")
    paths = save_pictures(tmp_path / "pictures", model, data)
    sizes = {path.name: Image.open(path).size for path in paths}
    # Each image takes 8 pixels and a border of one, and the grid one more.
    assert sizes == {"reconstructions.png": (91, 91), "samples.png": (91, 91), "components.png": (145, 28)}
    first = np.asarray(Image.open(paths[0]).convert("L"))[1:9, 1:9]
    assert np.array_equal(first, np.round(data.pixels(data.test)[0, 0].numpy() * 255))


def test_grids_clip(tmp_path) -> None:
    save_grid(tmp_path / "grid.png", torch.tensor([-3.0, 7.0]).view(2, 1, 1, 1), columns=2)
    row = np.asarray(Image.open(tmp_path / "grid.png").convert("L"))[1]
    assert row.tolist() == [128, 0, 128, 255, 128]
