"""Read NVIDIA's stylegan2-ada-pytorch `.pkl` without running anything pickled.

Those files are plain pickles of live modules whose classes travel as source code
(`torch_utils.persistence`) and are executed on loading. Here every global resolves to one of our
own functions: tensors are rebuilt, everything else becomes an inert record. A global outside
the few name spaces such a file needs is refused.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
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
    """

    class_name: str
    state: dict[str, Tensor] = field(default_factory=dict)
    conv_clamp: float | None = None


def _load_storage(data: bytes) -> Tensor:
    """A pickled storage as a flat tensor over it."""
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.TypedStorage):
        raise pickle.UnpicklingError("a storage of another kind")
    return torch.empty(0, dtype=storage.dtype).set_(cast(Any, storage))


def _rebuild_tensor(flat: Any, offset: int, size: Any, stride: Any, *_rest: Any) -> Tensor:
    if not isinstance(flat, Tensor):
        raise pickle.UnpicklingError("a tensor without storage")
    # as_strided checks bounds; set_ would grow the storage to whatever the file asks for
    return flat.as_strided(tuple(size), tuple(stride), offset)


def _rebuild_parameter(data: Any, *_rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a parameter without tensor")
    return data


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        # New functions and classes each time: a pickle can set attributes on what it is given.
        self._known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("builtins", "set"): set,
            ("torch.storage", "_load_from_bytes"): lambda data: _load_storage(data),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *args: _rebuild_tensor(*args),
            ("torch._utils", "_rebuild_parameter"): lambda *args: _rebuild_parameter(*args),
            ("torch._utils", "_rebuild_parameter_with_state"): (
                lambda *args: _rebuild_parameter(*args)
            ),
        }
        self._inert = type("Inert", (Inert,), {})

    def find_class(self, module: str, name: str) -> Any:
        known = self._known.get((module, name))
        if known is not None:
            return known
        if module.split(".")[0] in _INERT_ROOTS:
            return self._inert
        raise ModelError(
            f"the pickle asks for {module}.{name}, which no StyleGAN2 file needs; nothing was run",
            mend="Don't trust this file: get it again from its authors.",
        )


def read_nvidia_pickle(path: Path) -> dict[str, PickledNetwork]:
    """Networks of an NVIDIA pickle by their name in it ("G_ema", "G", "D").

    Raises:
        ModelError: not such a pickle, cut short, or asking for anything else to be run.
    """
    try:
        with open(path, "rb") as file:
            contents = _Unpickler(file).load()
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ModelError(
            f"it can't be read as a pickle ({type(error).__name__}: {error})",
            mend="It may be cut short: download it again.",
        ) from error
    if isinstance(contents, tuple):
        raise ModelError(
            "it is a pickle of TensorFlow networks",
            mend="Convert it with stylegan2-ada-pytorch's legacy.py first.",
        )
    networks = {}
    if isinstance(contents, dict):
        for name in ("G_ema", "G", "D"):
            meta = _meta(contents.get(name))
            if meta is not None:
                network = PickledNetwork(str(meta.get("class_name", "")))
                _collect(meta["state"], "", network)
                networks[name] = network
    if not networks:
        raise ModelError(
            "the pickle holds no StyleGAN2 network",
            mend="Expected NVIDIA's stylegan2-ada-pytorch layout with G_ema or D.",
        )
    return networks


def _meta(value: Any) -> dict[str, Any] | None:
    """The record a persistent object was pickled as, None for anything else."""
    if isinstance(value, Inert) and value.args and isinstance(value.args[0], dict):
        meta = value.args[0]
        if isinstance(meta.get("state"), dict):
            return meta
    return None


def _collect(module: dict[str, Any], prefix: str, network: PickledNetwork, depth: int = 0) -> None:
    """Add a pickled module's tensors, and its children's, to `network`."""
    if depth > 8:
        raise ModelError("the pickled modules are nested too deeply", mend="Get the file again.")
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
