"""Softmax regression on concatenated codes (section 6.2), by scikit-learn."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray


class Classifier:
    """Softmax regression, squared weights counting 1/2 against the summed log loss.

    Each view's codes are divided by one number, their root mean square over what it is fitted to be scaled by, so that
    no view counts more for the units of its space; within a view nothing is rescaled.

    Args:
        reference: Codes of each view that centre and scale are taken from, shapes (n, d), no labels needed.
    """

    def __init__(self, reference: Sequence[Tensor]) -> None:
        from sklearn.linear_model import LogisticRegression

        self.centre = torch.cat([codes.double().mean(0) for codes in reference])
        self.scale = torch.cat([_spread(codes.double()) for codes in reference])
        self._regression = LogisticRegression(max_iter=1000)

    def fit(self, features: Tensor, labels: Tensor) -> "Classifier":
        """Fit to concatenated codes (n, size) and classes (n,)."""
        self._regression.fit(self._scaled(features), labels.numpy())
        return self

    def predict(self, features: Tensor) -> Tensor:
        """Classes, shape (n,), of concatenated codes (n, size)."""
        return torch.from_numpy(self._regression.predict(self._scaled(features)))

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Share of right classes."""
        return (self.predict(features) == labels).double().mean().item()

    def linear(self, classes: int) -> tuple[Tensor, Tensor]:
        """Weights (classes, size) and bias (classes,) on raw codes; an unseen class has bias -30."""
        seen, coefficients = self._regression.classes_, torch.from_numpy(self._regression.coef_)
        intercept = torch.from_numpy(self._regression.intercept_)
        if len(seen) == 2:  # scikit-learn keeps one row, that of the second class against the first
            coefficients = torch.cat([-coefficients, coefficients]) / 2
            intercept = torch.cat([-intercept, intercept]) / 2
        weight, bias = torch.zeros(classes, coefficients.shape[1]).double(), torch.full((classes,), -30.0).double()
        weight[seen] = coefficients / self.scale
        bias[seen] = intercept - weight[seen] @ self.centre
        return weight.float(), bias.float()

    def _scaled(self, features: Tensor) -> Array:
        return ((features.double() - self.centre) / self.scale).numpy()


def choose_labelled(labels: Tensor, per_class: int, *, seed: int) -> Tensor:
    """Draw a number of rows of each class at random, or all there are.

    Args:
        labels: Classes, shape (n,), -1 for none.
        per_class: How many of each.
        seed: Of the draw.

    Returns:
        Row numbers, int64.
    """
    generator = np.random.default_rng([seed, per_class])
    chosen = []
    for value in labels[labels >= 0].unique():
        rows = (labels == value).nonzero()[:, 0]
        chosen.append(rows[torch.from_numpy(generator.permutation(len(rows))[:per_class])])
    return torch.cat(chosen)


def _spread(codes: Tensor) -> Tensor:
    """The root mean square of centred codes, once for each dimension, shape (d,)."""
    rms = (codes - codes.mean(0)).square().mean().sqrt()
    return torch.where(rms > 0, rms, torch.ones_like(rms)).expand(codes.shape[1])
