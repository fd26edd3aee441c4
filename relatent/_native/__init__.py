"""transport.c, compiled on first use and called through ctypes; where it cannot be, PyTorch does the same, slower.

The compiled library is kept in the user's cache folder under a name made of everything that decides what it holds:
the source, the compiler and the processor; and of what it holds, so that a damaged one is told and made anew. It is put
there in one piece, so that processes may start at once.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from relatent._solver.annealing import Annealed, Schedule
from relatent.cache import say_unkept, user_cache

_SOURCE = Path(__file__).with_name("transport.c")
# No flag that would make results depend on what else is loaded, as -ffast-math does.
_FLAGS = ("-O3", "-funroll-loops", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
_OWN_PROCESSOR = ("-march=native", "-fopenmp-simd")  # not every compiler knows them
_SLOWER = "small transport problems are solved in PyTorch, 11 to 150 times slower"

_SIZE, _REAL, _POINTER = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
# n, k, d, e; D, x, y, a, b; beta; start, schedule; second_epsilon; plan, value, slope_x, slope_y, outcome
_ARGUMENTS = [_SIZE] * 4 + [_POINTER] * 5 + [_REAL] + [_POINTER] * 2 + [_REAL] + [_POINTER] * 5

P = ParamSpec("P")
R = TypeVar("R")


_ROOM = 1 << 20  # bytes, several times what a library takes


class CompileError(RuntimeError):
    """A C compiler is there, but does not compile the solver."""


def _outside_graphs(function: Callable[P, R]) -> Callable[P, R]:
    """`torch.compiler.disable`, but asked for when a graph is captured first: it takes three seconds to import."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


class _Outcome(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_double) for name in ("marginal_error", "residual", "iterations", "converged"))


@_outside_graphs
def solve_costs(
    function: Callable[..., Any],
    D: Tensor,
    a: Tensor,
    b: Tensor,
    left: Tensor,
    right: Tensor,
    is_cloud: bool,
    start: Tensor | None,
    schedule: Schedule,
    second_epsilon: float,
) -> Annealed:
    """What `quadratic.Problem.solve` finds for one problem on the CPU.

    Args:
        function: From `load`, for the tensors' type.
        D: Costs, shape (k, n), float32 or float64 like all others.
        a: Column weights, shape (1, n).
        b: Row weights, shape (k, 1).
        left: Symmetric, shape (k, k).
        right: Symmetric A, shape (n, n), or the points F of A = F F^T, shape (n, d).
        is_cloud: Whether `right` holds points.
        start: Plan at which to linearise first, shape (k, n); None for b a^T.
        schedule: How epsilon falls, and what counts as solved.
        second_epsilon: Where a second run begins, of which the better plan is taken; 0 for none.

    Returns:
        The plan with exact marginals and how it was reached.

    Raises:
        MemoryError: If there is no room for a dozen matrices of the plan's shape and one of the shape of `right`.
    """
    given = [tensor.contiguous() for tensor in (D, right, left, a, b)]
    plan = torch.empty_like(given[0])
    start = None if start is None else start.contiguous()
    sizes = (D.shape[1], D.shape[0], right.shape[1] if is_cloud else 0, 0)
    how = _call(function, sizes, given, 1.0, start, schedule, second_epsilon, (plan, None, None, None))
    return Annealed(plan, how.marginal_error, how.residual, int(how.iterations), bool(how.converged))


def solve_clouds(
    function: Callable[..., Any],
    x: Tensor,
    y: Tensor,
    a: Tensor,
    b: Tensor,
    beta: float,
    schedule: Schedule,
    second_epsilon: float,
    plan: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """FGW between two clouds on the CPU, as `point_clouds` finds it.

    Args:
        function: From `load`, for the tensors' type.
        x: Points, shape (n, d), float32 or float64 like all others.
        y: Points, shape (k, e), k <= n; e = d unless beta is 1.
        a: Weights of x, shape (n,).
        b: Weights of y, shape (k,).
        beta: Weight of the relational term, in [0, 1].
        schedule: How epsilon falls, and what counts as solved.
        second_epsilon: Where a second run begins, of which the better plan is taken; 0 for none.
        plan: Overwritten with the plan, shape (k, n), contiguous; None if it is not wanted.

    Returns:
        Value and slopes, shapes (), (n, d) and (k, e).

    Raises:
        MemoryError: If there is no room for a dozen matrices (k, n) and one (n, d).
    """
    given = [tensor.contiguous() for tensor in (x, y, a, b)]
    results = x.new_empty(()), torch.empty_like(given[0]), torch.empty_like(given[1])
    sizes = (len(x), len(y), x.shape[1], y.shape[1])
    _call(function, sizes, [None, *given], beta, None, schedule, second_epsilon, (plan, *results))
    return results


def _call(
    function: Callable[..., Any],
    sizes: tuple[int, int, int, int],
    given: list[Any],
    beta: float,
    start: Tensor | None,
    schedule: Schedule,
    second_epsilon: float,
    results: tuple[Tensor | None, ...],
) -> _Outcome:
    outcome = _Outcome()
    numbers = (ctypes.c_double * len(schedule))(*schedule)
    inputs, outputs = map(_address, given), map(_address, results)
    done = function(
        *sizes, *inputs, beta, _address(start), numbers, second_epsilon, *outputs, ctypes.addressof(outcome)
    )
    if not done:
        raise MemoryError(f"no room to solve a transport problem of {sizes[1]} x {sizes[0]}")
    return outcome


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


@functools.cache
def load(real: str) -> Callable[..., Any] | None:
    """The solver compiled for a type, compiled now unless it is kept; None, said once, where it cannot be had.

    Args:
        real: "float" or "double".

    Returns:
        `relatent_solve` of transport.c.

    Raises:
        CompileError: If a compiler is there but fails.
    """
    try:
        path = _library(real)
        function = None if path is None else ctypes.CDLL(str(path)).relatent_solve
    except (OSError, subprocess.SubprocessError) as why:  # no compiler, no loader
        _warn(f"{_SLOWER}: {why}; install a C compiler (gcc, clang), or name one in CC")
        return None
    if function is not None:
        function.argtypes = _ARGUMENTS
    return function


@functools.cache
def _warn(line: str) -> None:
    """Once per process, not once per type."""
    warnings.warn(line, RuntimeWarning, stacklevel=2)


def forget() -> None:
    """Look for the library anew at the next call, and warn anew."""
    load.cache_clear()
    _warn.cache_clear()


def _library(real: str) -> Path | None:
    """Path of the compiled library, compiled now unless it is there; None, said once, if it cannot be kept."""
    compiler = shutil.which(os.environ.get("CC", "").strip() or "cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise OSError("expected a C compiler, got none")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False, timeout=60).stdout  # noqa: S603
    sources = b"".join(path.read_bytes() for path in sorted(_SOURCE.parent.glob("*.[ch]")))
    parts = (sources, compiler.encode(), version, repr((_FLAGS, _OWN_PROCESSOR)).encode(), _processor())
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]
    try:
        folder = user_cache()
        for library in sorted(folder.glob(f"transport-{real}-{key}-*.so")):
            if library.stem.endswith(_digest(library)):  # a cut library would take the process down
                return library
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=folder)
    except OSError as why:
        say_unkept(_SLOWER, f"{why}")
        return None
    with scratch as own:
        made = Path(own) / "transport.so"
        try:
            made.write_bytes(bytes(_ROOM))  # on a full disk a linker fails, which is no fault of the source
        except OSError as why:
            say_unkept(_SLOWER, f"{why}")
            return None
        words = _compile(compiler, (*_FLAGS, *_OWN_PROCESSOR), real, made) and _compile(compiler, _FLAGS, real, made)
        if words:
            raise CompileError(
                f"{compiler}: expected {_SOURCE.name} to compile, got\n{words}\nName another compiler in CC, or set"
                " RELATENT_SOLVER=pytorch to do without, 11 to 150 times slower where problems are small"
            )
        library = folder / f"transport-{real}-{key}-{_digest(made)}.so"
        made.replace(library)
    return library


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:24]


def _compile(compiler: str, flags: tuple[str, ...], real: str, out: Path) -> str:
    """What the compiler says if it fails, else nothing."""
    command = [compiler, f"-DREAL={real}", *flags, str(_SOURCE), "-o", str(out), "-lm"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)  # noqa: S603
    if done.returncode == 0 and out.exists():
        return ""
    return done.stderr.decode(errors="replace").strip()[-2000:] or f"exit status {done.returncode}"


def _processor() -> bytes:
    """What code compiled for this processor depends on; a home folder may be shared by unlike machines."""
    info = Path("/proc/cpuinfo")
    first = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    kept = [line for line in first if line.split("\t")[0].strip(" :").lower() in {"model name", "flags", "features"}]
    return "\n".join((platform.machine(), platform.processor(), *kept)).encode()
