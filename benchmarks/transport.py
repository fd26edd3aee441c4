"""How fast the regularizers are: against the formulas as printed, against POT and against their own floor.

    python -m benchmarks.transport            # about ten minutes on two cores
    python -m benchmarks.transport --quick    # half a minute, small sizes

Writes transport.md, transport.json and transport.png into --out (docs/results). All columns of a row are measured in
one interleaved run, forward and backward unless said.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor
from tqdm import tqdm

from benchmarks.baselines import explicit_hierarchical_fgw, has_pot, pairwise_sliced_fgw, pot_fgw, pot_sliced
from benchmarks.report import write_report
from benchmarks.timing import Timing, machine, side_by_side
from relatent import Gaussian, hierarchical_fgw, random_directions, sliced_fgw
from relatent._solver.sorting import sort_rows

BETA, DIRECTIONS, COMPONENTS = 0.1, 50, 10
KINDS = ("random", "initial", "clustered")
_MOST_BYTES = 8e9  # what a formula as printed may ask for; beyond, its cell stays empty


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    out: Path = Path("docs/results")
    """Folder for the table, the numbers and the plot."""
    quick: bool = False
    """Small sizes and few repetitions, to see that everything runs."""
    threads: int = 2
    """CPU threads for PyTorch, NumPy and POT alike."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of samples N."""
        return (50, 100, 200) if self.quick else (100, 300, 1000, 3000, 10000)

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Latent dimensions d."""
        return (4,) if self.quick else (8, 64)

    @property
    def seconds(self) -> float:
        """Time for one row."""
        return 0.3 if self.quick else 8.0


def main(settings: Settings) -> None:
    """Measure, print and write."""
    torch.set_num_threads(settings.threads)
    threadpool_limits(settings.threads)  # NumPy and POT
    found: dict[str, Any] = {"machine": machine(), "sliced": [], "hierarchical": [], "quality": []}
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    cases = [(device, n, d) for device in devices for d in settings.dimensions for n in settings.sizes]
    for device, n, d in tqdm(cases, desc="sliced"):
        found["sliced"].append(_row(n, d, device, sliced_ways(n, d, device), settings))
    for device, n, d in tqdm(cases, desc="hierarchical"):
        found["hierarchical"].append(_row(n, d, device, hierarchical_ways(n, d, device), settings))
    found["quality"] = _quality(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "transport.json").write_text(json.dumps(found, indent=1) + "\n")
    print(write_report(found, settings.out))


def _row(n: int, d: int, device: str, ways: dict[str, Callable[[], Any]], settings: Settings) -> dict[str, Any]:
    timings: dict[str, Timing] = side_by_side(ways, seconds=settings.seconds, device=device)
    return {"n": n, "d": d, "device": device, "ways": {name: asdict(timing) for name, timing in timings.items()}}


def sliced_ways(n: int, d: int, device: str) -> dict[str, Callable[[], Any]]:
    """What is measured of sliced distances of n samples of dimension d, by name; POT where it is installed."""
    rng = torch.Generator().manual_seed(0)
    # Fresh samples every time: a processor learns the branches of a sort it has seen before.
    draws = [(torch.randn(n, d, generator=rng), torch.randn(n, d, generator=rng)) for _ in range(8)]
    samples = [tuple(t.to(device).requires_grad_() for t in draw) for draw in draws]
    directions = random_directions(d, DIRECTIONS, generator=rng).to(device)
    turn = iter(range(10**9))

    def on(way: Callable[[Tensor, Tensor], Any]) -> Callable[[], Any]:
        return lambda: way(*samples[next(turn) % len(samples)])

    def floor(sort: Callable[[Tensor], Any]) -> Callable[[], Any]:
        @torch.no_grad()
        def products_and_sorts(x: Tensor, y: Tensor) -> None:
            sort(directions.T @ x.T)
            sort(directions.T @ y.T)

        return on(products_and_sorts)

    ways = {
        "ours": on(lambda x, y: _gradients(sliced_fgw(x, y, beta=BETA, directions=directions), x, y)),
        "floor": floor(lambda p: p.sort(1)),
        "floor, our sort": floor(sort_rows),
    }
    if has_pot():
        ways["POT sliced W, value"] = on(lambda x, y: pot_sliced(x, y, directions))
    if 7 * 4 * DIRECTIONS * n**2 < _MOST_BYTES:
        ways["pairwise sum"] = on(lambda x, y: _gradients(pairwise_sliced_fgw(x, y, BETA, directions), x, y))
    return ways


def hierarchical_ways(n: int, d: int, device: str) -> dict[str, Callable[[], Any]]:
    """What is measured of hierarchical distances of n samples of dimension d, by name; POT where it is installed."""
    p, q = problem("random", n, d, 0, device)
    leaves = (*p, *q)
    F, G = p.points().detach(), q.points().detach()

    @torch.no_grad()
    def products() -> None:
        T = (F @ G.T).T.contiguous()
        gram = G @ G.T
        for _ in range(8):  # linearised problems usually taken up
            gram @ (T @ F) @ F.T
        F @ (F.T @ F)  # for the gradient
        T.T @ G

    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: _gradients(hierarchical_fgw(p, q, beta=BETA), *leaves),
        "floor": products,
    }
    if has_pot() and n <= 3000:
        ways["POT, value"] = lambda: pot_fgw(p, q, BETA)
    if 6 * 4 * d * n**2 < _MOST_BYTES:
        ways["explicit formula"] = lambda: _gradients(explicit_hierarchical_fgw(p, q, BETA), *leaves)
    return ways


def problem(kind: str, n: int, d: int, seed: int, device: str = "cpu") -> tuple[Gaussian, Gaussian]:
    """A posterior of n components and a prior of 10, as they look at three moments of a training run.

    Args:
        kind: "random" (both standard normal), "initial" (codes near zero, prior wide) or "clustered" (codes close to
            the prior's components, in unequal numbers).
        n: Number of components of the posterior.
        d: Dimension.
        seed: Of the random numbers.
        device: Where the tensors live.

    Returns:
        Posterior and prior, requiring gradients.
    """
    rng = torch.Generator().manual_seed(seed)

    def normal(count: int) -> Tensor:
        return torch.randn(count, d, generator=rng)

    def uniform(count: int) -> Tensor:
        return torch.rand(count, d, generator=rng) + 0.1

    if kind == "random":
        pair = Gaussian(normal(n), uniform(n)), Gaussian(normal(COMPONENTS), uniform(COMPONENTS))
    elif kind == "initial":
        prior = Gaussian(normal(COMPONENTS), (normal(COMPONENTS) / 2).exp())
        pair = Gaussian(0.3 * normal(n), (0.1 * normal(n)).exp()), prior
    else:
        prior = Gaussian(2 * normal(COMPONENTS), uniform(COMPONENTS))
        own = torch.randint(COMPONENTS, (n,), generator=rng)
        pair = Gaussian(prior.mean[own] + 0.3 * normal(n), prior.std[own] * (0.1 * normal(n)).exp()), prior
    first, second = (Gaussian(*(t.to(device).requires_grad_() for t in gaussian)) for gaussian in pair)
    return first, second


def _quality(settings: Settings) -> list[dict[str, Any]]:
    """Our objective over POT's, minus one, for each kind of problem."""
    sizes = ((50, 4, 2),) if settings.quick else ((100, 8, 10), (100, 64, 10), (1000, 8, 3), (1000, 64, 3))
    rows = []
    for kind in KINDS:
        for n, d, seeds in tqdm(sizes, desc=f"quality, {kind}"):
            gaps = []
            for seed in range(seeds):
                for beta in (BETA, 0.5, 1.0):
                    p, q = problem(kind, n, d, seed)
                    gaps.append(hierarchical_fgw(p, q, beta=beta).item() / pot_fgw(p, q, beta) - 1)
            rows.append(
                {
                    "kind": kind, "n": n, "d": d, "problems": len(gaps), "mean": float(np.mean(gaps)),
                    "median": float(np.median(gaps)), "worst": max(gaps), "best": min(gaps),
                    "above 1 %": sum(gap > 0.01 for gap in gaps),
                }
            )  # fmt: skip
    return rows


def _gradients(value: Tensor, *leaves: Tensor) -> None:
    torch.autograd.grad(value, leaves)


if __name__ == "__main__":
    main(tyro.cli(Settings))
