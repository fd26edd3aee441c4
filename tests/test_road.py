"""The whole road on the embedded data set: train, evaluate, export, serve, ask."""

import base64
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from training.runs import load_run

ROOT = Path(__file__).parents[1]


def run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def picture(image: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))


@pytest.mark.slow
def test_digits_from_training_to_http(tmp_path: Path, start_service) -> None:
    started = time.monotonic()
    folder, models = tmp_path / "run", tmp_path / "models"
    run("training", "train", "--data", "digits", "--smoke", "--accelerator", "cpu", "--out", str(folder))
    run("training", "evaluate", str(folder))
    run("export", str(folder), "--out", str(models / "digits"))
    with start_service(models) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        (model,) = client.get("/models").json()["models"]
        assert (model["name"], model["views"]["image"]["shape"]) == ("digits", [1, 8, 8])
        assert model["scores"].items() <= json.loads((folder / "evaluation.json").read_text()).items()

        ask = {"n": 4, "component": 3, "seed": 1}
        one, two = (client.post("/sample", json=ask).json() for _ in range(2))
        assert one == two
        assert (one["components"], len(one["images"])) == ([3] * 4, 4)
        assert picture(one["images"][0]).shape == (8, 8)

        x = (load_digits().images[:5, None] / 16).tolist()
        latents = client.post("/encode", json={"x": x}).json()["latents"]
        decoded = client.post("/decode", json={"latents": latents}).json()["images"]
        pixels = np.round(np.array(x) * 255).astype(np.uint8)
        files = [io.BytesIO() for _ in pixels]
        for image, file in zip(pixels[:, 0], files, strict=True):
            Image.fromarray(image).save(file, format="PNG")
        images = [base64.b64encode(file.getvalue()).decode() for file in files]
        rebuilt = client.post("/reconstruct", json={"images": images}).json()["images"]
        # The picture's bytes round the digit's sixteenths: the two may differ by a grey level, no more.
        for direct, through in zip(decoded, rebuilt, strict=True):
            assert np.abs(picture(direct).astype(int) - picture(through)).max() <= 1
    assert time.monotonic() - started < 240  # two minutes on a quiet machine


def write_halves(folder: Path) -> list[Path]:
    """The left and the right half of every digit, as two tables."""
    digits, paths = load_digits(), []
    for name, pixels in (("left", digits.images[:, :, :4]), ("right", digits.images[:, :, 4:])):
        rows = np.column_stack([pixels.reshape(-1, 32), digits.target])
        header = ",".join([*(f"p{number}" for number in range(32)), "label"])
        np.savetxt(folder / f"{name}.csv", rows, delimiter=",", header=header, comments="", fmt="%d")
        paths.append(folder / f"{name}.csv")
    return paths


@pytest.mark.slow
def test_halves_of_digits_from_cotraining_to_http(tmp_path: Path, start_service) -> None:
    folder, models = tmp_path / "run", tmp_path / "models"
    files = [str(path) for path in write_halves(tmp_path)]
    run("training", "cotrain", "--data", "tables", "--files", *files, "--smoke", "--accelerator", "cpu",
        "--out", str(folder))  # fmt: skip
    run("export", str(folder), "--out", str(models / "halves"))
    trained = load_run(folder).model
    images = load_digits().images[:20]
    x = {"left": images[:, :, :4].reshape(-1, 32), "right": images[:, :, 4:].reshape(-1, 32)}
    tensors = {name: torch.from_numpy(rows).float() for name, rows in x.items()}
    views = {name: rows.tolist() for name, rows in x.items()}
    with torch.inference_mode():
        features, translated = trained.features(tensors), trained.translate(tensors["left"], "left", "right")
        assert trained.head is not None
        probabilities = trained.head(features).exp()
    with start_service(models) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        (model,) = client.get("/models").json()["models"]
        assert {name: view["shape"] for name, view in model["views"].items()} == {"left": [32], "right": [32]}
        reply = client.post("/encode", json={"views": views}).json()
        np.testing.assert_allclose(reply["features"], features, atol=1e-4)
        reply = client.post("/translate", json={"from": "left", "to": "right", "x": views["left"]}).json()
        np.testing.assert_allclose(reply["x"], translated, atol=1e-3)
        reply = client.post("/classify", json={"views": views}).json()
        np.testing.assert_allclose(reply["probabilities"], probabilities, atol=1e-4)
        right = (np.array(reply["classes"]).astype(float) == load_digits().target[:20]).mean()
        assert right > 0.3  # chance is 0.1
