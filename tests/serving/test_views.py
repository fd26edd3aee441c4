"""A bundle of two views that each have their latent space, against closed forms: engine, routes, refusals."""

import shutil
from types import SimpleNamespace

import bentoml
import httpx
import numpy as np
import onnxruntime
import pytest
from onnx import helper
from scipy.special import log_softmax

from export.bundle_files import describe_files, write_examples, write_manifest
from serving.bundle import BundleError, read_manifest
from serving.engine import Engine
from serving.examples import Examples
from serving.manifest import Manifest, Parity, Prior, Space, Training, View

CLASSES = ("cat", "dog", "eel")


def write_linear(bundles, path, names, matrix, bias=None):
    """A graph that multiplies by a matrix; with a bias, that gives log probabilities."""
    given, gives = names
    nodes = [helper.make_node("MatMul", [given, "matrix"], ["product" if bias is not None else gives])]
    constants = {"matrix": matrix.astype(np.float32)}
    if bias is not None:
        nodes += [helper.make_node("Add", ["product", "bias"], ["logits"])]
        nodes += [helper.make_node("LogSoftmax", ["logits"], [gives], axis=1)]
        constants["bias"] = bias.astype(np.float32)
    bundles.save_graph(path, nodes, [(given, [len(matrix)])], [(gives, [matrix.shape[1]])], constants)


def write_golden(folder, manifest):
    """Random inputs of every graph, and what onnxruntime makes of them."""
    rng, arrays = np.random.default_rng(5), {}
    sizes = {file: space.n_components for file, space in manifest.spaces().items()}
    for file, graph in manifest.graphs().items():
        rows, inputs = sizes.get(file, 3), {}
        for name, tensor in graph.inputs.items():
            random = rng.uniform(0, 1, (rows, *tensor.shape[1:])).astype(np.float32)
            inputs[name] = np.arange(rows) if tensor.dtype == "int64" else random
        session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])
        outputs = dict(zip(graph.outputs, session.run(list(graph.outputs), inputs), strict=True))
        arrays |= {f"{file}:{name}": value for name, value in (inputs | outputs).items()}
    np.savez(folder / "golden.npz", **arrays)


def describe(tiny, name, target):
    image = len(tiny.shape) == 3
    prior = Prior(weights=tiny.weights.tolist(), means=tiny.means.tolist(), stds=tiny.stds.tolist())
    return View(
        kind="image" if image else "vector", shape=tiny.shape, value_range=(0, 1) if image else None,
        folder=f"views/{name}", targets=(target,), layout=None if image else (2, 5),
        found={target: 0.75},
        space=Space(latent_size=tiny.latent_size, n_components=tiny.n_components, prior=prior),
    )  # fmt: skip


def write_pair(bundles, folder):
    """Write the bundle `pair`; its oracles: a Tiny per view, a matrix per translation, weight and bias of the head."""
    rng = np.random.default_rng(4)
    tiny = {"face": bundles.make_tiny(1, (1, 6, 6), d=4, K=3), "table": bundles.make_tiny(2, (10,), d=2, K=5)}
    carry = {"face": rng.standard_normal((4, 2)), "table": rng.standard_normal((2, 4))}
    head = rng.standard_normal((6, 3)), rng.standard_normal(3)
    views = {"face": describe(tiny["face"], "face", "table"), "table": describe(tiny["table"], "table", "face")}
    for name, view in views.items():
        bundles.save_encoder(folder / view.encoder, tiny[name], "probabilistic")
        bundles.save_decoder(folder / view.decoder, tiny[name])
        bundles.save_prior(folder / view.folder, tiny[name])
        bundles.save_responsibilities(folder / view.folder, tiny[name])
        write_linear(bundles, folder / view.translator(view.targets[0]), ("latent", "carried"), carry[name])
    write_linear(bundles, folder / "head.onnx", ("features", "log_probabilities"), *head)
    told = {"kind": "probabilistic", "views": views, "classes": CLASSES, "credit": "A. Giver"}
    graphs = Manifest.model_construct(**told)
    write_golden(folder, graphs)
    random = np.random.default_rng(6)
    faces, tables = random.integers(0, 256, (3, 1, 6, 6), dtype=np.uint8), random.normal(size=(3, 10)).astype("f")
    write_examples(folder / "examples.npz", Examples({"face": faces, "table": tables}, ("eel", "cat", "cat")))
    parity = {file: Parity(max_abs_error=0, tolerance=1e-4) for file in graphs.graphs()}
    training = Training(config={}, dataset="pair", epochs=0, seed=0, code_revision="", date="2026-11-23", command="")
    write_manifest(folder, Manifest(**told, files=describe_files(folder), parity=parity, training=training))
    return SimpleNamespace(folder=folder, tiny=tiny, carry=carry, head=head, examples=(faces, tables))


@pytest.fixture(scope="module")
def pair(bundles, tmp_path_factory):
    return write_pair(bundles, tmp_path_factory.mktemp("views") / "pair")


@pytest.fixture(scope="module")
def items(pair):
    rng = np.random.default_rng(6)
    return {name: rng.uniform(0, 1, (3, *tiny.shape)).astype(np.float32) for name, tiny in pair.tiny.items()}


@pytest.fixture(scope="module")
def ask(pair, bundles, start_service):
    """Post to a service over `pair` and `single`, which has neither views to translate nor classes."""
    bundles.write_bundle(pair.folder.parent / "single", bundles.make_tiny(3))
    with start_service(pair.folder.parent) as service, httpx.Client(base_url=service.url, timeout=30) as client:

        def post(path, status=200, **body):
            reply = client.post(path, json={"model": "pair"} | body)
            assert reply.status_code == status, reply.text
            return reply.json() if status == 200 else tuple(reply.json()["error"][key] for key in ("code", "field"))

        post.client = client
        yield post


def sent(items):
    return {name: x.tolist() for name, x in items.items()}


def classify(pair, items):
    weight, bias = pair.head
    features = np.concatenate([pair.tiny[name].mean(x) for name, x in items.items()], axis=1)
    return np.exp(log_softmax(features @ weight + bias, axis=1))


def test_models_tell_views_and_classes(ask):
    single, pair = ask.client.get("/models").json()["models"]
    assert (single["name"], single["default"], single["classes"]) == ("single", True, [])
    assert (pair["classes"], pair["credit"]) == (list(CLASSES), "A. Giver")
    assert pair["views"]["table"] == {
        "kind": "vector", "shape": [10], "value_range": None, "latent_size": 2, "n_components": 5, "targets": ["face"],
        "found": {"face": 0.75}, "layout": [2, 5],
    }  # fmt: skip
    assert (pair["latent_size"], pair["n_components"]) == (4, 3)


@pytest.mark.parametrize("view", ["face", "table"])
def test_every_verb_of_one_view(ask, pair, items, view):
    tiny, x = pair.tiny[view], items[view]
    codes = ask("/encode", view=view, x=x.tolist())
    np.testing.assert_allclose(codes["latents"], tiny.mean(x), atol=1e-5)
    np.testing.assert_allclose(codes["stds"], tiny.std(x), atol=1e-5)
    assert np.array(codes["responsibilities"]).shape == (3, tiny.n_components)
    again = ask("/reconstruct", view=view, x=x.tolist())["x"]
    np.testing.assert_allclose(again, tiny.decode(tiny.mean(x)), atol=1e-5)
    drawn = ask("/sample", view=view, n=4, seed=1, component=2)
    assert np.array(drawn["latents"]).shape == (4, tiny.latent_size)
    assert len(ask("/interpolate", view=view, **{"from": 0, "to": drawn["latents"][0]})["latents"]) == 8
    rows = ask.client.get("/components", params={"model": "pair", "view": view}).json()["components"]
    np.testing.assert_allclose([row["mean"] for row in rows], tiny.means, rtol=1e-6)
    decoded = ask("/decode", view=view, latents=drawn["latents"])
    if view == "table":
        np.testing.assert_allclose(decoded["x"], tiny.decode(np.array(drawn["latents"])), atol=1e-5)
    assert decoded == {key: drawn[key] for key in decoded}


def test_examples_are_those_of_the_bundle(ask, pair, pictures):
    reply = ask.client.get("/examples", params={"model": "pair"}).json()
    assert (reply["model"], reply["labels"]) == ("pair", ["eel", "cat", "cat"])
    faces, tables = pair.examples
    np.testing.assert_array_equal([pictures.from_base64(png) for png in reply["views"]["face"]["images"]], faces[:, 0])
    np.testing.assert_array_equal(np.array(reply["views"]["table"]["x"], "f"), tables)
    assert [model["examples"] for model in ask.client.get("/models").json()["models"]] == [0, 3]
    refused = ask.client.get("/examples")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_examples")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"views/face": None}, "arrays"),
        ({"views/face": np.zeros((3, 1, 6, 6), "f")}, r"uint8 \(3, 1, 6, 6\) in views/face"),
        ({"views/table": np.full((3, 10), np.nan, "f")}, "finite float32"),
        ({"views/table": np.zeros((2, 10), "f")}, r"\(3, 10\) in views/table"),
        ({"labels": np.arange(3)}, "of text"),
        ({"labels": np.array(["cat"])}, "3 of text"),
        ({"labels": np.array([None] * 3)}, "npz format"),
    ],
)
def test_unsound_examples_are_refused(pair, tmp_path, change, told):
    folder = tmp_path / "pair"
    shutil.copytree(pair.folder, folder)
    with np.load(folder / "examples.npz") as archive:
        arrays = {**archive, **change}
    np.savez(folder / "examples.npz", **{name: array for name, array in arrays.items() if array is not None})
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"files": describe_files(folder)}))
    with pytest.raises(BundleError, match=told):
        Engine.load(folder)


def test_all_views_at_once_are_the_views_one_by_one_side_by_side(ask, items):
    reply = ask("/encode", views=sent(dict(reversed(items.items()))))
    single = {name: ask("/encode", view=name, x=x.tolist()) for name, x in items.items()}
    assert {name: {"model": "pair"} | codes for name, codes in reply["views"].items()} == single
    beside = [one + other for one, other in zip(single["face"]["latents"], single["table"]["latents"], strict=True)]
    assert reply["features"] == beside


def test_translate(ask, pair, items, pictures):
    face, table = pair.tiny["face"], pair.tiny["table"]
    reply = ask("/translate", **{"from": "face", "to": "table"}, x=items["face"].tolist())
    codes = face.mean(items["face"]) @ pair.carry["face"]
    np.testing.assert_allclose(reply["latents"], codes, atol=1e-4)
    np.testing.assert_allclose(reply["x"], table.decode(codes), atol=1e-4)
    reply = ask("/translate", **{"from": "table", "to": "face"}, x=items["table"].tolist())
    codes = table.mean(items["table"]) @ pair.carry["table"]
    drawn = np.stack([pictures.from_base64(image) for image in reply["images"]])
    assert np.abs(drawn - np.clip(face.decode(codes)[:, 0], 0, 1) * 255).max() <= 1


def test_classify(ask, pair, items, pictures):
    reply = ask("/classify", views=sent(items))
    np.testing.assert_allclose(reply["probabilities"], classify(pair, items), atol=1e-5)
    assert reply["classes"] == [CLASSES[index] for index in classify(pair, items).argmax(1)]
    grey = np.uint8(items["face"][:, 0] * 255)
    images = [pictures.to_base64(picture) for picture in grey]
    reply = ask("/classify", views={"face": images, "table": items["table"].tolist()})
    rounded = items | {"face": grey[:, None] / 255}
    np.testing.assert_allclose(reply["probabilities"], classify(pair, rounded), atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/classify", {}, (400, "invalid_field", "views")),
        ("/classify", {"views": {}}, (400, "invalid_field", "views")),
        ("/classify", {"views": {"table": [[0.0] * 10]}}, (400, "invalid_field", "views")),
        ("/encode", {"views": {"table": [[0.0] * 10]}}, (400, "invalid_field", "views")),
        ("/encode", {"views": {"table": [[0.0] * 10], "chair": [[0.0]]}}, (404, "unknown_view", "views")),
        ("/encode", {"views": {"table": [[0.0] * 10] * 2, "face": [[[[0.0] * 6] * 6]]}},
         (400, "invalid_field", "views")),
        ("/encode", {"views": {"table": [[0.0] * 9], "face": [[[[0.0] * 6] * 6]]}},
         (400, "invalid_field", "views.table")),
        ("/encode", {"views": {"table": ["picture"], "face": [[[[0.0] * 6] * 6]]}},
         (400, "invalid_field", "views.table")),
        ("/encode", {"views": {"table": [[0.0] * 10], "face": ["picture"]}}, (400, "invalid_field", "views.face.0")),
        ("/encode", {"views": {"table": [[0.0] * 9 + ["x"]], "face": [[[[0.0] * 6] * 6]]}},
         (400, "invalid_field", "views.table.0.9")),
        ("/encode", {"views": {"table": [[0.0] * 10] * 65}}, (400, "invalid_field", "views.table")),
        ("/encode", {"view": "face", "views": {"table": [[0.0] * 10]}}, (400, "invalid_request", None)),
        ("/encode", {"x": [[0.0] * 10], "views": {"table": [[0.0] * 10]}}, (400, "invalid_request", None)),
        ("/encode", {"view": "chair", "x": [[0.0] * 10]}, (404, "unknown_view", "view")),
        ("/sample", {"view": "face", "component": 3}, (404, "unknown_component", "component")),
        ("/decode", {"view": "face", "latents": [[0.0, 0.0]]}, (400, "invalid_field", "latents.0")),
        ("/translate", {"from": "chair", "to": "face", "x": [[0.0] * 10]}, (404, "unknown_view", "from")),
        ("/translate", {"from": "face", "to": "chair", "x": [[0.0] * 10]}, (404, "unknown_view", "to")),
        ("/translate", {"from": "face", "to": "face", "x": [[0.0] * 10]}, (400, "invalid_field", "to")),
        ("/translate", {"from": "face", "to": "table", "x": [[0.0] * 10]}, (400, "invalid_field", "x")),
        ("/translate", {"from": "table", "to": "face"}, (400, "invalid_request", None)),
        ("/translate", {"to": "face", "x": [[0.0] * 10]}, (400, "invalid_field", "from")),
        ("/translate", {"model": "single", "from": "image", "to": "image", "x": [[0.0]]},
         (400, "invalid_field", "to")),
        ("/classify", {"model": "single", "views": {"image": [[0.0]]}}, (404, "no_classifier", "model")),
        ("/classify", {"model": "none", "views": {"image": [[0.0]]}}, (404, "unknown_model", "model")),
    ],
)  # fmt: skip
def test_refusals(ask, path, body, answer):
    status, *told = answer
    assert ask(path, status, **body) == tuple(told)


def test_bentoml_client_gets_the_same_answers(ask, items):
    bodies = {
        "encode": {"view": "table", "x": items["table"].tolist()},
        "translate": {"from": "face", "to": "table", "x": items["face"].tolist()},
        "classify": {"views": sent(items)},
    }
    with bentoml.SyncHTTPClient(str(ask.client.base_url)) as client:
        for verb, body in bodies.items():
            assert getattr(client, verb)(model="pair", **body) == ask(f"/{verb}", **body)
        assert client.encode(model="pair", views=sent(items)) == ask("/encode", views=sent(items))


def test_openapi_tells_both_replies_of_encode(ask):
    document = ask.client.get("/docs.json").json()
    reply = document["paths"]["/encode"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert [part["$ref"].rpartition("/")[2] for part in reply["anyOf"]] == ["EncodeReply", "FeaturesReply"]
    assert {"from", "to"} <= set(document["components"]["schemas"]["Translate"]["properties"])
    assert "targets" in document["components"]["schemas"]["ViewReply"]["properties"]


def rewrite(folder, change):
    data = read_manifest(folder).model_dump(mode="json")
    change(data)
    return lambda: Manifest.model_validate(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(latent_size=4), "must be left out"),
        (lambda data: data["views"]["face"].update(space=None), "must be given"),
        (lambda data: data["views"]["face"].update(folder=""), "its own space"),
        (lambda data: data["views"]["face"].update(targets=["face"]), "must be other views"),
        (lambda data: data["views"]["face"].update(targets=[]), "parity must name"),
        (lambda data: data.update(classes=["one"]), "two or more"),
        (lambda data: data["views"]["face"]["space"].update(latent_size=3), r"prior.means must have shape \(3, 3\)"),
    ],
)
def test_manifests_that_contradict_themselves(pair, change, message):
    with pytest.raises(ValueError, match=message):
        rewrite(pair.folder, change)()


def test_the_prior_that_is_told_is_the_one_of_the_view(pair, bundles, tmp_path):
    other = write_pair(bundles, tmp_path / "pair")
    manifest = rewrite(
        other.folder, lambda data: data["views"]["table"]["space"]["prior"]["means"][4].__setitem__(0, 9)
    )
    write_manifest(other.folder, manifest())
    with pytest.raises(BundleError, match=r"views/table/prior\.onnx: expected the manifest's prior\.means"):
        Engine.load(other.folder)
