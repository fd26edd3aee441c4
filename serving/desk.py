"""Who gets computed, and what they are told: one request at a time on one thread, a bounded queue before it."""

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

from starlette.responses import Response

from serving.deadline import TooSlowError, set_deadline
from serving.engine import NonFiniteError
from serving.errors import ApiError, internal_error
from serving.metrics import COMPUTED, NON_FINITE, QUEUED, WAITED, refuse

logger = logging.getLogger("relatent")

Work = Callable[[], Response]
MEMORY = 0.05  # the weight of the newest request in the mean time per request


@dataclass(frozen=True, slots=True)
class Ticket:
    """Some work's place in the queue."""

    work: Work
    route: str
    end: float
    submitted: float
    answer: asyncio.Future[Response]
    taken: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Whether the caller, the thread that computes or the client that leaves, is the first to take it."""
        return self.taken.acquire(blocking=False)


class Desk:
    """The queue of one worker process.

    A place in it is given back when the work ends, not when its client stops waiting: counting work in progress as gone
    would let a second request run beside it. Work past its deadline stops at its next `serving.deadline.check`.

    What goes wrong becomes a reply on the spot. An exception that the thread handed over would hold the frames it came
    through, the request's body among them, and they it: memory that only a rare full collection gives back.
    """

    def __init__(self, waiting: int, per_route: int) -> None:
        """Open the desk.

        Args:
            waiting: How many requests may wait behind the one being computed.
            per_route: How many of them, the one being computed included, may be for the same route.
        """
        self._most = waiting + 1
        self._most_per_route = per_route
        self._held: Counter[str] = Counter()
        self._total = 0
        self._seconds = 0.0
        self._began = math.inf
        self._closed = False
        self._line: SimpleQueue[Ticket | None] = SimpleQueue()
        threading.Thread(target=self._serve, name="desk", daemon=True).start()

    def submit(self, work: Work, *, route: str = "", end: float = math.inf) -> asyncio.Future[Response]:
        """Give some work a place in the queue; called on the event loop.

        Args:
            work: Gives the reply, or raises; called on the desk's thread.
            route: What the request asked for; a route that has taken all its places is refused more.
            end: The deadline, on the clock of `time.monotonic`.

        Returns:
            What becomes the reply, be it one that tells why there is no better. If it is cancelled, work that has not
            begun never does.

        Raises:
            ApiError: 429 if there is no place left.
        """
        self._enter(route)
        QUEUED.inc()
        answer = asyncio.get_running_loop().create_future()
        ticket = Ticket(work, route, end, time.monotonic(), answer)
        answer.add_done_callback(lambda _: self._drop(ticket))
        self._line.put(ticket)
        return answer

    def stuck(self, seconds: float) -> bool:
        """Whether the work in progress began so long ago that something must be wrong with it."""
        return time.monotonic() - self._began > seconds

    def idle(self) -> bool:
        """Whether nothing is being computed and nothing waits."""
        return self._total == 0

    def close(self) -> None:
        """Let the work in progress end and drop what waits."""
        self._closed = True
        self._line.put(None)

    def _enter(self, route: str) -> None:
        if self._total >= self._most or self._held[route] >= self._most_per_route:
            message = "the service has more requests waiting than it takes on; try again later"
            after = max(1, math.ceil(self._total * self._seconds))
            raise ApiError(429, "busy", message, headers={"Retry-After": str(after)})
        self._total += 1
        self._held[route] += 1

    def _leave(self, route: str) -> None:
        self._total -= 1
        self._held[route] -= 1

    def _drop(self, ticket: Ticket) -> None:
        if ticket.take():  # never begun, so it was cancelled
            QUEUED.dec()
            self._leave(ticket.route)

    def _serve(self) -> None:
        while (ticket := self._line.get()) and not self._closed:
            if ticket.take():
                reply = self._attempt(ticket)
                with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                    ticket.answer.get_loop().call_soon_threadsafe(self._deliver, ticket, reply)
                del reply
            del ticket  # it must not hold its request until the next one comes

    def _deliver(self, ticket: Ticket, reply: Response) -> None:
        self._leave(ticket.route)
        if not ticket.answer.done():
            ticket.answer.set_result(reply)

    def _attempt(self, ticket: Ticket) -> Response:
        self._began = begun = time.monotonic()
        QUEUED.dec()
        WAITED.observe(begun - ticket.submitted)
        set_deadline(ticket.end)
        try:
            return _reply(ticket.work)
        finally:
            self._began = math.inf
            spent = time.monotonic() - begun
            self._seconds += MEMORY * (spent - self._seconds)
            COMPUTED.observe(spent)


def _reply(work: Work) -> Response:
    try:
        return work()
    except ApiError as error:
        return refuse(error)
    except TooSlowError:
        return refuse(ApiError(504, "too_slow", "no answer within the time allowed"))
    except NonFiniteError as error:
        NON_FINITE.inc()
        logger.error("%s", error)
        return refuse(ApiError(500, "model_failure", str(error)))
    except Exception:
        logger.exception("unexpected failure")
        return refuse(internal_error())
