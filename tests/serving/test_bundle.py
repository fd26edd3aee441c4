import json
import logging
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.bundle_files import describe_files, hash_file, write_manifest
from serving.bundle import BundleError, read_manifest, verify_files
from serving.engine import Engine
from serving.manifest import Manifest, View
from serving.repository import Repository
from serving.settings import Settings


@pytest.fixture
def bundle(tiny_models, tmp_path):
    return shutil.copytree(tiny_models / "alpha", tmp_path / "alpha")


def edit(folder, change):
    """Change the manifest's JSON."""
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def rehash(folder):
    """Make the manifest agree with the files as they are now, so that only what is in them can be refused."""
    entries = {name: entry.model_dump() for name, entry in describe_files(folder).items()}
    edit(folder, lambda data: data.update(files=entries))


def rewrite(folder, file, change):
    """Change an ONNX model and rehash."""
    model = onnx.load(folder / file)
    change(model.graph)
    onnx.save(model, folder / file)
    rehash(folder)


def refused(folder, *words):
    with pytest.raises(BundleError) as caught:
        Engine.load(folder)
    for word in (str(folder), *words):
        assert word in str(caught.value)


def set_constant(graph, name, value):
    for tensor in graph.initializer:
        if tensor.name == name:
            array = numpy_helper.to_array(tensor).copy()
            array.flat[0] = value
            tensor.CopyFrom(numpy_helper.from_array(array, name))


def test_a_written_manifest_reads_back_equal(bundle):
    manifest = read_manifest(bundle)
    write_manifest(bundle, manifest)
    assert read_manifest(bundle) == manifest
    assert manifest.files["encoder.onnx"].opset == 18
    assert [path.name for path in bundle.iterdir() if path.name.startswith(".")] == []


def test_hash_is_that_of_sha256sum(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert hash_file(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_verified_contents_are_the_files(bundle):
    contents = verify_files(bundle, read_manifest(bundle))
    assert contents["decoder.onnx"] == (bundle / "decoder.onnx").read_bytes()


def test_sound_bundle_loads(bundle):
    assert Engine.load(bundle).provider == "cpu"


@pytest.mark.parametrize("file", ["manifest.json", "golden.npz", "prior.onnx"])
def test_missing_file(bundle, file):
    (bundle / file).unlink()
    refused(bundle, file)


def test_changed_byte(bundle):
    path = bundle / "decoder.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused(bundle, "decoder.onnx", "sha256")


def test_changed_size(bundle):
    with (bundle / "decoder.onnx").open("ab") as file:
        file.write(b"x")
    refused(bundle, "decoder.onnx", "bytes")


def test_extra_file(bundle):
    (bundle / "views").mkdir()
    (bundle / "views" / "notes.txt").write_text("mine")
    refused(bundle, "views/notes.txt", "does not list")


def test_hidden_files_are_not_the_bundles(bundle):
    (bundle / ".gitattributes").write_text("left behind")
    (bundle / ".cache" / "download").mkdir(parents=True)
    (bundle / ".cache" / "download" / "decoder.onnx").symlink_to("/nowhere")
    assert verify_files(bundle, read_manifest(bundle)).keys() == read_manifest(bundle).files.keys()
    assert describe_files(bundle) == read_manifest(bundle).files
    assert Engine.load(bundle).provider == "cpu"


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", "._decoder.onnx", "Icon\r", "__MACOSX/x", "lost+found/x"])
@pytest.mark.parametrize("inside", ["", "views"])
def test_litter_of_file_managers_does_no_harm(bundle, name, inside):
    path = bundle / inside / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("left behind")
    assert describe_files(bundle) == read_manifest(bundle).files
    assert Engine.load(bundle).provider == "cpu"


def test_a_card_with_the_line_ends_of_windows(bundle):
    (bundle / "README.md").write_bytes(b"# alpha\nof mine\n")
    rehash(bundle)
    (bundle / "README.md").write_bytes(b"# alpha\r\nof mine\r\n")
    (bundle / "manifest.json").write_bytes((bundle / "manifest.json").read_bytes().replace(b"\n", b"\r\n"))
    assert Engine.load(bundle).provider == "cpu"
    (bundle / "README.md").write_bytes(b"# alpha\r\nof yours\r\n")
    refused(bundle, "README.md", "sha256")


def as_a_volume(folder):
    """What Kubernetes makes of files in a volume: links to links, so that all of them change at once."""
    (folder / "..2026").mkdir()
    for path in list(folder.iterdir()):
        if not path.name.startswith("."):
            path.rename(folder / "..2026" / path.name)
            path.symlink_to(f"..data/{path.name}")
    (folder / "..data").symlink_to("..2026")


def test_links_within_a_bundle_are_followed(bundles, tiny, tmp_path):
    image = View(kind="image", shape=tiny.shape, value_range=(0, 1), folder="views/image")
    folder = bundles.write_bundle(tmp_path / "alpha", tiny, views={"image": (image, tiny)})
    as_a_volume(folder)
    assert (folder / "views").is_symlink()
    assert Engine.load(folder).name == "alpha"
    assert describe_files(folder) == read_manifest(folder).files


@pytest.mark.parametrize("target", [".", "self", "../alpha", "/"])
def test_a_link_that_leads_in_circles_or_out(bundle, target):
    (bundle / "self").symlink_to(target)
    refused(bundle, "self")


@pytest.mark.parametrize("file", ["decoder.onnx", "manifest.json"])
def test_symlink(bundle, file, tmp_path):
    (bundle / file).rename(tmp_path / "elsewhere")
    (bundle / file).symlink_to(tmp_path / "elsewhere")
    refused(bundle, file, "a symlink")


def test_schema_version(bundle):
    edit(bundle, lambda data: data.update(schema_version=2))
    refused(bundle, "manifest.json", "expected schema version 1", "schema_version")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}'])
def test_malformed_manifest(bundle, text):
    (bundle / "manifest.json").write_text(text)
    refused(bundle, "manifest.json")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda data: data.update(surprise=1), "surprise"),
        (lambda data: data["prior"]["weights"].append(0.5), "prior.weights"),
        (lambda data: data["prior"]["means"].pop(), "prior.means"),
        (lambda data: data["prior"]["stds"][0].__setitem__(0, -1.0), "prior.stds.0.0"),
        (lambda data: data["views"]["image"].update(folder="../elsewhere"), "views.image.folder"),
        (lambda data: data["views"]["image"].update(shape=[2, 28, 28]), "views.image"),
        (lambda data: data["views"]["image"].update(value_range=None), "value_range"),
        (lambda data: data["files"].pop("encoder.onnx"), "encoder.onnx"),
        (lambda data: data["parity"].pop("encoder.onnx"), "encoder.onnx"),
        (lambda data: data["parity"]["encoder.onnx"].update(max_abs_error=1.0), "parity.encoder.onnx"),
    ],
)
def test_manifest_that_contradicts_itself(bundle, change, word):
    edit(bundle, change)
    refused(bundle, "manifest.json", word)


def test_a_path_outside_the_bundle_is_no_file_of_it(bundle):
    (bundle.parent / "outside").write_bytes(b"x")
    edit(bundle, lambda data: data["files"].update({"../outside": data["files"]["golden.npz"]}))
    refused(bundle, "../outside", "no such file")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_weight_with_a_correct_hash(bundle, value):
    rewrite(bundle, "decoder.onnx", lambda graph: set_constant(graph, "A", value))
    refused(bundle, "decoder.onnx", "finite", "'A'")


def test_non_finite_constant_inside_a_branch(bundle):
    def add_branch(graph):
        bad = helper.make_tensor("bad", TensorProto.FLOAT, [1], [np.nan])
        branches = []
        for name, node in (
            ("yes", helper.make_node("Constant", [], ["yes"], value=bad)),
            ("no", helper.make_node("Constant", [], ["no"], value_floats=[0.0])),
        ):
            output = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
            branches.append(helper.make_graph([node], name, [], [output]))
        graph.initializer.append(helper.make_tensor("never", TensorProto.BOOL, [], [False]))
        graph.node.append(helper.make_node("If", ["never"], ["o"], then_branch=branches[0], else_branch=branches[1]))

    rewrite(bundle, "decoder.onnx", add_branch)
    refused(bundle, "decoder.onnx", "finite", "'yes'")


def test_random_operator(bundle):
    rewrite(
        bundle,
        "decoder.onnx",
        lambda graph: graph.node.append(helper.make_node("RandomNormal", [], ["r"], shape=[1])),
    )
    refused(bundle, "decoder.onnx", "RandomNormal")


def test_external_data(bundle):
    model = onnx.load(bundle / "decoder.onnx")
    onnx.save(model, bundle / "decoder.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    rehash(bundle)
    refused(bundle, "decoder.onnx", "one file")


def test_not_onnx(bundle):
    (bundle / "decoder.onnx").write_bytes(b"not a model at all")
    edit(bundle, lambda data: data["files"]["decoder.onnx"].update(sha256=hash_file(bundle / "decoder.onnx"), size=18))
    refused(bundle, "decoder.onnx", "ONNX")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda graph: setattr(graph.input[0], "name", "z"), ["['latent']", "['z']"]),
        (lambda graph: setattr(graph.output[0].type.tensor_type, "elem_type", TensorProto.DOUBLE), ["float64"]),
        (lambda graph: setattr(graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 9), ["(any, 8)", "(any, 9)"]),
        (lambda graph: setattr(graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 2), ["(any, 8)", "(2, 8)"]),
    ],
)
def test_wrong_tensors(bundle, change, words):
    rewrite(bundle, "decoder.onnx", change)
    refused(bundle, "decoder.onnx", *words)


def test_probabilistic_model_needs_std(tiny_models, tmp_path):
    folder = shutil.copytree(tiny_models / "beta", tmp_path / "beta")
    edit(folder, lambda data: data.update(kind="probabilistic"))
    refused(folder, "encoder.onnx", "['mean', 'std']", "['mean']")


def test_golden_mismatch(bundle):
    rewrite(bundle, "decoder.onnx", lambda graph: set_constant(graph, "b", 0.625))
    refused(bundle, "decoder.onnx", "golden.npz", "0.125")


@pytest.mark.parametrize("name", ["means", "stds"])
def test_reported_prior_is_the_one_drawn_from(bundle, name):
    edit(bundle, lambda data: data["prior"][name][3].__setitem__(0, 0.75))
    refused(bundle, "prior.onnx", f"prior.{name}")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda arrays: arrays.pop("decoder.onnx:x"), "missing ['decoder.onnx:x']"),
        (lambda arrays: arrays.update(more=np.zeros(1)), "unknown ['more']"),
        (lambda arrays: arrays["prior.onnx:component"].fill(3), "every component of 10"),
        (lambda arrays: arrays["decoder.onnx:x"].fill(np.nan), "finite"),
        (lambda arrays: arrays.update({"decoder.onnx:latent": np.zeros((0, 8), np.float32)}), "(any, 8)"),
    ],
)
def test_golden_arrays(bundle, change, word):
    with np.load(bundle / "golden.npz") as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(bundle / "golden.npz", **arrays)
    rehash(bundle)
    refused(bundle, "golden.npz", word)


def test_pickled_golden_is_never_opened(bundle):
    np.savez(bundle / "golden.npz", trap=np.array([object()], dtype=object))
    rehash(bundle)
    refused(bundle, "golden.npz")


def test_manifest_needs_every_file_of_every_view(tiny_models):
    data = json.loads((tiny_models / "alpha" / "manifest.json").read_text())
    data["views"]["second"] = data["views"]["image"] | {"folder": "views/second"}
    with pytest.raises(ValueError, match=r"views/second/decoder\.onnx"):
        Manifest.model_validate(data)


def test_one_bad_bundle_refuses_the_library(tiny_models, tmp_path):
    models = shutil.copytree(tiny_models, tmp_path / "models")
    (models / "beta" / "golden.npz").unlink()
    with pytest.raises(BundleError, match=r"beta.*golden\.npz"):
        Repository(Settings(models=models))


def test_folders_without_a_manifest_are_passed_over(tiny_models, tmp_path, caplog):
    models = shutil.copytree(tiny_models, tmp_path / "models")
    for name in ("lost+found", "__MACOSX/alpha", "notes", ".cache"):
        (models / name).mkdir(parents=True)
    (models / "__MACOSX" / "alpha" / "._manifest.json").write_text("")
    (models / "gone").symlink_to("nowhere")
    logging.getLogger("relatent").addHandler(caplog.handler)
    assert list(Repository(Settings(models=models)).library.engines) == ["alpha", "beta"]
    logging.getLogger("relatent").removeHandler(caplog.handler)
    (line,) = set(caplog.messages)  # it may come by way of the root's handler too
    assert line.endswith("manifest.json: __MACOSX, gone, lost+found, notes")


@pytest.mark.parametrize("name", ["my model", "_hidden", "modèle", "a" * 65, "a+b"])
def test_a_name_that_no_request_could_say(tiny_models, tmp_path, name):
    shutil.copytree(tiny_models / "alpha", tmp_path / name)
    with pytest.raises(BundleError, match="at most 64 letters"):
        Repository(Settings(models=tmp_path))


def test_library_order_and_default(tiny_models, bundles, tmp_path):
    models = shutil.copytree(tiny_models, tmp_path / "models")
    bundles.write_bundle(models / "a-large", bundles.make_tiny(shape=(3, 32, 32)))
    (models / "README.md").write_text("not a bundle")
    library = Repository(Settings(models=models)).library
    assert list(library.engines) == ["alpha", "beta", "a-large"]
    assert library.default == "alpha"
    assert Repository(Settings(models=models, default_model="beta")).library.default == "beta"
    with pytest.raises(BundleError, match="gamma"):
        Repository(Settings(models=models, default_model="gamma"))
    with pytest.raises(BundleError, match="at least one bundle"):
        Repository(Settings(models=tmp_path / "models" / "alpha"))
