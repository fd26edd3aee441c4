import numpy as np
import pytest
import torch

from readers.errors import DataError
from readers.origins import with_origin
from readers.subsets import complete, thin
from readers.views_data import ViewsData, views_from_arrays


def _views(**changes: object) -> ViewsData:
    rows = np.arange(200, dtype=float)
    arrays = {"a": np.stack([rows, rows**2], 1), "b": -rows[:, None]}
    return views_from_arrays(arrays | changes, labels=[int(row) % 2 for row in rows])


def test_parts_share_no_object_and_are_eight_to_one_to_one() -> None:
    data = _views()
    objects = [set(part["a"].objects.tolist()) for part in (data.train, data.validation, data.test)]
    assert [len(part) for part in objects] == [160, 20, 20]
    assert set.union(*objects) == set(range(200))
    for part in (data.train, data.validation, data.test):
        assert torch.equal(part["a"].x[:, 0], -part["b"].x[:, 0])  # rows of both views stay together
        assert data.labels is not None
        assert torch.equal(data.labels[part["a"].objects], part["a"].x[:, 0].long() % 2)


def test_moments_are_the_training_rows_alone_and_a_constant_feature_keeps_its_scale() -> None:
    data = _views(b=np.full((200, 1), 0.1))
    mean, std = data.moments("a")
    torch.testing.assert_close(mean, data.train["a"].x.mean(0))
    torch.testing.assert_close(std, data.train["a"].x.std(0, correction=0))
    assert data.moments("b")[1].tolist() == [1.0]


def test_features_in_one_unit_keep_their_sizes_and_have_a_mean_square_of_1() -> None:
    values = np.random.default_rng(0).normal(size=(100, 3)) * [5, 1, 0] + 7
    data = views_from_arrays({"a": values, "b": values}, shared_units=("a",))
    mean, std = data.moments("a")
    x = (data.train["a"].x - mean) / std
    torch.testing.assert_close(x.square().mean(0).sum(), torch.tensor(2.0))  # of the two features that vary
    assert x[:, 0].std() / x[:, 1].std() == pytest.approx(values[:, 0].std() / values[:, 1].std(), rel=0.2)
    assert len(set(data.moments("b")[1].tolist())) == 3
    with pytest.raises(DataError, match="shared_units: expected views among a, b, got c"):
        views_from_arrays({"a": values, "b": values}, shared_units=("c",))


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("count", [26, 400])
def test_times_a_minute_apart_are_no_constant(kind: type, count: int) -> None:
    times = 1.7e9 + 60 * np.arange(count)
    data = views_from_arrays({"a": np.stack([times, np.arange(count)], 1).astype(kind)})
    mean, std = data.moments("a")
    x = (data.train["a"].x - mean) / std
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(2), rtol=1e-2, atol=0)
    # What float64 makes of the same rows; an array of float32 has them rounded to 128 seconds already.
    minutes = data.train["a"].objects.double()
    expected = (minutes - minutes.mean()) / minutes.std(correction=0)
    torch.testing.assert_close(x[:, 0].double(), expected, rtol=0, atol=1e-5 if kind is not np.float32 else 0.3)
    torch.testing.assert_close(with_origin(data.train["a"].x, data.origins.get("a"))[:, 0], torch.from_numpy(
        times.astype(np.float32))[data.train["a"].objects])  # fmt: skip


@pytest.mark.parametrize("unit", [1e-13, 1e-30, 1e-3, 1e13, 1e30])
def test_no_unit_makes_a_feature_constant(unit: float) -> None:
    values = np.random.default_rng(0).normal(size=(100, 2))
    mean, std = views_from_arrays({"a": values}).moments("a")
    small = views_from_arrays({"a": unit * values}).moments("a")
    torch.testing.assert_close(small[0] / unit, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(small[1] / unit, std)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-13, 1.7e9, 1e30])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_rounding_is_no_deviation(value: float, kind: type) -> None:
    values = np.full((100, 1), value, kind)
    values[::3] = np.nextafter(values[::3], kind(np.inf))
    data = views_from_arrays({"a": values})
    assert data.moments("a")[1].tolist() == [1.0]
    assert not data.origins


def test_a_value_that_float32_does_not_hold_is_named() -> None:
    values = np.zeros((200, 3))
    for wrong in (np.nan, np.inf, 1e39):
        values[7, 1] = wrong
        with pytest.raises(
            DataError, match=rf"view a, row 7, feature 1 \(from 0\): .* got {wrong}".replace("+", "[+]")
        ):
            _views(a=values)


def test_a_row_of_nothing_but_nan_is_a_missing_one() -> None:
    b = -np.arange(200, dtype=float)[:, None]
    b[::4] = np.nan
    data = _views(b=b)
    known = torch.cat([part["b"].objects for part in (data.train, data.validation, data.test)])
    assert sorted(known.tolist()) == [row for row in range(200) if row % 4]
    assert len(data.train["b"].x) == 120  # eight tenths of those in both views, too
    rows, objects = complete(data.train)
    assert torch.equal(rows["a"][:, 0], objects.float())
    assert torch.equal(rows["b"][:, 0], -objects.float())


def test_ids_pair_rows_in_any_order() -> None:
    keys = [f"patient-{row}" for row in range(100)]
    data = views_from_arrays(
        {"a": np.arange(100.0)[:, None], "b": np.arange(100.0)[::-1, None].copy()},
        ids={"a": keys, "b": keys[::-1]},
        labels={key: "ill" if row < 50 else "well" for row, key in enumerate(keys[:90])},
    )
    rows, objects = complete(data.test)
    assert torch.equal(rows["a"], rows["b"])
    assert data.classes == ("ill", "well")
    assert data.labels is not None
    assert (data.labels == -1).sum() == 10
    assert len(objects) == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": np.zeros((150, 1))}, "equal length, or ids"),
        ({"b": np.full((200, 2), [0.0, np.inf])}, "finite"),
        ({"b": np.zeros(200)}, r"shape \(n, features\)"),
        ({"b/c": np.zeros((200, 1))}, "names of views"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _views(**change)


def test_thinning_leaves_a_share_in_all_views_and_each_other_object_in_one() -> None:
    data = thin(_views(), train_samples=100, overlap=0.3)
    a, b = (set(data.train[view].objects.tolist()) for view in "ab")
    assert len(a & b) == 30
    assert len(a | b) == 100
    assert len(a - b) == len(b - a) == 35
    assert len(data.test["a"].x) == 20
    with pytest.raises(DataError, match="train_samples <= 160"):
        thin(_views(), train_samples=161)
