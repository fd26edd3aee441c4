"""Compiled code against PyTorch's, over shapes, scales and weights; and what happens where nothing can be compiled."""

import resource
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relatent import (
    CompileError,
    Gaussian,
    PointCloud,
    fgw_plan,
    hierarchical_fgw,
    hierarchical_gw,
    solver,
    squared_euclidean,
)
from relatent import _native as compiled
from relatent._solver.point_clouds import cloud_fgw
from relatent._solver.quadratic import Problem
from tests.relatent.cases import DOUBLE, mixture, weights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def needs_a_compiler():
    if solver() != "compiled":
        pytest.skip("needs a C compiler and a writable home folder")


@pytest.fixture
def no_library():
    """Libraries are looked for anew, within the test and after it."""
    compiled.forget()
    yield
    compiled.forget()


def through_pytorch(function):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELATENT_SOLVER", "pytorch")
        return function()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    k=st.integers(1, 48), more=st.integers(0, 70), d=st.integers(1, 20), beta=st.sampled_from([0.0, 0.3, 1.0]),
    is_cloud=st.booleans(), some_zero=st.booleans(), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_a_step_of_the_loop_is_pytorchs(k, more, d, beta, is_cloud, some_zero, seed):
    # Few steps, since small differences grow where the plan has yet to decide between minima. The same examples always:
    # where an entry vanishes in one of the two and not quite in the other, they may disagree over a single step.
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(count, d, generator=rng, dtype=DOUBLE) for count in (k + more, k))
    costs = squared_euclidean(x, y), PointCloud(x) if is_cloud else squared_euclidean(x, x), squared_euclidean(y, y)
    a, b = weights(k + more, rng, some_zero=some_zero), weights(k, rng, some_zero=some_zero)

    def solve():
        return fgw_plan(*costs, beta=beta, a=a, b=b, max_iter=3)

    ours, theirs = solve(), through_pytorch(solve)
    torch.testing.assert_close(ours.coupling, theirs.coupling, atol=1e-9, rtol=0)
    assert (ours.iterations, ours.converged) == (theirs.iterations, theirs.converged)
    assert ours.residual == pytest.approx(theirs.residual, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(
    ("n", "k", "d", "e"), [(60, 7, 5, 5), (13, 13, 3, 3), (90, 40, 20, 20), (1, 1, 1, 1), (30, 4, 6, 2)]
)
@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_value_and_slopes_are_pytorchs(n, k, d, e, beta, dtype, rng):
    if d != e and beta < 1:
        pytest.skip("spaces of different dimension have no direct term")
    p, q = mixture(n, d, rng, dtype), mixture(k, e, rng, dtype)
    p, q = Gaussian(p.mean + 3, p.std), Gaussian(1.5 * q.mean, q.std)
    a, b = (weights(count, rng, some_zero=True, dtype=dtype) for count in (n, k))

    def solve():
        leaves = [part.clone().requires_grad_() for part in (*p, *q)]
        x, y = Gaussian(*leaves[:2]), Gaussian(*leaves[2:])
        if beta == 1:
            value = hierarchical_gw(x, y, weights_a=a, weights_b=b, max_iter=2)
        else:
            value = hierarchical_fgw(x, y, beta=beta, posterior_weights=a, prior_weights=b, max_iter=2)
        return value.detach(), *torch.autograd.grad(value, leaves)

    tolerance = 1e-9 if dtype == DOUBLE else 3e-4
    for ours, theirs in zip(solve(), through_pytorch(solve), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * theirs.abs().max().item())


def test_a_start_is_kept_to(rng):
    x, y = torch.randn(40, 3, generator=rng, dtype=DOUBLE), torch.randn(6, 3, generator=rng, dtype=DOUBLE)
    costs = squared_euclidean(x, y), squared_euclidean(x, x), squared_euclidean(y, y)
    start = fgw_plan(*costs, beta=0.6).coupling.roll(1, 1)

    def solve():
        return fgw_plan(*costs, beta=0.6, start=start, epsilon=1 / 64, max_iter=4)

    torch.testing.assert_close(solve().coupling, through_pytorch(solve).coupling, atol=1e-8, rtol=0)


def test_structures_that_bend_the_other_way_are_searched_alike(rng):
    inner = [torch.rand(size, size, generator=rng, dtype=DOUBLE) for size in (30, 9)]
    inner = [matrix + matrix.mT for matrix in inner]
    cost = torch.rand(30, 9, generator=rng, dtype=DOUBLE)

    def solve():
        return fgw_plan(cost, *inner, beta=0.8, max_iter=8)

    torch.testing.assert_close(solve().coupling, through_pytorch(solve).coupling, atol=1e-8, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_costs_of_extreme_scale_give_the_same_plan(scale, dtype, rng):
    x, y = torch.randn(50, 3, generator=rng, dtype=dtype), torch.randn(6, 3, generator=rng, dtype=dtype)
    a, b = torch.full((1, 50), 1 / 50, dtype=dtype), torch.full((6, 1), 1 / 6, dtype=dtype)
    plans = []
    for s in (1.0, scale):
        problem = Problem(s * squared_euclidean(y, x), a, b, s * y @ y.T, x, is_cloud=True)
        plans.append(problem.solve(None, max_iter=40, tol=1e-3).plan)
        assert (plans[-1].sum(-1, keepdim=True) - b).abs().max() < (1e-6 if dtype == torch.float32 else 1e-10)
    torch.testing.assert_close(*plans, atol=1e-4, rtol=0)


def test_the_same_input_gives_the_same_bits_from_any_thread(rng):
    p = Gaussian(torch.randn(200, 8, generator=rng), torch.rand(200, 8, generator=rng))
    q = Gaussian(torch.randn(10, 8, generator=rng), torch.rand(10, 8, generator=rng))
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda _: hierarchical_fgw(p, q, beta=0.3).item(), range(20)))
    assert len(set(values)) == 1


def test_nan_travels_into_value_and_slopes():
    x, y = torch.randn(20, 3, dtype=DOUBLE), torch.randn(4, 3, dtype=DOUBLE)
    x[5, 1] = torch.nan
    x.requires_grad_()
    y.requires_grad_()
    value = cloud_fgw(x, y, None, None, beta=0.3, max_iter=40, tol=2e-2)
    assert value.isnan()
    assert all(slope.isnan().any() for slope in torch.autograd.grad(value, (x, y)))


def clouds_value(rng):
    rng.manual_seed(3)
    return hierarchical_fgw(mixture(40, 3, rng), mixture(5, 3, rng), beta=0.3)


def test_without_a_compiler_pytorch_does_it_and_one_warning_says_so(rng, no_library, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.warns(RuntimeWarning, match="11 to 150 times slower: expected a C compiler, got none; install") as told:
        value = clouds_value(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert solver() == "pytorch"  # which looks for another type too, and has nothing new to say
    assert len(told) == 1
    torch.testing.assert_close(value, through_pytorch(lambda: clouds_value(rng)), rtol=0, atol=0)


def test_without_a_folder_to_write_to_pytorch_does_it(rng, no_library, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    value = clouds_value(rng)
    assert solver() == "pytorch"
    torch.testing.assert_close(value, through_pytorch(lambda: clouds_value(rng)), rtol=0, atol=0)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:5000], lambda data: data[:-9] + b"nonsense!"])
def test_a_damaged_library_is_compiled_anew(rng, no_library, monkeypatch, tmp_path, damage):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    value = clouds_value(rng)
    (kept,) = (tmp_path / "relatent").iterdir()
    # In a file of its own: this process still runs the library, whose pages are those of the file.
    data = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(damage(data))
    compiled.forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(clouds_value(rng), value, rtol=0, atol=0)
    assert solver() == "compiled"


def test_a_compiler_that_fails_is_quoted(rng, no_library, monkeypatch, tmp_path):
    broken = tmp_path / "cc"
    broken.write_text('#!/bin/sh\necho "transport.c:1: error: no such thing" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", str(broken))
    for ask in (solver, lambda: clouds_value(rng)):
        with pytest.raises(CompileError, match=r"(?s)error: no such thing.*RELATENT_SOLVER=pytorch"):
            ask()
    monkeypatch.setenv("RELATENT_SOLVER", "pytorch")
    assert clouds_value(rng).isfinite()


@pytest.mark.slow
def test_a_full_disk_costs_speed_alone(tmp_path):
    """A limit on the size of files is a full disk that needs no disk: the first write beyond it fails."""
    program = "import torch, relatent; x = torch.randn(20, 3); "
    program += "print(relatent.empirical_fgw(x, x[:4], beta=0.3).isfinite())"
    # -B: under the limit Python would leave cut bytecode in the environment that all tests share.
    ended = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert ended.stdout.strip() == "tensor(True)", ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "XDG_CACHE_HOME" in ended.stderr
    assert list(tmp_path.rglob("*.so")) == []


def test_the_setting_is_one_of_two(monkeypatch, rng):
    monkeypatch.setenv("RELATENT_SOLVER", "numba")
    with pytest.raises(ValueError, match="RELATENT_SOLVER: expected compiled or pytorch, got 'numba'"):
        clouds_value(rng)
    monkeypatch.setenv("RELATENT_SOLVER", "pytorch")
    assert solver() == "pytorch"
    for blank in ("", " "):
        monkeypatch.setenv("RELATENT_SOLVER", blank)
        assert solver() == "compiled"


def test_a_compiler_that_knows_few_flags_will_do(rng, no_library, monkeypatch, tmp_path):
    plain = tmp_path / "cc"
    plain.write_text('#!/bin/sh\ncase "$*" in *-march=native*) exit 1;; *) exec gcc "$@";; esac\n')
    plain.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", str(plain))
    value = clouds_value(rng)
    assert solver() == "compiled"
    torch.testing.assert_close(value, through_pytorch(lambda: clouds_value(rng)))


@pytest.mark.slow
def test_processes_may_compile_at_once(tmp_path):
    line = "import relatent; print(relatent.solver())"
    environment = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", line], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=300)[0].strip() for process in processes] == ["compiled"] * 2
    libraries = list((tmp_path / "relatent").iterdir())
    assert [library.suffix for library in libraries] == [".so"] * 2
