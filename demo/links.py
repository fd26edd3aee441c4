"""Links: the page's address says which tab, model and component are open, and how the controls of every tab are set."""

import json
import re
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import gradio as gr

SCRIPT = Path(__file__).with_name("links.js").read_text(encoding="utf-8")
LARGEST = 10**6
"""Numbers beyond are no link of ours."""

ITEM = r"\d{1,6}"
"""The number of an item, from 0."""

Read = Callable[[str], Any]
"""What a link's text means; None if it cannot be meant."""


class Address(NamedTuple):
    """What to show.

    Attributes:
        tab: The open tab.
        model: The model's name; None for the default one.
        component: The slider's component.
        single: Whether to draw from it alone rather than from the whole mixture.
        given: Whether a link said any of it.
    """

    tab: str
    model: str | None
    component: int
    single: bool = False
    given: bool = False


class Setting(NamedTuple):
    """A control of a tab that stands in the address, unless it is as it was at first.

    Attributes:
        name: In the address.
        control: Its value as the page is built is the one left out.
        read: What a link's text means as its value.
    """

    name: str
    control: Any
    read: Read

    def keep(self) -> None:
        """Put the control's value into the address whenever it changes, in the browser alone."""
        usual = json.dumps(self.control.value)
        script = f"(value) => relatent.remember({self.name!r}, value === {usual} ? null : value)"
        self.control.change(None, self.control, None, js=script)


def read_address(link: str, now: Address, tabs: Container[str]) -> Address:
    """What a link asks for.

    Args:
        link: The address's query, such as "?tab=map&component=3"; what is not understood is left out.
        now: What the page shows by itself.
        tabs: The tabs that there are.

    Returns:
        The same with whatever the link changes.
    """
    query, asked = _query(link), now
    if (tab := query.get("tab", "")) in tabs:
        asked = asked._replace(tab=tab)
    if "model" in query:
        asked = asked._replace(model=query["model"])
    if (component := whole(query.get("component", ""))) is not None:
        asked = asked._replace(component=component, single=True)
    return asked if asked == now else asked._replace(given=True)


def read_settings(link: str, settings: Sequence[Setting]) -> list[Any]:
    """New values for the settings' controls; those that a link does not tell, or not well, stay as they are."""
    query = _query(link)
    values = [setting.read(query.get(setting.name, "")) for setting in settings]
    return [gr.skip() if value is None else value for value in values]


def misread_names(link: str, settings: Sequence[Setting]) -> list[str]:
    """What a link tells in a way that cannot be meant, by its names in the address."""
    reads = {"component": whole, **{setting.name: setting.read for setting in settings}}
    return [name for name, text in _query(link).items() if name in reads and reads[name](text) is None]


def whole(text: str) -> int | None:
    """A whole number."""
    number = within(0, LARGEST)(text)
    return None if number is None else int(number)


def within(low: float, high: float) -> Read:
    """A number in a range, both ends included."""

    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if low <= value <= high else None

    return read


def matching(pattern: str) -> Read:
    """A text that a regular expression matches as a whole."""
    return lambda text: text if re.fullmatch(pattern, text) else None


def yes(text: str) -> bool | None:
    """A box that is ticked."""
    return True if text == "true" else None


def remember(name: str, value: str) -> str:
    """JavaScript that puts a value into the address, and gives it."""
    return f"relatent.remember({name!r}, {value!r})"


def _query(link: str) -> dict[str, str]:
    return dict(parse_qsl(link.removeprefix("?")))
