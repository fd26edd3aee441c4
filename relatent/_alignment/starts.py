"""Where to start: at the product of the weights, and at what the two spaces' longest axes make of each other, mirrored.

A cloud looks from far away as its mirror image does, and whoever anneals from the product may take one for the other.
The longest axes of both (classical scaling: leading eigenvectors of the centred costs) can be matched in eight ways:
either axis with either, each forwards or backwards. All are tried.
"""

import torch
from torch import Tensor

from relatent._alignment.entropic import Quadratic
from relatent._solver.geometry import Centred

AXES = 2
LINEAR = 4.0  # of the axes' product, against costs whose mean square is 1


def start_costs(problem: Quadratic) -> Tensor:
    """Costs to begin with, one matrix per start, shape (s, n, m); the first is that of the product coupling."""
    plain = problem.gradient(None)
    if problem.beta == 0:
        return plain[None]
    x, y = _axes(problem.x), _axes(problem.y)
    count = min(x.shape[1], y.shape[1])
    if count == 0:
        return plain[None]
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * count).view(-1, count).to(x)
    orders = [list(range(count)), list(range(count))[::-1]][:count]
    starts = [
        plain - LINEAR * problem.beta * (x[:, :count] * sign) @ y[:, order].T for order in orders for sign in signs
    ]
    return torch.stack([plain, *starts])


def _axes(space: Centred) -> Tensor:
    """Longest axes, of mean square 1 under the weights, shape (n, at most 2)."""
    root = space.weights.sqrt()
    # Costs grow with distance: the axes of the points have the most negative eigenvalues.
    values, vectors = torch.linalg.eigh((root[:, None] * space.matrix() * root).double())
    kept = int((values[:AXES] < 0).sum())
    return (vectors[:, :kept] / root[:, None].double()).to(space.factor)
