"""Views that come unpaired, scores that are left out, data that have changed: said, not passed over."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from readers.errors import DataError
from readers.views_data import ViewsData, views_from_arrays
from training.__main__ import main
from training.multiview.after_training import finish
from training.multiview.config import CotrainConfig
from training.multiview.evaluation import evaluate_views, left_out
from training.multiview.pairs import check_pairs
from training.multiview.task import CotrainTask

MakeCotrain = Callable[..., CotrainConfig]
Call = Callable[[str], tuple[int, str]]


def shifted(by: int, *, labels: object = None, count: int = 60) -> ViewsData:
    """Two views of `count` rows each, the second's ids shifted."""
    rows = np.random.default_rng(0).normal(size=(2, count, 3))
    ids = {"a": [f"p{row}" for row in range(count)], "b": [f"p{row + by}" for row in range(count)]}
    return views_from_arrays({"a": rows[0], "b": rows[1]}, ids=ids, labels=labels)


def test_whoever_asks_for_pairs_is_told_which_rows_have_no_partner(
    make_cotrain: MakeCotrain, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        DataError, match=r"got 0 of 120: no partner have 'p0', 'p1', 'p2' and 57 more of a; 'p60'.* of b"
    ):
        CotrainTask(make_cotrain(pairs="paired"), shifted(60))
    CotrainTask(make_cotrain(pairs="unpaired", recipe="paper"), shifted(60))
    CotrainTask(make_cotrain(pairs="paired", overlap=0.0), shifted(60))  # left out on purpose
    assert not caplog.text
    CotrainTask(make_cotrain(pairs="paired"), shifted(30))
    assert "got 30 of 90: no partner have 'p0', 'p1', 'p2' and 27 more of a; 'p60', 'p61', 'p62' and 27" in caplog.text
    caplog.clear()
    CotrainTask(make_cotrain(pairs="paired"), shifted(15))
    check_pairs(views_from_arrays({"a": np.ones((60, 1))}))
    assert not caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [(9, "at least 10 training rows, got 7 of 9 rows in all; 12 rows"), (11, "training rows, got 9 of 11"), (12, "")],
)
def test_a_split_leaves_no_part_empty(rows: int, message: str) -> None:
    arrays = {"a": np.random.default_rng(0).normal(size=(rows, 2))}
    if message:
        with pytest.raises(DataError, match=message):
            views_from_arrays(arrays)
    else:
        assert [len(part["a"].x) for part in views_from_arrays(arrays)[1:4]] == [10, 1, 1]


def test_many_patterns_that_leave_no_test_row_are_refused() -> None:
    # Patterns of three objects each go 2 to training, 1 to validation, none to test.
    ids = {name: [row for row in range(21) if row // 3 + 1 & 1 << bit] for bit, name in enumerate("abc")}
    arrays = {name: np.random.default_rng(0).normal(size=(len(own), 2)) for name, own in ids.items()}
    with pytest.raises(DataError, match=r"view a: expected at least (1 test|10 training) rows?, got"):
        views_from_arrays(arrays, ids=ids)
    more = {name: [*own, *(100 * (bit + 1) + i for i in range(3 * 2))] for bit, (name, own) in enumerate(ids.items())}
    arrays = {name: np.random.default_rng(0).normal(size=(len(own), 2)) for name, own in more.items()}
    assert all(len(part[name].x) for part in views_from_arrays(arrays, ids=more)[1:4] for name in "abc")


LABELS: dict[str, object] = {
    "none": None,
    "one": {f"p{row}": "x" for row in range(300)},
    "two": {f"p{row}": "xy"[row % 2] for row in range(300)},
    "some": {f"p{row}": "xy"[row % 2] for row in range(0, 300, 3)},
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("shift", [0, 60])
def test_every_score_is_there_or_its_absence_is_told(make_cotrain: MakeCotrain, kind: str, shift: int) -> None:
    whole = shifted(0, labels=LABELS["two"], count=300)
    data = shifted(shift, labels=LABELS[kind])

    def names(data: ViewsData) -> set[str]:
        task = CotrainTask(make_cotrain(pairs="unpaired"), data)
        finish(task.model, data, paired=False)
        return set(evaluate_views(task.model.eval(), data))

    missing = names(whole) - names(data)
    told = [name for line in left_out(data) for name in line.partition(":")[0].split(", ")]
    for name in missing:
        assert any(name == known or (known[-1] == "*" and name.startswith(known[:-1])) for known in told), name
    assert not left_out(whole)
    assert bool(missing) == bool(told)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run a command of training in a folder of its own; its status and last words."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["python", *line.split()])
        status = main()
        return status, capsys.readouterr().err

    return run


def write(path: Path, rows: int, *, seed: int = 0) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    path.parent.mkdir(exist_ok=True)
    np.savetxt(path, values, delimiter=",", header="x,y,z", comments="")


def test_few_rows_smoke_and_changed_or_moved_files_are_told(
    call: Call, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.csv", 30)
    cotrain = "cotrain --data tables --files a.csv b.csv --smoke --accelerator cpu --out run"
    assert call(cotrain)[0] == 0
    assert call("evaluate run")[0] == 0
    assert "left out: accuracy*" in caplog.text
    (tmp_path / "moved").mkdir()
    for name in "ab":
        (tmp_path / f"{name}.csv").rename(tmp_path / "moved" / f"{name}.csv")
    status, words = call("evaluate run")
    assert (status, "a.csv: expected a file, got nothing there" in words, "--data-dir" in words) == (1, True, True)
    assert call("evaluate run --data-dir moved")[0] == 0
    write(tmp_path / "moved" / "b.csv", 30, seed=1)
    for line in ("evaluate run --data-dir moved", f"{cotrain} --resume --data-dir moved"):
        status, words = call(line)
        assert status == 1
        assert "data" in words
        assert "sha256" in words


@pytest.mark.parametrize("names", [("values", "train"), ("keys", "type"), ("to", "items")])
def test_a_view_may_be_called_what_a_module_has(make_cotrain: MakeCotrain, names: tuple[str, str]) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    data = views_from_arrays(dict.fromkeys(names, rows))
    model = CotrainTask(make_cotrain(), data).model
    assert model.names == names
    assert model.features({name: torch.ones(2, 3) for name in names}).shape == (2, 6)
    assert {key.split(".")[1] for key in model.state_dict() if key.startswith("views.")} == set(names)
