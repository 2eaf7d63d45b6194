"""A GPU that there isn't: tensors say that they are on "cuda", and are computed on the CPU.

What fails on a real one fails here too: operands on two devices, arrays made of what is on the GPU,
and, while a graph is recorded, copies to it and values read from it. `waits` counts what makes the
processor wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from toonify.models import replay

aten = torch.ops.aten
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
COPIES = (aten._to_copy.default, aten.copy_.default)
READS = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "is_nonzero")


class OnGPU(Tensor):
    """A tensor that says it is on the GPU; `there` holds its values."""

    there: Tensor

    @staticmethod
    def __new__(cls, there: Tensor) -> OnGPU:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            there.shape,
            there.stride(),
            there.storage_offset(),
            dtype=there.dtype,
            device=CUDA,
            requires_grad=there.requires_grad,
        )

    def __init__(self, there: Tensor) -> None:
        self.there = there

    def __repr__(self, **options: object) -> str:
        return f"OnGPU({self.there!r})"

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return GPU.run(function, args, kwargs or {})


class GPU(TorchDispatchMode):
    """The pretended device, while it is entered."""

    waits: ClassVar[Counter[str]] = Counter()
    recordings = 0
    _recording = False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return self.run(function, args, kwargs or {})

    @classmethod
    def run(cls, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """One operation."""
        name = function.overloadpacket.__name__
        if name in ("pin_memory", "_pin_memory"):
            return args[0]
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        infers = torch.is_inference_mode_enabled() or any(x.is_inference() for x in given)
        if infers and function._can_decompose():  # functions come whole then
            with GPU():
                return function.decompose(*args, **kwargs)
        goes = cls._checked(function, name, given, args, kwargs)
        if "device" in kwargs:
            kwargs = {**kwargs, "device": CPU}
        kwargs.pop("pin_memory", None)
        there, more = tree_map_only(OnGPU, lambda x: x.there, (args, kwargs))
        with torch.inference_mode(False) if _views_weights(function, args) else nullcontext():
            result = function(*there, **more)
            if goes:
                result = tree_map_only(Tensor, OnGPU, result)
        if name.endswith("_") and not name.startswith("_"):
            return args[0]
        return kwargs.get("out", result)

    @classmethod
    def _checked(
        cls, function: Any, name: str, given: list[Tensor], args: Any, kwargs: Mapping[str, Any]
    ) -> bool:
        """Whether the result is on the GPU."""
        there = any(isinstance(x, OnGPU) for x in given)
        wanted = kwargs.get("device")
        goes = there if wanted is None else torch.device(wanted).type == "cuda"
        if function in COPIES:
            onto = function is aten.copy_.default
            source = isinstance(args[onto], OnGPU)
            target = isinstance(args[0], OnGPU) if onto else goes
            if target != source:
                unblocked = kwargs.get("non_blocking") or any(args[2:])
                cls._wait("to the GPU" if target else "from the GPU", blocking=not unblocked)
            return target
        alone = [x for x in given if not isinstance(x, OnGPU) and x.ndim]
        if there and alone and not name.startswith("index"):
            raise RuntimeError(f"{name}: tensors on cuda:0 and cpu")
        if goes and not there and given:
            raise RuntimeError(f"{name}: tensors on cpu for cuda:0")
        bools = name.startswith("index") and any(x.dtype == torch.bool for x in given[1:])
        if there and (alone or bools or name in READS):
            cls._wait(name, blocking=True)
        return goes

    @classmethod
    def _wait(cls, what: str, *, blocking: bool) -> None:
        if cls._recording:
            raise RuntimeError(f"{what}, while a graph is recorded")
        if blocking:
            cls.waits[what] += 1

    @classmethod
    def record(
        cls, work: Callable[[], Any], device: torch.device
    ) -> tuple[Any, Callable[[], object]]:
        """What `GraphRecorder` does."""
        assert device == CUDA
        work()
        cls._recording, cls.recordings = True, cls.recordings + 1
        try:
            outputs = work()
        finally:
            cls._recording = False

        def again() -> None:
            found = work()
            for place, value in zip(tree_leaves(outputs), tree_leaves(found), strict=True):
                if place is not None:
                    place.copy_(value)

        return outputs, again


def _views_weights(function: Any, args: Any) -> bool:
    """Whether the result is a view of what was made outside of inference mode, as it then is."""
    if not torch.is_inference_mode_enabled() or not (args and isinstance(args[0], Tensor)):
        return False
    returned = [row.alias_info for row in function._schema.returns]
    views = any(alias is not None and not alias.is_write for alias in returned)
    return views and not args[0].is_inference()


_plain = torch.tensor


def _tensor(values: Any, *, device: Any = None, **options: Any) -> Tensor:
    """`torch.tensor`, which asks for a driver before anything else."""
    return _plain(values, **options).to(device or CPU)


def _new_tensor(like: Tensor, values: Any) -> Tensor:
    return _tensor(values, dtype=like.dtype, device=like.device)


class _Stream:
    def __init__(self, device: object = None) -> None:
        pass

    def wait_stream(self, other: object) -> None:
        pass

    def record_event(self) -> _Stream:
        return self

    def synchronize(self) -> None:
        pass


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[GPU]]:
    """A GPU for the time being, in this thread; autograd knows nothing of it."""
    if torch.cuda.is_available():
        pytest.skip("there is a real one")
    torch._C._ensureCUDADeviceGuardSet()  # as torch's own fake tensors do, without a driver
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(Tensor, "new_tensor", _new_tensor)
    monkeypatch.setattr(Tensor, "record_stream", lambda x, stream: None)
    monkeypatch.setattr(torch, "tensor", _tensor)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "pretended")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, _Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(replay.GraphRecorder, "__call__", lambda self, *given: GPU.record(*given))
    GPU.waits, GPU.recordings = Counter(), 0
    kept = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with torch.backends.cudnn.flags(enabled=False), GPU():
            yield GPU
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(kept)
