"""What a photograph becomes: w+, first feature and noise maps, in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from toonify.checkpoints.safetensors_io import read_safetensors, write_safetensors
from toonify.errors import ModelError

ARCHITECTURE = "inversion"
_NOISE = "noise."
MOST_SIDE = 8192  # of a frame
MOST_CELLS = 1 << 15  # of a first feature, one for 8x8 px


@dataclass(frozen=True, eq=False)
class Latents:
    """A photograph in a generator's terms.

    Attributes:
        w_plus: (1, num_ws, w_dim).
        feature: StyleGANEX's first feature (1, C, h, w); None for an aligned face.
        noises: generator's buffer → map (1, 1, h, w); empty for the stored ones.
        frame_size: height and width of the frame without its padding; None for a face.
    """

    w_plus: Tensor
    feature: Tensor | None = None
    noises: Mapping[str, Tensor] = field(default_factory=dict)
    frame_size: tuple[int, int] | None = None

    def with_w_plus(self, w_plus: Tensor) -> Latents:
        """The same with another w+."""
        return replace(self, w_plus=w_plus)

    def save(self, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
        """Write a safetensors file, whole or not at all; InputError where it can't be."""
        tensors = {"w_plus": self.w_plus, **{_NOISE + k: v for k, v in self.noises.items()}}
        if self.feature is not None:
            tensors["feature"] = self.feature
        size = list(self.frame_size) if self.frame_size else None
        config = {"architecture": ARCHITECTURE, "frame_size": size}
        write_safetensors(tensors, path, config=config, metadata=metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[Latents, dict[str, str]]:
        """Latents and metadata of such a file; ModelError when it is not one."""
        tensors, config, metadata = read_safetensors(path)
        try:
            if config["architecture"] != ARCHITECTURE:
                raise ValueError("it is another kind of file")
            latents = _checked(tensors, config.get("frame_size"))
        except ValueError as error:
            raise ModelError(
                f"{path} holds no inversion ({error})",
                hint="Make one with `toonify invert`, or give a photo.",
            ) from error
        return latents, metadata


def _checked(tensors: Mapping[str, Tensor], size: object) -> Latents:
    """ValueError for anything that `Latents.save` doesn't write."""
    for name, value in tensors.items():
        if not value.is_floating_point():
            raise ValueError(f"{name} is not of floating-point numbers")
        if not value.isfinite().all():
            raise ValueError(f"{name} is not finite")
    w_plus, feature = tensors.get("w_plus"), tensors.get("feature")
    if w_plus is None or w_plus.ndim != 3 or w_plus.shape[0] != 1 or not w_plus.numel():
        shape = "missing" if w_plus is None else tuple(w_plus.shape)
        raise ValueError(f"w_plus is {shape}, expected (1, num_ws, w_dim)")
    if feature is not None and (feature.ndim != 4 or len(feature) != 1 or not feature.numel()):
        raise ValueError(f"feature is {tuple(feature.shape)}, expected (1, C, h, w)")
    if feature is not None and feature.shape[2] * feature.shape[3] > MOST_CELLS:
        raise ValueError(f"feature is {tuple(feature.shape)}, too large for a frame")
    noises = {k.removeprefix(_NOISE): v for k, v in tensors.items() if k.startswith(_NOISE)}
    if any(v.ndim != 4 or v.shape[:2] != (1, 1) or not v.numel() for v in noises.values()):
        raise ValueError("a noise map is not (1, 1, h, w)")
    if (feature is None) != (size is None):
        raise ValueError("frames have both a feature and a size")
    if feature is None:
        return Latents(w_plus, None, noises, None)
    sides = size if isinstance(size, list) and len(size) == 2 else [0]
    if any(type(side) is not int or not 1 <= side <= MOST_SIDE for side in sides):
        raise ValueError(f"frame_size is {size!s:.40}")
    height, width = sides
    return Latents(w_plus, feature, noises, (height, width))


def fit_w_plus(w_plus: Tensor, num_ws: int) -> Tensor:
    """w+ (B, L, D) for a generator of another resolution: finest rows cut off or repeated."""
    missing = num_ws - w_plus.shape[1]
    if missing <= 0:
        return w_plus[:, :num_ws]
    return torch.cat([w_plus, w_plus[:, -1:].expand(-1, missing, -1)], dim=1)
