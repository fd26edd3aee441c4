"""Test items put into a bundle: real ones, of the model's own data, and nothing else changed."""

from types import SimpleNamespace

import numpy as np
import pytest

from export.assemble import export_run
from export.examples import add_examples, draw_examples
from readers.errors import DataError
from readers.loaders import load_images
from serving.engine import Engine


def test_examples_are_test_images_and_leave_the_graphs_alone(prae, tmp_path):
    before = export_run(prae, tmp_path / "digits")
    after = add_examples(tmp_path / "digits", count=30)
    engine, data = Engine.load(tmp_path / "digits"), load_images("digits")
    assert {name: after.files[name] for name in before.parity} == {name: before.files[name] for name in before.parity}
    pixels, labels = engine.examples.views["image"], engine.examples.labels
    assert (pixels.shape, len(labels)) == ((30, 1, 8, 8), 30)
    shown = np.rint(data.test.numpy() / data.levels * 255).astype(np.uint8)
    known = {(image.tobytes(), str(int(label))) for image, label in zip(shown, data.test_labels, strict=True)}
    assert {(image.tobytes(), label) for image, label in zip(pixels, labels, strict=True)} <= known
    again = add_examples(tmp_path / "digits", count=10**6)
    np.testing.assert_array_equal(Engine.load(tmp_path / "digits").examples.views["image"][:30], pixels)
    assert len(Engine.load(tmp_path / "digits").examples) == len(data.test)
    assert again.scores == before.scores


def test_data_that_are_not_at_hand_leave_the_bundle_as_it_was(prae, tmp_path, monkeypatch):
    def gone(*_, **__):
        raise DataError("gone")

    manifest = export_run(prae, tmp_path / "digits")
    monkeypatch.setattr("training.image_task.load_images", gone)
    with pytest.raises(DataError, match="gone"):
        add_examples(tmp_path / "digits", count=3)
    assert Engine.load(tmp_path / "digits").manifest == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_items_of_tables_without_a_class_are_given_none(tmp_path):
    rows = [f"{row},{1.7e9 + row / 8},{'' if row % 3 else 'xy'[row % 2]}" for row in range(90)]
    (tmp_path / "a.csv").write_text("\n".join(["id,t,label", *rows]))
    config = {"data": {"data": "tables", "files": ["a.csv"]}}
    manifest = SimpleNamespace(training=SimpleNamespace(config=config, dataset="tables", seed=0), views={"a": None})
    examples = draw_examples(manifest, 90, tmp_path)
    assert set(examples.labels) == {"x", "y", "no class"}
    assert examples.labels.count("no class") >= 4
    np.testing.assert_array_equal(examples.views["a"], np.float32(1.7e9))  # as users have it, not about its mean
