"""Shared by all tests; its place puts tests/ on the import path (seeded.py, parity.py)."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
