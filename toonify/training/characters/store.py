"""Finished inversions on disk, so that a table can be built again without projecting again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from toonify.errors import InputError
from toonify.inversion.projector import Inversion
from toonify.utils.atomic import write_bytes
from toonify.utils.tensors import to_float, to_uint8

THUMBNAIL = 128  # pixels, of previews and of the pictures kept beside the latents


class StoreError(InputError):
    """An inversion that can't be kept: projecting more would be in vain. Exit status 1."""


@dataclass(frozen=True)
class StoredInversion:
    """An inversion as it lies on disk.

    Attributes:
        latents: (k, num_ws, w_dim) float32.
        losses: (k,).
        drawings: (k, 3, T, T) uint8 thumbnails of what was projected.
        reconstructions: (k, 3, T, T) uint8 thumbnails of the projections.
        names: file of each drawing.
        fingerprint: of everything the result depends on.
        started_from: "average" or "encoder", of each; empty where that isn't known.
    """

    latents: Tensor
    losses: Tensor
    drawings: Tensor
    reconstructions: Tensor
    names: list[str]
    fingerprint: str
    started_from: list[str] = field(default_factory=list)

    def w_plus(self, k: int | None = None) -> Tensor:
        """Mean latent (num_ws, w_dim) of the first `k` drawings, of all when None."""
        return self.latents[:k].mean(dim=0)


def thumbnails(images: Tensor) -> Tensor:
    """(N, 3, S, S) uint8 → (N, 3, T, T) uint8 of at most `THUMBNAIL` pixels."""
    size = min(THUMBNAIL, images.shape[-1])
    small = F.interpolate(to_float(images), size=(size, size), mode="area")
    return to_uint8(small).cpu()


def save_inversion(stored: StoredInversion, path: Path) -> None:
    """Write latents, losses and thumbnails as one safetensors file, whole or not at all.

    Raises:
        StoreError: the file can't be written.
    """
    tensors = {
        "latents": stored.latents.float().cpu().contiguous(),
        "losses": stored.losses.float().cpu().contiguous(),
        "drawings": stored.drawings.contiguous(),
        "reconstructions": stored.reconstructions.contiguous(),
    }
    about = json.dumps(
        {
            "names": stored.names,
            "fingerprint": stored.fingerprint,
            "started_from": stored.started_from,
        }
    )
    try:
        write_bytes(path, save(tensors, {"toonify.inversion": about}))
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path} can't be written ({error})",
            hint="Make room and run again: finished characters are kept.",
        ) from error


def load_inversion(path: Path) -> StoredInversion | None:
    """Read what `save_inversion` wrote; None when there is none, or a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["toonify.inversion"])
            names = file.keys()
            latents = "latents" if "latents" in names else "codes"  # as once written
            return StoredInversion(
                latents=file.get_tensor(latents),
                losses=file.get_tensor("losses"),
                drawings=file.get_tensor("drawings"),
                reconstructions=file.get_tensor("reconstructions"),
                names=about["names"],
                fingerprint=about["fingerprint"],
                started_from=about.get("started_from", []),
            )
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def store_inversion(
    inversion: Inversion, images: Tensor, names: list[str], fingerprint: str = ""
) -> StoredInversion:
    """An `Inversion` with thumbnails, ready for `save_inversion`; `images` (N, 3, S, S) uint8."""
    return StoredInversion(
        latents=inversion.latents.float().cpu(),
        losses=inversion.losses.float().cpu(),
        drawings=thumbnails(images[inversion.indices]),
        reconstructions=thumbnails(inversion.reconstructions),
        names=[names[i] for i in inversion.indices],
        fingerprint=fingerprint,
        started_from=inversion.started_from,
    )
