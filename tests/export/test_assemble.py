import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from export.assemble import ExportError, export_run
from export.onnx_file import write_onnx
from export.parity import ParityError
from readers.image_data import ImageData
from serving.bundle import read_manifest
from serving.engine import Engine
from training.runs import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle(prae: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "tiny"
    export_run(prae, out, torchscript=True)
    return out


def test_serving_computes_what_torch_computes_on_new_inputs(bundle: Path, prae: Run, digits: ImageData) -> None:
    engine, model = Engine.load(bundle), prae.model.only
    x = digits.pixels(digits.train[:70])
    with torch.inference_mode():
        posterior = model.encoder(x)
        again = model.decoder(posterior.mean)
        log_responsibilities = model.prior.log_responsibilities(posterior.mean)
    mean, std = engine.encode(x.numpy())
    np.testing.assert_allclose(mean, posterior.mean, atol=1e-5)
    np.testing.assert_allclose(std, posterior.std, atol=1e-5)
    np.testing.assert_allclose(engine.decode(mean), again, atol=1e-5)
    np.testing.assert_allclose(engine.log_responsibilities(mean), log_responsibilities, rtol=1e-4, atol=1e-4)


def test_the_prior_of_the_bundle_is_the_runs(bundle: Path, prae: Run) -> None:
    engine = Engine.load(bundle)
    mean, std = (tensor.detach().numpy() for tensor in prae.model.only.prior.gaussians())
    prior = engine.manifest.prior
    assert np.array_equal(np.float32(prior.means), mean)
    assert np.array_equal(np.float32(prior.stds), std)
    sample = engine.sample(4000, component=3, seed=1)
    error = (sample.latent.mean(0) - mean[3]) / (std[3] / np.sqrt(4000))
    assert np.abs(error).max() < 5  # standard errors
    np.testing.assert_allclose(sample.latent.std(0), std[3], rtol=0.06)


def test_a_deterministic_run_exports_too(drae: Run, digits: ImageData, tmp_path: Path) -> None:
    manifest = export_run(drae, tmp_path / "drae")
    engine = Engine.load(tmp_path / "drae")
    x = digits.pixels(digits.test[:3])
    with torch.inference_mode():
        z = drae.model.only.encoder(x).mean
    assert manifest.kind == "deterministic"
    mean, std = engine.encode(x.numpy())
    assert std is None
    np.testing.assert_allclose(mean, z, atol=1e-5)


def test_full_covariances_and_weights_are_exported(ae: Run, tmp_path: Path) -> None:
    export_run(ae, tmp_path / "ae", torchscript=True)
    engine, prior = Engine.load(tmp_path / "ae"), ae.model.only.prior
    mean, covariance, weights = (
        tensor.detach().double().numpy() for tensor in (prior.mean, prior.covariances(), prior.weights)
    )
    assert weights.max() > 1.2 * weights.min()
    np.testing.assert_allclose(engine.manifest.prior.weights, weights, rtol=1e-6)
    np.testing.assert_allclose(np.square(engine.manifest.prior.stds), covariance.diagonal(0, 1, 2), rtol=1e-5)
    # The whole law: components by their weights, and within one component correlated codes.
    drawn = engine.sample(20_000, seed=3)
    shares = np.bincount(drawn.component, minlength=10) / 20_000
    assert (np.abs(shares - weights) < 5 * np.sqrt(weights / 20_000)).all()
    latent = engine.sample(20_000, component=0, seed=4).latent.astype(np.float64)
    error = np.linalg.solve(np.linalg.cholesky(covariance[0]), (latent - mean[0]).T)
    np.testing.assert_allclose(np.cov(error), np.eye(8), atol=0.05)  # seven standard errors off the diagonal
    # Responsibilities by Bayes' rule, from an independent density.
    z = latent[:50]
    joint = np.stack([
        np.log(weights[k]) + multivariate_normal(mean[k], covariance[k]).logpdf(z) for k in range(10)
    ], axis=1)  # fmt: skip
    expected = joint - logsumexp(joint, axis=1, keepdims=True)
    np.testing.assert_allclose(engine.log_responsibilities(np.float32(z)), expected, rtol=1e-3, atol=1e-3)


def test_a_fixed_prior_is_one_standard_normal(tmp_path: Path, swae: Run) -> None:
    prior = export_run(swae, tmp_path / "swae").prior
    assert (prior.weights, prior.means, prior.stds) == ([1.0], [[0.0] * 8], [[1.0] * 8])


def test_the_manifest_says_how_it_was_made(bundle: Path, prae: Run) -> None:
    manifest = read_manifest(bundle)
    training = manifest.training
    assert (training.dataset, training.epochs, training.seed) == ("digits", 2, 0)
    assert training.config["model"]["method"] == "prae"
    assert training.code_revision == prae.origin["code_revision"]
    assert 0 < manifest.scores["reconstruction_error"] < 64
    assert {0 <= parity.max_abs_error <= parity.tolerance for parity in manifest.parity.values()} == {True}


def test_the_bundle_has_its_model_card(bundle: Path) -> None:
    manifest, card = read_manifest(bundle), ModelCard.load(bundle / "README.md")
    assert card.data.model_name == "tiny"
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert {"reconstruction_error", "component_purity"} <= found.keys()
    assert found.items() <= manifest.scores.items()
    with Image.open(bundle / "components.png") as picture:
        assert picture.size == (251, 251)  # ten 8x8 images three times as large, and a border of one round each


def test_graphs_are_single_files_with_a_named_batch_axis_and_no_paths(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == {
        "manifest.json", "golden.npz", "encoder.onnx", "decoder.onnx", "prior.onnx", "responsibilities.onnx",
        "torchscript", "README.md", "components.png",
    }  # fmt: skip
    for path in bundle.glob("*.onnx"):
        content = path.read_bytes()
        assert str(ROOT).encode() not in content
        assert b".py" not in content
        model = onnx.load_from_string(content)
        for value in [*model.graph.input, *model.graph.output]:
            assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.slow
def test_exports_are_byte_identical_across_processes(prae: Run, bundle: Path, tmp_path: Path) -> None:
    # The fixture edits the weights in memory; here the run as it lies on disk is exported twice, once in a process
    # of its own whose working directory is elsewhere.
    from training.runs import load_run

    # Into folders of one name, which the model card repeats.
    first, second = tmp_path / "one" / "model", tmp_path / "two" / "model"
    export_run(load_run(prae.folder), first)
    command = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from export.__main__ import main; sys.exit(main())"
    arguments = [str(prae.folder), "--out", str(second)]
    subprocess.run([sys.executable, "-c", command, *arguments], check=True, cwd=tmp_path, capture_output=True)
    one, two = read_manifest(first), read_manifest(second)
    assert one.files == two.files  # sizes and hashes
    assert one.files["encoder.onnx"] != read_manifest(bundle).files["encoder.onnx"]


def test_torchscript_computes_the_same(bundle: Path, prae: Run, digits: ImageData) -> None:
    x = digits.pixels(digits.test[:9])
    with torch.inference_mode():
        expected = prae.model.only.encoder(x)
        mean, std = torch.jit.load(bundle / "torchscript" / "encoder.pt")(x)
    torch.testing.assert_close(mean, expected.mean)
    torch.testing.assert_close(std, expected.std)


def test_an_existing_folder_is_not_overwritten_by_accident(bundle: Path, drae: Run, tmp_path: Path) -> None:
    before = (bundle / "manifest.json").read_bytes()
    with pytest.raises(ExportError, match="--overwrite"):
        export_run(drae, bundle)
    assert (bundle / "manifest.json").read_bytes() == before
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ExportError, match="is no bundle"):
        export_run(drae, tmp_path, overwrite=True)
    assert (tmp_path / "letters.txt").read_text() == "mine"


def test_overwriting_replaces_the_whole_bundle(prae: Run, drae: Run, tmp_path: Path) -> None:
    out = tmp_path / "model"
    export_run(prae, out, torchscript=True)
    export_run(drae, out, overwrite=True)
    assert read_manifest(out).kind == "deterministic"
    assert not (out / "torchscript").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_a_graph_that_computes_something_else_is_not_exported(
    prae: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_wrong(graph, path: Path) -> None:
        write_onnx(graph, path)
        model = onnx.load(path)
        weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        onnx.save(model, path)

    monkeypatch.setattr("export.assemble.write_onnx", write_wrong)
    with pytest.raises(ParityError, match=r"encoder.onnx: expected mean within 0.0001 of torch at batch 1"):
        export_run(prae, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_training_mode_is_refused(prae: Run, tmp_path: Path) -> None:
    prae.model.train()
    try:
        with pytest.raises(ValueError, match="evaluation mode"):
            export_run(prae, tmp_path / "model")
    finally:
        prae.model.eval()
