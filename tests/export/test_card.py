"""Model cards: what a hub reads of them, that they tell the bundle's own facts, and that writing one breaks nothing."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from export.__main__ import main
from export.assemble import rewrite_card
from export.bundle_files import write_manifest
from export.card import card_text
from serving.bundle import BundleError, read_manifest
from serving.engine import Engine
from serving.repository import Repository
from serving.settings import Settings

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.parent for path in ROOT.glob("models/*/manifest.json"))


@pytest.fixture
def bundle(tiny_models: Path, tmp_path: Path) -> Path:
    """A bundle of known mathematics with a card, alone in its folder of models."""
    folder = shutil.copytree(tiny_models / "alpha", tmp_path / "models" / "alpha")
    rewrite_card(folder, credit='Made "by hand": A. Giver', licence="cc-by-4.0")
    return folder


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_shipped_bundles_have_the_card_of_their_manifest(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (folder / "README.md").read_text() == card_text(manifest, name=folder.name, picture="components.png"), (
        f"write it anew: python -m export card {folder}"
    )
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0"
    assert manifest.credit in card.text
    assert card.data.model_name == folder.name
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert len(found) > 5
    assert found.items() <= manifest.scores.items()


def test_a_hub_reads_the_header(bundle: Path) -> None:
    card, manifest = ModelCard.load(bundle / "README.md"), read_manifest(bundle)
    assert (card.data.license, card.data.library_name) == ("cc-by-4.0", "onnx")
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert "relatent" in card.data.tags
    assert 'Made "by hand": A. Giver' in card.text
    assert manifest.training.command in card.text


def test_the_lines_of_the_card_run(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", (bundle / "README.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(bundle)
    names: dict = {}
    exec(lines, names)
    expected = Engine.load(bundle).decode(names["latent"])
    np.testing.assert_allclose(names["x"], expected, atol=1e-5)


def test_the_picture_shows_every_components_mean_first(bundle: Path, tiny) -> None:
    with Image.open(bundle / "components.png") as picture:
        pixels = np.asarray(picture) / 255
    assert pixels.shape == (291, 291)  # ten images of 28 pixels, and a border of one round each
    for k, mean in enumerate(tiny.decode(tiny.means)[:, 0].clip(0, 1)):
        np.testing.assert_allclose(pixels[1 + 29 * k : 29 * (k + 1), 1:29], mean, atol=0.51 / 255)


def test_a_new_card_leaves_the_graphs_and_tells_the_new_licence(bundle: Path, capsys) -> None:
    before = read_manifest(bundle)
    (bundle / ".gitattributes").write_text("*.onnx filter=lfs")
    main_with(["card", str(bundle), "--licence", "mit"])
    after = read_manifest(bundle)
    assert (bundle / "README.md").read_text() == card_text(after, name="alpha", picture="components.png")
    Engine.load(bundle)
    assert {name for name in before.files if before.files[name] != after.files[name]} == {"README.md"}
    assert after.model_copy(update={"files": before.files, "licence": "cc-by-4.0"}) == before
    assert ModelCard.load(bundle / "README.md").data.license == "mit"
    assert capsys.readouterr().out == f"{bundle / 'README.md'}\n"
    assert list(bundle.parent.iterdir()) == [bundle]


def test_an_unsound_bundle_gets_no_card_and_stays_as_it_is(bundle: Path) -> None:
    (bundle / "decoder.onnx").write_bytes(b"something else")
    with pytest.raises(BundleError, match="decoder"):
        rewrite_card(bundle, credit="mine")
    assert (bundle / "decoder.onnx").read_bytes() == b"something else"
    assert read_manifest(bundle).credit != "mine"
    assert list(bundle.parent.iterdir()) == [bundle]


def test_a_name_that_is_no_licence_is_refused_in_words(bundle: Path, capsys) -> None:
    assert main_with(["card", str(bundle), "--licence", "Apache License 2.0"]) == 1
    assert "expected a licence as model hubs name it, such as apache-2.0" in capsys.readouterr().err
    Engine.load(bundle)


def test_a_service_takes_up_a_bundle_with_a_new_card(bundle: Path) -> None:
    repository = Repository(Settings(models=bundle.parent))
    before = repository.library.engines["alpha"]
    rewrite_card(bundle, credit="someone else")
    for _ in range(2):  # a change is taken up once it has rested
        repository.refresh()
    after = repository.library.engines["alpha"]
    assert after.manifest.credit == "someone else"
    np.testing.assert_array_equal(after.sample(3, seed=0).x, before.sample(3, seed=0).x)


def main_with(words: list[str]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["python -m export", *words])
        return main()


def test_a_card_of_a_run_that_was_stopped_says_so(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    stopped = manifest.training.model_copy(update={"epochs": 3, "config": {"optimizer": {"epochs": 50}}})
    text = card_text(manifest.model_copy(update={"training": stopped}), name="alpha", picture="components.png")
    assert "Stopped after 3 of 50 epochs, seed" in text


def test_a_new_card_leaves_no_folder_of_another_machine(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    told = {
        "config": {"data": {"data": "tables", "files": ["/home/someone/a.csv", "b.csv"], "data_dir": "/data/x"}},
        "command": "python -m training cotrain --data tables --files '/home/some one/a.csv' b.csv --gamma 1e-2",
    }
    training = manifest.training.model_copy(update=told)
    write_manifest(bundle, manifest.model_copy(update={"training": training}))
    after = rewrite_card(bundle).training
    assert after.config["data"] == {"data": "tables", "files": ["a.csv", "b.csv"], "data_dir": "x"}
    assert after.command == "python -m training cotrain --data tables --files a.csv b.csv --gamma 1e-2"
    assert b"someone" not in (bundle / "manifest.json").read_bytes()
