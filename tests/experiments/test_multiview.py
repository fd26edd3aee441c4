import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from scipy.stats import wilcoxon

from experiments.multiview.cells import ROWS, MultiviewPaperConfig
from experiments.multiview.command import make_multiview, write_results
from experiments.multiview.figures import draw_figures
from experiments.multiview.statistics import paired_p
from experiments.multiview.tables import write_tables
from experiments.records import Results
from readers.image_data import ImageData
from training.loop import run
from training.multiview.config import CotrainConfig
from training.multiview.task import CotrainTask

ROOT = Path(__file__).parents[2]


@pytest.fixture
def handwritten(tmp_path: Path) -> Path:
    """The published layout: 300 rows of ten classes that every view tells apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 10
    cells = np.empty((1, 6), object)
    for position, size in enumerate((240, 76, 216, 47, 64, 6)):
        cells[0, position] = np.abs(generator.normal(size=(10, size)))[labels] + 0.1 * generator.random((300, size))
    savemat(tmp_path / "Handwritten.mat", {"X": cells, "Y": labels[:, None] + 1})
    return tmp_path


def test_the_command_writes_its_results_and_does_nothing_twice(handwritten: Path) -> None:
    config = MultiviewPaperConfig(
        experiments=("table",), rows=("raw", "gw-paired"), seeds=(0, 1), epochs=1,
        out=handwritten / "runs", report=handwritten / "report", data_dir=handwritten,
    )  # fmt: skip
    assert make_multiview(config, jobs=2) == 0
    written = json.loads((handwritten / "report" / "multiview.json").read_text())
    assert len(written["runs"]) == len(config.cells()) == 4
    assert str(handwritten) not in json.dumps(written)
    text = (handwritten / "report" / "multiview.md").read_text()
    accuracies = [
        100 * run["measures"]["accuracy"]
        for run in written["runs"] if (run["experiment"], run["row"]) == ("table", "gw-paired")
    ]  # fmt: skip
    mean, spread = statistics.fmean(accuracies), statistics.stdev(accuracies)
    assert f"| {ROWS['gw-paired'].title} | paired |  | {mean:.1f} ± {spread:.1f} |" in text
    assert (handwritten / "report" / "multiview" / "handwritten-labels.png").stat().st_size < 150_000
    stamp = {path: path.stat().st_mtime_ns for path in (handwritten / "runs").glob("*/record.json")}
    assert make_multiview(config, jobs=2) == 0
    assert stamp == {path: path.stat().st_mtime_ns for path in stamp}
    # Records kept with the results stand in for runs on another machine.
    assert "gw-paired" in write_results(config.model_copy(update={"out": handwritten / "elsewhere"})).read_text()


def test_a_cell_that_fails_is_reported_and_does_not_stop_the_others(handwritten: Path) -> None:
    config = MultiviewPaperConfig(
        experiments=("table", "scarce"), rows=("independent",), seeds=(0,), epochs=1,
        out=handwritten / "runs", data_dir=handwritten,
    )  # fmt: skip
    assert make_multiview(config, jobs=2) == 1  # there are but 240 objects to train on, not 400
    text = (handwritten / "runs" / "multiview.md").read_text()
    assert "## Failures" in text
    assert "expected train_samples <= 240" in text
    assert len(json.loads((handwritten / "runs" / "multiview.json").read_text())["runs"]) == 3


def test_paired_differences_are_tested_by_wilcoxon() -> None:
    differences = [0.5, 1.0, -0.2, 0.3, 2.0, 1.5, 0.1, 0.7]
    assert paired_p(differences) == pytest.approx(wilcoxon(differences).pvalue)
    assert paired_p([0.0] * 8) == 1.0


def _record(
    row: str, seed: int, accuracy: float, *, experiment: str = "table", features: int = 2, **settings: Any
) -> dict[str, Any]:
    """A record as a worker leaves it; settings are the changed ones."""
    names = ("pixels", "fourier", "correlations")[:features]
    views = {name: {"shape": [2], "train": 8, "test": 1} for name in names}
    config = {"tau": 0.0 if row == "independent" else 0.5, "train_samples": None, "overlap": 1.0} | settings
    measures = {"accuracy": accuracy, "accuracy_1": accuracy / 2, "matching_classes_pixels_fourier": accuracy}
    measures |= {f"accuracy_{kind}_{view}": accuracy for kind in ("missing", "translated") for view in names}
    return {
        "name": f"{experiment}{row}{seed}{settings}", "experiment": experiment, "data": "handwritten", "row": row,
        "seed": seed, "change": settings, "measures": measures, "processor_seconds": 2.0,
        "origin": {"data": {"views": views, "classes": ["a", "b"]}},
        "config": {"regularizer": {"tau": config.pop("tau")}, "data": config},
    }  # fmt: skip


def test_differences_are_those_of_the_same_seed() -> None:
    runs = [_record("independent", seed, 0.5 + 0.01 * seed) for seed in range(8)]
    runs += [_record("gw", seed, 0.53 + 0.01 * seed) for seed in reversed(range(8))]
    text = write_tables(Results(runs, [], []), [])
    assert "| AEs+GW, as printed | +3.0 (p 0.008) | +1.5 (p 0.008) |" in text
    assert "*72.36 ± 3.82*" in text


def test_few_objects_are_compared_with_independent_training_on_as_few() -> None:
    runs = [_record("independent", seed, 0.8 + 0.01 * seed) for seed in range(6)]
    for seed in range(6):
        runs.append(_record("independent", seed, 0.5 + 0.01 * seed, experiment="scarce", train_samples=4))
        runs.append(_record("coreg", seed, 0.6 + 0.01 * seed, experiment="scarce", train_samples=4))
        runs.append(_record("coreg", seed, 0.7 + 0.01 * seed))
    text = write_tables(Results(runs, [], []), [])
    assert "| AEs+CoReg | 4 | 31.2 ± 0.9 |  |  | 62.5 ± 1.9 | +5.0 (p 0.031) | 6 |" in text
    assert "| AEs+CoReg | 8 | 36.2 ± 0.9 |  |  | 72.5 ± 1.9 | -5.0 (p 0.031) | 6 |" in text  # all there are
    assert "- AEs+CoReg: better with 4; worse with 8." in text


def test_rows_without_independent_training_stand_alone() -> None:
    text = write_tables(Results([_record("gw", 0, 0.5, experiment="unpaired", overlap=0.0)], [], []), [])
    assert "| AEs+GW, as printed | 0 | 25.0 |  |  | 50.0 |  | 1 |" in text


def test_a_sweep_holds_the_tables_own_setting_of_the_same_seeds() -> None:
    runs = [_record("gw", seed, 0.6) for seed in range(4)] + [_record("independent", seed, 0.5) for seed in range(4)]
    runs += [_record("gw", seed, 0.4, experiment="tau", tau=0.9) for seed in range(2)]
    section = write_tables(Results(runs, [], []), ["handwritten-tau.png"]).partition("### The sweep over tau")[2]
    assert "- AEs+GW, as printed: 20.0 at 0.9 to 30.0 at 0.5." in section
    assert "| AEs+GW, as printed | 0.5 | 30.0 ± 0.0 |  |  | 60.0 ± 0.0 | 2 |" in section
    assert "- Independent AEs (eq. 14, τ = 0): 25.0 at 0." in section
    assert "](multiview/handwritten-tau.png)" in section


def test_three_views_are_compared_with_two_of_the_same_seeds() -> None:
    runs = [_record("coreg", seed, 0.5) for seed in range(8)]
    runs += [_record("coreg", seed, 0.6 + 0.01 * seed, experiment="three", features=3) for seed in range(6)]
    text = write_tables(Results(runs, [], []), [])
    assert "| AEs+CoReg | difference | +6.2 (p 0.031) |  |  | +12.5 (p 0.031) |" in text
    assert "by labels a class, 6 seeds:\n\n- AEs+CoReg: better with 1, all." in text


def test_too_few_seeds_are_called_so() -> None:
    runs = [_record("independent", seed, 0.5) for seed in range(5)] + [_record("gw", seed, 0.4) for seed in range(5)]
    text = write_tables(Results(runs, [], []), [])
    assert "- AEs+GW, as printed: by the means alone, of too few seeds for a test, worse with 1, all." in text
    assert "- AEs+GW, as printed: worse" not in text


def test_sentences_name_the_best_coupling_and_chance() -> None:
    runs = [_record("gw", 0, 0.3), _record("w", 0, 0.2), _record("gw-paired", 0, 0.9)]
    text = write_tables(Results(runs, [], []), [])
    assert "By chance 50 % of the mass lies on pairs of one class" in text
    assert "without pairs at most 30 % does (AEs+GW, as printed), with pairs at most 90 % does (AEs+GW, ours)." in text
    assert "- Where pixels is missing, AEs+GW, ours translates best: 90.0 % with the translation, 90.0 %" in text


def test_records_of_older_versions_do_not_stop_the_tables() -> None:
    old = _record("gw", 0, 0.5)
    del old["processor_seconds"]
    assert "| AEs+GW, as printed | unpaired | *72.36 ± 3.82* | 50.0 | 25.0 |  | 1 |" in write_tables(
        Results([old], [], []), []
    )


def test_the_document_is_what_its_records_give() -> None:
    results = Results(**json.loads((ROOT / "docs/results/multiview.json").read_text()))
    pictures = sorted(path.name for path in (ROOT / "docs/results/multiview").glob("*.png"))
    assert write_tables(results, pictures) == (ROOT / "docs/results/multiview.md").read_text()


def test_the_readmes_figures_are_those_of_the_records() -> None:
    runs = json.loads((ROOT / "docs/results/multiview.json").read_text())["runs"]
    titles = {facts.title: row for row, facts in ROWS.items()}
    lines = [line.strip("| ").split(" | ") for line in (ROOT / "README.md").read_text().splitlines()]
    shown = {titles[title]: cells for title, _, *cells in (line for line in lines if line[0] in titles)}
    assert len(shown) == 6
    names = ("accuracy_1", "accuracy_5", "accuracy", "accuracy_missing_fourier", "accuracy_translated_fourier")
    for row, cells in shown.items():
        own = [r["measures"] for r in runs if (r["experiment"], r["data"], r["row"]) == ("table", "handwritten", row)]
        assert cells == [f"{100 * statistics.fmean(scores[name] for scores in own):.1f}" for name in names], row


def test_translated_halves_of_digits_are_shown_below_the_true_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images = torch.randint(256, (60, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mnist = ImageData("mnist", images[:50], torch.arange(50) % 2, images[50:], torch.arange(10) % 2, 255, "")
    monkeypatch.setattr("readers.loaders.load_mnist", lambda _: mnist)
    groups = {
        "data": {"data": "mnist-halves"}, "model": {"width": (1,), "anchors": 5}, "machine": {"accelerator": "cpu"},
        "optimizer": {"epochs": 1, "batch_size": 20}, "out": tmp_path / "run",
    }  # fmt: skip
    config = CotrainConfig.model_validate(groups)
    data = CotrainTask.load(config.data, seed=0)
    run(CotrainTask(config, data))
    record = _record("gw-paired", 0, 0.5) | {"name": "run", "data": "mnist-halves"}
    name = "mnist-halves-left-to-right-gw-paired.png"
    assert name in draw_figures(tmp_path, tmp_path / "multiview", [record])
    picture = np.asarray(Image.open(tmp_path / "multiview" / name).convert("L"))
    # Twice as large and with borders of one: left, right, its reconstruction, and the left one translated.
    assert picture.shape == (1 + 4 * 57, 1 + 2 * 33)
    assert data.labels is not None
    known = data.labels[data.test["left"].objects]
    for label in range(2):
        first = (known == label).nonzero()[0, 0]
        for row, view in enumerate(("left", "right")):
            tile = picture[1 + 57 * row : 57 * (row + 1), 1 + 33 * label : 33 * (label + 1)]
            np.testing.assert_array_equal(tile[::2, ::2], (255 * data.test[view].x[first, 0]).round().numpy())
