"""Training shared by several processes: GPUs of one machine or of many, or plain CPU processes.

Each process holds both networks and works on every `size`-th sample of the batch; gradients are
averaged before each optimizer step. Random numbers are drawn for the whole batch in every process,
which then takes its share, so that a run doesn't depend on how many processes there are.
"""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from toonify.errors import ToonifyError, UsageError

T = TypeVar("T")

# Stages that one process works on alone may take days; a process that dies is noticed at once.
_PATIENCE = timedelta(days=14)
_GRACE = 15.0  # seconds that the others have to end after one has failed
_WAKE = 1.0  # seconds


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that reads, writes and reports."""
        return self.rank == 0

    def share(self, values: Tensor) -> Tensor:
        """This process's part of one value a sample, (B, …) → (B / size, …).

        Strided, so that the discriminator's strided groups of four stay whole.
        """
        return values[self.rank :: self.size]

    def mean(self, values: Tensor) -> Tensor:
        """The processes' mean of a small tensor, on the CPU."""
        values = values.detach().cpu()
        if self.size > 1:
            dist.all_reduce(values)
            values = values / self.size
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process raises its flag."""
        return bool(self.mean(torch.tensor(float(flag))) > 0)

    def mean_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by the processes' mean."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        parts = (flat / self.size).split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def on_first(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, in all of them; its failures too."""
        if self.size == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.first:
            try:
                outcome[0] = work()
            except (ToonifyError, KeyboardInterrupt) as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome, device=torch.device("cpu"))
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def check_same(self, what: str, value: str) -> None:
        """Raise UsageError where the processes don't hold the same value."""
        values: list[Any] = [None] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
            if len(set(values)) > 1:
                raise UsageError(
                    f"{what} differ between the machines of this run",
                    hint="Give every machine the same files and options.",
                )


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that `torchrun` or `launch` started; one alone without them.

    Args:
        device: cuda stands for one GPU a process.

    Yields:
        the processes, and this one's device.

    Raises:
        UsageError: more processes on this machine than GPUs, or one GPU named for all.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield World(), device
        return
    backend = "gloo"
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", 0))
        if device.index is not None or local >= torch.cuda.device_count():
            raise UsageError(
                f"{torch.cuda.device_count()} GPUs are too few for the processes, or one was named",
                hint="Use `device` cuda and at most one process a GPU.",
            )
        device, backend = torch.device("cuda", local), "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise UsageError(f"{device.type} serves one process only", hint="Use `processes` 1.")
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()


def launch(work: Callable[..., None], count: int, *arguments: Any) -> None:
    """Run `work(*arguments)` in `count` new processes of this machine that can join each other.

    Ctrl-C is passed on to all of them, and they end if this process is killed. The first to fail
    ends the others.

    Args:
        work: a module's function, with arguments that can be pickled.

    Raises:
        ToonifyError, KeyboardInterrupt: what a process raised.
        RuntimeError: a process crashed or was killed.
    """
    context = multiprocessing.get_context("spawn")
    port, logger = _free_port(), logging.getLogger("toonify")
    reports: list[Connection] = []
    processes = []
    for rank in range(count):
        ours, theirs = context.Pipe(duplex=False)
        target = (rank, count, port, theirs, logger.level, work, arguments)
        process = context.Process(target=_child, args=target)
        process.start()
        theirs.close()
        reports.append(ours)
        processes.append(process)

    def forward(number: int, frame: Any) -> None:
        for process in processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)

    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
    previous = {number: signal.signal(number, forward) for number in numbers}
    outcomes: list[Any] = []
    try:
        while reports:
            failed = any(outcome is not None for outcome in outcomes)
            # a signal that another thread took is only handled once this one wakes up
            ready = wait(reports, timeout=_GRACE if failed else _WAKE)
            if failed and not ready:
                for process in processes:
                    process.terminate()
            for report in ready:
                assert isinstance(report, Connection)
                try:
                    received = report.recv()
                except EOFError:
                    received = RuntimeError("a process of the run was killed")
                if isinstance(received, logging.LogRecord):
                    logger.handle(received)
                    continue
                reports.remove(report)
                outcomes.append(received)
    finally:
        for process in processes:
            process.join()
        for number, handler in previous.items():
            signal.signal(number, handler)
    # What went wrong first makes the others lose their connection: tell the cause.
    for kind in (ToonifyError, KeyboardInterrupt, Exception):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                raise outcome


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _SentToParent(logging.handlers.QueueHandler):
    """What a process logs, through the pipe that its outcome takes."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(queue.SimpleQueue())
        self._pipe = pipe

    def enqueue(self, record: logging.LogRecord) -> None:
        self._pipe.send(record)


def _child(
    rank: int,
    size: int,
    port: int,
    report: Connection,
    level: int,
    work: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    logger = logging.getLogger("toonify")
    logger.addHandler(_SentToParent(report))
    logger.setLevel(level)
    if hasattr(os, "setsid"):
        os.setsid()  # the terminal's Ctrl-C comes through the parent, and so only once
    # a shell's background jobs ignore it, and their children too: what is passed on is meant
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(size),
        LOCAL_WORLD_SIZE=str(size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    threading.Thread(target=_follow_parent, daemon=True).start()
    outcome: BaseException | None = None
    try:
        work(*arguments)
    except (ToonifyError, KeyboardInterrupt) as error:
        outcome = error
    except Exception:
        outcome = RuntimeError(traceback.format_exc())
    report.send(outcome)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: a snapshot is kept
