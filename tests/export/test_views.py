"""Co-trained runs on 8x8 digits, as pictures and as the sums of their rows and columns: frozen, then asked."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from export.assemble import export_run
from export.graphs import torch_graphs
from export.manifest import describe_run, describe_view
from export.onnx_file import write_onnx
from export.parity import onnx_runner, prove_parity
from readers.origins import warn_of_rounding
from readers.views_data import ViewsData, views_from_arrays
from serving.bundle import read_manifest
from serving.engine import Engine
from training.loop import run
from training.multiview.config import CotrainConfig
from training.multiview.task import CotrainTask
from training.run_folder import RunError
from training.runs import Run, load_run


def digits(*names: str, labels: bool) -> ViewsData:
    pictures, classes = load_digits().images[:400] / 16, load_digits().target[:400]
    views = {
        "picture": pictures[:, None],
        # Units far from those of a standardised feature: the bundle must take and give what the user has.
        "sums": 1000 * np.concatenate([pictures.sum(1), pictures.sum(2)], 1) + 5000,
        "left": pictures[:, :, :4].reshape(-1, 32),
    }
    return views_from_arrays({name: views[name] for name in names}, labels=classes.tolist() if labels else None)


def cotrain(folder: Path, data: ViewsData, **model: object) -> Run:
    config = CotrainConfig.model_validate(
        {
            "data": {"data": "arrays"},
            "model": {"hidden": (16,), "width": (2,), "anchors": 60, **model},
            "optimizer": {"epochs": 2},
            "machine": {"accelerator": "cpu"},
            "out": folder,
        }
    )
    run(CotrainTask(config, data))
    return load_run(folder)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two views with different codes and priors, tied by gw."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    data = digits("picture", "sums", labels=True)
    return cotrain(folder, data, latent_size=(5, 3), prior=("mixture", "normal"), components=(4,))


@pytest.fixture(scope="module")
def bundle(pair: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "pair"
    export_run(pair, out, credit="A. Giver, CC BY 4.0")
    return out


@pytest.fixture(scope="module")
def rows() -> dict[str, torch.Tensor]:
    """Rows that were not trained on."""
    return {name: rows.x for name, rows in digits("picture", "sums", labels=True).test.items()}


def test_serving_computes_what_torch_computes(bundle: Path, pair: Run, rows: dict[str, torch.Tensor]) -> None:
    engine, model = Engine.load(bundle), pair.model
    means: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        for name, x in rows.items():
            z = model[name].encode(x).mean
            means[name], deviations = engine.encode(x.numpy(), view=name)
            assert deviations is None
            np.testing.assert_allclose(means[name], z, atol=1e-5)
            np.testing.assert_allclose(engine.decode(z, view=name), model[name].decode(z), rtol=1e-5, atol=1e-5)
            expected = model[name].prior.log_responsibilities(z)
            np.testing.assert_allclose(engine.log_responsibilities(z, view=name), expected, rtol=1e-4, atol=1e-4)
        for source, target in permutations(rows, 2):
            carried, shown = engine.translate(rows[source].numpy(), source, target)
            codes = model.translators[f"{source}:{target}"](model[source].encode(rows[source]).mean)
            np.testing.assert_allclose(carried, codes, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(shown, model.translate(rows[source], source, target), rtol=1e-4, atol=1e-4)
        assert model.head is not None
        np.testing.assert_allclose(
            engine.classify(*means.values()), model.head(model.features(rows)), rtol=1e-4, atol=1e-4
        )


def test_raw_features_go_in_and_come_out(bundle: Path, rows: dict[str, torch.Tensor]) -> None:
    # Features in the thousands come back nearer than their spread: they are not standardised ones.
    again = Engine.load(bundle).reconstruct(rows["sums"].numpy(), view="sums").x
    assert np.abs(again - rows["sums"].numpy()).mean() < rows["sums"].std(0).mean()


def test_each_view_samples_from_its_own_prior(bundle: Path, pair: Run) -> None:
    engine = Engine.load(bundle)
    normal = engine.sample(4000, seed=1, view="sums").latent
    assert normal.shape == (4000, 3)
    assert np.abs(normal.mean(0)).max() < 5 / np.sqrt(4000)
    np.testing.assert_allclose(normal.std(0), 1, rtol=0.06)
    drawn = engine.sample(2000, seed=1, component=2, view="picture").latent
    mean, std = (tensor.detach().numpy() for tensor in pair.model["picture"].prior.gaussians())
    assert (np.abs(drawn.mean(0) - mean[2]) < 5 * std[2] / np.sqrt(2000)).all()


def test_the_manifest_tells_how_far_found_pairs_can_be_trusted(pair: Run) -> None:
    assert describe_view(pair.model, "sums").found == {}
    translator = pair.model.translators["sums:picture"]
    translator.trust.fill_(0.625)
    try:
        assert describe_view(pair.model, "sums").found == {"picture": 0.625}
    finally:
        translator.trust.fill_(-1)


def test_the_manifest_tells_views_classes_and_credit(bundle: Path, pair: Run) -> None:
    manifest = read_manifest(bundle)
    told = {
        name: (view.kind, view.shape, manifest.space(name).latent_size, manifest.space(name).n_components, view.targets)
        for name, view in manifest.views.items()
    }
    assert told == {
        "picture": ("image", (1, 8, 8), 5, 4, ("sums",)),
        "sums": ("vector", (16,), 3, 1, ("picture",)),
    }
    assert manifest.classes == tuple("0123456789")
    assert (manifest.credit, manifest.kind, manifest.prior) == ("A. Giver, CC BY 4.0", "deterministic", None)
    assert (manifest.training.epochs, manifest.scores) == (2, {})
    assert str(pair.folder) not in manifest.model_dump_json()
    assert all(0 <= parity.max_abs_error <= parity.tolerance for parity in manifest.parity.values())


def test_scores_are_those_of_the_evaluation_of_these_weights(bundle: Path, pair: Run) -> None:
    manifest, path = read_manifest(bundle), pair.folder / "evaluation.json"
    try:
        for step, scores in ((pair.step, {"accuracy": 0.5}), (pair.step - 1, {})):
            path.write_text(json.dumps({"data": "digits", "step": step, "accuracy": 0.5}))
            told = describe_run(pair, files=manifest.files, parity=manifest.parity)
            assert told.scores == scores
        for damaged in ("", '{"data": "dig', "[1]"):
            path.write_text(damaged)
            with pytest.raises(RunError, match=r"evaluation\.json: expected .*; write it anew: `python"):
                describe_run(pair, files=manifest.files, parity=manifest.parity)
    finally:
        path.unlink()


def test_features_far_from_0_and_near_each_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Times a minute apart: a bundle answers as torch does to the same float32, whose rounding is 128 seconds there."""
    times = 1.7e9 + 60 * np.arange(200)
    rows = np.stack([times, np.sin(times), times - 1.7e9], 1)
    trained = cotrain(tmp_path / "run", views_from_arrays({"a": rows, "b": np.cos(rows)}), latent_size=(2,))
    view = trained.model["a"]
    assert view.origin is not None
    told = describe_view(trained.model, "a")  # what a service takes is bounded by it
    assert told.feature_mean is not None
    np.testing.assert_allclose(told.feature_mean[0], times.mean(), atol=2000)
    graphs, given = torch_graphs(trained.model), rows.astype(np.float32)

    def frozen(name: str, output: str, x: np.ndarray) -> np.ndarray:
        graph, path = graphs[f"views/a/{name}.onnx"], tmp_path / f"{name}.onnx"
        write_onnx(graph, path)
        prove_parity(name, graph, onnx_runner(path, graph.outputs), tolerance=1e-4 * graph.scale)
        (kind,) = graph.inputs
        return onnx_runner(path, graph.outputs)({kind: torch.from_numpy(x)})[output]

    with torch.inference_mode():
        codes = view.encode(torch.from_numpy(given.astype(float) - view.origin.numpy()).float()).mean.numpy()
        exact = view.encode(torch.from_numpy(rows - view.origin.numpy()).float()).mean.numpy()
        again = view.decode(torch.from_numpy(codes)).double().numpy() + view.origin.numpy()
    found = frozen("encoder", "mean", given)
    np.testing.assert_allclose(found, codes, atol=1e-5)
    np.testing.assert_allclose(found, exact, atol=0.1)
    np.testing.assert_allclose(frozen("decoder", "x", codes), again, rtol=1e-7, atol=1e-2)
    assert "a service takes" not in caplog.text
    warn_of_rounding("a", view.origin, view.feature_std / 10)
    assert "view a, feature 0 (from 0): a service takes and gives float32" in caplog.text


@pytest.mark.slow
def test_three_probabilistic_views_without_classes(tmp_path: Path) -> None:
    trained = cotrain(
        tmp_path / "run", digits("picture", "sums", "left", labels=False), latent_size=(4,), codes="gaussians",
        method="independent",
    )  # fmt: skip
    manifest = export_run(trained, tmp_path / "three", torchscript=True)
    assert (manifest.kind, manifest.classes, len(manifest.graphs())) == ("probabilistic", (), 3 * 4 + 6)
    x = digits("picture", "sums", "left", labels=False).test["left"].x
    mean, std = Engine.load(tmp_path / "three").encode(x.numpy(), view="left")
    with torch.inference_mode():
        expected = trained.model["left"].encode(x)
        again = torch.jit.load(tmp_path / "three" / "torchscript" / "views" / "left" / "encoder.pt")(x)
    np.testing.assert_allclose(mean, expected.mean, atol=1e-5)
    assert std is not None
    np.testing.assert_allclose(std, expected.std, rtol=1e-4)
    torch.testing.assert_close(again, tuple(expected))


def test_a_run_that_was_not_ended_is_refused(pair: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume"):
        export_run(pair._replace(finished=False), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_training_mode_is_refused(pair: Run, tmp_path: Path) -> None:
    pair.model.train()
    try:
        with pytest.raises(ValueError, match="evaluation mode"):
            export_run(pair, tmp_path / "model")
    finally:
        pair.model.eval()
