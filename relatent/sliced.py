"""Sliced distances between samples (eq. 12-13, Definition 3.5) in O(L(NM + N log N)) time and O(LN) memory."""

import torch
from torch import Tensor

from relatent._solver.packed_lines import packed_cost
from relatent._solver.univariate import matched_cost
from relatent.precision import full_precision, wants_few_operations, without_autocast
from relatent.validation import (
    require_beta,
    require_generator,
    require_one_device,
    require_positive,
    require_rows,
    require_weights,
)


def random_directions(dimension: int, count: int, *, generator: torch.Generator) -> Tensor:
    """Draw directions uniformly on the unit sphere.

    Args:
        dimension: Ambient dimension d.
        count: Number of directions l.
        generator: Source of randomness; the result lives on its device.

    Returns:
        Unit columns, shape (d, l), float32.

    Raises:
        ValueError: If dimension or count is below 1.
    """
    require_positive(dimension=dimension, count=count)
    require_generator("generator", generator)
    normal = torch.randn(dimension, count, generator=generator, device=generator.device)
    return normal / normal.norm(dim=0, keepdim=True)


def paired_directions(
    dimension_a: int, dimension_b: int, count: int, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw directions for `sliced_gw`, each space its own, column paired with column.

    A unit vector is drawn in the larger space, and the smaller one gets its leading coordinates: what comes of padding
    the smaller space's points with zeros (Vayer et al., 2019). So the two spaces share one frame, in which a sample
    and its copy padded with zeros have distance 0; with directions drawn independently not even a sample and
    itself would, and training would be pushed towards isotropic codes.

    Args:
        dimension_a: Dimension d of the first space.
        dimension_b: Dimension e of the second space.
        count: Number of pairs l.
        generator: Source of randomness; the result lives on its device.

    Returns:
        Shapes (d, l) and (e, l), float32; unit columns in the larger space, at most unit in the smaller.

    Raises:
        ValueError: If a dimension or count is below 1.
    """
    require_positive(dimension_a=dimension_a, dimension_b=dimension_b, count=count)
    shared = random_directions(max(dimension_a, dimension_b), count, generator=generator)
    return shared[:dimension_a], shared[:dimension_b]


def sliced_fgw(
    x: Tensor,
    y: Tensor,
    *,
    beta: float,
    directions: Tensor,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> Tensor:
    """Sliced FGW distance, eq. 13: the mean over directions of the smaller of two one-dimensional costs.

    The two candidate matchings of the sorted projections are the identity and the reversal. That the better of
    them is optimal (Theorem 3.4) is false in general, so this is an upper bound of eq. 12's minimum, usually tight.
    Samples of unequal size or weights are matched by their quantile functions. Differentiable once, also in the
    directions, but not in weights.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, d).
        beta: Weight of the relational term, in [0, 1].
        directions: Unit columns, shape (d, l).
        x_weights: Of the samples x, non-negative, summing to one, shape (n,); None for uniform ones.
        y_weights: Of the samples y, shape (m,), likewise.

    Returns:
        Scalar; a mean over samples (direct term), pairs of samples (relational term) and directions.

    Raises:
        ValueError: If a shape does not fit, beta lies outside [0, 1], or (on the CPU) a value is not finite.
    """
    require_beta(beta)
    require_rows("x", x)
    require_rows("y", y, columns=x.shape[1], columns_of="x")
    require_directions("directions", directions, x.shape[1])
    require_one_device(x=x, y=y, directions=directions)
    _require_constant_weights(x_weights=(x_weights, x), y_weights=(y_weights, y))
    x, y, directions = full_precision(x, y, directions)
    if not wants_few_operations(x):
        # A common shift changes nothing but the digits that are left after projecting.
        centre = y.detach().mean(0)
        x, y = x - centre, y - centre
    return sliced_cost(x, y, directions, directions, beta, x_weights, y_weights)


def sliced_wasserstein(
    x: Tensor, y: Tensor, *, directions: Tensor, x_weights: Tensor | None = None, y_weights: Tensor | None = None
) -> Tensor:
    """Squared sliced 2-Wasserstein distance (Kolouri et al., 2018): `sliced_fgw` with beta = 0, where it is exact.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, d).
        directions: Unit columns, shape (d, l).
        x_weights: Of the samples x, non-negative, summing to one, shape (n,); None for uniform ones.
        y_weights: Of the samples y, shape (m,), likewise.

    Returns:
        Scalar; a mean over samples and directions.

    Raises:
        ValueError: If a shape does not fit or (on the CPU) a value is not finite.
    """
    return sliced_fgw(x, y, beta=0.0, directions=directions, x_weights=x_weights, y_weights=y_weights)


def sliced_gw(
    a: Tensor,
    b: Tensor,
    *,
    directions_a: Tensor,
    directions_b: Tensor,
    weights_a: Tensor | None = None,
    weights_b: Tensor | None = None,
) -> Tensor:
    """Sliced Gromov-Wasserstein distance of two samples (eq. 14), whose spaces may differ in dimension.

    Column i of directions_a is compared with column i of directions_b; `paired_directions` draws such pairs.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, e).
        directions_a: Shape (d, l).
        directions_b: Shape (e, l).
        weights_a: Of the samples a, non-negative, summing to one, shape (n,); None for uniform ones.
        weights_b: Of the samples b, shape (m,), likewise.

    Returns:
        Scalar; a mean over pairs of samples and directions. As for `sliced_fgw`, an upper bound per direction.

    Raises:
        ValueError: If a shape does not fit or (on the CPU) a value is not finite.
    """
    require_rows("a", a)
    require_rows("b", b)
    require_directions("directions_a", directions_a, a.shape[1])
    require_directions("directions_b", directions_b, b.shape[1])
    if directions_a.shape[1] != directions_b.shape[1]:
        raise ValueError(f"directions_b: expected {directions_a.shape[1]} columns, got {directions_b.shape[1]}")
    require_one_device(a=a, b=b, directions_a=directions_a, directions_b=directions_b)
    _require_constant_weights(weights_a=(weights_a, a), weights_b=(weights_b, b))
    return sliced_cost(a, b, directions_a, directions_b, 1.0, weights_a, weights_b)


def sliced_cost(
    x: Tensor,
    y: Tensor,
    directions_x: Tensor,
    directions_y: Tensor,
    beta: float,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> Tensor:
    """Mean over l pairs of directions of the one-dimensional cost; unchecked, each space with its own directions.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, e).
        directions_x: Shape (d, l).
        directions_y: Shape (e, l).
        beta: Weight of the relational term, in [0, 1].
        x_weights: Shape (n,); None for uniform ones.
        y_weights: Shape (m,); None for uniform ones.

    Returns:
        Scalar, in float32 or wider.
    """
    with without_autocast(x):
        x, y, directions_x, directions_y = full_precision(x, y, directions_x, directions_y)
        if wants_few_operations(x):
            if len(x) < len(y):
                x, directions_x, x_weights, y, directions_y, y_weights = (
                    y, directions_y, y_weights, x, directions_x, x_weights,
                )  # fmt: skip
            lines = _lines(x, y, directions_x, directions_y)
            return packed_cost(lines, len(x), beta, x_weights, y_weights).mean()
        return matched_cost(directions_x.T @ x.T, directions_y.T @ y.T, beta, x_weights, y_weights).mean()


def _lines(x: Tensor, y: Tensor, directions_x: Tensor, directions_y: Tensor) -> Tensor:
    """Both samples along all directions, shape (l, n + m), in as few operations as can be."""
    if directions_x is directions_y:
        points = torch.cat([x, y])
        return directions_x.T @ (points - points[len(x) :].detach().mean(0)).T
    return torch.cat([directions_x.T @ x.T, directions_y.T @ y.T], 1)


def _require_constant_weights(**given: tuple[Tensor | None, Tensor]) -> None:
    """Raise ValueError unless weights, by name with the samples they are of, are weights that ask for no gradient."""
    for name, (weights, samples) in given.items():
        if weights is None:
            continue
        require_weights(name, weights, shape=(len(samples),))
        require_one_device(**{"the samples": samples, name: weights})
        if weights.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"{name}: expected weights that require no gradient, got some that do; pass .detach()")


def require_directions(name: str, directions: Tensor, dimension: int) -> None:
    """Raise ValueError unless the directions are a finite (dimension, l) matrix."""
    require_rows(name, directions)
    if directions.shape[0] != dimension:
        raise ValueError(f"{name}: expected {dimension} rows, one per dimension, got {directions.shape[0]}")
