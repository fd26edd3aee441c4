"""Training without known pairs: they are found where the data determine them, and nothing is tied where they do not."""

import logging

import numpy as np
import pytest
import torch

from readers.views_data import views_from_arrays
from training.loop import run
from training.multiview.found_pairs import find_pairs
from training.multiview.task import CotrainTask
from training.runs import load_run


def seen_twice(count=160, *, shared=1.0):
    """Objects of a lopsided cloud, the second time in other units and another order of features, with some noise."""
    generator = np.random.default_rng(0)
    one, two, three = generator.exponential(size=(3, count))
    hidden = np.c_[one, one + two, three**2]
    arrays = {"near": hidden, "turned": hidden[:, [2, 0, 1]] * [10, 0.1, 5] + [0.1, 0.001, 0.1] * hidden[::-1]}
    known = round(shared * count)
    ids = {"near": list(range(count)), "turned": [*range(known), *range(count, 2 * count - known)]}
    return views_from_arrays(arrays, ids=ids)


def unrelated(count=120):
    generator = np.random.default_rng(0)
    return views_from_arrays({"one": generator.normal(size=(count, 4)), "two": generator.normal(size=(count, 5))})


def test_rows_of_the_same_object_are_found_without_looking_at_ids() -> None:
    data = seen_twice()
    found = find_pairs(data, some=False)
    assert found.trustworthy
    truth = dict(zip(found.rows["near"].objects.tolist(), data.train["near"].objects.tolist(), strict=True))
    right = [
        truth[own] == true
        for own, true in zip(found.rows["turned"].objects.tolist(), data.train["turned"].objects.tolist(), strict=True)
    ]
    assert np.mean(right) > 0.8
    # Rows in another order are found all the same: nothing but their values was looked at.
    order = torch.randperm(len(data.train["turned"].x), generator=torch.Generator().manual_seed(0))
    shuffled = data._replace(train={**data.train, "turned": data.train["turned"].take(order)})
    assert find_pairs(shuffled, some=False).trust["turned"] == pytest.approx(found.trust["turned"], abs=0.1)


def test_ids_that_are_shared_hold_the_rest() -> None:
    data = seen_twice(shared=0.2)
    found = find_pairs(data, some=True)
    first, second = (data.train[view].objects for view in ("near", "turned"))
    rows, columns = (first[:, None] == second).nonzero().unbind(1)
    assert len(rows) > 10
    assert (found.rows["near"].objects[rows] == found.rows["turned"].objects[columns]).double().mean() > 0.95


def test_what_cannot_be_trusted_is_said_and_ties_nothing(make_cotrain, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        task = CotrainTask(make_cotrain(method="gw", pairs="unpaired"), unrelated())
    assert "expected an alignment that the data determine, got trust" in caplog.text
    assert "--pairs some" in caplog.text
    loss, terms = task.method(task.batch(0, torch.device("cpu")), torch.Generator().manual_seed(0))
    assert "tie" not in terms
    assert loss.isfinite()


@pytest.mark.slow
def test_a_run_of_found_pairs_translates_and_remembers_its_trust(make_cotrain) -> None:
    data = seen_twice()
    task = CotrainTask(make_cotrain(method="gw", pairs="unpaired", epochs=60, anchors=100), data)
    model = load_run(run(task)).model
    assert float(model.translators["near:turned"].trust) == pytest.approx(task.found.trust["turned"])
    scores = task.evaluate(model, data, seed=0)
    assert scores["translation_nearer_near_turned"] < 0.3
    assert scores["translation_nearer_turned_near"] < 0.3


def test_some_pairs_need_a_method_that_takes_them(make_cotrain) -> None:
    with pytest.raises(ValueError, match="pairs some: expected method gw and recipe relatent"):
        make_cotrain(method="w", pairs="some")
