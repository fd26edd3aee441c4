"""Couplings of the training rows of two views by solvers alone: `relatent.align`'s, POT's and torchgw's."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiments.multiview.cells import Space
from readers.views_data import ViewsData
from training.multiview.found_pairs import align_views

# SCOT joins a cell of its 1 047 to 50 others, or to 110: the same shares of any number of rows.
NEIGHBOURS = {"pot": 50 / 1047, "pot-wide": 110 / 1047, "torchgw": 50 / 1047}
EPSILON = 5e-3


class Coupled(NamedTuple):
    """Which training rows of two views belong together, softly.

    Attributes:
        plan: Non-negative, of sum one, shape (n, m).
        space: What its neighbours were found by: correlations of rows (profiles), or standardised features.
        trust: As `relatent.Alignment` has it; None of other solvers.
    """

    plan: Tensor
    space: Space
    trust: float | None


def couple_rows(row: str, data: ViewsData, *, seed: int) -> Coupled:
    """Couple the training rows of the first two views; which objects they describe is not looked at.

    Args:
        row: coupling (ours), pot, pot-wide or torchgw.
        data: Of two views, of 3 features or more each.
        seed: Of what torchgw draws.

    Returns:
        The coupling.
    """
    a, b = list(data.train)[:2]
    if row == "coupling":
        found = align_views(data, a, b, some=False)
        return Coupled(found.coupling, "profiles" if found.metric == "correlation" else "features", found.trust)
    costs = [hops(data.train[view].x.flatten(1), NEIGHBOURS[row]) for view in (a, b)]
    plan = _sampled(*costs, seed=seed) if row == "torchgw" else _entropic(*costs)
    return Coupled(plan / plan.sum(), "profiles", None)


def hops(x: Tensor, share: float) -> np.ndarray:
    """Costs as SCOT has them (Demetci et al., 2022): hops between rows in a graph of correlations, at most 1.

    Args:
        x: Rows, shape (n, d).
        share: Of the rows that each is joined to, itself among them.

    Returns:
        Shape (n, n), symmetric; rows that no path joins are as far apart as the farthest that one does.
    """
    from scipy.sparse.csgraph import dijkstra  # both slow to import
    from sklearn.neighbors import kneighbors_graph

    count = max(2, round(share * len(x)))
    graph = kneighbors_graph(x.numpy(), count, mode="connectivity", metric="correlation", include_self=True)
    costs = dijkstra(graph, directed=False)
    most = costs[np.isfinite(costs)].max()
    return np.minimum(costs, most) / most


def _entropic(cost_x: np.ndarray, cost_y: np.ndarray) -> Tensor:
    import ot  # of the developers' packages

    weights = ot.unif(len(cost_x)), ot.unif(len(cost_y))
    plan = ot.gromov.entropic_gromov_wasserstein(cost_x, cost_y, *weights, "square_loss", epsilon=EPSILON)
    return torch.from_numpy(plan).float()


def _sampled(cost_x: np.ndarray, cost_y: np.ndarray, *, seed: int) -> Tensor:
    import torchgw

    with torch.random.fork_rng(devices=[]):  # it draws from the global generator
        torch.manual_seed(seed)
        plan = torchgw.sampled_gw(
            dist_source=cost_x, dist_target=cost_y, distance_mode="precomputed", epsilon=EPSILON,
            device=torch.device("cpu"),
        )  # fmt: skip
    return plan.float()
