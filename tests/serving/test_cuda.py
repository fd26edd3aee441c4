"""What a CUDA device is given, seen by a session that stands for one: buckets, bound memory, warm before it is used."""

import numpy as np
import onnxruntime
import pytest

from serving import sessions
from serving.sessions import BUCKETS, BoundSession


class Fake:
    """A session on the CPU that passes for one on CUDA, and notes the rows of every run."""

    def __init__(self, path):
        self._inner = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.rows = []

    def get_inputs(self):
        return self._inner.get_inputs()

    def get_outputs(self):
        return self._inner.get_outputs()

    def get_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def io_binding(self):
        return self._inner.io_binding()

    def run_with_iobinding(self, binding):
        self._inner.run_with_iobinding(binding)
        self.rows.append(len(binding.copy_outputs_to_cpu()[0]))


@pytest.fixture(params=["encoder.onnx", "decoder.onnx", "prior.onnx", "responsibilities.onnx"])
def graph(request, tiny_models):
    path = tiny_models / "alpha" / request.param
    fake = Fake(path)
    return fake, BoundSession(fake), onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def feeds(session, n):
    rng = np.random.default_rng(n)
    return {
        given.name: np.arange(n) % 10
        if given.type == "tensor(int64)"
        else rng.random((n, *given.shape[1:]), np.float32)
        for given in session.get_inputs()
    }


def test_every_bucket_has_run_before_the_session_is_handed_out(graph):
    fake, _, _ = graph
    assert fake.rows == list(BUCKETS)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 33, 64, 70])
def test_answers_are_those_of_the_plain_session(graph, n):
    fake, bound, plain = graph
    given = feeds(plain, n)
    for _ in range(2):  # memory that is used again holds nothing of before
        other = bound.run(None, feeds(plain, max(1, n - 1)))
        found, expected = bound.run(None, given), plain.run(None, given)
        assert fake.rows[-1] == next((rows for rows in BUCKETS if rows >= n), n)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    kept = [part.copy() for part in other]
    bound.run(None, given)
    for before, after in zip(kept, other, strict=True):  # and an answer is not overwritten by the next run
        np.testing.assert_array_equal(before, after)
    name = plain.get_outputs()[-1].name
    np.testing.assert_allclose(bound.run([name], given)[0], plain.run([name], given)[0], atol=1e-6)


def test_a_session_on_cuda_is_bound(monkeypatch, tiny_models):
    path = tiny_models / "alpha" / "prior.onnx"
    monkeypatch.setattr(sessions, "choose_provider", lambda _: "cuda")
    fake = Fake(path)
    fake.disable_fallback = lambda: None
    monkeypatch.setattr(sessions.onnxruntime, "InferenceSession", lambda *_, **__: fake)
    session = sessions.open_session(path.read_bytes(), "cuda")
    assert isinstance(session, BoundSession)
    assert session.get_providers()[0] == "CUDAExecutionProvider"
