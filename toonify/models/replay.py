"""Networks on a GPU without the wait between their kernels: recorded once, replayed after.

A generator at batch 1 is hundreds of small kernels, which the processor takes longer to launch than
the GPU to compute. A CUDA graph, recorded for inputs of given shapes, launches them all at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

R = TypeVar("R", Tensor, tuple[Tensor | None, ...])
# from some work to its results, and what computes them anew at their places
Record = Callable[[Callable[[], R]], tuple[R, Callable[[], object]]]
WARM_UPS = 3  # runs before a recording: libraries choose their kernels in the first ones
MOST = 4  # recordings kept, each of other shapes


@dataclass
class _Recording(Generic[R]):
    """What a replay needs: inputs and outputs stay at their places in memory."""

    inputs: tuple[Tensor, ...]
    outputs: R
    replay: Callable[[], object]


class Replayed(Generic[R]):
    """A function of tensors, replayed on CUDA from a graph for each combination of shapes.

    On other devices it is called as it is. It must do the same whatever the values are: read no
    tensor on the processor, draw no random numbers, and bring nothing new from its memory.

    Args:
        function: tensors of one device → a tensor, or a tuple of tensors and None.
        record: makes recordings, on any device; `record_graph`'s on CUDA alone when None.

    Examples:
        >>> double = Replayed(lambda x: 2 * x)
        >>> double(torch.ones(2))
        tensor([2., 2.])
    """

    def __init__(
        self,
        function: Callable[..., R],
        *,
        record: Record[R] | None = None,
    ) -> None:
        self._function: Callable[..., R] = function
        self._record: Record[R] = record_graph if record is None else record
        self._everywhere = record is not None
        self._recordings: OrderedDict[object, _Recording[R]] = OrderedDict()
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, *given: Tensor) -> R:
        """What the function gives, in memory of its own."""
        if not self._everywhere and not all(x.is_cuda for x in given):
            return self._function(*given)
        key = tuple((x.shape, x.dtype, x.device, x.stride()) for x in given)
        with self._lock:  # a recording's memory is one caller's at a time
            known = self._recordings.get(key)
            if known is None:
                known = self._recordings[key] = self._recorded(given)
                if len(self._recordings) > MOST:
                    self._recordings.popitem(last=False)
            self._recordings.move_to_end(key)
            for place, value in zip(known.inputs, given, strict=True):
                place.copy_(value)
            known.replay()
            return _copied(known.outputs)

    def _recorded(self, given: tuple[Tensor, ...]) -> _Recording[R]:
        inputs = tuple(x.clone() for x in given)
        outputs, replay = self._record(lambda: self._function(*inputs))
        return _Recording(inputs, outputs, replay)


def record_graph(work: Callable[[], R]) -> tuple[R, Callable[[], object]]:
    """Record what `work` does on the current CUDA device: where its results lie, and what computes
    them anew."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work()
    return outputs, graph.replay


def _copied(outputs: R) -> R:
    if isinstance(outputs, Tensor):
        return outputs.clone()
    return tuple(None if x is None else x.clone() for x in outputs)
