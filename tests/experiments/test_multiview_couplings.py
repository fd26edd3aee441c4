import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.multiview.alone import score_coupling
from experiments.multiview.cells import COUPLINGS, MultiviewPaperConfig
from experiments.multiview.mixes import leave_out, score_mix
from experiments.multiview.solvers import Coupled, couple_rows, hops
from experiments.multiview.tables import write_tables
from experiments.records import Results
from readers.errors import DataError
from readers.views_data import ViewsData, views_from_arrays
from relatent._alignment.graphs import in_metric


def _seen_twice(count: int = 150) -> ViewsData:
    """Points on three unequal arms, in two views that are turned against each other; the arm is the class."""
    generator = np.random.default_rng(0)
    arm = np.repeat([0, 1, 2], [count // 2, count // 3, count - count // 2 - count // 3])
    along = generator.random(count)[:, None] * np.array([3.0, 2.0, 1.0])[arm][:, None]
    points = along * np.eye(4)[arm] + 0.05 * generator.normal(size=(count, 4))
    turned = points @ np.linalg.qr(generator.normal(size=(4, 4)))[0]
    return views_from_arrays({"a": points, "b": turned}, labels=[str(value) for value in arm])


def _by_loops(data: ViewsData, plan: Tensor) -> dict[str, float]:
    """The scores from a to b in profiles, a row at a time."""
    assert data.labels is not None
    unit = {
        part: {view: in_metric(rows.x, "correlation").numpy() for view, rows in getattr(data, part).items()}
        for part in ("train", "test")
    }
    kinds = data.labels[data.train["b"].objects].tolist()
    images = [
        sum(plan[i, j].item() * unit["train"]["b"][j] for j in range(plan.shape[1])) / plan[i].sum().item()
        for i in range(len(plan))
    ]
    found: dict[str, list[float]] = {}

    def note(kind: str, image: Any, partners: np.ndarray, own: int, label: int) -> None:
        apart = [math.dist(image, partner) for partner in partners]
        found.setdefault(f"{kind}nearer", []).append(sum(far < apart[own] for far in apart) / len(apart))
        order = sorted(range(len(kinds)), key=lambda j: math.dist(image, unit["train"]["b"][j]))[:5]
        said = [kinds[j] for j in order]
        found.setdefault(f"{kind}kept", []).append(float(min(set(said), key=lambda k: (-said.count(k), k)) == label))

    for i, image in enumerate(images):
        note("training_", image, unit["train"]["b"], i, kinds[i])
    for i, row in enumerate(unit["test"]["a"]):
        order = sorted(range(len(images)), key=lambda j: math.dist(row, unit["train"]["a"][j]))[:5]
        label = data.labels[data.test["a"].objects[i]].item()
        note("", np.mean([images[j] for j in order], 0), unit["test"]["b"], i, label)
    return {name: float(np.mean(values)) for name, values in found.items()}


def test_scores_of_a_coupling_are_those_of_loops_over_rows() -> None:
    data = _seen_twice()
    count = len(data.train["a"].x)
    plan = torch.rand(count, count, generator=torch.Generator().manual_seed(0)) ** 8 + 20 * torch.eye(count)
    scores = score_coupling(Coupled(plan / plan.sum(), "profiles", None), data)
    for name, value in _by_loops(data, plan).items():
        measure, _, kind = name.rpartition("_")[::-1]
        assert scores[f"{kind + '_' if kind else ''}{measure}_profiles_a_b"] == pytest.approx(value, abs=1e-6), name
    assert "trust" not in scores


def test_the_true_coupling_carries_training_rows_to_their_partners() -> None:
    data = _seen_twice()
    count = len(data.train["a"].x)
    scores = score_coupling(Coupled(torch.eye(count) / count, "features", 0.5), data)
    assert scores["classes"] == pytest.approx(1)
    assert scores["trust"] == 0.5
    assert all(scores[f"training_nearer_{space}_a_b"] == 0 for space in ("profiles", "features"))
    assert scores["nearer_features_b_a"] < 0.1


def test_costs_of_hops_are_those_of_a_search_in_breadth() -> None:
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(1))
    near = np.corrcoef(x.numpy()).argsort(1)[:, ::-1][:, :4]  # each row is nearest to itself
    joined = [{j for j in range(30) if j in near[i] or i in near[j]} for i in range(30)]
    found = np.full((30, 30), np.inf)
    for source in range(30):
        edge, hop = {source}, 0
        while edge:
            found[source, list(edge)] = hop
            edge = {j for i in edge for j in joined[i] if found[source, j] == np.inf}
            hop += 1
    found[found == np.inf] = most = found[found < np.inf].max()
    np.testing.assert_allclose(hops(x, 4 / 30), found / most)


def test_our_coupling_finds_two_views_of_the_same_points() -> None:
    data = _seen_twice()
    coupled = couple_rows("coupling", data, seed=0)
    assert coupled.trust is not None
    assert coupled.trust > 0.3
    assert score_coupling(coupled, data)["classes"] > 0.9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sinkhorn did not converge")
def test_pots_coupling_is_one_of_all_rows() -> None:
    data = _seen_twice(60)
    count = len(data.train["a"].x)
    plan = couple_rows("pot", data, seed=0).plan
    for side in (0, 1):  # its Sinkhorn stops where they are nearly so
        torch.testing.assert_close(plan.sum(side), torch.full((count,), 1 / count), atol=1e-3, rtol=0)


def test_a_solver_that_is_not_installed_has_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (True, False):
        monkeypatch.setattr("experiments.multiview.cells.find_spec", lambda _, there=there: there or None)
        cells = MultiviewPaperConfig(data=("snare",), experiments=("aligned",), rows=COUPLINGS, seeds=(0,)).cells()
        assert [cell.row for cell in cells] == (list(COUPLINGS) if there else ["coupling"])


@pytest.mark.parametrize(("share", "left"), [(0.5, 0.5), (1.0, 0.0)])
def test_cells_of_one_type_are_left_out_of_the_second_view_alone(share: float, left: float) -> None:
    data = _seen_twice()
    assert data.labels is not None
    thinned = leave_out(data, {"without": "1", "share": share}, seed=3)
    before = data.labels[data.train["b"].objects].bincount()
    after = data.labels[thinned.train["b"].objects].bincount(minlength=3)
    assert after[1] == pytest.approx(left * before[1], abs=1)
    assert after[[0, 2]].tolist() == before[[0, 2]].tolist()
    assert torch.equal(thinned.train["a"].x, data.train["a"].x)
    again = leave_out(data, {"without": "1", "share": share}, seed=3)
    assert torch.equal(again.train["b"].objects, thinned.train["b"].objects)
    assert leave_out(data, {}, seed=3) is data
    with pytest.raises(DataError, match="got 'x'"):
        leave_out(data, {"without": "x", "share": 1.0}, seed=0)


def test_what_an_alignment_pairs_is_counted_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        trust, trustworthy = 0.7, True

        def assignment(self) -> Tensor:
            return torch.tensor([3, -1, 0, 1, -1, 2, *[-1] * 6])  # rows of b for those of a

    monkeypatch.setattr("experiments.multiview.mixes.align_views", lambda *_, **__: Found())
    arrays = {"a": np.eye(15)[:, :3] + np.arange(45).reshape(15, 3), "b": np.arange(45.0).reshape(15, 3)}
    data = views_from_arrays(arrays, labels=["x"] * 15)
    objects = torch.arange(12)
    data = data._replace(
        classes=("x", "y"), labels=torch.tensor([0, 0, 0, 1, 1, 1, *[0] * 9]),
        train={"a": data.train["a"]._replace(objects=objects), "b": data.train["b"].take(torch.arange(4))._replace(
            objects=torch.tensor([1, 3, 4, 6]))},
    )  # fmt: skip
    # a's 0, 2, 3, 5 (x x y y) go to b's 6, 1, 3, 4 (x x y y): all of one type
    assert score_mix(data, {}) == {"one_type": 1, "trust": 0.7, "trusted": 1}
    wrong = data._replace(labels=torch.tensor([0, 0, 1, 1, 1, 1, *[0] * 9]))  # a's 2 is a y now, its partner is not
    assert score_mix(wrong, {"without": "y", "share": 0.5}) == {
        "one_type": 0.75, "one_type_left": 1, "trust": 0.7, "trusted": 1, "cells": 4,
    }  # fmt: skip
    assert score_mix(wrong, {"without": "x", "share": 0.5})["one_type_left"] == 0.5


def _record(experiment: str, row: str, seed: int, **facts: Any) -> dict[str, Any]:
    views = {name: {"shape": [5], "train": 8, "test": 1} for name in ("expression", "accessibility")}
    return {
        "name": f"{experiment}{row}{seed}{facts}", "experiment": experiment, "data": "snare", "row": row, "seed": seed,
        "epochs": 200, "change": {}, "origin": {"data": {"views": views}},
    } | facts  # fmt: skip


def test_the_document_shows_couplings_alone_and_unequal_mixes() -> None:
    ways = ("expression_accessibility", "accessibility_expression")
    measures = {
        f"{part}{measure}_{space}_{way}": 0.1 + 0.2 * bool(part) + 0.4 * (space == "features")
        for part in ("", "training_") for measure in ("nearer", "kept") for space in ("profiles", "features")
        for way in ways
    }  # fmt: skip
    runs = [_record("aligned", row, 0, measures=measures | {"classes": 0.9}) for row in COUPLINGS]
    runs += [
        _record("unequal", "coupling", seed, change={"without": "2", "share": 0.5},
                measures={"one_type": 0.7 + 0.1 * seed, "one_type_left": 0.2, "trust": 0.4, "trusted": 1 - seed,
                          "cells": 256})
        for seed in range(2)
    ]  # fmt: skip
    text = write_tables(Results(runs, [], []), [])
    assert (
        "| Entropic GW (POT), 50 of 1 047 as neighbours | profiles | 10.0 | 10.0 | 10.0 | 10.0 | 90.0 | 1 of 1 |"
        in text
    )
    assert (
        "| Sampled GW (torchgw), 50 of 1 047 as neighbours | features | 70.0 | 70.0 | 70.0 | 70.0 | 90.0 | 1 of 1 |"
        in text
    )
    assert "| half of type 2 | 256 | 75.0 ± 7.1 | 20.0 ± 0.0 | 0.40 ± 0.00 | 1 of 2 |" in text
    assert "Pairs |" not in text  # no autoencoder, no table of them
