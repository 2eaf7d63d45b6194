"""Workers on Ray: one a GPU, or one a group of cores."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from typing import Any

from toonify.cluster.schedule import Task, WorkerLost
from toonify.cluster.worker import OrdersT, Worker
from toonify.errors import InputError, ToonifyError, UsageError

LOCAL = "local"
CORES = 4  # a worker without a GPU
REACH_SECONDS = 5.0
JOIN_SECONDS = 30.0
START_SECONDS = 300.0  # without any worker
MOST_STARTS = 3  # that fail one after the other
STORE_BYTES = 100 << 20  # results are records: pictures go through the shared path


def check_address(text: str) -> str:
    """An address as it was given.

    Raises:
        UsageError: neither "local" nor HOST:PORT.
    """
    host, colon, port = text.rpartition(":")
    if text != LOCAL and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"`cluster` {text!r} is no address", hint="Say local, or HOST:PORT.")
    return text


class RayPool:
    """Engine actors on a Ray cluster; close it when all is drawn.

    Args:
        address: "local" for workers on this machine alone, reached over loopback; or HOST:PORT
            of a running cluster's head.
        worker: a class of `Worker`.
        orders: what every worker needs to know.
        workers: how many; None for one a GPU, or one per four cores where there are none.

    Raises:
        UsageError: Ray isn't installed, or the address is none.
        InputError: the cluster can't be reached.
    """

    def __init__(
        self,
        address: str,
        worker: type[Worker[OrdersT]],
        orders: OrdersT,
        *,
        workers: int | None = None,
    ) -> None:
        check_address(address)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_worker_niceness", "0")  # as this program itself, not below it
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        # Else what Ray says of lost workers stands among the results, on stdout.
        os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."
        if address == LOCAL:  # all of Ray on the loopback interface, as on Windows and macOS
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "`cluster` needs Ray, which is not installed",
                hint="pip install 'toonify-toolkit[cluster]'",
            ) from error
        self._ray = ray
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if address == LOCAL:
                ray.init(
                    address="local",
                    include_dashboard=False,
                    object_store_memory=STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
            else:
                _reach(address)
                ray.init(address=address, **quiet)
        except ToonifyError:
            raise
        except Exception as error:
            raise InputError(f"can't join the cluster at {address}: {error}") from error
        self._actor: Any = ray.remote(worker)
        self._orders = ray.put(orders)
        self._waiting: dict[Any, tuple[Any, Task[Any] | None]] = {}  # reply → worker and its task
        self._idle: list[Any] = []
        self._failed_starts = 0
        gpus, cores = self._size()
        self._resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1}
        if gpus:
            self.workers = workers or int(sum(gpus))
        else:
            largest = int(max(cores, default=1))
            share = CORES if workers is None else int(sum(cores)) // workers
            group = max(1, min(share, largest))
            self._resources = {"num_cpus": group}
            self.workers = workers or max(1, sum(int(count) // group for count in cores))
        for _ in range(self.workers):
            self._start()

    def _size(self) -> tuple[list[float], list[float]]:
        """GPUs of each machine that has some, and cores of each machine."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = [node["GPU"] for node in alive if node.get("GPU", 0) >= 1]
        return gpus, [node["CPU"] for node in alive if node.get("CPU", 0) >= 1]

    def _start(self) -> None:
        actor = self._actor.options(**self._resources).remote(self._orders)
        self._waiting[actor.prepare.remote()] = (actor, None)

    @property
    def idle(self) -> int:
        """How many wait for a task."""
        return len(self._idle)

    def submit(self, task: Task[Any]) -> None:
        """Give a task to a worker that is idle."""
        actor = self._idle.pop()
        self._waiting[actor.draw.remote(task)] = (actor, task)

    def next(self) -> tuple[Task[Any], Any] | None:
        """Wait for a task to end, or for a worker to become idle.

        Returns:
            The task, and its results or the `WorkerLost` that it ended with; None for a worker
            that became idle.

        Raises:
            ToonifyError: a worker can't draw at all, or none comes up.
        """
        busy = any(task is not None for _, task in self._waiting.values())
        timeout = None if busy or self._idle else START_SECONDS
        done, _ = self._ray.wait(list(self._waiting), num_returns=1, timeout=timeout)
        if not done:
            raise InputError(
                f"no worker came up within {START_SECONDS:.0f} s",
                hint="See what else runs on the cluster.",
            )
        actor, task = self._waiting.pop(done[0])
        try:
            outcome = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            self._replace(actor, error, starting=task is None)
            return None if task is None else (task, WorkerLost(_first_line(error)))
        self._failed_starts = 0
        self._idle.append(actor)
        return None if task is None else (task, outcome)

    def _replace(self, actor: Any, error: Exception, *, starting: bool) -> None:
        """A new worker for one that was lost."""
        self._ray.kill(actor)
        self._failed_starts += starting
        if self._failed_starts >= MOST_STARTS:
            raise InputError(
                f"{MOST_STARTS} workers ended before they could draw: {_first_line(error)}",
                hint="Have all machines the same Python, Ray and toonify, and memory enough?",
            ) from error
        self._start()

    def close(self) -> None:
        """End the workers, and Ray where it was started for this run."""
        self._ray.shutdown()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


# Of whatever else listens there Ray tells on stderr, again and again, for minutes.
_JOIN = """
import logging, sys, ray
try:
    ray.init(address=sys.argv[1], logging_level=logging.ERROR, log_to_driver=False)
except Exception as error:
    print(str(error).strip().partition(chr(10))[0])
    sys.exit(1)
"""


def _reach(address: str) -> None:
    """Raises: InputError: nobody listens there, or something else than a Ray cluster's head."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"can't reach the cluster at {address}: {error.strerror or error}",
            hint="Is its head node running, and the port open?",
        ) from error
    command = [sys.executable, "-c", _JOIN, address]
    tries = {**os.environ, "RAY_NUM_REDIS_GET_RETRIES": "3"}
    try:
        joined = subprocess.run(
            command, capture_output=True, text=True, env=tries, timeout=JOIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"what listens at {address} doesn't answer as a Ray cluster within {JOIN_SECONDS:g} s",
            hint="Give the port of Ray's head node, which is 6379 as a rule.",
        ) from error
    if joined.returncode:
        reason = joined.stdout.strip() or "its check ended without a word"
        raise InputError(
            f"can't join the cluster at {address}: {reason}",
            hint="Is it the port of Ray's head node, and of the same Ray and Python?",
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    if "memory" in text.lower():
        return "a worker ran out of memory"
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
