"""A client of the shared service, and pictures to send it."""

import base64
import io
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image


def to_base64(array, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def from_base64(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture(scope="session")
def pictures() -> SimpleNamespace:
    """Helpers: to_base64(array, kind) and from_base64(text)."""
    return SimpleNamespace(to_base64=to_base64, from_base64=from_base64)


@pytest.fixture(scope="session")
def client(service_url):
    with httpx.Client(base_url=service_url, timeout=30) as client:
        yield client
