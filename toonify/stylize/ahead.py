"""Photographs read while others are drawn, within a bound of memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MEGAPIXELS = 64.0  # decoded and not yet drawn; a larger photograph alone
READERS = 2
AHEAD = 16  # photographs, however small


class Budget:
    """Megapixels in memory, granted in the order of the photographs.

    Args:
        limit: in all; one that is larger is granted when nothing else is in memory.
    """

    def __init__(self, limit: float = MEGAPIXELS) -> None:
        self._limit, self._used, self._turn = limit, 0.0, 0
        self._closed = False
        self._changed = threading.Condition()
        self._waits = False

    def take(self, turn: int, amount: float) -> None:
        """Wait for this turn, and until so much is free.

        Raises:
            RuntimeError: it was closed.
        """
        with self._changed:
            while not self._closed:
                if self._turn == turn:
                    if self._used == 0 or self._used + amount <= self._limit:
                        self._used += amount
                        self._turn += 1
                        self._waits = False
                        self._changed.notify_all()
                        return
                    self._waits = True
                self._changed.wait()
            raise RuntimeError("nothing more is read")

    def give(self, amount: float) -> None:
        """So much is free again."""
        with self._changed:
            self._used = max(0.0, self._used - amount)
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def exhausted(self) -> bool:
        """Whether the next photograph waits for memory."""
        return self._waits


class Ahead(Generic[T, R]):
    """Work on items in threads, a few ahead of whoever takes the results.

    Args:
        work: called with an item's number and the item.
        budget: closed when it is left.
    """

    def __init__(self, work: Callable[[int, T], R], budget: Budget) -> None:
        self._work, self._budget = work, budget
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="read")

    def through(self, items: Iterable[T | None]) -> Iterator[tuple[T, Future[R]] | None]:
        """Each item and its result to come, in order.

        None among the items means that there are no more for now: so much is passed on once all
        before it are.
        """
        under_way: deque[tuple[T, Future[R]]] = deque()
        number = 0
        for item in items:
            if item is None:
                while under_way:
                    yield under_way.popleft()
                yield None
                continue
            under_way.append((item, self._pool.submit(self._work, number, item)))
            number += 1
            if len(under_way) >= AHEAD:
                yield under_way.popleft()
        while under_way:
            yield under_way.popleft()

    def __enter__(self) -> Ahead[T, R]:
        return self

    def __exit__(self, *error: object) -> None:
        self._budget.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
