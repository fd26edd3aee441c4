"""The model repository: read by Triton's own schema, and run by a small Triton of ours beside the serving engine."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from export.assemble import ExportError
from export.triton import MAX_BATCH, export_triton
from serving.bundle import BundleError
from serving.engine import Engine
from serving.manifest import View
from serving.settings import Settings

ROOT = Path(__file__).parents[2]
GRAPHS = {"prior", "responsibilities", "encoder", "decoder"}
ENSEMBLES = {"sample", "encode", "reconstruct"}


def read(repository: Path, name: str) -> ModelConfig:
    """Triton's own schema refuses an unknown field, a wrong type and a field given twice."""
    return text_format.Parse((repository / name / "config.pbtxt").read_text(), ModelConfig())


def run(repository: Path, name: str, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What Triton does with a request: checks it against the configuration, then runs the model or the ensemble."""
    config = read(repository, name)
    assert set(feeds) == {tensor.name for tensor in config.input}
    for tensor in config.input:
        assert list(feeds[tensor.name].shape[1:]) == list(tensor.dims)
        assert feeds[tensor.name].shape[0] <= config.max_batch_size
    if config.platform == "ensemble":
        values = dict(feeds)
        for step in config.ensemble_scheduling.step:
            given = {key: values[value] for key, value in step.input_map.items()}
            for key, value in run(repository, step.model_name, given).items():
                assert step.output_map[key] not in values
                values[step.output_map[key]] = value
    else:
        inputs = {
            tensor.name: feeds[tensor.name].reshape(-1, *tensor.reshape.shape)
            if tensor.HasField("reshape")
            else feeds[tensor.name]
            for tensor in config.input
        }
        session = onnxruntime.InferenceSession(repository / name / "1" / "model.onnx")
        names = [output.name for output in session.get_outputs()]
        values = dict(zip(names, session.run(names, inputs), strict=True))
    for tensor in config.output:
        assert list(values[tensor.name].shape[1:]) == list(tensor.dims)
    return {tensor.name: values[tensor.name] for tensor in config.output}


@pytest.fixture(scope="module")
def two_views(bundles, tmp_path_factory) -> Path:
    tiny, vector = bundles.make_tiny(), bundles.make_tiny(shape=(12,), seed=1)
    views = {
        "image": (View(kind="image", shape=tiny.shape, value_range=(0, 1), folder="views/image"), tiny),
        "vector": (View(kind="vector", shape=(12,), folder="views/vector"), vector),
    }
    return bundles.write_bundle(tmp_path_factory.mktemp("models") / "pair", tiny, views=views)


@pytest.mark.parametrize("bundle", ["alpha", "beta"])
def test_the_ensembles_compute_what_the_engine_computes(bundle: str, tiny_models: Path, tmp_path: Path) -> None:
    export_triton(tiny_models / bundle, tmp_path)
    engine = Engine.load(tiny_models / bundle)
    generator = np.random.default_rng(0)
    x = generator.random((5, *engine.view().shape), dtype=np.float32)
    posterior, again = engine.encode(x), engine.reconstruct(x)
    encoded = run(tmp_path, f"{bundle}-encode", {"x": x})
    assert set(encoded) == {"mean", "log_responsibilities"} | ({"std"} if bundle == "alpha" else set())
    np.testing.assert_allclose(encoded["mean"], posterior.mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        encoded["log_responsibilities"], engine.log_responsibilities(posterior.mean), rtol=1e-5, atol=1e-5
    )
    reconstructed = run(tmp_path, f"{bundle}-reconstruct", {"x": x})["reconstruction"]
    np.testing.assert_allclose(reconstructed, again.x, rtol=1e-6, atol=1e-6)
    components = np.arange(5)[:, None] % engine.manifest.n_components
    cold = {
        "component": components,
        "noise": generator.standard_normal((5, engine.manifest.latent_size), dtype=np.float32),
        "temperature": np.zeros((5, 1), np.float32),
    }
    means = engine.decode(np.float32(engine.manifest.prior.means)[components[:, 0]])
    sampled = run(tmp_path, f"{bundle}-sample", cold)["x"]
    np.testing.assert_allclose(sampled, means, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("source", ["alpha", "pair", "mnist-prae"])
def test_configurations_say_what_the_graphs_take_and_give(
    source: str, tiny_models: Path, two_views: Path, tmp_path: Path
) -> None:
    folder = {"alpha": tiny_models / "alpha", "pair": two_views}.get(source, ROOT / "models" / source)
    names = export_triton(folder, tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        config = read(tmp_path, name)
        assert config.name == name
        assert config.max_batch_size == MAX_BATCH
        assert (tmp_path / name / "1").is_dir()
        if config.platform == "ensemble":
            assert not list((tmp_path / name / "1").iterdir())
            continue
        assert config.HasField("dynamic_batching")
        graph = onnx.load(tmp_path / name / "1" / "model.onnx").graph
        for ours, theirs in ((config.input, graph.input), (config.output, graph.output)):
            assert [tensor.name for tensor in ours] == [value.name for value in theirs]
            for tensor, value in zip(ours, theirs, strict=True):
                kind = value.type.tensor_type
                _, *sizes = [size.dim_value for size in kind.shape.dim]
                assert sizes == list(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)
                types = {onnx.TensorProto.FLOAT: "TYPE_FP32", onnx.TensorProto.INT64: "TYPE_INT64"}
                assert DataType.Name(tensor.data_type) == types[kind.elem_type]


def test_a_batch_is_as_large_as_the_services_own() -> None:
    assert Settings().max_items == MAX_BATCH


def test_views_have_models_of_their_own(two_views: Path, tmp_path: Path) -> None:
    names = export_triton(two_views, tmp_path)
    per_view = {f"pair-{view}-{name}" for view in ("image", "vector") for name in {"encoder", "decoder"} | ENSEMBLES}
    assert set(names) == per_view | {"pair-prior", "pair-responsibilities"}
    x = np.random.default_rng(0).random((3, 12), dtype=np.float32)
    expected = Engine.load(two_views).reconstruct(x, view="vector").x
    np.testing.assert_allclose(
        run(tmp_path, "pair-vector-reconstruct", {"x": x})["reconstruction"], expected, rtol=1e-6
    )


def test_a_repository_takes_several_bundles_and_replaces_none(tiny_models: Path, tmp_path: Path) -> None:
    export_triton(tiny_models / "alpha", tmp_path)
    export_triton(tiny_models / "beta", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ExportError, match="alpha-prior exists"):
        export_triton(tiny_models / "alpha", tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}-{model}" for name in ("alpha", "beta") for model in GRAPHS | ENSEMBLES
    }


def test_a_bad_bundle_leaves_nothing(bundles, tiny, tmp_path: Path) -> None:
    folder = bundles.write_bundle(tmp_path / "bad", tiny)
    (folder / "decoder.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"decoder\.onnx"):
        export_triton(folder, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


@pytest.mark.slow
def test_the_command_says_what_it_wrote_or_why_not(tiny_models: Path, tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "export",
        "triton",
        str(tiny_models / "alpha"),
        "--out",
        str(tmp_path / "repository"),
    ]
    first, second = (subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 1)
    assert f"--model-repository={tmp_path / 'repository'}" in first.stdout
    assert second.stderr.startswith("error: ")
    assert second.stderr.count("\n") == 1
