"""Links: what they say is understood, what they cannot mean is left out."""

import pytest

from demo.address import Address, read_address

NOW = Address(tab="explore", model=None, component=0)
TABS = ("explore", "map")


def test_a_whole_link():
    link = "?tab=map&model=m&component=3&temperature=0.5&seed=7&other=x"
    assert read_address(link, NOW, TABS) == Address("map", "m", 3, single=True, temperature=0.5, seed=7, given=True)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "?",
        "?tab=gone",
        "?component=-1",
        "?component=one",
        "?seed=nan",
        "?seed=inf",
        "?seed=1e99",
        "?temperature=2.5",
        "?temperature=",
        "?&&=%ff&tab",
    ],
)
def test_what_cannot_be_meant_is_left_out(link):
    assert read_address(link, NOW, TABS) == NOW


def test_a_link_without_a_component_means_the_mixture():
    asked = read_address("?model=m&seed=4", NOW, TABS)
    assert (asked.single, asked.seed, asked.given) == (False, 4, True)
