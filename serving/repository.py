"""The bundles of a models folder, loaded and found by name; new and changed ones are taken up while the service runs.

Ours looks at the folder, since watchfiles misses links that flip, by events as by polling, and files of equal times.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from serving.bundle import BundleError, check_name
from serving.engine import Engine
from serving.manifest import MANIFEST
from serving.metrics import BUNDLE, LOADS
from serving.settings import Settings

logger = logging.getLogger("relatent")

Signature = tuple[tuple[str, int, int, int], ...]


class Library(NamedTuple):
    """What a request is answered from, never changed once made: engines in the order of GET /models, and settings.

    That order puts the easiest to show first: fewer views, then fewer values per item, then probabilistic before
    deterministic, then by name. The first is the default unless a setting names another.
    """

    engines: dict[str, Engine]
    default: str
    settings: Settings

    def describe(self) -> str:
        """One line naming every bundle and where it runs."""
        return ", ".join(
            f"{name}{' (default)' if name == self.default else ''} on {engine.provider}"
            for name, engine in self.engines.items()
        )


class Repository:
    """Holds the library; looks after it from a thread of its own.

    A new or changed bundle is verified and loaded beside the one in use, and then the library is replaced as a whole:
    whoever took the old one finishes with it. A bundle that fails leaves the old one answering. A bundle whose folder
    is gone is given up. In the end the service stands as a fresh start would leave it, bad bundles apart.
    """

    library: Library

    def __init__(self, chosen: Settings) -> None:
        """Load every bundle of the models folder, which are its sub-folders with a manifest, or none.

        Raises:
            BundleError: If there is no bundle, one is unsound, or the default is not among them.
        """
        self._settings, self._folder = chosen, chosen.models
        folder = chosen.models
        self._seen = _survey(folder)
        self._judged = dict(self._seen)
        self._missed: set[str] = set()
        folders = _list_bundles(folder)
        if folders and (others := _list_others(folder)):
            logger.warning("passed over in %s, for want of a %s: %s", folder, MANIFEST, ", ".join(others))
        for path in folders:
            check_name(path)
        self.library = self._arrange([Engine.load(path, chosen.provider) for path in folders])
        _report(self.library.engines.values(), 1)

    def watch(self, seconds: float) -> None:
        """Refresh at this interval, in a thread that ends with the process."""

        def work() -> None:
            while True:
                time.sleep(seconds)
                try:
                    self.refresh()
                except Exception:
                    logger.exception("could not look for new bundles in %s", self._folder)

        threading.Thread(target=work, name="repository", daemon=True).start()

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
            if name != self._settings.default_model and len(engines) > 1:
                del engines[name]
            elif name not in self._missed:
                logger.error("the folder of bundle %s is gone; nothing else could answer, so it is kept", name)
        self._missed = engines.keys() - self._seen.keys() - before.keys()
        if engines != self.library.engines:
            self._replace(engines)

    def _load(self, name: str) -> Engine | None:
        try:
            check_name(self._folder / name)
            engine = Engine.load(self._folder / name, self._settings.provider)
        except Exception as error:  # onnxruntime has exceptions of its own, and a bad bundle must not end the watch
            LOADS.labels("refused").inc()
            kept = ", which goes on answering as it was" if name in self.library.engines else ""
            logger.error("refused a new or changed bundle%s: %s", kept, error)
            return None
        LOADS.labels("loaded").inc()
        return engine

    def _replace(self, engines: dict[str, Engine]) -> None:
        old = self.library.engines
        self.library = self._arrange(engines.values())
        _report(set(old.values()) - set(engines.values()), 0)
        _report(set(engines.values()) - set(old.values()), 1)
        LOADS.labels("removed").inc(len(old.keys() - engines.keys()))
        logger.info("now serving %s", self.library.describe())

    def _arrange(self, engines: Iterable[Engine]) -> Library:
        folder, default = self._folder, self._settings.default_model
        ordered = {engine.name: engine for engine in sorted(engines, key=_order)}
        if not ordered:
            raise BundleError(folder, "*/manifest.json", "at least one bundle", _describe_none(folder))
        if default and default not in ordered:
            raise BundleError(folder, f"{default}/manifest.json", "the default model", f"only {list(ordered)}")
        return Library(ordered, default or next(iter(ordered)), self._settings)


def _report(engines: Iterable[Engine], answering: int) -> None:
    for engine in engines:
        BUNDLE.labels(engine.name, engine.version, engine.provider).set(answering)


def _order(engine: Engine) -> tuple[int, int, bool, str]:
    views = engine.manifest.views.values()
    values = sum(math.prod(view.shape) for view in views)
    return len(views), values, engine.manifest.kind == "deterministic", engine.name


def _list_bundles(folder: Path) -> list[Path]:
    """By name: the sub-folders with a manifest, hidden ones apart. Others, such as a volume's lost+found, are none."""
    return [path for path in _visible(folder) if _holds_manifest(path)]


def _list_others(folder: Path) -> list[str]:
    """Names of sub-folders, dead links among them, that are no bundles and not hidden."""
    return [path.name for path in _visible(folder) if not path.is_file() and not _holds_manifest(path)]


def _describe_none(folder: Path) -> str:
    if not folder.is_dir():
        return "a file where a folder should be" if folder.exists() else "no such folder"
    if _holds_manifest(folder):
        return f"one that is a bundle itself: give the folder that it lies in, {folder.parent}"
    others = ", ".join(_list_others(folder))
    return f"none; {others} without one" if others else "none"


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if not path.name.startswith(".")]


def _holds_manifest(folder: Path) -> bool:
    return os.path.isfile(folder / MANIFEST)  # noqa: PTH113 (Path.is_file raises where it may not look)


def _survey(folder: Path) -> dict[str, Signature]:
    return {path.name: _sign(path) for path in _list_bundles(folder)}


def _sign(folder: Path) -> Signature:
    entries = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.lstat()
        except FileNotFoundError:  # gone since it was listed: the next look will tell
            continue
        entries.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return (*entries, (str(folder), folder.stat().st_ino, 0, 0))
