"""Shared by all tests."""

import pytest
import torch

# Tiny networks gain nothing from threads, and wait for each other on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
