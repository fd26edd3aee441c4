"""Links: what they say is understood, what they cannot mean is left out."""

import gradio as gr
import pytest

from demo.links import ITEM, Address, Setting, matching, read_address, read_settings, whole, within

NOW = Address(tab="explore", model=None, component=0)
TABS = ("explore", "map")


SETTINGS = [
    Setting("temperature", None, within(0, 2)),
    Setting("seed", None, whole),
    Setting("item", None, matching(ITEM)),
]
LEFT = gr.skip()


def test_a_whole_link():
    link = "?tab=map&model=m&component=3&temperature=0.5&seed=7&item=04&other=x"
    assert read_address(link, NOW, TABS) == Address("map", "m", 3, single=True, given=True)
    assert read_settings(link, SETTINGS) == [0.5, 7, "04"]


@pytest.mark.parametrize(
    "link",
    [
        "",
        "?",
        "?tab=gone",
        "?component=-1",
        "?component=one",
        "?component=1e99",
        "?seed=nan",
        "?seed=inf",
        "?seed=1e99",
        "?temperature=2.5",
        "?temperature=",
        "?item=-1",
        "?item=1;2",
        "?&&=%ff&tab",
    ],
)
def test_what_cannot_be_meant_is_left_out(link):
    assert read_address(link, NOW, TABS) == NOW
    assert read_settings(link, SETTINGS) == [LEFT] * 3


def test_a_link_without_a_component_means_the_mixture():
    asked = read_address("?model=m", NOW, TABS)
    assert (asked.single, asked.given) == (False, True)
