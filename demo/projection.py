"""The plane of a latent space in which the components of a prior lie furthest apart, and what falls where in it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REMAINDER = 1e-3
"""The codes' own spread, added so that one or two components still span a plane."""


class Projection(NamedTuple):
    """An affine map of codes to a plane.

    Attributes:
        centre: (d,), the code at its origin.
        axes: (d, 2).
        back: (2, d), from the plane to the code that the components' common spread makes the likeliest there.
    """

    centre: Array
    axes: Array
    back: Array

    def project(self, codes: Array) -> Array:
        """Where codes (n, d) fall, (n, 2)."""
        return (codes - self.centre) @ self.axes

    def lift(self, places: Array) -> Array:
        """Codes (n, d) that fall on places (n, 2)."""
        return self.centre + places @ self.back

    def ellipses(self, covariances: Array) -> Array:
        """Covariances (K, d, d) as seen in the plane, (K, 2, 2)."""
        return np.asarray(self.axes.T @ covariances @ self.axes)


def separate(weights: Array, means: Array, covariances: Array, codes: Array) -> Projection:
    """Fisher's linear discriminants of a mixture: the two directions of most variance between components within them.

    Args:
        weights: (K,), summing to 1.
        means: (K, d).
        covariances: (K, d, d).
        codes: (n, d), d at least 2; they decide only where fewer than three components leave a direction open.

    Returns:
        The projection; in it the components' mean covariance is the identity.
    """
    centre = weights @ means
    within = np.einsum("k,kij->ij", weights, covariances)
    within += 1e-9 * np.trace(within) / len(within) * np.eye(len(within))
    offsets = means - centre
    between = (weights[:, None] * offsets).T @ offsets
    spread = np.cov(codes, rowvar=False)
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)  # (d, d): whiten.T @ within @ whiten = I
    _, directions = np.linalg.eigh(whiten.T @ (between + REMAINDER * spread) @ whiten)
    axes = whiten @ directions[:, :-3:-1]  # (d, 2), the strongest first
    axes *= np.where(axes.sum(axis=0) < 0, -1, 1)  # the same picture each time
    return Projection(centre, axes, axes.T @ within)
