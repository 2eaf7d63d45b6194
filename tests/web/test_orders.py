"""The line of orders."""

import threading

import pytest

from toonify.web.orders import Line
from toonify.web.problems import Problem


@pytest.fixture
def line():
    line = Line(length=3, share=2, seconds=20)
    yield line
    line.close()


def test_orders_are_worked_off_in_turn(line):
    gate, done = threading.Event(), []
    orders = [
        line.add(client, "photo", lambda order: (gate.wait(20), done.append(order.client)))
        for client in "aba"
    ]
    assert [line.place(order) for order in orders] == [0, 1, 2]
    assert line.left(2) > line.left(1) > 0
    with pytest.raises(Problem) as refused:
        line.add("a", "photo", lambda order: None)
    assert refused.value.status == 429
    with pytest.raises(Problem) as refused:
        line.add("c", "photo", lambda order: None)
    assert refused.value.status == 503 and refused.value.retry_after is not None
    gate.set()
    assert all(order.finished.wait(20) for order in orders)
    assert done == ["a", "b", "a"]


def test_a_failure_and_a_canceled_order_stop_nobody(line):
    gate = threading.Event()

    def break_down(order):
        gate.wait(20)
        raise RuntimeError("broken")

    broken = line.add("a", "photo", break_down)
    canceled = line.add("a", "photo", lambda order: pytest.fail("is not begun"))
    fine = line.add("b", "photo", lambda order: 7)
    canceled.cancel()
    gate.set()
    assert fine.finished.wait(20) and fine.result == 7
    assert broken.state == "failed" and isinstance(broken.error, RuntimeError)
    assert canceled.state == "canceled"


def test_closing_ends_what_is_worked_on_and_what_waits(line):
    begun = threading.Event()

    def work(order):
        begun.set()
        while True:
            order.advance(1, 4)

    working = line.add("a", "clip", work)
    waiting = line.add("b", "clip", lambda order: None)
    assert begun.wait(20)
    line.close()
    assert working.state == waiting.state == "canceled"
    assert working.progress == 0.25
    with pytest.raises(Problem):
        line.add("a", "clip", work)
