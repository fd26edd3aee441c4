"""Tiny bundles of known mathematics, and the real service over them; no torch."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.bundle_files import describe_files, write_manifest
from serving.manifest import Manifest, Parity, Prior, Training, View

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Tests marked gpu are skipped, and said so, where no CUDA device answers."""
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory) -> Iterator[Path]:
    """What training keeps in the user's cache goes into a folder of this session, also from processes it starts."""
    base = tmp_path_factory.getbasetemp()
    # One for all of xdist's processes: what takes a minute to make is made once.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@dataclass(frozen=True)
class Tiny:
    """A linear autoencoder under a Gaussian mixture, in NumPy: the oracle of every tiny bundle.

    decode(z) = A z + b; mean(x) = A^+ (x - b), so that encode(decode(z)) = z; std(x) = 0.1 + 0.05 |mean(x)|.
    """

    A: np.ndarray
    b: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    shape: tuple[int, ...] = (1, 28, 28)
    latent_size: int = 8
    n_components: int = 10
    pinv: np.ndarray = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "pinv", np.linalg.pinv(self.A.astype(np.float64)).astype(np.float32))

    def decode(self, z):
        return (z @ self.A.T.astype(np.float64) + self.b).reshape(-1, *self.shape)

    def mean(self, x):
        return (np.asarray(x, dtype=np.float64).reshape(len(x), -1) - self.b) @ self.pinv.T

    def std(self, x):
        return 0.1 + 0.05 * np.abs(self.mean(x))


def make_tiny(seed=0, shape=(1, 28, 28), d=8, K=10):
    rng = np.random.default_rng(seed)
    A = np.linalg.qr(rng.standard_normal((int(np.prod(shape)), d)))[0] * 2.0
    means = rng.uniform(-1.0, 1.0, (K, d))
    stds = rng.uniform(0.05, 0.3, (K, d))
    weights = np.arange(1, K + 1) / (K * (K + 1) / 2)
    numbers = [values.astype(np.float32) for values in (A, np.float64(0.5) * np.ones(len(A)), weights, means, stds)]
    return Tiny(*numbers, shape=shape, latent_size=d, n_components=K)


def save_graph(path, nodes, inputs, outputs, constants):
    """Write one ONNX graph; inputs and outputs are (name, shape without the batch[, element type])."""

    def value(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, ["batch", *shape])

    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, path.stem, [value(*i) for i in inputs], [value(*o) for o in outputs], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def save_encoder(path, tiny, kind):
    node, d = helper.make_node, tiny.latent_size
    nodes = [
        node("Reshape", ["x", "flat"], ["rows"]),
        node("Sub", ["rows", "b"], ["centred"]),
        node("MatMul", ["centred", "pinv"], ["mean"]),
    ]
    constants = {"flat": np.array([-1, len(tiny.b)], np.int64), "b": tiny.b, "pinv": tiny.pinv.T.copy()}
    outputs = [("mean", [d])]
    if kind == "probabilistic":
        nodes += [node("Abs", ["mean"], ["size"]), node("Mul", ["size", "slope"], ["grown"])]
        nodes += [node("Add", ["grown", "floor"], ["std"])]
        constants |= {"slope": np.float32(0.05), "floor": np.float32(0.1)}
        outputs.append(("std", [d]))
    save_graph(path, nodes, [("x", tiny.shape)], outputs, constants)


def save_decoder(path, tiny):
    nodes = [
        helper.make_node("MatMul", ["latent", "A"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["rows"]),
        helper.make_node("Reshape", ["rows", "shape"], ["x"]),
    ]
    constants = {"A": tiny.A.T.copy(), "b": tiny.b, "shape": np.array([-1, *tiny.shape], np.int64)}
    save_graph(path, nodes, [("latent", [tiny.latent_size])], [("x", tiny.shape)], constants)


def save_prior(folder, tiny):
    node, d = helper.make_node, tiny.latent_size
    nodes = [
        node("Gather", ["means", "component"], ["mean"]),
        node("Gather", ["stds", "component"], ["std"]),
        node("Unsqueeze", ["temperature", "axis"], ["column"]),
        node("Mul", ["std", "noise"], ["spread"]),
        node("Mul", ["spread", "column"], ["scaled"]),
        node("Add", ["mean", "scaled"], ["latent"]),
    ]
    inputs = [("component", [], TensorProto.INT64), ("noise", [d]), ("temperature", [])]
    constants = {"means": tiny.means, "stds": tiny.stds, "axis": np.array([1], np.int64)}
    save_graph(folder / "prior.onnx", nodes, inputs, [("latent", [d])], constants)


def save_responsibilities(folder, tiny):
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["latent", "axis"], ["column"]),
        node("Sub", ["column", "means"], ["difference"]),
        node("Div", ["difference", "stds"], ["scaled"]),
        node("Mul", ["scaled", "scaled"], ["square"]),
        node("ReduceSum", ["square", "last"], ["distance"], keepdims=0),
        node("Mul", ["distance", "half"], ["exponent"]),
        node("Add", ["exponent", "offset"], ["log_density"]),
        node("LogSoftmax", ["log_density"], ["log_responsibilities"], axis=1),
    ]
    constants = {
        "axis": np.array([1], np.int64),
        "last": np.array([2], np.int64),
        "half": np.float32(-0.5),
        "means": tiny.means,
        "stds": tiny.stds,
        "offset": (np.log(tiny.weights) - np.log(tiny.stds).sum(1)).astype(np.float32),
    }
    outputs = [("log_responsibilities", [tiny.n_components])]
    save_graph(folder / "responsibilities.onnx", nodes, [("latent", [tiny.latent_size])], outputs, constants)


def save_golden(folder, tiny, views):
    """Run every graph in onnxruntime on a few inputs and keep both."""
    rng, d, K = np.random.default_rng(1), tiny.latent_size, tiny.n_components
    latent = rng.standard_normal((3, d)).astype(np.float32)
    feeds = {
        "prior.onnx": {
            "component": np.arange(K),
            "noise": rng.standard_normal((K, d)).astype(np.float32),
            "temperature": np.linspace(0, 2, K, dtype=np.float32),
        },
        "responsibilities.onnx": {"latent": latent},
    }
    for view, oracle in views.values():
        feeds[view.encoder] = {"x": rng.uniform(0, 1, (3, *oracle.shape)).astype(np.float32)}
        feeds[view.decoder] = {"latent": latent}
    arrays = {}
    for file, inputs in feeds.items():
        session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        values = inputs | dict(zip(names, session.run(names, inputs), strict=True))
        arrays |= {f"{file}:{name}": value for name, value in values.items()}
    np.savez(folder / "golden.npz", **arrays)


def write_bundle(folder, tiny, kind="probabilistic", views=None):
    """Write a whole bundle; views maps names to (View, Tiny) and defaults to one image."""
    image = View(kind="image", shape=tiny.shape, value_range=(0, 1)) if views is None else None
    views = views or {"image": (image, tiny)}
    folder.mkdir(parents=True)
    for view, oracle in views.values():
        save_encoder(folder / view.encoder, oracle, kind)
        save_decoder(folder / view.decoder, oracle)
    save_prior(folder, tiny)
    save_responsibilities(folder, tiny)
    save_golden(folder, tiny, views)
    files = describe_files(folder)
    training = Training(config={}, dataset="tiny", epochs=0, seed=0, code_revision="", date="2026-11-23", command="")
    manifest = Manifest(
        kind=kind,
        views={name: view for name, (view, _) in views.items()},
        latent_size=tiny.latent_size,
        n_components=tiny.n_components,
        prior=Prior(weights=tiny.weights.tolist(), means=tiny.means.tolist(), stds=tiny.stds.tolist()),
        files=files,
        parity={name: Parity(max_abs_error=0, tolerance=1e-4) for name in files if name.endswith(".onnx")},
        training=training,
        scores={"reconstruction_mse": 0.25},
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """The mathematics of the bundles `alpha` and `beta`."""
    return make_tiny()


@pytest.fixture(scope="session")
def bundles() -> SimpleNamespace:
    """The makers, for tests that need bundles of their own."""
    return SimpleNamespace(
        make_tiny=make_tiny,
        write_bundle=write_bundle,
        save_graph=save_graph,
        save_encoder=save_encoder,
        save_decoder=save_decoder,
        save_prior=save_prior,
        save_responsibilities=save_responsibilities,
    )


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory, tiny) -> Path:
    """A models folder with the bundles `alpha`, probabilistic, and `beta`, deterministic; do not write into it."""
    folder = tmp_path_factory.mktemp("models")
    write_bundle(folder / "alpha", tiny)
    write_bundle(folder / "beta", tiny, kind="deterministic")
    return folder


@dataclass(frozen=True)
class Service:
    """A running service: its address, its process, and the file that its output goes to."""

    url: str
    process: subprocess.Popen
    log: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(url, process, log, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"not ready after {seconds} s:\n{log.read_text()}")


def stop(process):
    """End the server with all its workers, gently and then not."""
    for kind, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, kind)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture(scope="session")
def start_service(tmp_path_factory) -> Callable[..., AbstractContextManager[Service]]:
    """Start services: `with start_service(models, workers=2) as service`; further names are settings."""

    @contextmanager
    def start(models, command=None, environment=None, **settings) -> Iterator[Service]:
        port, folder = free_port(), tmp_path_factory.mktemp("service")
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        command = command or [sys.executable, "-m", "serving", f"--models={models}", f"--port={port}", *options]
        command = [str(part).replace("{port}", str(port)) for part in command]
        variables = {**os.environ, "BENTOML_HOME": str(folder), **(environment or {})}
        log = folder / "log.txt"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdout=output, stderr=output, start_new_session=True
            )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield Service(f"http://127.0.0.1:{port}", process, log)
        finally:
            stop(process)

    return start


@pytest.fixture(scope="session")
def service(start_service, tiny_models) -> Iterator[Service]:
    """The real service over `tiny_models`, one for the whole session."""
    with start_service(tiny_models) as running:
        yield running


@pytest.fixture(scope="session")
def service_url(service) -> str:
    """The address of `service`."""
    return service.url
