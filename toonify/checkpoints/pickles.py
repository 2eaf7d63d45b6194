"""Read NVIDIA's stylegan2-ada-pytorch `.pkl` without running anything pickled.

Those files are plain pickles of live modules whose classes travel as source code
(`torch_utils.persistence`) and are executed on loading. Here every global resolves to one of our
own functions: tensors are rebuilt, everything else becomes an inert record. A global outside
the few name spaces such a file needs is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from toonify.errors import ModelError

# Name spaces whose objects carry nothing that we need to run; they become `Inert`.
_INERT_ROOTS = frozenset({"torch_utils", "dnnlib", "training", "numpy", "torch"})


class Inert(dict):  # a dict, since pickled EasyDicts are filled item by item
    """Stands for any pickled object: keeps what it was made from, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def append(self, _item: Any) -> None:
        """Items of a list-like object are not needed."""

    def extend(self, _items: Any) -> None:
        """Items of a list-like object are not needed."""


@dataclass
class PickledNetwork:
    """One network found in the file.

    Attributes:
        class_name: its class, such as "Generator".
        state: state-dict names → tensors.
        conv_clamp: limit on its convolutions' outputs, None for none.
        modules: how many modules were looked at.
    """

    class_name: str
    state: dict[str, Tensor] = field(default_factory=dict)
    conv_clamp: float | None = None
    modules: int = 0


MOST_MODULES = 10_000  # one child many times, eight levels deep, would be visited for ever
MOST_OPCODES = 20_000_000
_MEMO = ("PUT", "BINPUT", "LONG_BINPUT")


def check_pickle(file: BinaryIO, size: int) -> None:
    """Refuse a pickle that makes the unpickler itself grow without bound.

    Seven bytes can ask for a memo of gigabytes: no entry's number may exceed the file's size.

    Raises:
        ModelError: such a pickle. ValueError and others: not a whole one.
    """
    file.seek(0)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in _MEMO and int(cast(int, argument)) > size:
            raise ModelError("its pickle asks for more memory than it has bytes", hint=_DISTRUST)
        if count > MOST_OPCODES:
            raise ModelError("its pickle is too long", hint=_DISTRUST)
    file.seek(0)


_DISTRUST = "Don't trust this file: get it again from its authors."


def _load_storage(data: bytes) -> Tensor:
    """A pickled storage as a flat tensor over it."""
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.TypedStorage):
        raise pickle.UnpicklingError("a storage of another kind")
    return torch.empty(0, dtype=storage.dtype).set_(cast(Any, storage))


def _rebuild_parameter(data: Any, *_rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a parameter without tensor")
    return data


class SafeUnpickler(pickle.Unpickler):
    """Rebuilds tensors; objects of the given name spaces become inert, others are refused.

    Attributes:
        known: (module, name) → what stands for it.
        held: numbers in the storages read so far; tensors over them may not be far larger.
    """

    def __init__(self, file: BinaryIO, roots: frozenset[str]) -> None:
        super().__init__(file)
        self.held = self._given = 0
        self._roots = roots
        # New functions and classes each time: a pickle can set attributes on what it is given.
        self.known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("builtins", "set"): set,
            ("builtins", "frozenset"): frozenset,
            ("torch.storage", "_load_from_bytes"): lambda data: self._storage(data),
            ("torch._utils", "_rebuild_tensor"): lambda *args: self._tensor(*args),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *args: self._tensor(*args),
            ("torch._utils", "_rebuild_tensor_v3"): lambda *args: self._tensor(*args),
            ("torch._utils", "_rebuild_parameter"): lambda *args: _rebuild_parameter(*args),
            ("torch._utils", "_rebuild_parameter_with_state"): (
                lambda *args: _rebuild_parameter(*args)
            ),
        }
        self._inert = type("Inert", (Inert,), {})

    def _storage(self, data: bytes) -> Tensor:
        flat = _load_storage(data)
        self.held += flat.numel()
        return flat

    def _tensor(self, flat: Any, offset: int, size: Any, stride: Any, *_rest: Any) -> Tensor:
        if not isinstance(flat, Tensor):
            raise pickle.UnpicklingError("a tensor without storage")
        self._given += math.prod(size)
        if self._given > 4 * self.held + (1 << 22):
            raise pickle.UnpicklingError("its tensors are far larger than the file")
        # as_strided checks bounds; set_ would grow the storage to whatever the file asks for
        return flat.as_strided(tuple(size), tuple(stride), offset)

    def find_class(self, module: str, name: str) -> Any:
        known = self.known.get((module, name))
        if known is not None:
            return known
        if module.split(".")[0] in self._roots:
            return self._inert
        raise ModelError(
            f"the file asks for {module}.{name} to be run, which is refused", hint=_DISTRUST
        )


def read_nvidia_pickle(path: Path) -> dict[str, PickledNetwork]:
    """Networks of an NVIDIA pickle by their name in it ("G_ema", "G", "D").

    Raises:
        ModelError: not such a pickle, cut short, or asking for anything else to be run.
    """
    try:
        with open(path, "rb") as file:
            check_pickle(file, path.stat().st_size)
            contents = SafeUnpickler(file, _INERT_ROOTS).load()
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ModelError(
            f"it can't be read as a pickle ({type(error).__name__}: {error})",
            hint="It may be cut short: download it again.",
        ) from error
    if isinstance(contents, tuple):
        raise ModelError(
            "it is a pickle of TensorFlow networks",
            hint="Convert it with stylegan2-ada-pytorch's legacy.py first.",
        )
    networks = {}
    if isinstance(contents, dict):
        for name in ("G_ema", "G", "D"):
            meta = _meta(contents.get(name))
            if meta is not None:
                network = PickledNetwork(str(meta.get("class_name", "")))
                _collect(meta["state"], "", network)
                networks[name] = network
    if any(_is_stylegan3(network) for network in networks.values()):
        raise ModelError("it is a StyleGAN3 network", hint="Only StyleGAN2 is read: use its files.")
    if not networks:
        raise ModelError(
            "the pickle holds no StyleGAN2 network",
            hint="Expected NVIDIA's stylegan2-ada-pytorch layout with G_ema or D.",
        )
    return networks


def _is_stylegan3(network: PickledNetwork) -> bool:
    """By the names of its layers: Fourier features first, L0_36_512 and so on after them."""
    return "synthesis.input.freqs" in network.state or any(
        re.match(r"synthesis\.L\d+_\d+_\d+\.", name) for name in network.state
    )


def _meta(value: Any) -> dict[str, Any] | None:
    """The record a persistent object was pickled as, None for anything else."""
    if isinstance(value, Inert) and value.args and isinstance(value.args[0], dict):
        meta = value.args[0]
        if isinstance(meta.get("state"), dict):
            return meta
    return None


def _collect(module: dict[str, Any], prefix: str, network: PickledNetwork, depth: int = 0) -> None:
    """Add a pickled module's tensors, and its children's, to `network`."""
    network.modules += 1
    if depth > 8 or network.modules > MOST_MODULES:
        raise ModelError("the pickled modules are nested too deeply", hint="Get the file again.")
    clamp = module.get("conv_clamp")
    if isinstance(clamp, int | float):
        network.conv_clamp = float(clamp)
    for group in ("_parameters", "_buffers"):
        for name, tensor in _items(module.get(group)):
            if isinstance(tensor, Tensor):
                network.state[prefix + name] = tensor
    for name, child in _items(module.get("_modules")):
        meta = _meta(child)
        if meta is not None:
            _collect(meta["state"], f"{prefix}{name}.", network, depth + 1)


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(str(k), v) for k, v in value.items()] if isinstance(value, dict) else []
