"""The queue of computations: what waits together is computed together, a bounded number waits, others are refused."""

import asyncio
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from serving.engine import CHUNK, CHUNK_VALUES, Engine, NonFiniteError, TooSlowError, check_deadline, set_deadline
from serving.errors import ApiError, internal_error
from serving.metrics import BATCH_ITEMS, BATCH_REQUESTS, COMPUTED, NON_FINITE, QUEUED, WAITED
from serving.response_models import JsonResponse, refuse

logger = logging.getLogger("relatent")

T = TypeVar("T")
Done = list[tuple["Ticket", Response]]
MEMORY = 0.05  # the weight of the newest request in the mean time of all
FALL = 0.2  # how fast what is expected of a route falls once it has risen
GUESS = 0.1  # seconds that a request takes, while none is known
SHORT = 0.008  # seconds that the event loop may compute by itself before everything else gets its turn
ROUNDS = 2  # of the event loop before it computes: those who have just been answered may ask anew by then, and go along


class Call(NamedTuple):
    """Rows for a method of an engine; calls that differ in their rows alone may run as one.

    Where a client chose the numbers freely, blame is its field for them: a non-finite output is then its mistake.
    """

    engine: Engine
    method: str
    rows: tuple[NDArray, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    blame: str | None = None

    def key(self) -> tuple[Any, ...]:
        """What calls that may run as one have in common."""
        return (id(self.engine), self.method, *self.options.items())

    def run(self) -> Any:
        """What the method gives."""
        try:
            return getattr(self.engine, self.method)(*self.rows, **self.options)
        except NonFiniteError as error:
            if self.blame is None:
                raise
            message = f"{self.blame}: {error} for these values"
            raise ApiError(400, "no_finite_answer", message, field=self.blame) from None


Steps = Generator[Call, Any, T]
"""A computation that stops at its calls, is sent what they give, and returns its result."""
Pending = list[tuple["Ticket", Call]]


def run_alone(steps: Any) -> Any:
    """The result of a computation for which nobody waits in a queue."""
    if not isinstance(steps, Generator):
        return steps
    found = None
    while True:
        try:
            call = steps.send(found)
        except StopIteration as end:
            return end.value
        found = call.run()


def run_together(calls: list[Call]) -> list[Any]:
    """What each of some calls of one key gives, computed as one batch."""
    if len(calls) == 1:
        return [calls[0].run()]
    columns = zip(*(call.rows for call in calls), strict=True)
    whole = calls[0]._replace(rows=tuple(np.concatenate(column) for column in columns)).run()
    ends = np.cumsum([0, *(len(call.rows[0]) for call in calls)]).tolist()
    return [_cut(whole, slice(*ends)) for ends in pairwise(ends)]


def _cut(found: Any, rows: slice) -> Any:
    if isinstance(found, tuple):
        return type(found)(*(_cut(part, rows) for part in found))
    return None if found is None else found[rows]


@dataclass(slots=True, eq=False)
class Ticket:
    """Some work's place in the queue."""

    work: Callable[[], Any]
    route: str
    size: int | None
    end: float
    submitted: float
    answer: asyncio.Future[Response]
    steps: Steps[Any] | None = None
    spent: float = 0.0
    begun: bool = False
    left: bool = False


class Scheduler:
    """The queue of one worker process, which computes one batch at a time.

    A batch is what has gathered while the one before it ran, in order of arrival, up to a number of items. Of those in
    it that call the same method of the same engine, the rows run as one; if that fails, each runs alone, so that nobody
    pays for another. Deadline, errors and metrics are each request's own.

    What takes long is computed by a thread, so that the event loop goes on to answer. What is expected to be over in a
    moment is computed on the event loop, a few milliseconds' worth in one batch: to hand it to the thread and back
    takes a third of its time again, and the two would pass Python's lock back and forth with every picture, which on a
    machine that others use costs far more. That is also why this is not anyio's limiter and thread pool.

    A place in the queue is given back when the work ends, not when its client stops waiting: counting work in progress
    as gone would let a second request run beside it. Work past its deadline stops at its next `check_deadline`.

    What goes wrong becomes a reply on the spot. An exception that the thread handed over would hold the frames it came
    through, the request's body among them, and they it: memory that only a rare full collection gives back.
    """

    def __init__(self, waiting: int, per_route: int, *, batch_items: int = CHUNK, window: float = 0.0) -> None:
        """Open the queue.

        Args:
            waiting: How many requests may wait behind the one being computed.
            per_route: How many of them, the one being computed included, may be for the same route.
            batch_items: Items in a batch, after which no more requests join it; 1 for each request by itself.
            window: Seconds for which a batch waits for company.
        """
        self._most = waiting + 1
        self._most_per_route = per_route
        self._batch_items, self._window = batch_items, window
        self._held: Counter[str] = Counter()
        self._seconds = GUESS
        self._pace: dict[str, float] = {}
        self._began = math.inf
        self._closed = False
        self._turning: asyncio.AbstractEventLoop | None = None
        self._line: deque[Ticket] = deque()
        self._core = threading.Lock()  # held by whoever computes, the thread or the loop
        self._wake: SimpleQueue[bool] = SimpleQueue()
        threading.Thread(target=self._serve, name="scheduler", daemon=True).start()

    def submit(
        self, work: Callable[[], Any], *, route: str = "", size: int | None = None, end: float = math.inf
    ) -> asyncio.Future[Response]:
        """Give some work a place in the queue; called on the event loop.

        Args:
            work: Gives the reply, or `Steps` to it, or raises; what is no response becomes one of JSON.
            route: What the request asked for; a route that has taken all its places is refused more.
            size: Of how many items; None if that is not known yet. What past work took per item of its route tells what
                this will take.
            end: The deadline, on the clock of `time.monotonic`.

        Returns:
            What becomes the reply, or tells why there is none. If it is cancelled, work that has not begun never does.

        Raises:
            ApiError: 429 if there is no place left.
        """
        if self._held.total() >= self._most or self._held[route] >= self._most_per_route:
            message = "the service has more requests waiting than it takes on; try again later"
            after = max(1, math.ceil(self.backlog()))
            raise ApiError(429, "busy", message, headers={"Retry-After": str(after)})
        self._held[route] += 1
        QUEUED.inc()
        loop = asyncio.get_running_loop()
        ticket = Ticket(work, route, size, end, time.monotonic(), loop.create_future())
        ticket.answer.add_done_callback(lambda _: self._drop(ticket))
        self._line.append(ticket)
        # Not at once: whoever else has asked by now shall have a place, or be refused one, before that.
        self._turn_soon(loop)
        return ticket.answer

    def stuck(self, seconds: float) -> bool:
        """Whether the work in progress began so long ago that something must be wrong with it."""
        return time.monotonic() - self._began > seconds

    def backlog(self) -> float:
        """Seconds that all the work that has a place may take; 0 if there is none."""
        return self._held.total() * self._seconds

    def close(self) -> None:
        """Let the batch in progress end and drop what waits."""
        self._closed = True
        self._wake.put(False)

    def _leave(self, ticket: Ticket) -> None:
        if not ticket.left:
            ticket.left = True
            self._held[ticket.route] -= 1

    def _drop(self, ticket: Ticket) -> None:
        if not ticket.begun:  # so it was cancelled
            QUEUED.dec()
            self._leave(ticket)

    def _turn_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._turning is not loop:  # one turn a round, however many ask in it
            self._turning = loop
            loop.call_soon(self._turn, loop, ROUNDS)

    def _turn(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """Compute what waits, if that is soon done and nothing else is computed; else leave it to the thread."""
        if rounds:
            loop.call_soon(self._turn, loop, rounds - 1)
            return
        self._turning = None
        if not self._line or self._closed:
            return
        if self._core.acquire(blocking=False):
            try:
                short = 0 if self._window else self._count_short()
                if short:
                    self._compute(self._deliver, short)
            finally:
                self._core.release()
            if short:
                self._turn_soon(loop)  # after everything else that had to wait
                return
        if self._wake.empty():
            self._wake.put(True)

    def _count_short(self) -> int:
        """How many of those that wait can be computed in a moment, in order of arrival."""
        seconds, count = 0.0, 0
        for ticket in self._line:
            seconds += math.inf if ticket.size is None else ticket.size * self._pace.get(ticket.route, math.inf)
            if seconds > SHORT:
                break
            count += 1
        return count

    def _serve(self) -> None:
        while self._wake.get():
            with self._core:
                while self._line and not self._closed:
                    self._await_company()
                    self._compute(self._hand_over)

    def _await_company(self) -> None:
        until = self._line[0].submitted + self._window
        while len(self._line) < self._batch_items and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.001))

    def _hand_over(self, finished: Done) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            finished[0][0].answer.get_loop().call_soon_threadsafe(self._deliver, finished)

    def _deliver(self, finished: Done) -> None:
        for ticket, reply in finished:
            self._leave(ticket)
            if not ticket.answer.done():
                ticket.answer.set_result(reply)

    def _compute(self, deliver: Callable[[Done], None], most: float = math.inf) -> None:
        """Compute a batch: begin its requests, and take them through their calls in groups; whoever is done is told."""
        self._began = time.monotonic()
        try:
            stepped = self._begin(most)
            waiting: Pending = []
            while stepped:
                finished: Done = []
                for ticket, outcome in stepped:
                    if isinstance(outcome, Call):
                        waiting.append((ticket, outcome))
                    else:
                        finished.append((ticket, outcome))
                        self._learn(ticket)
                if finished:
                    deliver(finished)
                if not waiting:
                    return
                group, waiting = _split(waiting)
                stepped = self._step(group)
        finally:
            self._began = math.inf

    def _begin(self, most: float) -> list[tuple[Ticket, Response | Call]]:
        """Take those that wait to their first calls, as many as make a batch, and at most so many."""
        begun: list[tuple[Ticket, Response | Call]] = []
        items = values = 0
        while self._line and not self._closed and items < self._batch_items and values < CHUNK_VALUES and most > 0:
            ticket, most = self._line.popleft(), most - 1
            if ticket.answer.cancelled():
                continue
            ticket.begun = True
            QUEUED.dec()
            WAITED.observe(time.monotonic() - ticket.submitted)
            outcome = self._advance(ticket)
            begun.append((ticket, outcome))
            rows = outcome.rows if isinstance(outcome, Call) else ()
            items += len(rows[0]) if rows else 1
            values += sum(column.size for column in rows)
        return begun

    def _step(self, group: Pending) -> list[tuple[Ticket, Response | Call]]:
        """Run the calls of a group as one, and let each of it go on with its part."""
        now = time.monotonic()
        set_deadline(max(ticket.end for ticket, _ in group))
        items, found, refusal = sum(len(call.rows[0]) for _, call in group), None, None
        try:
            found = run_together([call for _, call in group])
        except Exception as error:
            refusal = _refuse(error) if len(group) == 1 else None
        each = (time.monotonic() - now) / items
        for ticket, call in group:
            ticket.spent += each * len(call.rows[0])
        if found is not None:
            BATCH_ITEMS.observe(items)
            BATCH_REQUESTS.observe(len(group))
            return [(ticket, self._advance(ticket, value)) for (ticket, _), value in zip(group, found, strict=True)]
        if refusal is not None:
            return [(group[0][0], refusal)]
        return [stepped for one in group for stepped in self._step([one])]

    def _advance(self, ticket: Ticket, value: Any = None) -> Response | Call:
        """Go on to the ticket's next call, or to its reply."""
        now = time.monotonic()
        set_deadline(ticket.end)
        try:
            check_deadline()
            outcome = _go_on(ticket, value)
            return outcome if isinstance(outcome, Call | Response) else JsonResponse(outcome)
        except Exception as error:
            return _refuse(error)
        finally:
            ticket.spent += time.monotonic() - now

    def _learn(self, ticket: Ticket) -> None:
        COMPUTED.observe(ticket.spent)
        self._seconds += MEMORY * (ticket.spent - self._seconds)
        if ticket.size:
            # Up fast, down slowly: what takes long, such as a larger model's work, may do so again. Yet one alone may
            # have waited for a core that others use.
            pace = ticket.spent / ticket.size
            known = self._pace.get(ticket.route, pace)
            self._pace[ticket.route] = min(pace, 2 * known) if pace > known else known + FALL * (pace - known)


def _go_on(ticket: Ticket, value: Any) -> Any:
    """The ticket's next call, or what its work comes to."""
    if ticket.steps is None:
        outcome = ticket.work()
        if not isinstance(outcome, Generator):
            return outcome
        ticket.steps = outcome
    try:
        return ticket.steps.send(value)
    except StopIteration as end:
        return end.value


def _refuse(error: Exception) -> Response:
    """The reply that tells what went wrong with some work, as far as a client may know."""
    if isinstance(error, ApiError):
        return refuse(error)
    if isinstance(error, TooSlowError):
        return refuse(ApiError(504, "too_slow", "no answer within the time allowed"))
    if isinstance(error, NonFiniteError):
        NON_FINITE.inc()
        logger.error("%s", error)
        return refuse(ApiError(500, "model_failure", str(error)))
    logger.error("unexpected failure", exc_info=error)
    return refuse(internal_error())


def _split(waiting: Pending) -> tuple[Pending, Pending]:
    """Those whose calls may run as one with the first's, and the others."""
    (_, first), *rest = waiting
    group, others = waiting[:1], []
    key, room = first.key(), first.engine.together - len(first.rows[0])
    for ticket, call in rest:
        if len(call.rows[0]) <= room and call.key() == key:
            group.append((ticket, call))
            room -= len(call.rows[0])
        else:
            others.append((ticket, call))
    return group, others
