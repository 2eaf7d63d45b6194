import threading
import time

import pytest

from toonify.stylize.ahead import AHEAD, Ahead, Budget


def test_memory_is_granted_in_order_and_within_the_limit():
    budget = Budget(10)
    used, most, order = 0, 0, []
    lock = threading.Lock()

    def work(number, size):
        nonlocal used, most
        budget.take(number, size)
        with lock:
            order.append(number)
            used += size
            most = max(most, used)
        return size

    sizes = [4, 4, 4, 25, 1, 9, 9, 3] * 5
    with Ahead(work, budget) as ahead:
        for _, future in ahead.through(sizes):
            size = future.result(timeout=30)
            with lock:
                used -= size
            budget.give(size)
    assert order == list(range(len(sizes))) and most == 25


def test_the_next_one_waits_and_says_so():
    budget = Budget(10)
    budget.take(0, 8)
    thread = threading.Thread(target=budget.take, args=(1, 8))
    thread.start()
    deadline = time.monotonic() + 30
    while not budget.exhausted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert budget.exhausted
    budget.give(8)
    thread.join(30)
    assert not thread.is_alive() and not budget.exhausted


def test_leaving_early_ends_the_threads():
    budget = Budget(1)

    def work(number, item):
        budget.take(number, 1)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Ahead(work, budget) as ahead:
        next(ahead.through(range(100)))
        raise KeyboardInterrupt
    assert threading.active_count() == before


def test_no_more_than_a_few_ahead_and_none_means_wait():
    requested = []

    def items():
        for number in range(40):
            requested.append(number)
            yield number
            if number == 30:
                yield None

    with Ahead(lambda number, item: item, Budget()) as ahead:
        seen = []
        for step in ahead.through(items()):
            if step is None:
                assert len(seen) == 31 and requested[-1] == 30
                continue
            seen.append(step[1].result())
            assert len(requested) - len(seen) <= AHEAD
    assert seen == list(range(40))
