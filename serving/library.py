"""The bundles of one models folder, loaded and found by name."""

import logging
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from serving.bundle import BundleError, check_name
from serving.engine import Engine
from serving.manifest import MANIFEST

logger = logging.getLogger("relatent")


class Library:
    """Loaded engines, in an order that puts the easiest to show first; never changed once made.

    That is: fewer views first, then fewer values per item, then probabilistic before deterministic, then by name. The
    first is the default model unless a setting names another.
    """

    engines: dict[str, Engine]
    default: str

    def __init__(self, folder: Path, *, default: str = "", provider: Literal["auto", "cpu", "cuda"] = "cpu") -> None:
        """Load every bundle of a folder, or none.

        Args:
            folder: Its sub-folders with a manifest are the bundles; all else is passed over.
            default: The default model's name, or "" for the first.
            provider: Where to run; see `serving.provider`.

        Raises:
            BundleError: If there is no bundle, one is unsound, or the default is not among them.
        """
        folders = list_bundles(folder)
        if folders and (others := list_others(folder)):
            logger.warning("passed over in %s, for want of a %s: %s", folder, MANIFEST, ", ".join(others))
        for path in folders:
            check_name(path)
        self._arrange(folder, [Engine(path, provider) for path in folders], default)

    @classmethod
    def of(cls, folder: Path, engines: Iterable[Engine], default: str = "") -> "Library":
        """A library of engines that are loaded already; otherwise as the constructor."""
        library = cls.__new__(cls)
        library._arrange(folder, engines, default)
        return library

    def _arrange(self, folder: Path, engines: Iterable[Engine], default: str) -> None:
        ordered = sorted(engines, key=_order)
        self.engines = {engine.name: engine for engine in ordered}
        if not ordered:
            raise BundleError(folder, "*/manifest.json", "at least one bundle", _describe_none(folder))
        if default and default not in self.engines:
            raise BundleError(folder, f"{default}/manifest.json", "the default model", f"only {list(self.engines)}")
        self.default = default or ordered[0].name

    def find(self, name: str | None) -> Engine:
        """The engine of that name; the default one if None. KeyError if there is none."""
        return self.engines[self.default if name is None else name]

    def describe(self) -> str:
        """One line naming every bundle and where it runs."""
        return ", ".join(
            f"{name}{' (default)' if name == self.default else ''} on {engine.provider}"
            for name, engine in self.engines.items()
        )


def list_bundles(folder: Path) -> list[Path]:
    """The bundles of a models folder, by name: its sub-folders that hold a manifest, hidden ones apart.

    Whatever else lies there, such as a volume's lost+found, is no bundle.
    """
    return [path for path in _visible(folder) if _holds_manifest(path)]


def list_others(folder: Path) -> list[str]:
    """Names of a models folder's sub-folders, dead links among them, that are no bundles and not hidden."""
    return [path.name for path in _visible(folder) if not path.is_file() and not _holds_manifest(path)]


def _describe_none(folder: Path) -> str:
    if not folder.is_dir():
        return "a file where a folder should be" if folder.exists() else "no such folder"
    if _holds_manifest(folder):
        return f"one that is a bundle itself: give the folder that it lies in, {folder.parent}"
    others = ", ".join(list_others(folder))
    return f"none; {others} without one" if others else "none"


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if not path.name.startswith(".")]


def _holds_manifest(folder: Path) -> bool:
    return os.path.isfile(folder / MANIFEST)  # noqa: PTH113 (Path.is_file raises where it may not look)


def _order(engine: Engine) -> tuple[int, int, bool, str]:
    views = engine.manifest.views.values()
    values = sum(math.prod(view.shape) for view in views)
    return len(views), values, engine.manifest.kind == "deterministic", engine.name
