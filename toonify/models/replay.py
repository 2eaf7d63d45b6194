"""Networks on a GPU without the wait between their kernels: recorded once, replayed after.

A generator at batch 1 is hundreds of small kernels, which the processor takes longer to launch than
the GPU to compute. A CUDA graph, recorded for inputs of given shapes, launches them all at once.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from toonify.utils.memory import is_shortage

log = logging.getLogger(__name__)

R = TypeVar("R", Tensor, tuple[Tensor | None, ...])
WORTH_IT = 3  # calls from which on inputs of the same shapes are expected again, and recorded
WARM_UPS = 3  # runs before a recording: libraries choose their kernels in the first ones
MOST = 8  # recordings kept, each of other shapes
MOST_COUNTED = 256  # combinations of shapes whose calls are counted

_recording = threading.Lock()  # CUDA makes one recording a process at a time


class Record(Protocol):
    """Makes recordings of what some work does on a device."""

    def __call__(
        self, work: Callable[[], R], device: torch.device
    ) -> tuple[R, Callable[[], object]]:
        """The work's results, and what computes them anew at their places."""
        ...


@dataclass
class _Recording(Generic[R]):
    """What a replay needs: inputs and outputs stay at their places in memory."""

    inputs: tuple[Tensor, ...]
    outputs: R
    replay: Callable[[], object]


class Replayed(Generic[R]):
    """A function of tensors, replayed on CUDA from a graph for each combination of shapes.

    A recording costs as much as several calls: it is made of shapes that come again and again, such
    as those of a clip's frames. On other devices the function is called as it is. It must do the
    same whatever the values are: read no tensor on the processor, draw no random numbers, and bring
    nothing new from its memory.

    Args:
        function: tensors of one device → a tensor, or a tuple of tensors and None.
        state: what else the function's results depend on, such as the dtype it computes in.
        record: makes recordings, on any device; `GraphRecorder`'s on CUDA alone when None.

    Examples:
        >>> double = Replayed(lambda x: 2 * x)
        >>> double(torch.ones(2))
        tensor([2., 2.])
    """

    def __init__(
        self,
        function: Callable[..., R],
        *,
        state: Callable[[], Hashable] = lambda: None,
        record: Record | None = None,
    ) -> None:
        self._function: Callable[..., R] = function
        self._state = state
        self._record: Record = GraphRecorder() if record is None else record
        self._everywhere = record is not None
        self._calls: Counter[Hashable] = Counter()
        self._recordings: OrderedDict[Hashable, _Recording[R]] = OrderedDict()
        self._lock = threading.Lock()
        self._refused = False

    @torch.inference_mode()
    def __call__(self, *given: Tensor) -> R:
        """What the function gives, in memory of its own."""
        if self._refused or not (self._everywhere or all(x.is_cuda for x in given)):
            return self._function(*given)
        key = (self._state(), *((x.shape, x.dtype, x.device, x.stride()) for x in given))
        with self._lock:  # a recording's memory is one caller's at a time
            known = self._recordings.get(key)
            if known is None and self._comes_again(key):
                known = self._recorded(key, given)
            if known is not None:
                self._recordings.move_to_end(key)
                for place, value in zip(known.inputs, given, strict=True):
                    place.copy_(value)
                known.replay()
                return _copied(known.outputs)
        return self._function(*given)

    def _comes_again(self, key: Hashable) -> bool:
        """Count a call, and whether a recording of its shapes pays."""
        if len(self._calls) >= MOST_COUNTED and key not in self._calls:
            self._calls.clear()
        self._calls[key] += 1
        return self._calls[key] >= WORTH_IT

    def _recorded(self, key: Hashable, given: tuple[Tensor, ...]) -> _Recording[R] | None:
        """A new recording; None where this GPU makes none, which is said once."""
        inputs = tuple(x.clone() for x in given)
        try:
            outputs, replay = self._record(lambda: self._function(*inputs), inputs[0].device)
        except RuntimeError as error:
            if is_shortage(error):  # a smaller batch may fit
                raise
            self._refused = True
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            log.warning("drawing without CUDA graphs, which is slower: %s", reason)
            return None
        while len(self._recordings) >= MOST:
            self._recordings.popitem(last=False)
        self._recordings[key] = _Recording(inputs, outputs, replay)
        return self._recordings[key]


class GraphRecorder:
    """Records CUDA graphs that share their memory, for replays of which each is through, and its
    results copied, before the next one begins."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}
        self._pools: dict[torch.device, Any] = {}

    def __call__(
        self, work: Callable[[], R], device: torch.device
    ) -> tuple[R, Callable[[], object]]:
        """See `Record`."""
        with _recording, torch.cuda.device(device):
            if device not in self._streams:  # shared memory is of one stream
                self._streams[device] = torch.cuda.Stream(device)
                self._pools[device] = torch.cuda.graph_pool_handle()
            aside = self._streams[device]
            aside.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    work()
            torch.cuda.current_stream(device).wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            recorded = torch.cuda.graph(
                graph,
                pool=self._pools[device],
                stream=aside,
                # other threads read and write pictures meanwhile
                capture_error_mode="thread_local",
            )
            with recorded:
                outputs = work()
        return outputs, graph.replay


def _copied(outputs: R) -> R:
    if isinstance(outputs, Tensor):
        return outputs.clone()
    return tuple(None if x is None else x.clone() for x in outputs)
