"""The tabs of the page, in the order in which they stand; a new one is a file here and a line in TABS."""

from collections.abc import Callable
from typing import NamedTuple

from demo.events import Events, Shared
from demo.links import Setting
from demo.tabs import compare, components, explore, interpolate, map, reconstruct, understand, views  # noqa: A004


class Tab(NamedTuple):
    """One tab."""

    name: str
    """In the page's address."""
    label: str
    build: Callable[[Shared, Events], list[Setting]]
    """Lays the tab out, given what stands above the tabs and the events upon which to redraw whatever is in it; returns
    the controls that stand in the page's address."""
    multiview: bool = False
    """Whether it is shown for models of several views alone."""


TABS = (
    Tab("explore", "Explore", explore.build),
    Tab("reconstruct", "Reconstruct", reconstruct.build),
    Tab("components", "Components", components.build),
    Tab("between", "Between", interpolate.build),
    Tab("map", "Map", map.build),
    Tab("views", "Views", views.build, multiview=True),
    Tab("compare", "Compare", compare.build),
    Tab("understand", "Understand", understand.build),
)
"""The first is open at first."""
