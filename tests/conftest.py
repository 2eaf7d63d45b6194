"""Shared by all tests."""

import os

# Tiny networks gain nothing from threads, and wait for each other on a busy machine. Set before
# torch is imported, and as a variable, so that it holds in processes that tests start, too.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
