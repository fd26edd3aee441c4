"""Requests of all kinds, good and bad, without pause: every answer is the one it was at first, and memory stays flat.

Ten seconds; SOAK_SECONDS=600 soaks as long.
"""

import base64
import json
import os
import threading
import time
from collections import Counter

import httpx
import numpy as np
import psutil
import pytest

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
GROWTH = 16  # MB: what one request of the largest body may leave in the allocator's hands


@pytest.fixture(scope="module")
def requests_of_all_kinds(pictures):
    drawn = [pictures.to_base64(np.full((28, 28), grey, np.uint8)) for grey in range(16)]
    values = np.random.default_rng(0).random((16, 1, 28, 28)).round(6).tolist()
    bodies = [
        ("/sample", {"n": 1, "seed": 1}),
        ("/sample.png", {"n": 64, "seed": 2, "model": "beta"}),
        ("/encode", {"images": drawn}),
        ("/reconstruct", {"x": values}),
        ("/decode", {"latents": [[0.5] * 8] * 64}),
        ("/interpolate", {"from": 0, "to": drawn[0], "steps": 32}),
        ("/sample", {"n": 0}),
        ("/sample", {"model": "gamma"}),
        ("/encode", {"images": ["AAAA"] * 16}),
        ("/encode", {"images": [base64.b64encode(bytes(10**6)).decode()]}),
        ("/decode", {"latents": [[0.5] * 200_000]}),
        ("/nope", {}),
    ]
    return [(path, json.dumps(body).encode()) for path, body in bodies]


def test_memory_stays_flat_and_answers_the_same(service, requests_of_all_kinds):
    first, different, done = {}, Counter(), threading.Event()
    answered = Counter()

    def ask_on(offset):
        with httpx.Client(base_url=service.url, timeout=60, headers={"content-type": "application/json"}) as client:
            turn = offset
            while not done.is_set():
                path, body = requests_of_all_kinds[turn % len(requests_of_all_kinds)]
                reply = client.post(path, content=body)
                answer = reply.status_code, reply.content
                if first.setdefault((path, body), answer) != answer:
                    different[path, reply.status_code] += 1
                answered[reply.status_code] += 1
                turn += 1

    def grown_from(start):
        return psutil.Process(service.process.pid).memory_info().rss / 1e6 - start

    threads = [threading.Thread(target=ask_on, args=(3 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 120
        while answered.total() < 8 * len(requests_of_all_kinds):  # every kind on every thread has been asked
            assert time.monotonic() < deadline
            time.sleep(0.05)
        start = grown_from(0)
        time.sleep(SECONDS)
        grown = grown_from(start)
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    print(f"{answered.total()} answers {dict(answered)}, memory {start:.0f} MB {grown:+.1f} MB in {SECONDS:g} s")  # noqa: T201
    assert set(answered) == {200, 400, 404}
    assert not different
    assert grown < GROWTH
