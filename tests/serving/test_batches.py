"""What waits together runs together, and no answer tells: bytes, errors and deadlines are each request's own."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from serving.engine import Engine, NonFiniteError, Posterior
from serving.errors import ApiError
from serving.metrics import BATCH_ITEMS, BATCH_REQUESTS
from serving.scheduler import Call, Scheduler, run_alone, run_together

MODELS = Path(__file__).resolve().parents[2] / "models"


class Doubler:
    """An engine that doubles rows, notes how many at a time, and fails at a negative one."""

    def __init__(self, together=64):
        self.together, self.sizes = together, []

    def double(self, x, *, view=None):
        self.sizes.append(len(x))
        if (x < 0).any():
            raise NonFiniteError("a negative row")
        return SimpleNamespace(rows=None) if view == "odd" else 2 * x


def doubled(engine, *values, view=None, blame=None):
    """The work of one request."""

    def steps():
        found = yield Call(engine, "double", (np.array(values),), {"view": view}, blame)
        return found.tolist()

    return steps


def play(scene):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, scene).result()


def gathered(scheduler, works, **options):
    """The replies to what waits while something else is computed; options by number of the work."""
    release, entered = threading.Event(), threading.Event()

    def block():
        entered.set()
        release.wait(60)
        return {}

    async def scene():
        first = scheduler.submit(block)
        await asyncio.to_thread(entered.wait, 60)
        asked = [scheduler.submit(work, **options.get(f"_{number}", {})) for number, work in enumerate(works)]
        for number, answer in enumerate(asked):
            if options.get("leaves") == number:
                answer.cancel()
        await asyncio.sleep(0.02)
        release.set()
        await first
        return [reply if isinstance(reply, BaseException) else (reply.status_code, reply.body) for reply in
                await asyncio.gather(*asked, return_exceptions=True)]  # fmt: skip

    try:
        return play(scene())
    finally:
        scheduler.close()


def sums(histogram):
    (family,) = histogram.collect()
    return next(sample.value for sample in family.samples if sample.name.endswith("_sum"))


def test_what_gathered_while_another_ran_runs_as_one():
    engine = Doubler()
    before = [sums(BATCH_REQUESTS), sums(BATCH_ITEMS)]
    replies = gathered(Scheduler(9, 9), [doubled(engine, *range(n)) for n in (1, 3, 2)])
    assert replies == [(200, b"[0]"), (200, b"[0,2,4]"), (200, b"[0,2]")]
    assert engine.sizes == [6]
    assert [sums(BATCH_REQUESTS) - before[0], sums(BATCH_ITEMS) - before[1]] == [3, 6]


def test_other_models_and_options_run_by_themselves():
    one, two = Doubler(), Doubler()
    works = [doubled(one, 1), doubled(two, 2), doubled(one, 3), doubled(one, 4, view="b"), doubled(two, 5)]
    replies = gathered(Scheduler(9, 9), works)
    assert [body for _, body in replies] == [b"[2]", b"[4]", b"[6]", b"[8]", b"[10]"]
    assert (one.sizes, two.sizes) == ([2, 1], [2])


def test_a_bad_item_harms_nobody():
    engine = Doubler()

    def refused():
        raise ApiError(404, "unknown_model", "no such model")

    works = [doubled(engine, 1), refused, doubled(engine, -1), doubled(engine, 2), doubled(engine, -1, blame="x")]
    replies = gathered(Scheduler(9, 9), works)
    assert [status for status, _ in replies] == [200, 404, 500, 200, 400]
    assert (replies[0][1], replies[3][1]) == (b"[2]", b"[4]")
    assert engine.sizes == [4, 1, 1, 1, 1]  # all, then each alone


@pytest.mark.parametrize(
    ("engine", "batch_items", "sizes"),
    [(Doubler(together=1), 64, [2, 1, 1]), (Doubler(), 1, [2, 1, 1]), (Doubler(together=3), 64, [3, 1])],
)
def test_batches_are_as_large_as_they_may_be(engine, batch_items, sizes):
    works = [doubled(engine, 1, 2), doubled(engine, 3), doubled(engine, 4)]
    replies = gathered(Scheduler(9, 9, batch_items=batch_items), works)
    assert [body for _, body in replies] == [b"[2,4]", b"[6]", b"[8]"]
    assert engine.sizes == sizes


def test_each_keeps_its_own_deadline_and_may_leave():
    engine = Doubler()
    late, gone = {"end": time.monotonic() - 1}, 2
    replies = gathered(Scheduler(9, 9), [doubled(engine, n) for n in range(4)], _1=late, leaves=gone)
    assert [replies[0], replies[3]] == [(200, b"[0]"), (200, b"[6]")]
    assert replies[1][0] == 504
    assert isinstance(replies[2], asyncio.CancelledError)
    assert engine.sizes == [2]


def test_a_run_that_outlasts_one_deadline_goes_on_for_the_others():
    class Slow(Doubler):
        def double(self, x, *, view=None):
            time.sleep(0.1)
            return super().double(x)

    engine = Slow()
    soon = {"end": time.monotonic() + 0.08}
    replies = gathered(Scheduler(9, 9), [doubled(engine, n) for n in range(3)], _1=soon)
    assert [status for status, _ in replies] == [200, 504, 200]


def test_work_of_several_steps_goes_in_step():
    engine = Doubler()

    def twice(value):
        def steps():
            first = yield Call(engine, "double", (np.array([value]),), {"view": None})
            second = yield Call(engine, "double", (first,), {"view": None})
            return second.tolist()

        return steps

    replies = gathered(Scheduler(9, 9), [twice(1), twice(2), doubled(engine, 3)])
    assert [body for _, body in replies] == [b"[4]", b"[8]", b"[6]"]
    assert engine.sizes == [3, 2]


def test_a_window_waits_for_company():
    engine, scheduler = Doubler(), Scheduler(9, 9, window=0.2)

    async def scene():
        first = scheduler.submit(doubled(engine, 1))
        await asyncio.sleep(0.05)
        second = scheduler.submit(doubled(engine, 2))
        return [reply.body for reply in await asyncio.gather(first, second)]

    assert play(scene()) == [b"[2]", b"[4]"]
    assert engine.sizes == [2]
    scheduler.close()


def test_named_results_are_cut_and_what_is_none_stays():
    engine = SimpleNamespace(both=lambda x: Posterior(x + 1, None))
    calls = [Call(engine, "both", (np.arange(n),)) for n in (2, 1)]
    first, second = run_together(calls)
    assert (first.mean.tolist(), first.std, second.mean.tolist(), second.std) == ([1, 2], None, [1], None)


def test_alone_it_is_the_same():
    assert run_alone(doubled(Doubler(), 1, 2)()) == [2, 4]
    assert run_alone({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
def test_bytes_do_not_depend_on_company(name):
    """Every graph of every shipped model, batches of 1 to 64, every position: the bytes that a row has alone."""
    engine = Engine.load(MODELS / name)
    assert engine.together == 64
    rng = np.random.default_rng(0)
    for file, graph in engine.manifest.graphs().items():
        session = engine._sessions[file]
        given = {
            tensor: np.zeros(64, np.int64) if kind.dtype == "int64" else rng.random((64, *kind.shape[1:]), np.float32)
            for tensor, kind in graph.inputs.items()
        }
        singles = [session.run(None, {key: rows[i : i + 1] for key, rows in given.items()}) for i in range(64)]
        alone = [np.concatenate(column) for column in zip(*singles, strict=True)]
        for n in range(1, 65):
            chosen = np.roll(np.arange(64), 7 * n)[:n]
            found = session.run(None, {key: rows[chosen] for key, rows in given.items()})
            for single, many in zip(alone, found, strict=True):
                assert np.array_equal(single[chosen], many), f"{file}, {n} rows"


def test_a_model_whose_bytes_depend_on_the_batch_is_not_batched(tiny_models):
    """As kernels for one row do on some processors."""

    class Drifts:
        def __init__(self, session):
            self._session = session

        def run(self, names, feeds):
            found = self._session.run(names, feeds)
            return [np.nextafter(part, np.float32(9)) for part in found] if len(found[0]) > 1 else found

    from serving.golden import _is_alike

    engine = Engine.load(tiny_models / "alpha")
    session = engine._sessions["decoder.onnx"]
    given = {"latent": np.ones((4, 8), np.float32)}
    assert _is_alike(session, given, session.run(None, given))
    assert not _is_alike(Drifts(session), given, Drifts(session).run(None, given))
    parts = {"manifest": engine.manifest, "sessions": engine._sessions}
    assert (Engine("a", **parts).together, Engine("a", **parts, alike=True).together) == (1, 64)
