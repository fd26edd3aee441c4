"""The queue of computations: one request is computed at a time, a bounded number waits, all others are refused."""

import asyncio
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from starlette.responses import Response

from serving.deadline import TooSlowError, set_deadline
from serving.engine import NonFiniteError
from serving.errors import ApiError, internal_error
from serving.metrics import COMPUTED, NON_FINITE, QUEUED, WAITED, refuse

logger = logging.getLogger("relatent")

Work = Callable[[], Response]
MEMORY = 0.05  # the weight of the newest request in the mean time of all
FALL = 0.2  # how fast what is expected of a route falls once it has risen
GUESS = 0.1  # seconds that a request takes, while none is known
SHORT = 0.003  # seconds that the event loop may compute by itself
AHEAD = 2  # what the thread is given: what it computes, and what it goes on with while the loop is busy refusing others


@dataclass(slots=True)
class Ticket:
    """Some work's place in the queue."""

    work: Work
    route: str
    size: int | None
    end: float
    submitted: float
    answer: asyncio.Future[Response]
    begun: bool = False


class Desk:
    """The queue of one worker process.

    Work that takes long is done by a thread, so that the event loop goes on to answer. What is expected to be over in a
    moment is done on the event loop: handing it to the thread and back would take a third of its time again.

    A place in the queue is given back when the work ends, not when its client stops waiting: counting work in progress
    as gone would let a second request run beside it. Work past its deadline stops at its next `serving.deadline.check`.

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
        self._seconds = GUESS
        self._pace: dict[str, float] = {}
        self._began = math.inf
        self._handed = 0
        self._running = self._closed = False
        self._line: deque[Ticket] = deque()
        self._long: SimpleQueue[Ticket | None] = SimpleQueue()
        threading.Thread(target=self._serve, name="desk", daemon=True).start()

    def submit(
        self, work: Work, *, route: str = "", size: int | None = None, end: float = math.inf
    ) -> asyncio.Future[Response]:
        """Give some work a place in the queue; called on the event loop.

        Args:
            work: Gives the reply, or raises.
            route: What the request asked for; a route that has taken all its places is refused more.
            size: Of how many items; None if that is not known yet. What past work took per item of its route tells what
                this will take.
            end: The deadline, on the clock of `time.monotonic`.

        Returns:
            What becomes the reply, be it one that tells why there is no better. If it is cancelled, work that has not
            begun never does.

        Raises:
            ApiError: 429 if there is no place left.
        """
        self._enter(route)
        QUEUED.inc()
        loop = asyncio.get_running_loop()
        ticket = Ticket(work, route, size, end, time.monotonic(), loop.create_future())
        ticket.answer.add_done_callback(lambda _: self._drop(ticket))
        self._line.append(ticket)
        if not self._running:
            self._running = True
            # Not at once: whoever else has asked by now shall have a place, or be refused one, before that.
            loop.call_soon(self._turn, loop)
        return ticket.answer

    def stuck(self, seconds: float) -> bool:
        """Whether the work in progress began so long ago that something must be wrong with it."""
        return time.monotonic() - self._began > seconds

    def backlog(self) -> float:
        """Seconds that all the work that has a place may take; 0 if there is none."""
        return self._total * self._seconds

    def close(self) -> None:
        """Let the work in progress end and drop what waits."""
        self._closed = True
        self._long.put(None)

    def _enter(self, route: str) -> None:
        if self._total >= self._most or self._held[route] >= self._most_per_route:
            message = "the service has more requests waiting than it takes on; try again later"
            after = max(1, math.ceil(self.backlog()))
            raise ApiError(429, "busy", message, headers={"Retry-After": str(after)})
        self._total += 1
        self._held[route] += 1

    def _leave(self, route: str) -> None:
        self._total -= 1
        self._held[route] -= 1

    def _drop(self, ticket: Ticket) -> None:
        if not ticket.begun:  # so it was cancelled
            QUEUED.dec()
            self._leave(ticket.route)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the next work that somebody waits for, or hand it to the thread; on the event loop."""
        while self._line and not self._closed:
            ticket = self._line[0]
            if ticket.answer.cancelled():
                self._line.popleft()
                continue
            short = ticket.size is not None and ticket.size * self._pace.get(ticket.route, math.inf) < SHORT
            if self._handed >= (1 if short else AHEAD):
                return  # until the thread is done with one
            self._line.popleft()
            QUEUED.dec()
            ticket.begun = True
            if short:
                self._deliver(ticket, self._attempt(ticket), loop)
                return
            self._handed += 1
            self._long.put(ticket)
        self._running = self._handed > 0

    def _serve(self) -> None:
        while (ticket := self._long.get()) and not self._closed:
            reply = self._attempt(ticket) if not ticket.answer.cancelled() else None
            loop = ticket.answer.get_loop()
            with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(self._take_back, ticket, reply, loop)
            del ticket, reply  # nothing must hold a request until the next one comes

    def _take_back(self, ticket: Ticket, reply: Response | None, loop: asyncio.AbstractEventLoop) -> None:
        self._handed -= 1
        self._deliver(ticket, reply, loop)

    def _deliver(self, ticket: Ticket, reply: Response | None, loop: asyncio.AbstractEventLoop) -> None:
        self._leave(ticket.route)
        if not ticket.answer.done() and reply is not None:
            ticket.answer.set_result(reply)
        # In the loop's next round, so that everything else gets its turn between two computations.
        loop.call_soon(self._turn, loop)

    def _attempt(self, ticket: Ticket) -> Response:
        self._began = begun = time.monotonic()
        WAITED.observe(begun - ticket.submitted)
        set_deadline(ticket.end)
        try:
            return _reply(ticket.work)
        finally:
            self._began = math.inf
            self._learn(ticket, time.monotonic() - begun)

    def _learn(self, ticket: Ticket, spent: float) -> None:
        COMPUTED.observe(spent)
        self._seconds += MEMORY * (spent - self._seconds)
        if ticket.size:
            # Up fast, down slowly: what takes long, such as a larger model's work, may do so again. Yet one alone may
            # have waited for a core that others use.
            pace = spent / ticket.size
            known = self._pace.get(ticket.route, pace)
            self._pace[ticket.route] = min(pace, 2 * known) if pace > known else known + FALL * (pace - known)


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
