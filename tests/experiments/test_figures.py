import numpy as np
import pytest
import torch
from PIL import Image

from experiments.images.figures import LARGEST, draw_figures, save_small
from experiments.images.gallery import Gallery, load_gallery, save_gallery
from experiments.images.tables import write_tables
from experiments.records import Results
from readers.loaders import load_images
from training.config import ModelConfig
from training.image_task import image_autoencoder
from training.pictures import interpolation_images


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Gallery:
    folder = tmp_path_factory.mktemp("run")
    model = image_autoencoder((1, 8, 8), ModelConfig(method="prae", width=2, components=3), seed=0).eval()
    save_gallery(folder, model, load_images("digits"))
    loaded = load_gallery(folder)
    assert loaded is not None
    return loaded


def test_a_gallery_holds_what_it_says(gallery: Gallery) -> None:
    data = load_images("digits")
    model = image_autoencoder((1, 8, 8), ModelConfig(method="prae", width=2, components=3), seed=0).eval()
    with torch.inference_mode():
        means = model.decoder(model.prior.mean).clamp(0, 1)
    assert gallery.components.shape == (3, 10, 1, 8, 8)
    assert np.allclose(gallery.components[:, 0], means * 255, atol=0.51)
    assert np.allclose(gallery.reconstructions[0], data.pixels(data.test[:10]) * 255, atol=0.51)
    assert (gallery.codes.shape, gallery.means.shape) == ((360, 2), (3, 2))
    assert gallery.labels.tolist() == data.test_labels.tolist()


def test_no_image_of_celeba_leaves_the_machine(tmp_path) -> None:
    data = load_images("digits")._replace(name="celeba", train_labels=None, test_labels=None)
    data = data._replace(test=data.test[:60])
    model = image_autoencoder((1, 8, 8), ModelConfig(method="drae", width=2, components=3), seed=0).eval()
    save_gallery(tmp_path, model, data)
    gallery = load_gallery(tmp_path)
    with torch.inference_mode():
        decoded = model.decoder(model.encode(data.pixels(data.test[:10])).mean).clamp(0, 1)
    assert np.allclose(gallery.reconstructions, decoded[None] * 255, atol=0.51)
    assert set(gallery.labels) <= {0, 1, 2}


def test_the_corners_of_an_interpolation_are_reconstructions() -> None:
    data = load_images("digits")
    model = image_autoencoder((1, 8, 8), ModelConfig(method="drae", width=2, components=3), seed=0).eval()
    images = interpolation_images(model, data, 3)
    first = [data.test_labels.tolist().index(label) for label in range(4)]
    with torch.inference_mode():
        codes = model.encode(data.pixels(data.test[first])).mean
        expected = model.decoder(torch.cat([codes, codes.mean(0, keepdim=True)]))
    corners = torch.stack([images[0, 0], images[0, 2], images[2, 0], images[2, 2], images[1, 1]])
    assert torch.allclose(corners, expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_made_to_fit(tmp_path, channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    picture = Image.fromarray(noise[..., 0] if channels == 1 else noise)
    save_small(tmp_path / "a.png", lambda scale: picture.resize((round(400 * scale), round(400 * scale))))
    assert 0.2 * LARGEST < (tmp_path / "a.png").stat().st_size <= LARGEST
    small = Image.fromarray(noise[:50, :50])
    save_small(tmp_path / "b.png", lambda scale: small)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), noise[:50, :50])  # what fits stays as it is


def test_every_table_has_its_pictures(tmp_path, gallery: Gallery, make_record) -> None:
    runs = [make_record(row, seed) for row in ("vae", "drae-paper") for seed in (0, 1)]
    for run, shown in ((runs[0], gallery._replace(components=gallery.components[:1])), (runs[2], gallery)):
        (tmp_path / run["name"]).mkdir()
        np.savez(tmp_path / run["name"] / "gallery.npz", **shown._asdict())
    pictures = draw_figures(tmp_path, tmp_path / "images", runs)
    table = "mnist-width8-epochs3"
    both = [
        f"{kind}-{row}" for kind in ("interpolation", "reconstructions", "samples") for row in ("drae-paper", "vae")
    ]
    names = sorted(
        f"{table}-{name}.png" for name in ["codes-drae-paper", "components-drae-paper", "convergence", *both]
    )
    assert pictures == {table: names}
    shown = {name: np.asarray(Image.open(tmp_path / "images" / name)) for name in names}
    assert all(picture.std() > 0 for picture in shown.values())
    # Ten pictures of 8 pixels a row, five rows, lines between and around them.
    assert shown[f"{table}-samples-vae.png"].shape == (1 + 5 * 9, 1 + 10 * 9)
    np.testing.assert_array_equal(shown[f"{table}-samples-vae.png"][1:9, 1:9], gallery.samples[0, 0, 0])

    # Made elsewhere, they stay, and stand beside those that are made here.
    (tmp_path / runs[0]["name"] / "gallery.npz").unlink()
    assert draw_figures(tmp_path, tmp_path / "images", runs) == {table: names}
    text = write_tables(Results(runs, [], []), pictures)
    assert f"| VAE | D-RAE, as printed |\n| --- | --- |\n| ![samples of VAE](images/{table}-samples-vae.png) |" in text
    assert all(text.count(f"(images/{name})") == 1 for name in names)
