"""Gromov-Wasserstein coupling of two views' codes, its barycentric map, and its accuracy against known pairs."""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent import PointCloud, best_fgw_plan

RESTARTS = 1
NEAREST = 5  # training rows that say the class of a carried one


class Matching(NamedTuple):
    """How well a coupling finds what belongs together; each is a share of the coupling's mass.

    Attributes:
        objects: Mass between rows of the same object.
        classes: Mass between rows of the same class.
        rank: Mean rank of the true partner among all, 0 for the first, by distance from the barycentric image;
            0.5 is chance.
    """

    objects: float
    classes: float
    rank: float


def couple(a: Tensor, b: Tensor, *, restarts: int = RESTARTS, seed: int = 0) -> Tensor:
    """Optimal Gromov-Wasserstein plan between two clouds of codes; each is scaled to mean square 1 about its mean.

    Args:
        a: Codes, shape (n, d).
        b: Codes, shape (m, e).
        restarts: Random starts beside the solver's own; the best plan is kept.
        seed: Of the starts.

    Returns:
        Coupling, shape (n, m), float64, uniform marginals.
    """
    clouds = [_scaled(codes.double()) for codes in (a, b)]
    cost = clouds[0].new_zeros(len(a), len(b))
    generator = torch.Generator().manual_seed(seed)
    plan = best_fgw_plan(
        cost, PointCloud(clouds[0]), PointCloud(clouds[1]), beta=1.0,
        restarts=restarts, generator=generator, tol=1e-3,
    )  # fmt: skip
    return plan.coupling


def barycentric(coupling: Tensor, target: Tensor) -> Tensor:
    """Barycentric map: for each row of a coupling (n, m) the mean of the targets (m, e) it is coupled with, (n, e)."""
    return (coupling / coupling.sum(1, keepdim=True)) @ target.to(coupling)


def score_matching(
    coupling: Tensor, target: Tensor, *, objects: tuple[Tensor, Tensor], classes: tuple[Tensor, Tensor] | None
) -> Matching:
    """Accuracy of a coupling, against known objects and classes.

    Args:
        coupling: Shape (n, m).
        target: Codes of the second view, shape (m, e).
        objects: The object of each row, shapes (n,) and (m,).
        classes: The class of each row, likewise; None if there are none.

    Returns:
        The scores; NaN where there are no classes, or no object in both views.
    """
    mass = coupling / coupling.sum()
    same = objects[0][:, None] == objects[1]
    alike = float("nan") if classes is None else mass[classes[0][:, None] == classes[1]].sum().item()
    rows, partners = same.nonzero(as_tuple=True)
    apart = torch.cdist(barycentric(coupling, target)[rows], target.to(coupling))
    own = apart.gather(1, partners[:, None])
    rank = (apart < own).double().mean(1).mean().item() if len(rows) else float("nan")
    found = mass[same].sum().item() if len(rows) else float("nan")
    return Matching(found, alike, rank)


def share_nearer(carried: Tensor, partners: Tensor) -> float:
    """Share of `partners` nearer to a carried row than its own, that of its position: FOSCTTM, mean over rows.

    Args:
        carried: Shape (n, d).
        partners: Shape (n, d).

    Returns:
        In [0, 1); chance is 0.5.
    """
    apart = torch.cdist(carried, partners)
    return (apart < apart.diagonal()[:, None]).double().mean().item()


def nearest_classes(carried: Tensor, real: Tensor, classes: Tensor) -> Tensor:
    """The commonest class among the five real rows (m, d) of known classes (m,) nearest to each carried one (n, d)."""
    return classes[torch.cdist(carried, real).topk(NEAREST, largest=False).indices].mode(1).values


def _scaled(codes: Tensor) -> Tensor:
    centred = codes - codes.mean(0)
    return centred / centred.square().sum(1).mean().sqrt().clamp_min(1e-12)
