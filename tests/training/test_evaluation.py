from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.mixture import GaussianMixture

from readers.image_data import ImageData
from readers.loaders import load_images
from relatent import Gaussian, MixturePrior
from training.autoencoder import Autoencoder
from training.config import ModelConfig
from training.evaluation import evaluate_images, reconstruction_error
from training.image_task import image_autoencoder
from training.metrics.pretraining import BUDGETS, Budget
from training.metrics.weights import WeightsError
from training.pictures import save_grid, save_pictures


@pytest.fixture(autouse=True)
def _quick_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGETS, "classes", Budget(images=6000))
    monkeypatch.setitem(BUDGETS, "rotations", Budget(images=3000))


def make_model(method: str = "prae") -> Autoencoder:
    return image_autoencoder((1, 8, 8), ModelConfig(method=method, width=2, components=3), seed=0).eval()


def test_the_error_is_summed_over_pixels_and_averaged_over_images() -> None:
    data, model = load_images("digits"), make_model()
    x = data.pixels(data.test)
    with torch.inference_mode():
        y = model.decoder(model.encoder(x).mean)
    expected = ((y.numpy().astype(np.float64) - x.numpy()) ** 2).sum() / len(x)
    assert reconstruction_error(model, data.batches(data.test)) == pytest.approx(expected, rel=1e-5)


def test_the_error_leaves_the_training_mode_as_it_was() -> None:
    data, model = load_images("digits"), make_model().train()
    reconstruction_error(model, data.batches(data.test))
    assert model.training


def test_posteriors_are_those_of_the_encoder_and_points_have_no_spread() -> None:
    data = load_images("digits")
    for method in ("prae", "drae"):
        model = make_model(method)
        with torch.inference_mode():
            mean, std = model.encoder(data.pixels(data.test))
        torch.testing.assert_close(tuple(model.encode_all(data.batches(data.test))), (mean, std))
        assert (std > 0).all() == (method == "prae")
        assert (std == 0).all() == (method == "drae")


def test_scores_of_a_model_whose_components_are_dead_say_so() -> None:
    data, model = load_images("digits"), make_model()
    with torch.no_grad():
        model.prior.mean[1:] = 1e4
    scores = evaluate_images(model, data)
    assert scores["components_used"] == 1
    assert scores["component_purity"] == pytest.approx(data.test_labels.bincount().max().item() / len(data.test))
    assert (scores["nmi"], scores["ari"]) == pytest.approx((0, 0))


class Points(torch.nn.Module):
    """Images as they are."""

    def forward(self, x: torch.Tensor) -> Gaussian:
        return Gaussian(x.flatten(1), torch.zeros_like(x.flatten(1)))


class Perfect(Autoencoder):
    """Codes are the images themselves, and the prior is the mixture that fits them."""

    def __init__(self, data: ImageData) -> None:
        torch.nn.Module.__init__(self)
        self.feature_mean = self.feature_std = None
        self.encoder, self.decoder = Points(), torch.nn.Unflatten(1, data.shape)
        codes = self.encoder(data.pixels(data.train)).mean
        fitted = GaussianMixture(3, random_state=0, init_params="k-means++").fit(codes.numpy())
        self.prior = MixturePrior(3, codes.shape[1], covariance="full", generator=torch.Generator())
        parts = (fitted.means_, np.linalg.cholesky(fitted.covariances_), fitted.weights_)
        self.prior.assign(*(torch.from_numpy(part).float() for part in parts))


def three_kinds(count: int) -> ImageData:
    """2x2 images of three kinds, apart and round, in the shares 1/2, 1/3, 1/6."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 0, 0, 1, 1, 2]).repeat(count // 6)
    centres = torch.tensor([[60.0, 60, 60, 60], [190, 60, 190, 60], [60, 190, 190, 190]])
    pixels = centres[labels] + 12 * torch.randn(len(labels), 4, generator=generator)
    images = pixels.round().clamp(0, 255).byte().view(-1, 1, 2, 2)
    half = len(images) // 2
    return ImageData("kinds", images[:half], labels[:half], images[half:], labels[half:], 255, "halves")


def test_a_perfect_model_has_perfect_scores() -> None:
    data = three_kinds(1800)
    scores = evaluate_images(Perfect(data), data)
    perfect = ("component_purity", "nmi", "ari", "purity_plan", "nmi_plan", "ari_plan")
    assert {name: scores[name] for name in perfect} == pytest.approx(dict.fromkeys(perfect, 1), abs=0.02)
    assert scores["reconstruction_error"] == pytest.approx(0, abs=1e-10)
    assert scores["frechet_reconstruction"] == pytest.approx(0, abs=1e-6)
    assert (scores["components_used"], scores["classes_present"], scores["images_compared"]) == (3, 3, 900)
    share = torch.tensor([3, 2, 1]) / 6
    assert scores["class_balance"] == pytest.approx(-(share * share.log()).sum().item() / np.log(3), abs=0.02)
    # The kinds' shares among 900 samples are off by up to two in a hundred, and the kinds far apart.
    assert scores["sliced_wasserstein_to_prior"] < 0.03
    assert abs(scores["fgw_to_prior"]) < 0.05
    assert min(scores["precision"], scores["recall"], scores["coverage"]) > 0.8
    assert scores["density"] == pytest.approx(1, abs=0.15)


def test_a_worse_prior_has_worse_scores() -> None:
    data = three_kinds(1800)
    good, bad = Perfect(data), Perfect(data)
    with torch.no_grad():
        bad.prior.mean += 0.2
        bad.prior.log_weights.copy_(torch.tensor([0.98, 0.01, 0.01]).log())
    good_scores, bad_scores = evaluate_images(good, data), evaluate_images(bad, data)
    for name in ("frechet", "kid", "sliced_wasserstein_to_prior", "fgw_to_prior"):
        assert bad_scores[name] > good_scores[name] + 0.01, name
    for name in ("precision", "recall", "density", "coverage", "class_balance", "classes_present"):
        assert bad_scores[name] < good_scores[name], name
    for name in ("reconstruction_error", "frechet_reconstruction"):
        assert bad_scores[name] == good_scores[name], name


def test_scores_come_back_for_the_same_seed_and_leave_the_model_as_it_was() -> None:
    data, model = load_images("digits"), make_model()
    before = {name: (value.clone(), value.stride()) for name, value in model.state_dict().items()}
    one, two, other = (evaluate_images(model, data, samples=100, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one["frechet"] != other["frechet"]
    assert one["images_compared"] == 100
    assert one["reconstruction_error"] == pytest.approx(reconstruction_error(model, data.batches(data.test)), rel=1e-6)
    assert one["reconstruction_error"] == other["reconstruction_error"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name][0])
        assert value.stride() == before[name][1]


def test_without_labels_and_weights_scores_against_them_are_left_out() -> None:
    data, model = load_images("digits"), make_model()
    blind = data._replace(name="blind", train_labels=None, test_labels=None)
    labelled, unlabelled = evaluate_images(model, data, samples=50), evaluate_images(model, blind, samples=50)
    of_classes = {"component_purity", "nmi", "ari", "purity_plan", "nmi_plan", "ari_plan"}
    assert labelled.keys() - unlabelled.keys() == of_classes | {"class_balance", "classes_present"}
    assert unlabelled["sliced_wasserstein_to_prior"] == labelled["sliced_wasserstein_to_prior"]
    assert "fid" not in labelled


def test_a_missing_file_of_inception_weights_is_an_error_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="--inception-weights: expected pt_inception"):
        evaluate_images(make_model(), load_images("digits"), inception_weights=tmp_path / "none.pth")


def test_pictures_show_what_they_say(tmp_path) -> None:
    data, model = load_images("digits"), make_model("drae")
    paths = save_pictures(tmp_path / "pictures", model, data)
    sizes = {path.name: Image.open(path).size for path in paths}
    # Each image takes 8 pixels and a border of one, and the grid one more.
    assert sizes == {
        "reconstructions.png": (91, 91), "samples.png": (91, 91), "components.png": (145, 28),
        "interpolation.png": (91, 91),
    }  # fmt: skip
    first = np.asarray(Image.open(paths[0]).convert("L"))[1:9, 1:9]
    assert np.array_equal(first, np.round(data.pixels(data.test)[0, 0].numpy() * 255))


def test_grids_clip(tmp_path) -> None:
    save_grid(tmp_path / "grid.png", torch.tensor([-3.0, 7.0]).view(2, 1, 1, 1), columns=2)
    row = np.asarray(Image.open(tmp_path / "grid.png").convert("L"))[1]
    assert row.tolist() == [128, 0, 128, 255, 128]
