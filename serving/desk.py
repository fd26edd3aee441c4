"""Who gets computed, and what they are told: one request at a time on one thread, a bounded queue before it."""

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from starlette.responses import Response

from serving.deadline import TooSlowError, set_deadline
from serving.engine import NonFiniteError
from serving.errors import ApiError, internal_error
from serving.metrics import COMPUTED, NON_FINITE, QUEUED, WAITED

logger = logging.getLogger("relatent")

Work = Callable[[], Response]
MEMORY = 0.05  # the weight of the newest request in the mean time per request


class Desk:
    """The queue of one worker process.

    A place in it is given back when the work ends, not when its client stops waiting: counting work in progress as gone
    would let a second request run beside it. Work past its deadline stops at its next `serving.deadline.check`.
    """

    def __init__(self, waiting: int, per_route: int) -> None:
        """Open the desk.

        Args:
            waiting: How many requests may wait behind the one being computed.
            per_route: How many of them, the one being computed included, may be for the same route.
        """
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relatent")
        self._most = waiting + 1
        self._most_per_route = per_route
        self._taken: Counter[str] = Counter()
        self._total = 0
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._began = math.inf

    def submit(self, work: Work, *, route: str = "", end: float = math.inf) -> asyncio.Future[Response]:
        """Give some work a place in the queue.

        Args:
            work: Gives the reply, or raises; called on the desk's thread.
            route: What the request asked for; a route that has taken all its places is refused more.
            end: The deadline, on the clock of `time.monotonic`.

        Returns:
            What becomes the reply, or an `ApiError` that tells why there is none. If it is cancelled, work that has not
            begun never does.

        Raises:
            ApiError: 429 if there is no place left.
        """
        self._enter(route)
        QUEUED.inc()
        future = self._thread.submit(self._attempt, work, end, time.monotonic())
        future.add_done_callback(lambda done: self._leave(route, done))
        return asyncio.wrap_future(future)

    def stuck(self, seconds: float) -> bool:
        """Whether the work in progress began so long ago that something must be wrong with it."""
        return time.monotonic() - self._began > seconds

    def idle(self) -> bool:
        """Whether nothing is being computed and nothing waits."""
        return self._total == 0

    def close(self) -> None:
        """Let the work in progress end and drop what waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _enter(self, route: str) -> None:
        with self._lock:
            if self._total >= self._most or self._taken[route] >= self._most_per_route:
                message = "the service has more requests waiting than it takes on; try again later"
                after = max(1, math.ceil(self._total * self._seconds))
                raise ApiError(429, "busy", message, headers={"Retry-After": str(after)})
            self._total += 1
            self._taken[route] += 1

    def _leave(self, route: str, done: Future[Response]) -> None:
        with self._lock:
            self._total -= 1
            self._taken[route] -= 1
        if done.cancelled():
            QUEUED.dec()

    def _attempt(self, work: Work, end: float, submitted: float) -> Response:
        self._began = begun = time.monotonic()
        QUEUED.dec()
        WAITED.observe(begun - submitted)
        set_deadline(end)
        try:
            return _reply(work)
        finally:
            self._began = math.inf
            spent = time.monotonic() - begun
            self._seconds += MEMORY * (spent - self._seconds)
            COMPUTED.observe(spent)


def _reply(work: Work) -> Response:
    try:
        return work()
    except ApiError:
        raise
    except TooSlowError:
        raise ApiError(504, "too_slow", "no answer within the time allowed") from None
    except NonFiniteError as error:
        NON_FINITE.inc()
        logger.error("%s", error)
        raise ApiError(500, "model_failure", str(error)) from None
    except Exception:
        logger.exception("unexpected failure")
        raise internal_error() from None
