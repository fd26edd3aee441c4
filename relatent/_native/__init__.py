"""transport.c, compiled on first use and called through ctypes; where it cannot be, PyTorch does the same.

The compiled library is kept in the user's cache folder under a name made of everything that decides what it holds:
the source, the compiler and the processor. It is put there in one piece, so that processes may start at once.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from relatent._solver.annealing import Annealed, Schedule
from relatent.cache import say_unkept, user_cache

_SOURCE = Path(__file__).with_name("transport.c")
_REALS = {torch.float32: "float", torch.float64: "double"}
# No flag that would make results depend on what else is loaded, as -ffast-math does.
_FLAGS = ("-O3", "-funroll-loops", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
_OWN_PROCESSOR = ("-march=native", "-fopenmp-simd")  # not every compiler knows them

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def _outside_graphs(function: Callable[P, T]) -> Callable[P, T]:
    """`torch.compiler.disable`, but asked for when a graph is captured first: it takes three seconds to import."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


class _Outcome(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_double) for name in ("mismatch", "residual", "iterations", "converged"))


@_outside_graphs
def anneal_compiled(
    linear: Tensor,
    right: Tensor,
    left: Tensor,
    a: Tensor,
    b: Tensor,
    start: Tensor | None,
    schedule: Schedule,
    *,
    is_cloud: bool,
) -> Annealed | None:
    """What `annealing.anneal` finds for one problem on the CPU, or None where there is no compiled library.

    Args:
        linear: Costs, shape (k, n), float32 or float64 like all others.
        right: Symmetric A, shape (n, n), or the points F of A = F F^T, shape (n, d).
        left: Symmetric, shape (k, k); plans T bend the costs by left T A.
        a: Column weights, shape (1, n).
        b: Row weights, shape (k, 1).
        start: Plan at which to linearise first, shape (k, n); None for b a^T.
        schedule: How to cool.
        is_cloud: Whether `right` holds points.

    Returns:
        The last plan and how it was reached.

    Raises:
        MemoryError: If there is no room for a dozen matrices of the plan's shape and one of the shape of `right`.
    """
    function = _function("relatent_anneal", linear.dtype)
    if function is None:
        return None
    arrays = [tensor.contiguous() for tensor in (linear, right, left, a, b)]
    plan = torch.empty_like(arrays[0]) if start is None else start.clone(memory_format=torch.contiguous_format)
    pointers = [array.data_ptr() for array in (*arrays, plan)]
    k, n = linear.shape
    outcome = _Outcome()
    _call(
        function,
        *(n, k, right.shape[1] if is_cloud else 0, *pointers),
        *(start is not None, _numbers(schedule), ctypes.byref(outcome)),
    )
    return Annealed(plan, outcome.mismatch, outcome.residual, int(outcome.iterations), bool(outcome.converged))


@_outside_graphs
def clouds_compiled(
    x: Tensor,
    y: Tensor,
    a: Tensor,
    b: Tensor,
    beta: float,
    schedule: Schedule,
    second_sharpness: float,
    plan: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """FGW between two clouds on the CPU, as `clouds.cloud_fgw`, or None where there is no compiled library.

    Args:
        x: Points, shape (n, d), float32 or float64 like all others.
        y: Points, shape (k, e), k <= n; e = d unless beta is 1.
        a: Weights of x, shape (n,).
        b: Weights of y, shape (k,).
        beta: Weight of the relational term, in [0, 1].
        schedule: How to cool.
        second_sharpness: Where a second look begins, of which the better plan is taken; 0 for none.
        plan: Overwritten with the plan, shape (k, n), contiguous; None if it is not wanted.

    Returns:
        Value and slopes, shapes (), (n, d) and (k, e).

    Raises:
        MemoryError: If there is no room for a dozen matrices (k, n) and one (n, d).
    """
    function = _function("relatent_clouds", x.dtype)
    if function is None:
        return None
    arrays = [tensor.contiguous() for tensor in (x, y, a, b)]
    results = x.new_empty(()), torch.empty_like(arrays[0]), torch.empty_like(arrays[1])
    (n, d), (k, e) = x.shape, y.shape
    _call(
        function,
        *(n, k, d, e, *(array.data_ptr() for array in arrays), beta, _numbers(schedule), second_sharpness),
        *(result.data_ptr() for result in results),
        None if plan is None else plan.data_ptr(),
    )
    return results


def _numbers(schedule: Schedule) -> Any:
    return (ctypes.c_double * len(schedule))(*schedule)


def _call(function: Callable[..., Any], n: int, k: int, *rest: object) -> None:
    if not function(n, k, *rest):
        raise MemoryError(f"no room to solve a transport problem of {k} x {n}")


_SIZE, _POINTER, _REAL = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
_ARGUMENTS = {
    "relatent_anneal": [_SIZE] * 3 + [_POINTER] * 6 + [ctypes.c_int] + [_POINTER] * 2,
    "relatent_clouds": [_SIZE] * 4 + [_POINTER] * 4 + [_REAL, _POINTER, _REAL] + [_POINTER] * 4,
}


@functools.cache
def _function(name: str, dtype: torch.dtype) -> Callable[..., Any] | None:
    """A function of transport.c for a type, or None where it cannot be had."""
    try:
        library = ctypes.CDLL(str(_library(_REALS[dtype])))
    except (OSError, RuntimeError, subprocess.SubprocessError) as why:  # no compiler, no writable home, no loader
        _log.info("Transport problems are solved without compiled code: %s", why)
        return None
    function = getattr(library, name)
    function.argtypes = _ARGUMENTS[name]
    return function


def _library(real: str) -> Path:
    """Path of the compiled library, compiled now unless it is there."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise OSError("no C compiler found")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False, timeout=60).stdout  # noqa: S603
    sources = b"".join(path.read_bytes() for path in sorted(_SOURCE.parent.glob("*.[ch]")))
    parts = (sources, compiler.encode(), version, repr((_FLAGS, _OWN_PROCESSOR)).encode(), _processor())
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]
    try:
        library = user_cache() / f"transport-{real}-{key}.so"
        if library.exists():
            return library
        library.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=library.parent)
    except OSError as why:
        say_unkept("transport problems are solved without compiled code, slower", f"{why}")
        raise
    with scratch as folder:
        made = Path(folder) / library.name
        if not (_compile(compiler, (*_FLAGS, *_OWN_PROCESSOR), real, made) or _compile(compiler, _FLAGS, real, made)):
            raise OSError(f"{compiler} cannot compile {_SOURCE.name}")
        made.replace(library)
    return library


def _compile(compiler: str, flags: tuple[str, ...], real: str, out: Path) -> bool:
    command = [compiler, f"-DREAL={real}", *flags, str(_SOURCE), "-o", str(out), "-lm"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)  # noqa: S603
    return done.returncode == 0 and out.exists()


def _processor() -> bytes:
    """What code compiled for this processor depends on; a home folder may be shared by unlike machines."""
    info = Path("/proc/cpuinfo")
    first = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    kept = [line for line in first if line.split("\t")[0].strip(" :").lower() in {"model name", "flags", "features"}]
    return "\n".join((platform.machine(), platform.processor(), *kept)).encode()
