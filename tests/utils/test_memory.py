"""Freed memory is used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toonify.utils import memory

FAULTS = """
import resource, sys
import numpy as np
from toonify.utils.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
np.ones(12_000_000, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(12_000_000, np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("not glibc's malloc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_arrays_reuse_memory():
    assert _faults("keep") < 1000


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False


LEAVING = """
import atexit, gc, sys
from toonify.utils.memory import collect_less_often, leave_to_system
collect_less_often()
kept = [[] for _ in range(100)]
atexit.register(lambda: print("ended", gc.get_freeze_count() > 100))
looked_through = sum(generation["collections"] for generation in gc.get_stats())
objects = [[] for _ in range(8_000)]
print(sum(generation["collections"] for generation in gc.get_stats()) - looked_through)
leave_to_system()
"""


def test_a_programs_end_collects_nothing_but_says_good_bye():
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["0", "ended True"], done.stderr
