"""Solvers that align two clouds of one size by costs within each: `relatent.align` and its peers, each in a process.

Peers that are installed are taken: POT always, torchgw and fugw where someone has put them (`pip install torchgw fugw`;
torchgw's licence is non-commercial, and nothing of the project needs either). Each is asked as its own documentation
does, given dense costs whose mean square is 1.
"""

import importlib.util
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import ot
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from relatent import align, fgw_value
from relatent._alignment.graphs import neighbour_graph
from relatent._solver.marginals import round_to_marginals

NOISE = 0.05
KINDS = ("points", "graphs")


def problem(kind: str, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Costs within two clouds of n points, scaled, float64, and where each point of the first is in the second."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if kind == "points":
        x = rng.normal(size=(n, 8)) * np.linspace(1, 2, 8)
        turn, _ = np.linalg.qr(rng.normal(size=(8, 8)))
        y = (x @ turn)[order] + NOISE * rng.normal(size=(n, 8))
        costs = [torch.from_numpy(ot.dist(points, points)) for points in (x, y)]
    else:
        angle = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
        plane = np.c_[angle * np.cos(angle), angle * np.sin(angle)]
        roll = np.c_[plane, rng.uniform(0, 5, size=n)][order] + NOISE * rng.normal(size=(n, 3))
        # Lengths: by hops a spiral is nearly its own mirror image, and no solver can be blamed for finding that.
        costs = [
            neighbour_graph(torch.from_numpy(points), max(5, round(np.sqrt(n) / 2)), edges="lengths").distances()
            for points in (plane, roll)
        ]
    costs = [cost.double() for cost in costs]
    scaled = [(cost + cost.mT) / 2 / cost.square().mean().sqrt() for cost in costs]
    return scaled[0], scaled[1], torch.from_numpy(order.argsort())


def measure(kind: str, n: int, way: str, *, seed: int, threads: int, limit: float) -> dict[str, float] | None:
    """Solve one problem in a process of its own.

    Args:
        kind: points or graphs.
        n: Points of each cloud.
        way: Which of `ways`.
        seed: Of the problem.
        threads: For PyTorch, NumPy and POT alike.
        limit: Seconds of processor time, after which the solver is stopped.

    Returns:
        seconds of processor time, mib that the process grew by, value of the objective (of the plan, put right where
        its marginals are not the weights), and nearer, see `_nearer`; None if it was stopped.

    Raises:
        RuntimeError: If the solver failed.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(
        target=_solve, args=(there, kind, n, way, seed, threads, limit), daemon=True
    )
    child.start()
    there.close()
    try:
        told: dict[str, float] = here.recv()
        return told
    except EOFError:
        child.join()
        if child.exitcode and child.exitcode < 0:  # SIGXCPU
            return None
        raise RuntimeError(f"{way}: expected a coupling for {kind}, n = {n}, got a failure, told above") from None


def _solve(pipe: Connection, kind: str, n: int, way: str, seed: int, threads: int, limit: float) -> None:
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        x, y, truth = problem(kind, n, seed)
        solve = ways()[way]
        solve(*problem(kind, 20, seed)[:2])  # imports, and what is compiled
        begun, held = time.process_time(), _peak()
        resource.setrlimit(resource.RLIMIT_CPU, (int(begun + limit) + 1,) * 2)
        coupling = solve(x, y).double()
        seconds, grown = time.process_time() - begun, _peak() - held
        weights = torch.full((n,), 1 / n, dtype=torch.float64)
        coupling = round_to_marginals(coupling.clamp_min(0).mT, weights[None], weights[:, None]).mT
        value = float(fgw_value(coupling, torch.zeros_like(coupling), x, y, beta=1.0))
        pipe.send({"seconds": seconds, "mib": grown, "value": value, "nearer": _nearer(coupling, y, truth)})


def ways() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The solvers that are installed: costs (n, n) and (n, n) to a coupling (n, n)."""
    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "relatent.align": lambda x, y: align(cost_x=x, cost_y=y, epsilon=0.0).coupling,
        "relatent.align, epsilon 1e-2": lambda x, y: align(cost_x=x, cost_y=y).coupling,
        "POT, conditional gradient": _pot(ot.gromov.gromov_wasserstein),
        "POT, entropic": _pot(ot.gromov.entropic_gromov_wasserstein, epsilon=2e-2, max_iter=100),
        "POT, proximal": _pot(ot.gromov.entropic_gromov_wasserstein, epsilon=2e-2, max_iter=100, solver="PPA"),
    }
    if importlib.util.find_spec("torchgw"):
        found["torchgw"] = _torchgw
    if importlib.util.find_spec("fugw"):
        found["fugw"] = _fugw
    return found


def _pot(solve: Callable[..., Any], **options: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: torch.from_numpy(solve(x.numpy(), y.numpy(), **options))


def _torchgw(x: Tensor, y: Tensor) -> Tensor:
    import torchgw

    found: Tensor = torchgw.sampled_gw(
        dist_source=x, dist_target=y, distance_mode="precomputed", M=min(80, len(x)), epsilon=5e-3
    )
    return found


def _fugw(x: Tensor, y: Tensor) -> Tensor:
    from fugw.mappings import FUGW  # type: ignore[import-not-found]

    nothing = np.zeros((1, len(x)), dtype=np.float32)
    # Geometry alone, all mass coupled; its costs are to be at most 1.
    mapping = FUGW(alpha=1.0, rho=float("inf"), eps=1e-4).fit(
        nothing, nothing, x.float() / x.max(), y.float() / y.max(), solver="sinkhorn", device=torch.device("cpu")
    )
    return torch.as_tensor(mapping.pi)


def _nearer(coupling: Tensor, y: Tensor, truth: Tensor) -> float:
    """Share of points nearer to where a point is sent (mean cost from its partners) than its true partner, FOSCTTM."""
    far = coupling @ y / coupling.sum(1, keepdim=True)
    return float((far < far.gather(1, truth[:, None])).double().mean())


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
