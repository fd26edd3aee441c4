import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from readers.views_data import ViewsData
from training.autoencoders import Autoencoders
from training.multiview.after_training import finish
from training.multiview.classifier import Classifier, choose_labelled
from training.multiview.config import CotrainConfig
from training.multiview.coupling import barycentric, couple, score_matching
from training.multiview.evaluation import evaluate_views
from training.multiview.task import CotrainTask
from training.multiview.translator import Translator


def _autoencoders(data: ViewsData) -> Autoencoders:
    settings = {"codes": "gaussians", "latent_size": (3,), "hidden": (8,), "anchors": 40}
    config = CotrainConfig.model_validate({"data": {"data": "arrays"}, "model": settings})
    model = CotrainTask(config, data).model
    finish(model, data, paired=True)
    return model


def test_the_coupling_of_an_isometric_copy_finds_every_partner() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(40, 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    order = torch.randperm(40, generator=generator)
    b = 5 * (a @ torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q)[order] + 2
    plan = couple(a, b)
    matching = score_matching(plan, b, objects=(torch.arange(40), order), classes=(torch.arange(40) % 4, order % 4))
    assert matching.objects > 0.9
    assert matching.classes >= matching.objects
    assert matching.rank < 0.02
    torch.testing.assert_close(plan.sum(1), torch.full((40,), 1 / 40, dtype=torch.float64))


def test_matching_scores_by_hand() -> None:
    coupling = torch.tensor([[0.25, 0.25], [0.0, 0.5]])
    target = torch.tensor([[0.0], [1.0]])
    assert barycentric(coupling, target).tolist() == [[0.5], [1.0]]
    objects = (torch.tensor([7, 8]), torch.tensor([7, 8]))
    scores = score_matching(coupling, target, objects=objects, classes=(torch.tensor([0, 1]), torch.tensor([0, 0])))
    assert scores.objects == pytest.approx(0.75)
    assert scores.classes == pytest.approx(0.5)
    assert scores.rank == pytest.approx(0.0)
    unknown = score_matching(coupling, target, objects=(torch.tensor([1, 2]), torch.tensor([3, 4])), classes=None)
    assert math.isnan(unknown.objects)


def test_a_translator_gives_an_anchors_image_and_between_anchors_a_mean() -> None:
    translator = Translator(3, 1, 1)
    translator.fit(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[5.0], [7.0], [9.0]]))
    at_half = translator(torch.tensor([[0.5], [1.0]])).flatten()
    # Kernel of standard deviation 1 / sqrt(2): weights exp(-distance^2).
    weights = np.exp(-np.array([0.25, 0.25, 2.25]))
    assert at_half[0].item() == pytest.approx((weights * [5, 7, 9]).sum() / weights.sum())
    assert at_half[1].item() == pytest.approx(7.0)
    assert translator(torch.tensor([[100.0]])).item() == pytest.approx(9.0)


def test_a_translators_kernel_is_as_wide_as_predicts_images_best() -> None:
    rng = np.random.default_rng(0)
    z = rng.uniform(0, 10, size=(81, 1))
    widths = []
    for noise in (0.0, 0.5, 100.0):
        images = np.sin(z) + noise * rng.normal(size=z.shape)
        translator = Translator(81, 1, 1)
        translator.fit(torch.from_numpy(z).float(), torch.from_numpy(images).float())
        apart = np.abs(z - z.T) + 1e9 * np.eye(81)
        narrowest = np.median(apart.min(1)) / np.sqrt(2)
        errors = []
        for factor in np.sqrt(2) ** np.arange(7):
            told = []
            for i in range(81):
                others = np.arange(81) != i
                weights = np.exp((apart[i].min() ** 2 - apart[i, others] ** 2) / (2 * (narrowest * factor) ** 2))
                told.append(weights @ images[others, 0] / weights.sum())
            errors.append(np.square(told - images[:, 0]).sum())
        chosen = np.sqrt(2) ** np.argmin(errors)
        assert translator.width.item() == pytest.approx(narrowest * chosen, rel=1e-4)
        widths.append(chosen)
    assert widths[0] < widths[1] <= widths[2] == pytest.approx(8)


def test_the_head_is_scikit_learns_regression(two_views: ViewsData) -> None:
    model = _autoencoders(two_views)
    x = {name: rows.x for name, rows in two_views.train.items()}
    assert two_views.labels is not None
    labels = two_views.labels[two_views.train["near"].objects]
    with torch.inference_mode():
        codes = [model[name].encode(x[name]).mean for name in model.names]
        assert model.head is not None
        ours = model.head(model.features(x)).exp()
    scaled = [(z - z.mean(0)) / (z - z.mean(0)).square().mean().sqrt() for z in codes]
    theirs = LogisticRegression(max_iter=1000).fit(torch.cat(scaled, 1).numpy(), labels.numpy())
    np.testing.assert_allclose(ours.numpy(), theirs.predict_proba(torch.cat(scaled, 1).numpy()), atol=1e-3)


def test_two_classes_and_an_unseen_one_keep_their_places() -> None:
    x = torch.tensor([[0.0], [1.0], [4.0], [5.0]])
    weight, bias = Classifier([x]).fit(x, torch.tensor([0, 0, 2, 2])).linear(3)
    probabilities = (x @ weight.T + bias).softmax(1)
    assert probabilities.argmax(1).tolist() == [0, 0, 2, 2]
    assert probabilities[:, 1].max() < 1e-6


def test_labels_are_drawn_class_by_class() -> None:
    labels = torch.tensor([0, 1, -1, 1, 0, 1, 0])
    chosen = choose_labelled(labels, 2, seed=0)
    assert sorted(labels[chosen].tolist()) == [0, 0, 1, 1]
    assert not torch.equal(chosen, choose_labelled(labels, 2, seed=1)) or len(chosen.unique()) == 4


def test_every_score_is_there_and_clean_classes_are_found(two_views: ViewsData) -> None:
    scores = evaluate_views(_autoencoders(two_views), two_views)
    assert scores["accuracy"] > 0.9
    assert {"accuracy_1", "accuracy_20", "accuracy_near", "accuracy_translated_far"} <= scores.keys()
    assert "accuracy_50" not in scores  # there are 40 a class to train on
    assert scores["matching_rank_near_far"] <= 1
    assert {"translation_near_far", "translation_classes_far_near"} <= scores.keys()
    assert all(math.isfinite(value) for value in scores.values())


def test_without_classes_or_pairs_those_scores_are_left_out(two_views: ViewsData) -> None:
    bare = two_views._replace(labels=None, classes=())
    assert not [name for name in evaluate_views(_autoencoders(bare), bare) if "accuracy" in name or "classes" in name]
    apart = {"near": two_views.test["near"], "far": two_views.test["far"]._replace(objects=torch.arange(15) + 1000)}
    scores = evaluate_views(_autoencoders(bare), bare._replace(test=apart))
    assert "matching_objects_near_far" not in scores
    assert "reconstruction_near" in scores
