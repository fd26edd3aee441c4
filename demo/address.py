"""The page's address: which tab, model, component, seed and temperature a link asks for."""

from collections.abc import Container
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

ADDRESS = Path(__file__).with_name("address.js").read_text(encoding="utf-8")
LARGEST = 10**6
"""Components and seeds beyond are no link of ours."""


class Address(NamedTuple):
    """What to show.

    Attributes:
        tab: The open tab.
        model: The model's name; None for the default one.
        component: The slider's component.
        single: Whether to draw from it alone rather than from the whole mixture.
        temperature: Factor on standard deviations.
        seed: Of the samples.
        given: Whether a link said any of it.
    """

    tab: str
    model: str | None
    component: int
    single: bool = False
    temperature: float = 1.0
    seed: int = 0
    given: bool = False


def read_address(link: str, now: Address, tabs: Container[str]) -> Address:
    """What a link asks for.

    Args:
        link: The address's query, such as "?tab=map&seed=3"; what is not understood is left out.
        now: What the page shows by itself.
        tabs: The tabs that there are.

    Returns:
        The same with whatever the link changes.
    """
    query, asked = dict(parse_qsl(link.removeprefix("?"))), now
    if (tab := query.get("tab", "")) in tabs:
        asked = asked._replace(tab=tab)
    if "model" in query:
        asked = asked._replace(model=query["model"])
    if (component := _number(query.get("component"), LARGEST)) is not None:
        asked = asked._replace(component=int(component), single=True)
    if (seed := _number(query.get("seed"), LARGEST)) is not None:
        asked = asked._replace(seed=int(seed))
    if (temperature := _number(query.get("temperature"), 2)) is not None:
        asked = asked._replace(temperature=temperature)
    return asked if asked == now else asked._replace(given=True)


def _number(text: str | None, largest: float) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value <= largest else None


def remember(name: str, value: str) -> str:
    """JavaScript that puts a value into the address, and gives it."""
    return f"relatent.remember({name!r}, {value!r})"
