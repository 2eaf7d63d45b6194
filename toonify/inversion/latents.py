"""What a photograph becomes: codes, first feature and noise maps, in one file."""

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

    def with_codes(self, w_plus: Tensor) -> Latents:
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
        w_plus = tensors.get("w_plus")
        if config["architecture"] != ARCHITECTURE or w_plus is None or w_plus.ndim != 3:
            raise ModelError(
                f"{path} holds no inversion",
                mend="Make one with `toonify invert`, or give a photo.",
            )
        size = config.get("frame_size")
        noises = {k.removeprefix(_NOISE): v for k, v in tensors.items() if k.startswith(_NOISE)}
        latents = cls(w_plus, tensors.get("feature"), noises, tuple(size) if size else None)
        return latents, metadata


def fit_codes(w_plus: Tensor, num_ws: int) -> Tensor:
    """w+ (B, L, D) for a generator of another resolution: finest codes cut off or repeated."""
    missing = num_ws - w_plus.shape[1]
    if missing <= 0:
        return w_plus[:, :num_ws]
    return torch.cat([w_plus, w_plus[:, -1:].expand(-1, missing, -1)], dim=1)
