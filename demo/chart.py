"""The map's drawing: points, ellipses and means in one SVG that a visitor can click on."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from demo.projection import Array

WIDTH, HEIGHT, MARGIN = 640, 480, 24
SAMPLE = "s"
"""What the number of a sample begins with, where an item's is the number alone."""
SIGMAS = 2.0
"""An ellipse holds 86 % of its component, seen in this plane."""
# Colours of Okabe and Ito and more, told apart by most eyes; the class is written as well.
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8b5cf6", "#dc2626", "#4d7c0f", "#64748b",
)  # fmt: skip


class Frame(NamedTuple):
    """From the plane to the drawing: scale and offset, the same scale along both axes."""

    scale: float
    left: float
    top: float

    @classmethod
    def around(cls, places: Array) -> "Frame":
        """The frame that just holds places (n, 2)."""
        low, high = places.min(axis=0), places.max(axis=0)
        size = np.maximum(high - low, 1e-9)
        scale = float(min((WIDTH - 2 * MARGIN) / size[0], (HEIGHT - 2 * MARGIN) / size[1]))
        middle = (low + high) / 2
        return cls(scale, WIDTH / 2 - scale * float(middle[0]), HEIGHT / 2 + scale * float(middle[1]))

    def draw(self, places: Array) -> Array:
        """Places (n, 2) in the drawing, y downwards."""
        return places * [self.scale, -self.scale] + [self.left, self.top]

    def read(self, x: float, y: float) -> Array:
        """The place (1, 2) of a point in the drawing."""
        return np.array([[(x - self.left) / self.scale, (self.top - y) / self.scale]])


def chart(
    frame: Frame,
    points: Array,
    labels: Sequence[str] | None,
    samples: Array,
    means: Array,
    covariances: Array,
    chosen: Array,
    told: str,
) -> str:
    """Draw the map.

    Args:
        frame: From the plane to the drawing.
        points: (n, 2), the codes.
        labels: (n,) their classes, or None.
        samples: (m, 2), drawn from the mixture; other marks stand for them.
        means: (K, 2).
        covariances: (K, 2, 2).
        chosen: (2,), what is marked.
        told: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    rank = {label: index for index, label in enumerate(sorted(set(labels or [])))}
    marks = []
    for index, (x, y) in enumerate(frame.draw(points)):
        label = labels[index] if labels else ""
        colour = COLOURS[rank.get(label, 0) % len(COLOURS)]
        place = f'data-item="{index}" fill="{colour}"'
        if len(label) == 1:
            marks.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" {place}>{escape(label)}</text>')
        else:
            marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {place}><title>{escape(label)}</title></circle>')
    diamonds = "".join(
        f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" data-item="{SAMPLE}{index}"/>'
        for index, (x, y) in enumerate(frame.draw(samples))
    )
    ellipses = "".join(map(_ellipse, frame.draw(means), covariances * frame.scale**2, range(len(means))))
    x, y = frame.draw(chosen[None])[0]
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{ellipses}'
        f'<g class="points">{"".join(marks)}</g><g class="samples">{diamonds}</g>'
        f'<circle class="chosen" cx="{x:.1f}" cy="{y:.1f}" r="11"/></svg>'
    )


def _ellipse(centre: Array, covariance: Array, index: int) -> str:
    values, vectors = np.linalg.eigh(covariance)
    # y points down in the drawing, which turns the angle round.
    angle = -np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    short, long = SIGMAS * np.sqrt(np.maximum(values, 0))
    x, y = centre
    return (
        f'<ellipse rx="{long:.1f}" ry="{short:.1f}" transform="translate({x:.1f} {y:.1f}) rotate({angle:.1f})"/>'
        f'<g class="mean" transform="translate({x:.1f} {y:.1f})"><circle r="9"/><text y="4">{index}</text></g>'
    )
