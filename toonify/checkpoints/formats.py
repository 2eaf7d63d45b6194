"""Tell checkpoint formats apart and turn what they hold into networks.

A file is read into roles ("generator", "encoder", "discriminator"), each a function that
converts on demand. Nothing here runs code from a file.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from toonify.checkpoints import layouts
from toonify.checkpoints.budget import building, check_config, check_dense
from toonify.checkpoints.layouts import Converted
from toonify.checkpoints.pickles import Inert, read_nvidia_pickle
from toonify.checkpoints.safetensors_io import read_safetensors
from toonify.checkpoints.styleganex_layout import is_styleganex, styleganex_encoder
from toonify.checkpoints.torch_files import is_zip, read_torch_zip
from toonify.errors import ModelError
from toonify.models import registry
from toonify.models.base import Generator
from toonify.models.registry import Role, role_of

M = TypeVar("M", bound=nn.Module)
AGAIN = "It may be cut short: download it again."

# torch's legacy files start with a pickled integer, its magic number.
_LEGACY_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


@dataclass
class Checkpoint:
    """A checkpoint file's contents.

    Attributes:
        format: "toonify", "rosinality", "psp" (pSp, e4e, ReStyle), "styleganex" or "nvidia".
        roles: what it holds, each a function giving (config, tensors) in our layout.
        metadata: further header entries, of our own files only.
    """

    format: str
    roles: dict[Role, Callable[[], Converted]] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's path before the ModelErrors raised inside."""
    try:
        yield
    except ModelError as error:
        if str(path) in str(error):
            raise
        raise ModelError(f"{path}: {error}") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of any supported format.

    Raises:
        ModelError: missing, empty, cut short, or no checkpoint of a kind we know.
    """
    if not path.is_file():
        raise ModelError(
            f"no checkpoint at {path}",
            hint="Give a file, or a name from `toonify models list`.",
        )
    with naming(path):
        with open(path, "rb") as file:
            head = file.read(16)
        if not head:
            raise ModelError("the file is empty", hint="Download it again.")
        header_size = int.from_bytes(head[:8], "little")  # of a safetensors file
        plausible = head[8:9] == b"{" and header_size < path.stat().st_size
        if path.suffix == ".safetensors" or plausible:
            return _ours(path)
        if head.startswith(b"PK\x03\x04") or head.startswith(_LEGACY_TORCH[:-1]):
            return _torch(path)
        if head.startswith(b"\x80"):
            return _nvidia(path)
        raise ModelError(
            "it is not a checkpoint",
            hint="Expected .safetensors, a PyTorch .pt or NVIDIA's .pkl.",
        )


def _ours(path: Path) -> Checkpoint:
    tensors, config, metadata = read_safetensors(path)
    role = role_of(config)
    if role is None:
        kind = config["architecture"]
        raise ModelError(f"its architecture '{kind!s:.40}' is unknown", hint="Update toonify.")
    return Checkpoint("toonify", {role: lambda: (config, tensors)}, metadata)


def _nvidia(path: Path) -> Checkpoint:
    networks = read_nvidia_pickle(path)
    found = Checkpoint("nvidia")
    generator = networks.get("G_ema") or networks.get("G")
    if generator is not None:
        found.roles["generator"] = partial(
            layouts.nvidia_generator, generator.state, conv_clamp=generator.conv_clamp
        )
    if "D" in networks:
        found.roles["discriminator"] = partial(
            layouts.nvidia_discriminator,
            networks["D"].state,
            conv_clamp=networks["D"].conv_clamp,
        )
    return found


def _torch(path: Path) -> Checkpoint:
    contents = read_torch(path)
    if not isinstance(contents, Mapping) or isinstance(contents, Inert):
        raise ModelError(
            f"it holds a {type(contents).__name__}, not networks",
            hint="Expected a dictionary with g_ema, or a state_dict.",
        )
    return _from_mapping(contents)


def read_torch(path: Path) -> Any:
    """What a file of `torch.save` holds, of its zip format or the one before.

    Raises:
        ModelError: not such a file, damaged, or asking for anything to be run.
    """
    with open(path, "rb") as file:
        if is_zip(file.read(4)):
            return read_torch_zip(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _unsafe_global(str(error))
        if wanted:
            raise ModelError(
                f"the file asks for {wanted} to be run, which is refused",
                hint="Save its state_dict alone and try again.",
            ) from error
        raise ModelError("it can't be read as a PyTorch file", hint=AGAIN) from error
    except Exception as error:  # a damaged archive can raise nearly anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"it can't be read as a PyTorch file ({reason[0]:.120})", hint=AGAIN
        ) from error


def _unsafe_global(message: str) -> str:
    """The global that torch's restricted unpickler refused, from its message."""
    for line in message.splitlines():
        if "GLOBAL" in line or "Unsupported global" in line:
            words = line.split("GLOBAL", 1)[-1].split()
            return words[0].strip(".,'`") if words else ""
    return ""


def _from_mapping(contents: Mapping[str, Any]) -> Checkpoint:
    average = contents.get("latent_avg")
    average = average if isinstance(average, Tensor) else None
    if isinstance(contents.get("state_dict"), Mapping):
        return _psp(contents, average)
    found = Checkpoint("rosinality")
    generator = contents.get("g_ema", contents.get("g"))
    if isinstance(generator, Mapping):
        found.roles["generator"] = partial(layouts.rosinality_generator, _plain(generator), average)
    if isinstance(contents.get("d"), Mapping):
        found.roles["discriminator"] = partial(
            layouts.rosinality_discriminator, _plain(contents["d"])
        )
    bare = _plain(contents)
    if "input.input" in bare:
        found.roles["generator"] = partial(layouts.rosinality_generator, bare, average)
    if not found.roles:
        some = ", ".join(sorted(str(key) for key in contents)[:4])
        raise ModelError(
            f"no network we know in it (found {some or 'nothing'})",
            hint="Expected rosinality's g_ema, or pSp's state_dict.",
        )
    return found


def _psp(contents: Mapping[str, Any], average: Tensor | None) -> Checkpoint:
    state = _plain(contents["state_dict"])
    encoder, decoder = _under(state, "encoder."), _under(state, "decoder.")
    options = contents.get("opts", {})
    options = vars(options) if isinstance(options, argparse.Namespace) else options
    options = dict(options) if isinstance(options, Mapping) else {}
    found = Checkpoint("psp")
    if decoder:
        found.roles["generator"] = partial(layouts.rosinality_generator, decoder, average)
    if is_styleganex(encoder):
        found.format = "styleganex"
        found.roles["encoder"] = partial(
            styleganex_encoder, encoder, options, average, contents.get("editing_w")
        )
    elif encoder:
        found.roles["encoder"] = partial(layouts.psp_encoder, encoder, options, average)
    if not found.roles:
        raise ModelError(
            "its state_dict has neither an encoder nor a decoder",
            hint="Expected a pSp, e4e, ReStyle or StyleGANEX checkpoint.",
        )
    return found


def _plain(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors of a state dict, without DataParallel's prefix."""
    return {
        str(name).removeprefix("module."): value
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def build(role: Role, checkpoint: Checkpoint, kind: type[M] = nn.Module) -> M:  # type: ignore[assignment]
    """The network of that role, float32 on the CPU, in evaluation mode.

    Args:
        kind: the class that it must be of.

    Raises:
        ModelError: the checkpoint holds no such network, or one that is damaged or of another
            kind.
    """
    if role not in checkpoint.roles:
        held = " and ".join(f"{'an' if r == 'encoder' else 'a'} {r}" for r in checkpoint.roles)
        raise ModelError(
            f"it holds {held} ({checkpoint.format} format), but {role} weights were expected",
            hint=f"Give a checkpoint with the {role}.",
        )
    config, tensors = converted(checkpoint, role)
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    broken = next((name for name, value in tensors.items() if not _all_finite(value)), None)
    if broken is not None:
        raise ModelError(f"the weights of '{broken}' are NaN or infinite", hint="Get it again.")
    try:
        # Not on the meta device: its first operation imports torch's compiler, for seconds.
        with _WithoutRandomWeights(), building(tensors):
            network = of_kind(registry.build(config, role), kind)
    except ModelError:
        raise
    except Exception as error:  # a configuration of any kind can raise nearly anything
        raise ModelError(
            f"its architecture can't be built ({_brief(error)})", hint=AGAIN
        ) from error
    mean_is_missing = _fill_optional(network, tensors)
    _check_shapes(network, tensors)
    network.load_state_dict(tensors, assign=True)
    network.eval()
    if role == "encoder":
        network.to(memory_format=torch.channels_last)  # 17 % faster on a CPU
    if mean_is_missing and isinstance(network, Generator):
        with torch.no_grad():
            z = torch.randn(10_000, network.z_dim, generator=torch.Generator().manual_seed(0))
            network.w_avg.copy_(network.mapping(z).mean(dim=0))
    return network


def of_kind(network: nn.Module, kind: type[M]) -> M:
    """The network; ModelError where it is of another class."""
    if not isinstance(network, kind):
        raise ModelError(
            f"it holds a {type(network).__name__}, not a {kind.__name__}",
            hint="Name a checkpoint of that kind.",
        )
    return network


def _all_finite(values: Tensor) -> bool:
    # a sum is five times as fast, and only huge values (which are finite) make it err
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


class _WithoutRandomWeights(TorchFunctionMode):
    """Networks made within keep whatever is in their memory: a file's weights take its place.

    Drawing random ones takes longer than reading the file.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.randn:
            return torch.empty(*args, **(kwargs or {}))
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def converted(checkpoint: Checkpoint, role: Role) -> Converted:
    """Configuration and tensors of one of its networks, in our layout, within limits.

    Raises:
        ModelError: tensors are missing, of other shapes, or larger than the file.
    """
    try:
        config, tensors = checkpoint.roles[role]()
    except ModelError:
        raise
    except Exception as error:  # tensors of any shape can raise nearly anything
        raise ModelError(
            f"its tensors have unexpected shapes ({_brief(error)})", hint=AGAIN
        ) from error
    check_config(config)
    check_dense(tensors)
    return config, tensors


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0]:.120}" if lines else type(error).__name__


def _fill_optional(network: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Add what published files may lack; True if the mean of w has to be estimated."""
    generator = torch.Generator().manual_seed(0)
    for name, buffer in network.named_buffers():
        if name in tensors:
            continue
        if name.endswith("noise_const"):
            tensors[name] = torch.randn(buffer.shape, generator=generator)
        elif name.endswith("num_batches_tracked"):
            tensors[name] = torch.zeros((), dtype=torch.long)
    if isinstance(network, Generator) and "w_avg" not in tensors:
        tensors["w_avg"] = torch.zeros(network.w_dim)
        return True
    return False


def _check_shapes(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    expected = network.state_dict()
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    if missing or unknown:
        what = f"lacks '{missing[0]}'" if missing else f"has an unexpected '{unknown[0]}'"
        raise ModelError(
            f"the checkpoint {what} ({len(missing)} missing, {len(unknown)} unexpected)",
            hint="It may be incomplete or of another version: get it again.",
        )
    for name, tensor in tensors.items():
        if expected[name].is_floating_point() and not tensor.is_floating_point():
            raise ModelError(
                f"'{name}' holds {str(tensor.dtype).removeprefix('torch.')} values",
                hint="Expected floating-point weights: get the file again.",
            )
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"'{name}' has shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}",
                hint="The file mixes different networks: get it again.",
            )
