"""Nothing but walls was moved: values, gradients and losses are those of values.json."""

import json

import pytest

from tests.frozen.values import RECORD, functions, losses, machine

KEPT = json.loads(RECORD.read_text())
# On another machine sums are rounded otherwise, and twenty steps in float32 carry that on.
SAME = KEPT["machine"] == machine()


def test_functions_and_gradients():
    found = functions()
    assert found.keys() == KEPT["functions"].keys()
    for name, numbers in found.items():
        assert numbers == pytest.approx(KEPT["functions"][name], rel=1e-12 if SAME else 1e-9, abs=1e-13), name


@pytest.mark.slow
def test_losses_of_twenty_steps():
    found = losses()
    assert found.keys() == KEPT["losses"].keys()
    for name, numbers in found.items():
        assert numbers == pytest.approx(KEPT["losses"][name], rel=1e-12 if SAME else 2e-3), name
