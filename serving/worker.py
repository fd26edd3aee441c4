"""The state of one process of the service: loaded models, queue, API keys, and how far it is with shutting down."""

import asyncio
import gc
import logging
import os
import signal
import sys
from functools import cache
from types import FrameType

from serving import handlers
from serving.auth import Keys
from serving.metrics import DRAINING, forget_dead_processes
from serving.repository import Repository
from serving.request_models import Sample
from serving.scheduler import Scheduler, run_alone
from serving.settings import Settings

logger = logging.getLogger("relatent")

STUCK = 60.0  # seconds beyond its deadline after which a computation is taken to hang


class Worker:
    """The state of a worker process."""

    def __init__(self, chosen: Settings) -> None:
        """Load every bundle, or none; raises what `Repository` and `Keys.read` raise."""
        forget_dead_processes()
        self.settings = chosen
        self.draining = False
        self.keys = Keys.read(chosen.api_keys_file, os.environ, anonymous=chosen.anonymous)
        self.held = 0  # bytes of bodies, read or being read
        self.repository = Repository(chosen)
        self.scheduler = Scheduler(
            chosen.max_waiting,
            chosen.max_per_route,
            batch_items=chosen.max_batch_items,
            window=chosen.batch_window_ms / 1000,
        )
        self._warm_up()
        logger.info("serving %s", self.repository.library.describe())

    def start(self) -> None:
        """Begin to look after bundles and signals; called on the event loop of the server, before it listens."""
        if self.settings.reload_seconds:
            self.repository.watch(self.settings.reload_seconds)
        self._await_the_end()
        # Full collections over the loaded libraries took 50 to 250 ms each, in the middle of requests.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        # The event loop and the scheduler's thread take turns at Python: at the default of 5 ms the slowest of a
        # hundred requests took half as long again.
        sys.setswitchinterval(0.0005)

    def stuck(self) -> bool:
        """Whether a computation hangs, so that only a new process can help."""
        return self.scheduler.stuck(self.settings.timeout + STUCK)

    def _await_the_end(self) -> None:
        """Put a pause between SIGTERM and what the server does then, which is to stop listening at once."""
        loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(stop):
            return

        def drain() -> None:
            DRAINING.set(1)
            logger.info("draining for %g s", self.settings.drain_seconds)
            loop.call_later(self.settings.drain_seconds, stop, signal.SIGTERM, None)

        def handle(number: int, frame: FrameType | None) -> None:
            if self.draining:
                stop(number, frame)
                return
            self.draining = True
            loop.call_soon_threadsafe(drain)

        signal.signal(signal.SIGTERM, handle)

    def _warm_up(self) -> None:
        """Load what would else hold up the first request."""
        for engine in self.repository.library.engines.values():
            for view in engine.manifest.views:
                run_alone(handlers.sample(self.repository.library, Sample(model=engine.name, view=view)))


@cache
def worker() -> Worker:
    """The state of this process, made when first asked for."""
    return Worker(Settings.from_environment(os.environ))
