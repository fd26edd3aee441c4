"""The log: one line of JSON per event, or a line of text where a person reads it on a terminal."""

import json
import logging
import sys
import time
from functools import lru_cache
from typing import Any

ACCESS = logging.getLogger("relatent.access")


class JsonLines(logging.Formatter):
    """A JSON object per line: time (UTC), level, message, and what the event itself brings as `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever characters the event holds."""
        event: dict[str, Any] = {"time": _utc(record), "level": record.levelname.lower()}
        event |= {"message": record.getMessage()}
        event |= getattr(record, "fields", {})
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)


class Text(logging.Formatter):
    """The same as a line of text."""

    def format(self, record: logging.LogRecord) -> str:
        """A line, followed by the traceback if there is one."""
        fields = getattr(record, "fields", {})
        words = [_utc(record), record.levelname.lower(), record.getMessage()]
        words += [f"{name}={json.dumps(value)}" for name, value in fields.items()]
        if record.exc_info:
            words.append("\n" + self.formatException(record.exc_info))
        return " ".join(words)


def log_access(fields: dict[str, Any]) -> None:
    """Log a request; without asking, as `info` would, from which line of the program."""
    record = logging.LogRecord(ACCESS.name, logging.INFO, "", 0, "request", None, None)
    record.fields = fields
    ACCESS.handle(record)


def configure_logs() -> None:
    """Send this service's and its HTTP server's events to standard error, once."""
    # What no line tells, asked for each line, costs more than the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Text() if sys.stderr.isatty() else JsonLines())
    for name, level in (("relatent", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)


def _utc(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
