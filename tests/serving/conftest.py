"""A client of the shared service, and pictures to send it."""

import base64
import io
import time
from types import SimpleNamespace

import httpx
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from export.bundle_files import describe_files, write_manifest
from serving.bundle import read_manifest


def to_base64(array, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def from_base64(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture(scope="session")
def pictures() -> SimpleNamespace:
    """Helpers: to_base64(array, kind) and from_base64(text)."""
    return SimpleNamespace(to_base64=to_base64, from_base64=from_base64)


@pytest.fixture(scope="session")
def client(service_url):
    with httpx.Client(base_url=service_url, timeout=30) as client:
        yield client


def extend_decoder(path, nodes, constants):
    """Let a decoder add "nothing", a scalar that further nodes compute from "latent", to its answer."""
    model = onnx.load(path)
    *before, last = model.graph.node
    add = helper.make_node("Add", [last.input[0], "nothing"], ["extended"])
    last.input[0] = "extended"
    tensors = (numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    model.graph.initializer.extend(tensors)
    del model.graph.node[:]
    model.graph.node.extend([*before, *nodes, add, last])
    onnx.save(model, path)


def rehash(folder):
    write_manifest(folder, read_manifest(folder).model_copy(update={"files": describe_files(folder)}))


def slow_down(path, trips):
    """Let a decoder go in circles before it answers as ever."""
    node, scalar = helper.make_node, helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Sin", ["v"], ["w"]), node("Identity", ["go"], ["on"])],
        "circle",
        [scalar("i", TensorProto.INT64, []), scalar("go", TensorProto.BOOL, []), scalar("v", TensorProto.FLOAT, [])],
        [scalar("on", TensorProto.BOOL, []), scalar("w", TensorProto.FLOAT, [])],
    )
    circles = [
        node("ReduceSum", ["latent"], ["v0"], keepdims=0),
        node("Loop", ["trips", "", "v0"], ["end"], body=body),
        node("Mul", ["end", "zero"], ["nothing"]),
    ]
    extend_decoder(path, circles, {"trips": np.array(trips, np.int64), "zero": np.float32(0)})


def seconds_per_trip(path):
    # One thread and the fastest of five: idle threads spin, first runs warm up, and neither is the work's own time.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    seconds = []
    for _ in range(5):
        start = time.process_time()
        session.run(None, {"latent": np.ones((1, 8), np.float32)})
        seconds.append(time.process_time() - start)
    return min(seconds) / 1000


@pytest.fixture(scope="session")
def slow_models(tmp_path_factory, bundles, tiny):
    """A models folder whose one model takes a tenth of a second of CPU for every 64 items, and is right."""
    folder = bundles.write_bundle(tmp_path_factory.mktemp("slow") / "slow", tiny)
    trial = folder.parent.parent / "trial.onnx"
    trial.write_bytes((folder / "decoder.onnx").read_bytes())
    slow_down(trial, 1000)
    slow_down(folder / "decoder.onnx", round(0.1 / seconds_per_trip(trial)))
    rehash(folder)
    return folder.parent


@pytest.fixture(scope="session")
def faulty_models(tmp_path_factory, bundles, tiny):
    """Two models that are right for codes near the origin; beyond 6, `nan` gives NaN and `broken` fails to run."""
    models, node = tmp_path_factory.mktemp("faulty"), helper.make_node
    largest = [node("Abs", ["latent"], ["size"]), node("ReduceMax", ["size"], ["largest"], keepdims=0)]
    faults = {
        "nan": [
            node("Sub", ["six", "largest"], ["rest"]),
            node("Log", ["rest"], ["log"]),
            node("Mul", ["log", "zero"], ["nothing"]),
        ],
        "broken": [
            node("Div", ["largest", "six"], ["ratio"]),
            node("Cast", ["ratio"], ["index"], to=TensorProto.INT64),
            node("Gather", ["one", "index"], ["nothing"]),
        ],
    }
    constants = {"six": np.float32(6), "zero": np.float32(0), "one": np.zeros(1, np.float32)}
    for name, nodes in faults.items():
        folder = bundles.write_bundle(models / name, tiny)
        extend_decoder(folder / "decoder.onnx", largest + nodes, constants)
        rehash(folder)
    return models
