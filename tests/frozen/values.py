"""Values and gradients of every public function on fixed inputs, and losses of twenty steps of every method.

Written to values.json by `python -m tests.frozen.values`; test_values.py computes them anew, so that a change of the
house that was to move walls only is seen to have moved nothing else.
"""

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from readers.views_data import views_from_arrays
from relatent import (
    Gaussian,
    MixturePrior,
    PointCloud,
    best_fgw_plan,
    bures_w2_squared,
    distance_profiles,
    empirical_fgw,
    fgw,
    fgw_plan,
    fgw_value,
    gaussian_w2_squared,
    gw_barycenter,
    hierarchical_fgw,
    hierarchical_gw,
    hierarchical_wasserstein,
    invariant_sliced_fgw,
    paired_directions,
    pairwise_gw,
    random_directions,
    reference_gw,
    sliced_fgw,
    sliced_gw,
    sliced_wasserstein,
    squared_euclidean,
)
from training.config import TrainConfig
from training.image_task import ImageTask
from training.multiview.config import CotrainConfig
from training.multiview.task import CotrainTask

RECORD = Path(__file__).with_name("values.json")
STEPS = 20
IMAGE_RUNS = {
    **{method: (method, "relatent") for method in ("vae", "gmvae", "vampprior", "prae", "wae", "swae", "drae", "ae")},
    **{f"{method}-paper": (method, "paper") for method in ("prae", "drae")},
}
TIES = ("independent", "coreg", "cca", "w", "gw")


def functions() -> dict[str, list[float]]:
    """By name, what `_numbers` keeps of the value of a function and of its gradients; float64."""
    draw = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    x, y, z = normal(40, 3), 0.5 + 1.5 * normal(9, 3), normal(12, 5)
    many_y, same_y = normal(25, 3), normal(40, 3)
    std_x, std_y, std_z = 0.1 + normal(40, 3).abs(), 0.2 + normal(9, 3).abs(), 0.1 + normal(12, 5).abs()
    roots_x, roots_y = normal(6, 3, 3), normal(4, 3, 3)
    cov_x, cov_y = roots_x @ roots_x.mT, roots_y @ roots_y.mT
    weights_x, weights_y = (torch.rand(n, generator=draw, dtype=torch.float64) + 0.1 for n in (40, 9))
    weights_x, weights_y = weights_x / weights_x.sum(), weights_y / weights_y.sum()
    directions = random_directions(3, 7, generator=draw).double()
    wide, narrow = (d.double() for d in paired_directions(5, 3, 7, generator=draw))
    profiles = random_directions(3 + 16, 7, generator=draw).double()
    cost, inner_x, inner_y = squared_euclidean(x, y), squared_euclidean(x, x), squared_euclidean(y, y)
    coupling = torch.outer(weights_x, weights_y)
    prior = MixturePrior(4, 3, covariance="full", generator=torch.Generator().manual_seed(3)).double()
    codes = normal(8, 3)
    prior.assign(normal(4, 3), torch.eye(3, dtype=torch.float64) + 0.3 * normal(4, 3, 3).tril(-1))

    problems: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
        "squared_euclidean": (squared_euclidean, (x, y)),
        "gaussian_w2_squared": (gaussian_w2_squared, (x, std_x, y, std_y)),
        "bures_w2_squared": (
            lambda a, p, b, q: bures_w2_squared(a, _even(p), b, _even(q)),
            (x[:6], cov_x, y[:4], cov_y),
        ),
        "fgw_value": (
            lambda T, c, i, j: fgw_value(T, c, _even(i), _even(j), beta=0.4),
            (coupling, cost, inner_x, inner_y),
        ),
        "fgw": (lambda c, i, j: fgw(c, _even(i), _even(j), beta=0.4, tol=1e-3), (cost, inner_x, inner_y)),
        "fgw points": (lambda c, i, j: fgw(c, PointCloud(i), PointCloud(j), beta=0.4, tol=1e-3), (cost, x, y)),
        "hierarchical_fgw": (
            lambda a, s, b, t: hierarchical_fgw(Gaussian(a, s), Gaussian(b, t), beta=0.1),
            (x, std_x, y, std_y),
        ),
        "hierarchical_fgw weights": (
            lambda a, s, b, t: hierarchical_fgw(
                Gaussian(a, s), Gaussian(b, t), beta=0.6, posterior_weights=weights_x, prior_weights=weights_y
            ),
            (x, std_x, y, std_y),
        ),
        "hierarchical_wasserstein": (
            lambda a, s, b, t: hierarchical_wasserstein(Gaussian(a, s), Gaussian(b, t)),
            (x, std_x, y, std_y),
        ),
        "hierarchical_gw": (lambda a, s, b, t: hierarchical_gw(Gaussian(a, s), Gaussian(b, t)), (x, std_x, z, std_z)),
        "empirical_fgw": (lambda a, b: empirical_fgw(a, b, beta=0.3), (x, y)),
        "empirical_fgw gw": (lambda a, b: empirical_fgw(a, b, beta=1.0), (x, z)),
        "sliced_fgw": (lambda a, b: sliced_fgw(a, b, beta=0.2, directions=directions), (x, same_y)),
        "sliced_fgw unequal": (lambda a, b: sliced_fgw(a, b, beta=0.9, directions=directions), (x, many_y)),
        "sliced_wasserstein": (lambda a, b: sliced_wasserstein(a, b, directions=directions), (x, same_y)),
        "sliced_gw": (lambda a, b: sliced_gw(a, b, directions_a=narrow, directions_b=wide), (x, z)),
        "distance_profiles": (lambda a: distance_profiles(a, 5), (x,)),
        "invariant_sliced_fgw": (lambda a, b: invariant_sliced_fgw(a, b, beta=0.3, directions=profiles), (x, y)),
        "pairwise_gw": (lambda a, b, c: pairwise_gw([_points(a), _points(b), _points(c)]), (x, y, z)),
        "reference_gw": (lambda a, b, c: reference_gw([_points(a), _points(b)], _points(c)), (x, z, y)),
    }
    found = {name: _value_and_gradients(function, inputs) for name, (function, inputs) in problems.items()}
    for name in ("log_prob", "log_responsibilities"):
        value = getattr(prior, name)(codes)
        found[f"MixturePrior.{name}"] = _numbers(
            value, *torch.autograd.grad(value.square().sum(), [*prior.parameters()])
        )
    plan = fgw_plan(cost, inner_x, inner_y, beta=0.5, a=weights_x, b=weights_y)
    found["fgw_plan"] = _numbers(plan.coupling, plan.value)
    best = best_fgw_plan(cost, inner_x, inner_y, beta=0.9, restarts=3, generator=torch.Generator().manual_seed(1))
    found["best_fgw_plan"] = _numbers(best.coupling, best.value)
    found["gw_barycenter"] = _numbers(gw_barycenter([_points(x), _points(z)], inner_y, rounds=3))
    return found


def losses() -> dict[str, list[float]]:
    """By method, the loss at each of the first twenty steps on digits; float32."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {name: _image_losses(*run) for name, run in IMAGE_RUNS.items()} | {
            f"cotrain {tie}": _cotrain_losses(tie) for tie in TIES
        }
    finally:
        torch.set_num_threads(threads)


def _image_losses(method: str, recipe: str) -> list[float]:
    config = TrainConfig.model_validate(
        {"data": {"data": "digits"}, "model": {"method": method, "width": 8}, "recipe": recipe}
    )
    return _steps(ImageTask(config, ImageTask.load(config.data, seed=config.seed)))


def _cotrain_losses(tie: str) -> list[float]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    views = {"left": digits.data[:, :32].astype(np.float32), "right": digits.data[:, 32:].astype(np.float32)}
    # Constant features, and what counts as one, are not what is frozen here.
    views = {name: rows[:, rows.std(0) > 0.1] for name, rows in views.items()}
    data = views_from_arrays(views, labels=digits.target.tolist())
    config = CotrainConfig.model_validate({"data": {"data": "arrays"}, "model": {"method": tie}})
    return _steps(CotrainTask(config, data))


def _steps(task: Any) -> list[float]:
    adam = torch.optim.Adam(task.method.parameter_groups(task.config.optimizer), betas=(0.5, 0.999))
    device, found = torch.device("cpu"), []
    for step in range(STEPS):
        loss, _ = task.method(task.batch(step, device), torch.Generator().manual_seed(step))
        adam.zero_grad()
        loss.backward()
        adam.step()
        found.append(loss.item())
    return found


def _value_and_gradients(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> list[float]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    value = function(*leaves)
    if not value.requires_grad:
        return _numbers(value)
    # Weights of their own for the entries, so that none can hide behind another.
    upstream = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    gradients = torch.autograd.grad(value, leaves, upstream, allow_unused=True)
    return _numbers(value, *(gradient for gradient in gradients if gradient is not None))


def _even(matrix: Tensor) -> Tensor:
    """The symmetric part."""
    return (matrix + matrix.mT) / 2


def _points(cloud: Tensor) -> Gaussian:
    return Gaussian(cloud, torch.zeros_like(cloud))


def _numbers(*tensors: Tensor) -> list[float]:
    """Four projections of each tensor onto fixed random vectors, or the entries themselves if they are no more."""
    parts = []
    for tensor in tensors:
        entries = tensor.detach().flatten().double()
        generator = torch.Generator().manual_seed(len(entries))
        vectors = torch.randn(4, len(entries), generator=generator, dtype=torch.float64)
        parts.append(entries if len(entries) <= 4 else vectors @ entries)
    return torch.cat(parts).tolist()


def machine() -> str:
    """What rounding depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return (
        f"{model}, {'AVX-512' if 'avx512f' in flags else 'AVX2' if 'avx2' in flags else ''}, torch {torch.__version__}"
    )


if __name__ == "__main__":
    RECORD.write_text(json.dumps({"machine": machine(), "functions": functions(), "losses": losses()}, indent=1) + "\n")
    print(RECORD)  # noqa: T201
