"""The benchmark of alignments runs from end to end on small clouds, whose truth is where it says."""

import json

import numpy as np
import pytest
import torch

from benchmarks.aligners import measure, problem, ways
from benchmarks.square import Settings, main


@pytest.mark.parametrize("kind", ["points", "graphs"])
def test_points_are_where_they_are_said_to_be(kind):
    x, y, truth = problem(kind, 60, 0)
    moved = y[truth][:, truth]
    assert np.corrcoef(x.flatten(), moved.flatten())[0, 1] > 0.75  # the one side has noise, of the graphs also a width
    assert np.corrcoef(x.flatten(), y.flatten())[0, 1] < 0.5
    for cost in (x, y):
        assert cost.square().mean() == pytest.approx(1)


@pytest.mark.slow
def test_it_writes_its_table_and_numbers_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    threads = torch.get_num_threads()
    two = ("relatent.align", "POT, conditional gradient")
    monkeypatch.setattr("benchmarks.square.ways", lambda: two)  # each solver has a process, which takes seconds
    main(Settings(out=tmp_path, sizes=(60,), seeds=1))
    found = json.loads((tmp_path / "square.json").read_text())
    assert [(row["kind"], row["way"]) for row in found["rows"]] == [
        (kind, way) for kind in ("points", "graphs") for way in two
    ]
    assert all(row["seconds"] > 0 for row in found["rows"])
    ours, *others = (row for row in found["rows"] if row["kind"] == "points")
    assert ours["nearer"] < 0.02
    assert ours["value"] < 1.01 * min(row["value"] for row in others)
    text = (tmp_path / "square.md").read_text()
    assert text in capsys.readouterr().out
    assert text.count("| relatent.align |") == 2

    del found["rows"][0]
    found["rows"][0]["seconds"] = 7.125
    (tmp_path / "square.json").write_text(json.dumps(found))
    main(Settings(out=tmp_path, sizes=(60,), seeds=1))
    torch.set_num_threads(threads)
    again = json.loads((tmp_path / "square.json").read_text())["rows"]
    assert again[0]["seconds"] == 7.125  # measured before, and not again
    assert again[-1]["way"] == "relatent.align"


@pytest.mark.slow
def test_a_solver_that_takes_too_long_is_stopped():
    told = measure("points", 500, "POT, entropic", seed=0, threads=1, limit=0)
    assert told is None


@pytest.mark.slow
@pytest.mark.parametrize("way", ways())
def test_every_solver_couples_all_of_both_clouds(way):
    n = 40
    x, y, truth = problem("points", n, 1)
    coupling = ways()[way](x, y).double()
    torch.testing.assert_close(coupling.sum(), torch.tensor(1.0).double(), atol=0.02, rtol=0)
    if way.startswith(("relatent.align", "POT, c")):
        assert (coupling.argmax(1) == truth).all()
