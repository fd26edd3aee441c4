"""The queue by itself: its bounds, its order, its deadlines."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.responses import Response

from serving.engine import check_deadline
from serving.errors import ApiError
from serving.scheduler import Call, Scheduler


@pytest.fixture
def held():
    """A scheduler for two waiting, two per route, whose thread is busy until the event is set."""
    scheduler, release, entered = Scheduler(2, 2), threading.Event(), threading.Event()

    def block():
        entered.set()
        release.wait(60)
        return Response("held")

    yield scheduler, block, entered, release
    release.set()
    scheduler.close()


def refused(call):
    with pytest.raises(ApiError) as caught:
        call()
    assert (caught.value.status, caught.value.code) == (429, "busy")
    return caught.value


def play(scene):
    """Run a coroutine in a thread of its own: in the main one Playwright's loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, scene).result()


def test_places(held):
    scheduler, block, entered, release = held

    async def scene():
        first = scheduler.submit(block, route="a")
        await asyncio.to_thread(entered.wait, 60)
        second = scheduler.submit(lambda: Response("second"), route="a")
        refused(lambda: scheduler.submit(lambda: Response(), route="a"))
        third = scheduler.submit(lambda: Response("third"), route="b")
        assert int(refused(lambda: scheduler.submit(lambda: Response(), route="b")).headers["Retry-After"]) >= 1
        release.set()
        replies = [reply.body for reply in await asyncio.gather(first, second, third)]
        assert replies == [b"held", b"second", b"third"]
        assert scheduler.backlog() == 0
        assert (await scheduler.submit(lambda: Response("again"), route="a")).body == b"again"

    play(scene())


def test_work_that_nobody_waits_for_is_not_begun(held):
    scheduler, block, entered, release = held
    done = []

    async def scene():
        first = scheduler.submit(block)
        await asyncio.to_thread(entered.wait, 60)
        scheduler.submit(lambda: done.append(1) or Response()).cancel()
        await asyncio.sleep(0)  # the loop tells the thread's queue
        release.set()
        await first
        await scheduler.submit(lambda: Response())

        assert scheduler.backlog() == 0

    play(scene())
    assert done == []


def test_after_the_end_what_waits_is_not_begun(held):
    scheduler, block, entered, release = held
    done = []

    async def scene():
        first = scheduler.submit(block)
        await asyncio.to_thread(entered.wait, 60)
        scheduler.submit(lambda: done.append(1) or Response())
        scheduler.close()
        release.set()
        assert (await first).body == b"held"
        await asyncio.sleep(0.05)

    play(scene())
    assert done == []


def test_the_deadline_is_told_to_the_work():
    scheduler = Scheduler(1, 2)

    def endless():
        while True:
            check_deadline()
            time.sleep(0.001)

    async def scene():
        reply = await scheduler.submit(endless, end=time.monotonic() + 0.05)
        assert reply.status_code == 504
        assert b"too_slow" in reply.body
        await scheduler.submit(lambda: check_deadline() or Response())  # the next has a deadline of its own

    play(scene())
    scheduler.close()


def test_work_that_was_stopped_counts_as_long():
    """Else its like would be taken for short, and computed on the event loop."""

    class Slow:
        together = 64

        def wait(self, rows):
            time.sleep(0.05)
            check_deadline()

    def steps():
        yield Call(Slow(), "wait", (np.zeros(4),))

    async def scene():
        scheduler = Scheduler(1, 2)
        reply = await scheduler.submit(steps, route="a", size=4, end=time.monotonic() + 0.01)
        assert reply.status_code == 504
        assert scheduler._pace["a"] > 0.05 / 4
        scheduler.close()

    play(scene())


def test_a_fault_is_a_500_that_tells_nothing():
    scheduler = Scheduler(1, 2)

    def fault():
        raise RuntimeError("secret")

    async def scene():
        reply = await scheduler.submit(fault)
        assert reply.status_code == 500
        assert b"secret" not in reply.body

    play(scene())
    scheduler.close()


def test_a_computation_that_hangs_is_noticed(held):
    scheduler, block, entered, release = held

    async def scene():
        assert not scheduler.stuck(0)
        work = scheduler.submit(block)
        await asyncio.to_thread(entered.wait, 60)
        assert scheduler.stuck(0)
        assert not scheduler.stuck(60)
        release.set()
        await work
        deadline = time.monotonic() + 10  # the answer comes from the thread a moment before that says it is done
        while scheduler.stuck(0):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)

    play(scene())


def test_the_thread_goes_on_while_the_loop_is_busy(held):
    scheduler, block, entered, release = held
    done = threading.Event()

    async def scene():
        first = scheduler.submit(block)
        await asyncio.to_thread(entered.wait, 60)
        release.set()
        await first
        entered.clear()
        release.clear()
        second = scheduler.submit(block)
        await asyncio.to_thread(entered.wait, 60)
        third = scheduler.submit(lambda: Response("third"))
        fourth = scheduler.submit(lambda: done.set() or Response("fourth"), route="b")
        release.set()
        await second
        await asyncio.sleep(0)  # the third and the fourth are handed over
        assert done.wait(60)  # though the loop does nothing
        assert [(await third).body, (await fourth).body] == [b"third", b"fourth"]
        assert scheduler.backlog() == 0

    play(scene())


def test_what_is_handed_over_and_then_left_is_not_begun(held):
    scheduler, block, entered, release = held
    begun = []

    async def scene():
        first, second = (
            scheduler.submit(block, route="a"),
            scheduler.submit(lambda: begun.append(2) or Response(), route="b"),
        )
        await asyncio.to_thread(entered.wait, 60)  # both are handed over, for they came at once
        second.cancel()
        await asyncio.sleep(0)
        release.set()
        await first
        await scheduler.submit(lambda: Response())
        assert scheduler.backlog() == 0

    play(scene())
    assert begun == []


def test_what_is_over_in_a_moment_is_done_between_the_loops_other_turns(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("serving.scheduler.time", SimpleNamespace(monotonic=lambda: clock.now))
    scheduler, seen = Scheduler(8, 9), []

    def work(seconds=0.0005):
        seen.append(threading.current_thread().name)
        clock.now += seconds
        return Response(seen[-1])

    async def idle():
        """Until the thread has nothing more to do with what it has told."""
        await asyncio.sleep(0.005)
        while scheduler._core.locked() or not scheduler._wake.empty():
            await asyncio.sleep(0.001)

    async def where(work, **how):
        await idle()
        return (await scheduler.submit(work, route="a", **how)).body.decode()

    async def scene():
        here = threading.current_thread().name
        assert await where(work, size=1) == "scheduler"  # nothing is known of it yet
        assert await where(work, size=2) == here
        assert await where(work) == "scheduler"  # of unknown size
        assert await where(work, size=18) == "scheduler"
        assert (await scheduler.submit(work, route="b", size=1)).body == b"scheduler"
        # All that ask at once get a place or are refused one before the first of them is begun.
        await idle()
        del seen[:]
        asked = [scheduler.submit(work, route="a", size=1) for _ in range(9)]
        refused(lambda: scheduler.submit(work, route="a", size=1))
        assert seen == []
        asked[5].cancel()
        await asyncio.wait(asked)
        assert seen == [here] * 8
        # Who asks a moment later goes along.
        asked = [scheduler.submit(work, route="a", size=1)]
        await asyncio.sleep(0)
        asked.append(scheduler.submit(work, route="a", size=1))
        while not asked[0].done():
            await asyncio.sleep(0)
        assert asked[1].done()
        # What is beyond a few milliseconds waits for the next turn.
        asked = [scheduler.submit(lambda: work(0.0045), route="a", size=9) for _ in range(2)]
        turns = []
        while not all(answer.done() for answer in asked):
            await asyncio.sleep(0)
            turns.append(sum(answer.done() for answer in asked))
        assert 1 in turns
        assert seen == [here] * 12
        assert scheduler.backlog() == 0
        # One that took long may have waited for a core; several did not.
        long = [await where(lambda: work(0.5), size=1) for _ in range(6)]
        assert long in ([here] * 3 + ["scheduler"] * 3, [here] * 4 + ["scheduler"] * 2)
        short = [await where(work, size=1) for _ in range(20)]
        assert short == ["scheduler"] * short.index(here) + [here] * (20 - short.index(here))

    play(scene())
    scheduler.close()
