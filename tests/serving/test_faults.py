"""Models that fail on some inputs, behind a real server: the right status, no secrets, and life goes on."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

FAR = {"temperature": 10.0, "n": 64, "seed": 1}


@pytest.fixture(scope="module")
def faulty(start_service, faulty_models):
    with start_service(faulty_models) as running:
        yield running


def error(reply):
    assert "Traceback" not in reply.text
    return reply.status_code, reply.json()["error"]["code"]


def metric(service, name):
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_model_that_gives_nan_is_at_fault(faulty):
    before = metric(faulty, "relatent_non_finite_outputs_total")
    for path in ("/sample", "/sample.png"):
        assert error(httpx.post(f"{faulty.url}{path}", json={"model": "nan", **FAR})) == (500, "model_failure")
    assert metric(faulty, "relatent_non_finite_outputs_total") == before + 2
    assert "decoder.onnx gave a non-finite x" in faulty.log.read_text()
    assert httpx.post(f"{faulty.url}/sample", json={"model": "nan"}).status_code == 200


def test_who_chose_the_numbers_is_at_fault(faulty):
    reply = httpx.post(f"{faulty.url}/decode", json={"model": "nan", "latents": [[9.0] * 8]})
    assert error(reply) == (400, "no_finite_answer")
    assert httpx.post(f"{faulty.url}/decode", json={"model": "nan", "latents": [[1.0] * 8]}).status_code == 200


def test_a_graph_that_fails_to_run_is_an_internal_error(faulty):
    reply = httpx.post(f"{faulty.url}/sample", json={"model": "broken", **FAR})
    assert error(reply) == (500, "internal")
    assert "Gather" not in reply.text
    assert "Gather" in faulty.log.read_text()
    assert metric(faulty, 'relatent_errors_total{code="internal"}') == 1
    assert httpx.post(f"{faulty.url}/sample", json={"model": "broken"}).status_code == 200


def test_good_and_bad_requests_in_one_batch(faulty):
    """Everyone gets what they would have got alone, while others in the same runs of a graph make it fail."""
    codes = {"latents": [[0.5] * 8, [1.0] * 8]}
    bodies = [
        ("/sample", {"model": "nan", "n": 2, "seed": 1}, 200),
        ("/sample", {"model": "nan", **FAR}, 500),
        ("/sample", {"model": "broken", "n": 1, "seed": 3}, 200),
        ("/sample", {"model": "broken", **FAR}, 500),
        ("/sample.png", {"model": "nan", "n": 3, "seed": 2}, 200),
        ("/sample", {"n": 0}, 400),
        ("/decode", {"model": "nan", **codes}, 200),
        ("/decode", {"model": "nan", "latents": [[9.0] * 8]}, 400),
        ("/decode", {"model": "none", **codes}, 404),
    ]
    with httpx.Client(base_url=faulty.url, timeout=60) as client, ThreadPoolExecutor(18) as pool:
        alone = [client.post(path, json=body).content for path, body, _ in bodies]
        runs, requests = (metric(faulty, f"relatent_batch_requests_{part}") for part in ("count", "sum"))

        def ask(number):
            path, body, _ = bodies[number % len(bodies)]
            return client.post(path, json=body)

        for number, reply in enumerate(pool.map(ask, range(20 * len(bodies)))):
            assert reply.status_code == bodies[number % len(bodies)][2]
            assert reply.content == alone[number % len(bodies)]
    runs = metric(faulty, "relatent_batch_requests_count") - runs
    requests = metric(faulty, "relatent_batch_requests_sum") - requests
    assert requests > runs  # some did run together
