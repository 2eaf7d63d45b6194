"""One worker for all visitors: orders wait in line, bounded as a whole and for each client."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal

from toonify.web.problems import Problem

log = logging.getLogger(__name__)

State = Literal["waiting", "working", "done", "failed", "canceled"]
_TYPICAL = 8  # finished orders of a kind that its expected duration is the mean of


class Order:
    """Something to be drawn, from its acceptance on.

    Attributes:
        id: unguessable.
        client: who ordered.
        kind: orders of one kind take about as long as each other.
        state: see `State`.
        progress: share of the work that is done, 0..1.
        result: of `work`, when done.
        error: why it failed, when failed.
    """

    def __init__(
        self,
        client: str,
        kind: str,
        work: Callable[[Order], Any],
        until: float,
        after: Callable[[], None],
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        self.client, self.kind = client, kind
        self.state: State = "waiting"
        self.progress = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self._work, self._after = work, after
        self._until = until
        self._stop = False
        self.finished = threading.Event()

    def cancel(self) -> None:
        """Nobody wants it any more: it isn't begun, or is stopped where its work asks."""
        self._stop = True

    def check(self) -> None:
        """To be called by the work now and then.

        Raises:
            Problem: it was canceled, or has taken too long.
        """
        if self._stop:
            raise Canceled()
        if time.monotonic() > self._until:
            raise Problem(
                HTTPStatus.GATEWAY_TIMEOUT,
                "it took longer than this server allows. Try a shorter clip or a smaller picture.",
            )

    def advance(self, done: int, total: int | None) -> None:
        """Tell how far the work is, and `check`."""
        self.check()
        if total:
            self.progress = min(done / total, 1.0)

    def run(self) -> None:
        """Do the work; every outcome ends in a state."""
        state: State = "failed"
        try:
            self.check()
            self.state = "working"
            self.result = self._work(self)
            self.check()
            state = "done"
        except Canceled:
            self.result, state = None, "canceled"
        except BaseException as error:
            self.error = error
        self.end(state)

    def end(self, state: State) -> None:
        """It is finished, begun or not."""
        try:
            self._after()
        finally:
            self.state = state
            self.finished.set()


class Canceled(Exception):
    """The order was canceled."""


class Line:
    """Orders in line and the thread that works them off.

    Args:
        length: orders that wait or are worked on, of all clients.
        share: of one client.
        seconds: an order may wait and work.
    """

    def __init__(self, *, length: int, share: int, seconds: float) -> None:
        self.length, self.share, self.seconds = length, share, seconds
        self._orders: deque[Order] = deque()  # the first one is worked on
        self._changed = threading.Condition()
        self._durations: dict[str, deque[float]] = {}
        self._begun = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="toonify-worker", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._orders)

    def add(
        self,
        client: str,
        kind: str,
        work: Callable[[Order], Any],
        *,
        after: Callable[[], None] = lambda: None,
    ) -> Order:
        """Take an order.

        Args:
            after: called once the order is finished, in whatever way, be it never begun.

        Raises:
            Problem: the line, or the client's share of it, is full.
        """
        with self._changed:
            waiting = self.left(len(self._orders))
            if self._closed:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down.")
            if sum(order.client == client for order in self._orders) >= self.share:
                raise Problem(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    f"{self.share} of your orders are in line already. Wait for one of them.",
                    retry_after=waiting,
                )
            if len(self._orders) >= self.length:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"{self.length} orders are in line, more are not taken. Try again soon.",
                    retry_after=waiting,
                )
            order = Order(client, kind, work, time.monotonic() + self.seconds, after)
            self._orders.append(order)
            self._changed.notify_all()
            return order

    def place(self, order: Order) -> int:
        """Orders before it; 0 while it is worked on and afterwards."""
        with self._changed:
            return self._orders.index(order) if order in self._orders else 0

    def left(self, place: int) -> float:
        """Seconds until the orders before `place` are worked off, as far as known."""
        ahead = list(self._orders)[:place]
        total = sum(self._typical(order.kind) for order in ahead)
        if ahead and self._begun:
            total -= min(time.monotonic() - self._begun, self._typical(ahead[0].kind))
        return total

    def _typical(self, kind: str) -> float:
        known = self._durations.get(kind)
        return sum(known) / len(known) if known else 2.0

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._orders or self._closed)
                if self._closed:
                    return
                order = self._orders[0]
                self._begun = time.monotonic()
            order.run()
            with self._changed:
                if order.state == "done":
                    past = self._durations.setdefault(order.kind, deque(maxlen=_TYPICAL))
                    past.append(time.monotonic() - self._begun)
                self._begun = 0.0
                if self._orders and self._orders[0] is order:
                    self._orders.popleft()
            if order.state == "failed":
                log.debug("an order failed: %s", order.error, exc_info=order.error)

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with self._changed:
            self._closed = True
            for order in self._orders:
                order.cancel()
            waiting = list(self._orders)[1:]
            self._orders = deque(list(self._orders)[:1])
            self._changed.notify_all()
        for order in waiting:
            order.end("canceled")
        self._thread.join(timeout=30)
