"""Memory: kept for the next arrays instead of allocated each time, collected less often, and
running out of it."""

from __future__ import annotations

import gc
import sys

# of glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> bool:
    """Have this process keep the memory of freed arrays for the next ones.

    glibc maps arrays of more than 32 MB anew each time, and the system clears them page by page:
    a third of the time of a 1024×1024 StyleGAN2 on a CPU. Kept memory counts as the process's
    (up to a third more at the peak), so this is for programs, not for libraries to do unasked.
    Threads share it: what each kept for itself, others could not use.

    Returns:
        whether it is so: only where the C library is glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return False
    kept = (
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_ARENA_MAX, 1),
        (_M_TOP_PAD, 2**26),
    )
    return all([bool(mallopt(name, value)) for name, value in kept])


def collect_less_often() -> None:
    """Have Python look for unreachable cycles of objects less often, in a program of our own.

    Importing torch makes a million objects that stay: looking through them again and again is a
    tenth of that time. Arrays are freed without it, as soon as nothing refers to them.
    """
    gc.set_threshold(10_000, 20, 20)


def leave_to_system() -> None:
    """At a program's end: what is in memory goes with the process, uncollected.

    Python would look through all of it once more, for 0.3 s where torch is loaded. What is
    registered for the end of the program still runs.
    """
    gc.freeze()


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out, of this machine or of its GPU: libraries say so in many ways."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or "memory" in text or "alloc" in text
