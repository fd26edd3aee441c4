"""Who gets computed, and what they are told: one request at a time on one thread, a bounded queue before it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from starlette.responses import Response

from serving.engine import NonFiniteError
from serving.errors import ApiError, internal_error
from serving.metrics import NON_FINITE

logger = logging.getLogger("bentoml.relatent")


class Desk:
    """The queue of one worker process.

    A place in it is given back when the work ends, not when its client stops waiting: work that has begun cannot be
    interrupted, and counting it as gone would let a second request run beside it.
    """

    def __init__(self, waiting: int) -> None:
        """Open the desk.

        Args:
            waiting: How many requests may wait behind the one being computed.
        """
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relatent")
        self._places = threading.BoundedSemaphore(waiting + 1)

    async def answer(self, work: Callable[[], Response]) -> Response:
        """Do some work in its turn.

        Args:
            work: Gives the reply, or raises; called on the desk's thread.

        Returns:
            The reply, or the error that tells why there is none. If the caller is cancelled, work that has not begun
            never does.
        """
        if not self._places.acquire(blocking=False):
            message = "the service has more requests waiting than it takes on; try again later"
            return ApiError(429, "busy", message, headers={"Retry-After": "1"}).response()
        future = self._thread.submit(_attempt, work)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the work in progress end and drop what waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _: Future[Response]) -> None:
        self._places.release()


def _attempt(work: Callable[[], Response]) -> Response:
    try:
        return work()
    except ApiError as error:
        return error.response()
    except NonFiniteError as error:
        NON_FINITE.inc()
        logger.error("%s", error)
        return ApiError(500, "model_failure", str(error)).response()
    except Exception:
        logger.exception("unexpected failure")
        return internal_error().response()
