"""The map's plane against Fisher's closed form, brute force, and a parser that reads the drawing back."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from demo.chart import HEIGHT, SIGMAS, WIDTH, Frame, chart
from demo.projection import separate


@pytest.fixture
def mixture():
    """Weights, means, covariances and codes of four components in five dimensions."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(4, 5, 5)) / 3
    covariances = factors @ factors.transpose(0, 2, 1) + 0.05 * np.eye(5)
    return np.array([0.1, 0.2, 0.3, 0.4]), rng.normal(size=(4, 5)), covariances, rng.normal(size=(50, 5))


def test_two_components_are_parted_along_fishers_direction():
    rng = np.random.default_rng(1)
    within = np.diag([1.0, 4.0, 0.25])
    means = np.array([[1.0, 2.0, 0.5], [-1.0, 0.0, 0.5]])
    axes = separate(np.array([0.5, 0.5]), means, np.stack([within] * 2), 1e-3 * rng.normal(size=(30, 3))).axes
    expected = np.linalg.solve(within, means[0] - means[1])  # Fisher (1936)
    cosine = abs(axes[:, 0] @ expected) / np.linalg.norm(axes[:, 0]) / np.linalg.norm(expected)
    assert cosine == pytest.approx(1, abs=1e-6)


def test_no_direction_parts_the_components_further(mixture):
    weights, means, covariances, codes = mixture
    projection = separate(weights, means, covariances, codes)
    within = np.einsum("k,kij->ij", weights, covariances)
    offsets = means - weights @ means
    between = (weights[:, None] * offsets).T @ offsets

    def ratio(direction):
        return direction @ between @ direction / (direction @ within @ direction)

    best = max(map(ratio, np.random.default_rng(2).normal(size=(20_000, 5))))
    # The codes' own spread weighs a thousandth.
    assert ratio(projection.axes[:, 0]) >= 0.99 * best


def test_the_mean_ellipse_is_a_circle_and_places_come_back(mixture):
    weights, means, covariances, codes = mixture
    projection = separate(weights, means, covariances, codes)
    np.testing.assert_allclose(np.einsum("k,kij->ij", weights, projection.ellipses(covariances)), np.eye(2), atol=1e-6)
    places = np.random.default_rng(3).normal(size=(7, 2))
    np.testing.assert_allclose(projection.project(projection.lift(places)), places, atol=1e-6)
    np.testing.assert_allclose(weights @ projection.project(means), 0, atol=1e-12)


def test_one_component_still_spans_a_plane():
    codes = np.random.default_rng(4).normal(size=(40, 3)) * [3, 1, 0.1]
    projection = separate(np.ones(1), np.zeros((1, 3)), np.eye(3)[None], codes)
    directions = projection.axes / np.linalg.norm(projection.axes, axis=0)
    assert abs(directions[0, 0]) > 0.95
    assert abs(directions[1, 1]) > 0.9


def test_the_drawing_holds_every_point_where_a_click_finds_it():
    points = np.array([[0.0, 0.0], [4.0, 1.0], [2.0, -3.0]])
    covariances = np.array([np.diag([4.0, 1.0])])
    frame = Frame.around(points)
    svg = chart(frame, points, ["a", "b", "a&b"], points[1:], points[:1], covariances, points[2], "A <map>")
    root = ElementTree.fromstring(svg)
    marks = {mark.get("data-item"): mark for mark in root.iter() if mark.get("data-item")}
    for name, point in (("s0", points[1]), ("s1", points[2])):
        x, top = map(float, re.match(r"M([\d.]+) ([\d.]+)l6 6l-6 6", marks.pop(name).get("d")).groups())
        np.testing.assert_allclose(frame.read(x, top + 6)[0], point, atol=0.01)
    assert len(marks) == 3
    for index, mark in marks.items():
        x, y = (float(mark.get(name) or mark.get(f"c{name}")) for name in "xy")
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT
        drop = 4 if mark.tag == "text" else 0  # letters stand on their baseline
        np.testing.assert_allclose(frame.read(x, y - drop)[0], points[int(index)], atol=0.01)
    ellipse = next(root.iter("ellipse"))
    assert float(ellipse.get("rx")) == pytest.approx(SIGMAS * 2 * frame.scale, abs=0.1)
    assert float(ellipse.get("ry")) == pytest.approx(SIGMAS * frame.scale, abs=0.1)
    assert "rotate(" in ellipse.get("transform")
    assert float(ellipse.get("transform").partition("rotate(")[2].rstrip(")")) % 180 == pytest.approx(0, abs=0.1)
