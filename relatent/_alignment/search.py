"""All starts in all geometries on coarse cells; at full size the best of them, and its rivals."""

from typing import NamedTuple

import torch
from torch import Tensor

from relatent._alignment.anchors import Cells
from relatent._alignment.entropic import Quadratic, anneal, temperatures
from relatent._alignment.sharpen import sharpen
from relatent._alignment.spaces import Space, coarse_costs, rows_of, scaled
from relatent._alignment.starts import start_costs
from relatent._alignment.trust import agreement, gained, trust_in
from relatent._solver.geometry import Centred, Inner

HOT, WARM, COARSE_END = 0.6, 0.1, 0.02  # temperatures, where mean squared costs are 1
KNOWN = 2.0  # weight of known pairs' distances, beside a relational term of weight beta
PIN = 20.0  # what a known pair costs less than any other
ALIKE = 0.9  # agreement from which on two couplings lead to the same one
RIVALS = 2  # couplings that are carried on to full size, at most


class Asked(NamedTuple):
    """What else an alignment goes by.

    Attributes:
        direct: Costs between the sides' points in units of their mean, shape (n, m); None for none.
        beta: Weight of the relational term, in [0, 1].
        pairs: Points known to belong together, positions in x and in y, shape (p, 2); None for none.
        epsilon: Last temperature; 0 for a coupling without blur, of clouds of one size with uniform weights.
    """

    direct: Tensor | None
    beta: float
    pairs: Tensor | None
    epsilon: float


class Found(NamedTuple):
    """The best of the coarse alignments.

    Attributes:
        couplings: Of cells, shape (p, q); the best one, and what comes so near it that cells cannot tell.
        geometry: Which the best was found in.
        trust: In [0, 1].
    """

    couplings: list[Tensor]
    geometry: int
    trust: float


def search(x: Space, y: Space, asked: Asked) -> Found:
    """Try every start in every geometry on the cells; judge each coupling by its mean value over the geometries.

    Args:
        x: One side.
        y: The other, with as many geometries.
        asked: The rest.

    Returns:
        The coupling of least mean value, its rivals, and how far all near-best ones agree with it.
    """
    problems = [_coarse(inner_x(), inner_y(), x, y, asked) for inner_x, inner_y in zip(x.costs, y.costs, strict=True)]
    found = [_solve(problem) for problem in problems]
    values = [torch.stack([judge.value(each) for judge in problems]) for each in found]  # (judges, starts)
    means = [own.mean(0) for own in values]
    geometry = int(torch.stack([mean.amin() for mean in means]).argmin())
    own = [values[g][g] for g in range(len(problems))]
    products = [_product(problem) for problem in problems]
    apart = sum((problem.y.costs() for problem in problems), torch.zeros(()))
    rivals = _rivals(torch.cat(found), torch.cat(means), torch.stack(products).mean(), apart)
    trust = trust_in(found, own, products, apart)
    if x.straight is not None and y.straight is not None:
        straight = _coarse(x.straight, y.straight, x, y, asked)
        also = _solve(straight)
        both, costs = [found[geometry], also], [own[geometry], straight.value(also)]
        trust = max(trust, trust_in(both, costs, [products[geometry], _product(straight)], apart, power=2))
    return Found(rivals, geometry, trust)


def _coarse(inner_x: Inner, inner_y: Inner, x: Space, y: Space, asked: Asked) -> Quadratic:
    """The problem of the cells, in one geometry."""
    inner_x, inner_y = scaled(inner_x, x.weights), scaled(inner_y, y.weights)
    direct = None if asked.direct is None else y.coarse.mean(x.coarse.mean(asked.direct).mT).mT
    if asked.pairs is not None:
        known = _known(inner_x, inner_y, asked.pairs)
        near = [cells.mean(own) for cells, own in zip((x.coarse, y.coarse), known, strict=True)]
        direct = _plus(direct, _apart(*near))
    costs = coarse_costs(inner_x, x.coarse), coarse_costs(inner_y, y.coarse)
    return _pose(direct, *costs, x.coarse.weights, y.coarse.weights, asked.beta)


def _solve(problem: Quadratic) -> Tensor:
    return anneal(problem, start_costs(problem), temperatures(HOT, COARSE_END))


def _product(problem: Quadratic) -> Tensor:
    """The objective at the product coupling, a scalar."""
    return problem.value(torch.outer(problem.x.weights, problem.y.weights))


def _rivals(couplings: Tensor, values: Tensor, product: Tensor, apart: Tensor) -> list[Tensor]:
    """The best coupling, and the next ones unlike it that come as near to its value as counts against trust."""
    near = gained(values, product)
    taken: list[Tensor] = []
    for at in values.argsort():
        if not taken or (near[at] > 0 and all(agreement(couplings[at], one, apart) < ALIKE for one in taken)):
            taken.append(couplings[at])
        if len(taken) == RIVALS:
            break
    return taken


def refine(x: Space, y: Space, found: Found, asked: Asked) -> tuple[Tensor, Inner, Inner]:
    """Anneal from the coarse couplings, at full size; the one of least value stays.

    Args:
        x: One side.
        y: The other.
        found: From `search`.
        asked: As there.

    Returns:
        Coupling of the points, shape (n, m), float32, and their costs, scaled.
    """
    inner_x = scaled(x.costs[found.geometry](), x.weights)
    inner_y = scaled(y.costs[found.geometry](), y.weights)
    direct = asked.direct
    if asked.pairs is not None:
        direct = _plus(direct, _apart(*_known(inner_x, inner_y, asked.pairs)))
        direct[asked.pairs[:, 0], asked.pairs[:, 1]] -= PIN
    problem = _pose(direct, inner_x, inner_y, x.weights, y.weights, asked.beta)
    couplings = [expand(coarse, x.coarse, y.coarse) for coarse in found.couplings]
    if asked.epsilon:
        falling = temperatures(WARM, asked.epsilon)
        couplings = [anneal(problem, problem.gradient(coupling), falling) for coupling in couplings]
    else:
        couplings = [sharpen(problem, coupling) for coupling in couplings]
    best = min(couplings, key=problem.value) if len(couplings) > 1 else couplings[0]  # a value costs two products
    return best, inner_x, inner_y


def expand(coupling: Tensor, x: Cells, y: Cells) -> Tensor:
    """Coupling of cells (p, q) to one of their points (n, m): each point has its share of what its cell has."""
    return (coupling[x.owner] * x.shares[:, None])[:, y.owner] * y.shares


def _pose(direct: Tensor | None, inner_x: Inner, inner_y: Inner, a: Tensor, b: Tensor, beta: float) -> Quadratic:
    return Quadratic(direct, Centred.of(inner_x, a), Centred.of(inner_y, b), beta)


def _known(inner_x: Inner, inner_y: Inner, pairs: Tensor) -> tuple[Tensor, Tensor]:
    return rows_of(inner_x, pairs[:, 0]), rows_of(inner_y, pairs[:, 1])


def _apart(near_x: Tensor, near_y: Tensor) -> Tensor:
    """Mean squared difference of distances to the known pairs: the relational cost if all mass were theirs."""
    squares = near_x.square().mean(1)[:, None] + near_y.square().mean(1)
    return KNOWN * (squares - 2 * near_x @ near_y.mT / near_x.shape[1]).clamp_min(0)


def _plus(direct: Tensor | None, more: Tensor) -> Tensor:
    return more if direct is None else direct + more
