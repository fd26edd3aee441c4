"""The bundles of one models folder, loaded and found by name."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from serving.bundle import BundleError
from serving.engine import Engine


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
            folder: Its sub-folders are the bundles; files and hidden folders in it are left alone.
            default: The default model's name, or "" for the first.
            provider: Where to run; see `serving.provider`.

        Raises:
            BundleError: If there is no bundle, one is unsound, or the default is not among them.
        """
        folders = list_bundles(folder)
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
            raise BundleError(folder, "*/manifest.json", "at least one bundle", "none")
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
    """The sub-folders of a models folder that are meant to be bundles: all but the hidden ones, by name."""
    return [path for path in sorted(folder.glob("*/")) if not path.name.startswith(".")]


def check_name(path: Path) -> None:
    """Raise `BundleError` if a bundle's folder has a name that no request could say."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", path.name):
        raise BundleError(path, "its folder", "a name of letters, digits, '_', '.' and '-'", repr(path.name))


def _order(engine: Engine) -> tuple[int, int, bool, str]:
    views = engine.manifest.views.values()
    values = sum(math.prod(view.shape) for view in views)
    return len(views), values, engine.manifest.kind == "deterministic", engine.name
