"""Fixtures of the library's tests."""

import pytest
import torch


@pytest.fixture
def rng() -> torch.Generator:
    """Seeded anew for each test."""
    return torch.Generator().manual_seed(0)
