"""The log: one line of JSON per event, or a line of text where a person reads it on a terminal."""

import logging
import sys

from pythonjsonlogger.orjson import OrjsonFormatter

TEXT = "%(asctime)s %(levelname)s %(message)s"


def configure_logs() -> None:
    """Send this service's and its HTTP server's events to standard error, once."""
    # What no line tells, asked for each line, costs more than the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    levels = {"relatent": logging.INFO, "relatent.access": logging.INFO, "uvicorn": logging.WARNING}
    for name, level in levels.items():
        handler = logging.StreamHandler(sys.stderr)
        if sys.stderr.isatty():
            handler.setFormatter(logging.Formatter(TEXT))
        elif name == "relatent.access":
            handler.setFormatter(logging.Formatter())  # its message is the whole line
        else:
            rename = {"levelname": "level", "exc_info": "exception"}
            handler.setFormatter(
                OrjsonFormatter("{levelname}{message}", style="{", timestamp="time", rename_fields=rename)
            )
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
