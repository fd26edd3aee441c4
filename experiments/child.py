"""A worker's side of `experiments.runner`: it ends with its parent, and says in one line what went wrong."""

import os
import sys
import threading
from collections.abc import Callable

from readers.errors import DataError
from relatent.validation import NonFiniteError
from training.metrics.weights import WeightsError
from training.run_folder import RunError

# What data, settings and training can do to a run; all else is a fault of ours, and keeps its traceback.
EXPECTED = (DataError, NonFiniteError, RunError, WeightsError)


def run_child(work: Callable[[str], None]) -> int:
    """Do the work that the first argument describes; 0 if it went well, 1 with one line on stderr if not."""
    end_with_parent()
    try:
        work(sys.argv[1])
    except EXPECTED as error:
        print(f"\nerror: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def end_with_parent() -> None:
    """Exit at once when the parent's end of standard input closes, however the parent ended."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
