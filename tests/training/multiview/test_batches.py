import numpy as np
import pytest
import torch

from readers.subsets import thin
from readers.views_data import Batch, views_from_arrays
from training.multiview.batches import Batches


def _rows(*, overlap: float = 1.0) -> Batch:
    rows = np.arange(200, dtype=float)[:, None]
    return thin(views_from_arrays({"a": rows, "b": -rows}), overlap=overlap).train


@pytest.mark.parametrize("paired", [True, False])
def test_an_epoch_holds_every_row_once(paired: bool) -> None:
    batches = Batches(_rows(), batch_size=40, paired=paired, seed=0)
    assert batches.per_epoch == 4
    epoch = [batches.at(step) for step in range(4, 8)]
    for view in "ab":
        assert len(torch.cat([batch[view].objects for batch in epoch]).unique()) == 160
    same = all(torch.equal(batch["a"].objects, batch["b"].objects) for batch in epoch)
    assert same == paired


def test_unpaired_views_of_different_counts_each_go_their_own_way() -> None:
    data = views_from_arrays(
        {"a": np.arange(100.0)[:, None], "b": np.arange(30.0)[:, None]},
        ids={"a": list(range(100)), "b": list(range(100, 130))},
    )
    batches = Batches(data.train, batch_size=20, paired=False, seed=0)
    assert batches.per_epoch == 4
    assert [len(batches.at(0)[view].x) for view in "ab"] == [20, 20]
    alone = Batches({"b": data.train["b"]}, batch_size=20, paired=False, seed=0)
    for step in range(6):
        assert torch.equal(batches.at(step)["b"].objects, alone.at(step)["b"].objects)


def test_a_paired_batch_holds_of_each_view_what_it_knows() -> None:
    batches = Batches(_rows(overlap=0.0), batch_size=40, paired=True, seed=0)
    batch = batches.at(0)
    assert len(batch["a"].x) + len(batch["b"].x) == 40
    assert torch.equal(batch["a"].x[:, 0], batch["a"].objects.float())
    only_a = {"a": _rows()["a"], "b": _rows()["b"].take(torch.arange(1))}
    assert any("b" not in Batches(only_a, batch_size=4, paired=True, seed=0).at(step) for step in range(3))
