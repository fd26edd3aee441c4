import json
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serving.numbers import to_json

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(arrays(np.float32, (3, 2), elements=finite))
def test_every_float_reads_back_as_itself(values):
    read = np.array(json.loads(json.dumps(to_json(values))), dtype=np.float32)
    np.testing.assert_array_equal(read, values)


def test_prints_as_short_as_numpy_does():
    values = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    ours = [len(repr(number)) for number in to_json(values)]
    shortest = [len(repr(float(np.format_float_positional(number, unique=True)))) for number in values]
    assert ours == shortest
    assert to_json(np.array([0.1, 0.0776, 1e-3, 12345.67], np.float32)) == [0.1, 0.0776, 0.001, 12345.67]


def test_is_quick():
    values = np.random.default_rng(0).standard_normal((64, 784)).astype(np.float32)
    start = time.process_time()
    to_json(values)
    assert time.process_time() - start < 0.5  # 20 ms on a quiet core; one number at a time takes 100
