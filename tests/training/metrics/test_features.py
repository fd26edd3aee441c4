import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from readers.image_data import ImageData
from readers.loaders import load_images
from training.__main__ import main
from training.metrics.features import SHIPPED, FeatureNetwork, load_features
from training.metrics.pretraining import BUDGETS, Budget, accuracy, feature_network, fit, train_features
from training.metrics.weights import save_weights


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


def unlabelled(count: int, height: int, width: int) -> ImageData:
    """Colour images of a dark sky above bright ground: which way is up can be told."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 100, (count, 3, height, width), generator=generator, dtype=torch.uint8)
    images[:, :, height // 2 :] += 100
    half = count // 2
    return ImageData("sky/ground", images[:half], None, images[half:], None, 255, "halves")


def test_the_shipped_network_is_the_one_its_record_describes() -> None:
    features = load_features(SHIPPED)
    record = json.loads(SHIPPED.with_suffix(".json").read_text())
    assert features.by_class
    assert features.network.head.out_features == record["classes"] == 10
    assert record["features"] == 128
    assert record["test_accuracy"] > 0.99
    assert record["data"]["name"] == "mnist"
    assert SHIPPED.with_suffix(".pt").stat().st_size < 1.5e6


def test_the_shipped_network_reads_digits_of_another_hand(digits: ImageData) -> None:
    # scikit-learn's 8x8 digits, brought to MNIST's format: 20 pixels high in a frame of 28.
    pixels = torch.nn.functional.interpolate(digits.pixels(digits.test), size=(20, 20), mode="bicubic").clamp(0, 1)
    images = torch.nn.functional.pad((pixels * 255).round().byte(), (4, 4, 4, 4))
    features = load_features(SHIPPED)
    mnist = digits._replace(name="mnist", levels=255)
    right = features.classes(features.of(mnist, images)) == digits.test_labels
    assert right.double().mean() > 0.8


def test_features_are_what_the_classes_are_read_from(digits: ImageData) -> None:
    features = feature_network(digits)
    x = features.of(digits, digits.test)
    assert x.shape == (360, 128)
    assert x.min() >= 0
    logits = features.network.classify(digits.pixels(digits.test[:150]))
    assert torch.equal(features.classes(x)[:150], logits.argmax(1))
    assert (features.classes(x) == digits.test_labels).double().mean() > 0.97


def test_the_network_of_a_data_set_is_trained_once_and_on_all_of_it(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = feature_network(digits).network.state_dict()
    monkeypatch.setattr("training.metrics.pretraining.fit", None)  # training again would fail
    again = feature_network(load_images("digits", train_samples=100)).network.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".pt", lambda data: b""), (".pt", lambda data: data[:-9]),
        (".json", lambda data: b""), (".json", lambda data: b"{}"),
    ],
)  # fmt: skip
def test_a_damaged_network_is_trained_anew(
    tmp_path: Path, digits: ImageData, monkeypatch: pytest.MonkeyPatch, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(BUDGETS, "classes", Budget(images=300))
    first = feature_network(digits).network.state_dict()
    (kept,) = (tmp_path / "relatent" / "features").glob(f"*{suffix}")
    kept.write_bytes(damage(kept.read_bytes()))
    again = feature_network(digits).network.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert kept.stat().st_size > 100


def test_without_labels_it_learns_which_way_is_up(user_cache: Path) -> None:
    data = unlabelled(240, 12, 16)
    features = feature_network(data)
    assert not features.by_class
    assert features.of(data, data.test).shape == (120, 128)
    (record,) = (user_cache / "relatent" / "features").glob("sky-ground-*.json")
    assert json.loads(record.read_text())["task"] == "rotations"
    assert accuracy(features.network, data, seed=7) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (28, 28), (64, 64)])
def test_images_of_any_size_have_128_features(shape: tuple[int, int]) -> None:
    assert FeatureNetwork(2, 3).eval()(torch.rand(4, 2, *shape)).shape == (4, 128)


def test_training_is_repeatable_and_leaves_the_global_generator_alone(digits: ImageData) -> None:
    state, budget = torch.get_rng_state(), Budget(images=300)
    one, two, other = (fit(digits, budget, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_record_says_how_good_the_network_is(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(BUDGETS, "classes", Budget(images=2000))
    record = train_features(digits, tmp_path / "net")
    features = load_features(tmp_path / "net")
    right = features.classes(features.of(digits, digits.test)) == digits.test_labels
    assert 0.2 < record["test_accuracy"] < 1
    assert record["test_accuracy"] == pytest.approx(right.double().mean().item())
    assert record["data"]["sha256"] == digits.fingerprint()


def test_of_cells_that_start_together_one_trains_and_the_others_wait(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trained, all_asked = [], threading.Barrier(3)

    def slowly(data: ImageData, path: Path) -> None:
        trained.append(path)
        time.sleep(0.3)
        save_weights(path, FeatureNetwork(1, 10).state_dict(), {"channels": 1, "classes": 10, "task": "classes"})

    def ask() -> torch.Tensor:
        all_asked.wait(30)
        return feature_network(digits).network.head.weight

    monkeypatch.setattr("training.metrics.pretraining.train_features", slowly)
    with ThreadPoolExecutor() as pool:
        first, *others = [future.result() for future in [pool.submit(ask) for _ in range(3)]]
    assert len(trained) == 1
    assert all(torch.equal(first, other) for other in others)


def test_the_command_says_what_it_misses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["training", "features", "--data-dir", str(tmp_path), "--out", str(tmp_path / "f")])
    assert main() == 1
    assert capsys.readouterr().err.startswith("error: MNIST: expected")
    assert list(tmp_path.iterdir()) == []
