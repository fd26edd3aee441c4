"""What the engine keeps to whatever it is given, tried on inputs that hypothesis makes up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serving.engine import CHUNK, Engine, NonFiniteError
from serving.images import from_pixels, tile, to_pixels
from serving.randomness import SEED_LIMIT

FEW = settings(deadline=None, max_examples=40, database=None)
SEEDS = st.integers(0, SEED_LIMIT - 1)
COUNTS = st.integers(1, 2 * CHUNK + 2)  # of one, two and three runs of a graph


def floats(largest):
    return st.floats(-largest, largest, width=32)


def codes(largest):
    return arrays(np.float32, st.tuples(st.integers(1, 5), st.just(8)), elements=floats(largest))


@pytest.fixture(scope="module")
def alpha(tiny_models):
    return Engine.load(tiny_models / "alpha")


@FEW
@given(SEEDS, COUNTS, COUNTS, st.none() | st.integers(0, 9), st.floats(0, 10, width=32))
def test_a_shorter_sample_begins_a_longer_one(alpha, seed, n, m, component, temperature):
    first, second = (
        alpha.sample(count, seed=seed, component=component, temperature=temperature) for count in sorted((n, m))
    )
    for few, many in zip(first, second, strict=True):
        np.testing.assert_array_equal(few, many[: len(few)])


@FEW
@given(SEEDS, COUNTS, st.data())
def test_items_do_not_see_each_other(alpha, seed, n, data):
    """A batch cut anywhere gives, bit for bit, what the whole gave."""
    x = np.random.default_rng(seed).random((n, 1, 28, 28), dtype=np.float32)
    cut = data.draw(st.integers(1, n))
    whole = alpha.reconstruct(x)
    parts = [alpha.reconstruct(part) for part in (x[:cut], x[cut:]) if len(part)]
    np.testing.assert_array_equal(whole.x, np.concatenate([part.x for part in parts]))
    np.testing.assert_array_equal(whole.error, np.concatenate([part.error for part in parts]))


@FEW
@given(SEEDS, st.lists(st.integers(0, 9), min_size=1, max_size=CHUNK + 1))
def test_each_item_is_of_the_component_that_it_asked_for(alpha, tiny, seed, components):
    drawn = alpha.sample(len(components), seed=seed, component=components, temperature=0)
    assert drawn.component.tolist() == components
    np.testing.assert_array_equal(drawn.latent, tiny.means[components])


@FEW
@given(codes(1e3))
def test_responsibilities_are_probabilities(alpha, latent):
    logs = alpha.log_responsibilities(latent)
    assert logs.max() <= 1e-6
    np.testing.assert_allclose(np.exp(logs.astype(np.float64)).sum(axis=1), 1, atol=1e-5)


@FEW
@given(codes(np.finfo(np.float32).max.item()))
def test_codes_of_any_size_give_finite_items_or_say_so(alpha, latent):
    for ask in (alpha.decode, alpha.log_responsibilities):
        try:
            assert np.isfinite(ask(latent)).all()
        except NonFiniteError as error:
            assert "alpha" in str(error)  # noqa: PT017


@FEW
@given(arrays(np.float32, (2, 8), elements=floats(1e6)), st.integers(2, CHUNK + 1))
def test_a_walk_keeps_its_ends_and_its_bounds(alpha, ends, steps):
    walk = alpha.interpolate(*ends, steps)
    np.testing.assert_array_equal(walk[[0, -1]], ends)
    slack = 1e-6 * np.abs(ends).max()
    assert (walk >= ends.min(axis=0) - slack).all()
    assert (walk <= ends.max(axis=0) + slack).all()


@FEW
@given(
    arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32)), st.sampled_from([(0, 1), (-1, 1), (0, 255)])
)
def test_pixels_are_the_nearest_that_the_range_has(values, value_range):
    values = np.nan_to_num(values, nan=0.5)
    low, high = value_range
    back = from_pixels(to_pixels(values, value_range), value_range)
    assert np.abs(back - np.clip(values, low, high)).max() <= (high - low) * (0.5 / 255 + 1e-6)


@FEW
@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 4))))
def test_a_grid_holds_each_picture_once_and_black(pictures):
    n, _, height, width = pictures.shape
    grid = tile(pictures)
    columns = grid.shape[2] // width
    cells = [
        grid[:, row : row + height, column : column + width]
        for row in range(0, grid.shape[1], height)
        for column in range(0, grid.shape[2], width)
    ]
    np.testing.assert_array_equal(cells[:n], pictures)
    assert not np.any(cells[n:])
    assert (columns - 1) ** 2 < n <= columns**2
