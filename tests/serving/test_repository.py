"""Bundles that come, change, break and go while the repository looks on: twice each time, since a folder must rest."""

import json
import logging
import shutil

import numpy as np
import pytest

from serving.bundle import BundleError
from serving.repository import Repository
from serving.settings import Settings


@pytest.fixture
def models(tiny_models, tmp_path):
    shutil.copytree(tiny_models / "alpha", tmp_path / "alpha")
    return tmp_path


@pytest.fixture
def repository(models):
    return Repository(Settings(models=models))


def look_twice(repository):
    repository.refresh()
    repository.refresh()


def test_nothing_new_changes_nothing(repository):
    library = repository.library
    look_twice(repository)
    assert repository.library is library


def test_a_new_bundle_is_taken_up_once_it_rests(repository, models, tiny_models):
    shutil.copytree(tiny_models / "beta", models / "beta")
    repository.refresh()
    assert list(repository.library.engines) == ["alpha"]
    repository.refresh()
    assert list(repository.library.engines) == ["alpha", "beta"]


def test_a_changed_bundle_replaces_the_old_whose_users_keep_it(repository, models, bundles, tiny):
    old, other = repository.library, bundles.make_tiny(seed=5)
    shutil.rmtree(models / "alpha")
    bundles.write_bundle(models / "alpha", other)
    look_twice(repository)
    latent = np.ones((1, 8), np.float32)
    np.testing.assert_allclose(repository.library.engines["alpha"].decode(latent), other.decode(latent), atol=2e-6)
    np.testing.assert_allclose(old.engines["alpha"].decode(latent), tiny.decode(latent), atol=2e-6)
    assert repository.library.engines["alpha"].version != old.engines["alpha"].version


def test_a_bad_change_leaves_the_old_one_and_says_so_once(repository, models, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("relatent"), "propagate", True)
    library = repository.library
    (models / "alpha" / "decoder.onnx").write_bytes(b"nonsense")
    for _ in range(4):
        repository.refresh()
    assert repository.library is library
    refusals = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(refusals) == 1
    assert "decoder.onnx" in refusals[0]
    assert "as it was" in refusals[0]


def test_a_bad_newcomer_harms_nobody_and_gets_another_chance(repository, models, tiny_models):
    shutil.copytree(tiny_models / "beta", models / "beta")
    manifest = models / "beta" / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole[:-100])
    look_twice(repository)
    assert list(repository.library.engines) == ["alpha"]
    manifest.write_text(whole)
    look_twice(repository)
    assert list(repository.library.engines) == ["alpha", "beta"]


def test_a_graph_that_onnxruntime_refuses_harms_nobody(repository, models, tiny_models):
    shutil.copytree(tiny_models / "beta", models / "beta")
    data = json.loads((models / "beta" / "manifest.json").read_text())
    data["latent_size"] = 9
    (models / "beta" / "manifest.json").write_text(json.dumps(data))
    look_twice(repository)
    assert list(repository.library.engines) == ["alpha"]


def test_a_bundle_whose_folder_is_gone_goes_too(repository, models, tiny_models):
    shutil.copytree(tiny_models / "beta", models / "beta")
    look_twice(repository)
    shutil.rmtree(models / "alpha")
    look_twice(repository)
    assert list(repository.library.engines) == ["beta"]
    assert repository.library.default == "beta"


def test_the_last_bundle_stays(repository, models):
    shutil.rmtree(models / "alpha")
    for _ in range(3):
        repository.refresh()
    assert list(repository.library.engines) == ["alpha"]


def test_the_named_default_stays(models, tiny_models):
    shutil.copytree(tiny_models / "beta", models / "beta")
    repository = Repository(Settings(models=models, default_model="beta"))
    shutil.rmtree(models / "beta")
    look_twice(repository)
    assert list(repository.library.engines) == ["alpha", "beta"]


def test_a_folder_that_is_away_for_a_moment_is_not_missed(repository, models, tiny_models):
    shutil.copytree(tiny_models / "beta", models / "beta")
    look_twice(repository)
    (models / "beta").rename(models / ".beta")
    repository.refresh()
    (models / ".beta").rename(models / "beta")
    look_twice(repository)
    assert list(repository.library.engines) == ["alpha", "beta"]


def test_the_first_load_is_strict(models):
    (models / "broken").mkdir()
    (models / "broken" / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match="broken"):
        Repository(Settings(models=models))


def flip(link, target):
    """Point a link elsewhere in one step, as a release or Kubernetes does."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.symlink_to(target)
    fresh.replace(link)


def second(folder, bundles):
    return bundles.write_bundle(folder, bundles.make_tiny(seed=5))


def test_a_models_folder_behind_a_link_that_a_release_flips(tmp_path, tiny_models, bundles):
    shutil.copytree(tiny_models / "alpha", tmp_path / "one" / "alpha")
    second(tmp_path / "two" / "alpha", bundles)
    (tmp_path / "current").symlink_to("one")
    repository = Repository(Settings(models=tmp_path / "current"))
    old = repository.library.engines["alpha"].version
    flip(tmp_path / "current", "two")
    look_twice(repository)
    assert repository.library.engines["alpha"].version != old


@pytest.mark.parametrize("inside", [False, True])
def test_a_bundle_behind_links_that_flip(tmp_path, tiny_models, bundles, inside):
    """Kubernetes links every entry to ..data, and that to a folder: of the models folder, or of one bundle."""
    volume = tmp_path / "models" / "alpha" if inside else tmp_path / "models"
    place = "" if inside else "alpha"
    shutil.copytree(tiny_models / "alpha", volume / "..one" / place)
    second(volume / "..two" / place, bundles)
    (volume / "..data").symlink_to("..one")
    for entry in (volume / "..one").iterdir():
        (volume / entry.name).symlink_to(f"..data/{entry.name}")
    repository = Repository(Settings(models=tmp_path / "models"))
    old = repository.library.engines["alpha"].version
    flip(volume / "..data", "..two")
    look_twice(repository)
    assert list(repository.library.engines) == ["alpha"]
    assert repository.library.engines["alpha"].version != old
