"""High-fidelity inversion and edits (HFGI, Wang et al., CVPR 2022, arXiv 2109.06590).

A low-rate latent renders the photograph roughly and edits well; what the rendering lacks, the
distortion map, is aligned to the edited rendering and fused into the generator's middle layers, so
that the details come along. One pass, no optimization.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify import bundle
from toonify.checkpoints.hfgi import load_compact_hfgi, load_hfgi
from toonify.errors import ModelError, UsageError
from toonify.inversion.background_fusion import BackgroundFusion, FusedDetails, FusedRendering
from toonify.inversion.model import FaceModel
from toonify.models.encoders.hfgi import SIZE
from toonify.models.encoders.hfgi_compact import CompactInversion
from toonify.utils.arguments import check_choice

_HINT = (
    "Train some with `toonify train-encoder` (task hfgi), or give HFGI's own ckpt.pt as `encoder`."
)


def check_method(method: str, known: Sequence[str], network: str | os.PathLike[str] | None) -> None:
    """Raise UsageError for a method that there isn't, or HFGI's network with another one."""
    check_choice("method", method, known)
    if network is not None and method != "hfgi":
        raise UsageError('`hfgi_network` is of the `method` "hfgi"', hint="Leave it out.")


class DetailModel(FusedDetails, Protocol):
    """Networks of HFGI, ours (`CompactInversion`) or the published ones (`HFGI`)."""

    def encode(self, photo: Tensor) -> Tensor:
        """Aligned photographs (B, 3, 256, 256) in [-1, 1] → w+ of the generator's length."""
        ...

    def edited(self, photo: Tensor, w_plus: Tensor, edit: Tensor) -> Tensor:
        """The photographs' details on the rendering of `edit`, (B, 3, R, R), not clamped."""
        ...


def load_details(model: FaceModel, encoder: str, network: Path | None = None) -> DetailModel:
    """What keeps details for a model that `encoder` names.

    Args:
        model: of that encoder; its generator renders.
        encoder: a bundle, whose own networks are taken, or HFGI's published `ckpt.pt`.
        network: a file of `toonify train-encoder --task hfgi` in place of the bundle's.

    Raises:
        ModelError: there are none, or they are damaged, or another generator's.
    """
    if network is None and not bundle.is_bundle(encoder):
        try:
            return load_hfgi(Path(encoder), device=model.device)
        except ModelError as error:
            raise ModelError(f"no HFGI in {error}", hint=_HINT) from error
    if network is None:
        folder = bundle.bundle_folder(encoder)
        if not bundle.has_parts(folder, (bundle.HFGI,)):
            raise ModelError(f"the bundle {encoder} holds no HFGI weights", hint=_HINT)
        manifest = bundle.read_manifest(folder)
        network = bundle.check_part(folder, manifest, bundle.HFGI)
    networks = load_compact_hfgi(network, device=model.device)
    return CompactInversion(networks, model.generator, model.face_encoder)


class DetailedFace:
    """One aligned face, and its details on any rendering.

    Args:
        model: whose arithmetic is used.
        details: see `load_details`.
        photo: (1, 3, H, W) in [-1, 1].
        w_plus: its latent; the encoder's answer when None.

    Examples:
        >>> face = DetailedFace(model, load_details(model, "default"), photo)
        >>> smiling = face.render(moved(face.w_plus, smile, 2.0, range(2, 10)))
    """

    def __init__(
        self,
        model: FaceModel,
        details: DetailModel,
        photo: Tensor,
        w_plus: Tensor | None = None,
    ) -> None:
        self.model, self.details = model, details
        self.photo = F.interpolate(photo.float(), size=(SIZE, SIZE), mode="area")
        if w_plus is None:
            with torch.inference_mode(), model.arithmetic():
                w_plus = details.encode(self.photo).float()
        self.w_plus = w_plus

    @torch.inference_mode()
    def render(self, edit: Tensor | None = None) -> Tensor:
        """The face as `edit` (1, num_ws, w_dim) has it, its inversion when None: (1, 3, R, R)."""
        edit = self.w_plus if edit is None else edit
        with self.model.arithmetic():
            return self.details.edited(self.photo, self.w_plus, edit).float()

    def fused(self, fusion: BackgroundFusion, edit: Tensor) -> FusedRendering:
        """The face as `edit` has it before the photograph's own background (HFGI-SF)."""
        with self.model.arithmetic():
            return fusion(self.photo, self.w_plus, edit)
