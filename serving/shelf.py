"""Watches the models folder while the service runs: loads new and changed bundles, gives up those that are gone."""

import logging
import threading
from pathlib import Path
from typing import Literal

from serving.bundle import check_name
from serving.engine import Engine
from serving.library import Library, list_bundles
from serving.metrics import BUNDLE, LOADS

logger = logging.getLogger("relatent")

Signature = tuple[tuple[str, int, int, int], ...]


class Shelf:
    """Holds the library; looks after it from a thread of its own.

    A new or changed bundle is verified and loaded beside the one in use, and then the library is replaced as a whole:
    whoever took the old one finishes with it. A bundle that fails leaves the old one answering. A bundle whose folder
    is gone is given up. In the end the service stands as a fresh start would leave it, bad bundles apart.
    """

    library: Library

    def __init__(self, folder: Path, *, default: str = "", provider: Literal["auto", "cpu", "cuda"] = "cpu") -> None:
        """Load every bundle of a folder, or none; `serving.library.Library` says what it raises.

        Args:
            folder: The models folder.
            default: The default model's name, or "" for the first.
            provider: Where to run.
        """
        self._folder, self._default, self._provider = folder, default, provider
        self._seen = _survey(folder)
        self._judged = dict(self._seen)
        self._missed: set[str] = set()
        self.library = Library(folder, default=default, provider=provider)
        for engine in self.library.engines.values():
            _count(engine, 1)

    def watch(self, seconds: float) -> None:
        """Refresh at this interval, in a thread that ends with the process."""

        def work() -> None:
            while not pause.wait(seconds):
                try:
                    self.refresh()
                except Exception:
                    logger.exception("could not look for new bundles in %s", self._folder)

        pause = threading.Event()
        threading.Thread(target=work, name="shelf", daemon=True).start()

    def refresh(self) -> None:
        """Take up what has changed and then rested since the last look; half a copy is not worth judging."""
        before, self._seen = self._seen, _survey(self._folder)
        engines = dict(self.library.engines)
        for name, signature in self._seen.items():
            if signature == before.get(name) and signature != self._judged.get(name):
                self._judged[name] = signature
                if engine := self._load(name):
                    engines[name] = engine
        for name in [name for name in engines if name not in self._seen and name not in before]:
            self._judged.pop(name, None)
            if name != self._default and len(engines) > 1:
                del engines[name]
            elif name not in self._missed:
                logger.error("the folder of bundle %s is gone; nothing else could answer, so it is kept", name)
        self._missed = engines.keys() - self._seen.keys() - before.keys()
        if engines != self.library.engines:
            self._replace(engines)

    def _load(self, name: str) -> Engine | None:
        try:
            check_name(self._folder / name)
            engine = Engine(self._folder / name, self._provider)
        except Exception as error:  # onnxruntime has exceptions of its own, and a bad bundle must not end the watch
            LOADS.labels("refused").inc()
            kept = ", which goes on answering as it was" if name in self.library.engines else ""
            logger.error("refused a new or changed bundle%s: %s", kept, error)
            return None
        LOADS.labels("loaded").inc()
        return engine

    def _replace(self, engines: dict[str, Engine]) -> None:
        old = self.library
        self.library = new = Library.of(self._folder, engines.values(), self._default)
        for name in {**old.engines, **new.engines}:
            if old.engines.get(name) is not new.engines.get(name):
                if name in old.engines:
                    _count(old.engines[name], -1)
                if name in new.engines:
                    _count(new.engines[name], 1)
                else:
                    LOADS.labels("removed").inc()
        logger.info("now serving %s", new.describe())


def _count(engine: Engine, change: int) -> None:
    BUNDLE.labels(engine.name, engine.version, engine.provider).inc(change)


def _survey(folder: Path) -> dict[str, Signature]:
    return {path.name: _sign(path) for path in list_bundles(folder)}


def _sign(folder: Path) -> Signature:
    entries = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.lstat()
        except FileNotFoundError:  # gone since it was listed: the next look will tell
            continue
        entries.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return (*entries, (str(folder), folder.stat().st_ino, 0, 0))
