"""Edits of a face, or whatever a generator draws, within its photograph: read it, fit it, edit its
rendering, carry that over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify.editing.background import KeptBackground, Placement, before_background
from toonify.editing.named import NamedDirections, Region
from toonify.editing.onto_photo import SIZE, apply_change, measure_change, redrawn_beyond
from toonify.editing.spectacles import Spectacles
from toonify.errors import UsageError
from toonify.faces import Alignment
from toonify.faces.parsing import FaceParser
from toonify.faces.subject import Subject
from toonify.faces.types import RGB, Points, f32
from toonify.inversion.background_fusion import BackgroundFusion, FusedRendering
from toonify.inversion.fitting import FitSettings, fit_face
from toonify.inversion.hfgi import DetailedFace, DetailModel
from toonify.inversion.model import FaceModel
from toonify.models.fusion_tree import StyleFusion
from toonify.utils.ramps import smoothstep
from toonify.utils.tensors import to_rgb, to_tensor

log = logging.getLogger(__name__)

CROP = 256  # px of the crop that the encoder reads
GROWN = 5  # px of 64 by which a region is widened, for what an edit adds to it
FACE_CENTER, FACE_AXES = (0.5, 0.6), (0.29, 0.36)  # of the region "face", in sides of the crop


class PhotoEditor:
    """One photograph and the largest face in it, or its square of another subject.

    Nothing outside the head or square changes, and an edit of strength 0 gives the photograph
    itself.

    Args:
        model: an encoder of aligned faces or squares and its generator; without an encoder the fit
            starts at the average latent.
        rgb: (H, W, 3) uint8.
        subject: finds the face or square.
        directions: whose parser limits edits to the head; None for an ellipse around it.
        fit: how w+ is fitted to the face.
        details: measure edits on renderings that have the photograph's details (HFGI), instead
            of on the generator's own.
        fusion: keeps backgrounds in those renderings (HFGI-SF).

    Raises:
        InputError: no face in it.
    """

    def __init__(
        self,
        model: FaceModel,
        rgb: RGB,
        subject: Subject,
        *,
        directions: NamedDirections | None = None,
        fit: FitSettings | None = None,
        details: DetailModel | None = None,
        fusion: BackgroundFusion | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.rgb, self.model, self.directions = rgb, model, directions
        self.alignment = subject.crop(rgb, CROP)
        self._reach = subject.reach(self.alignment, rgb, SIZE)
        photo = to_tensor(self.alignment.image).to(model.device)
        start = model.face_w_plus(photo)
        self.w_plus = fit_face(
            model.generator, model.face_encoder, photo, start, fit, progress=progress
        )
        self._detailed: DetailedFace | None = None
        self._fusion = fusion
        if details is not None:
            self._detailed = DetailedFace(model, details, photo, self.w_plus)
        own = model.generator.styles(self.w_plus)
        self._before, self._parsed = self._render(self.w_plus, own), self._parse(own)

    def edited(
        self, w_plus: Tensor, *, region: Region = "head", keep_background: bool = False
    ) -> RGB:
        """The photograph with its face as `w_plus` (1, num_ws, w_dim) has it.

        Args:
            w_plus: `self.w_plus`, edited.
            region: what may change.
            keep_background: leave what is behind the head as it is, and continue it where the
                head has been, see `KeptBackground`.
        """
        if keep_background and self._fusion is not None and self._detailed is not None:
            if torch.equal(w_plus, self.w_plus):
                return self.rgb.copy()
            fused = self._detailed.fused(self._fusion, w_plus)
            return self._before_background(fused, self._slip(w_plus))
        edited = self._carried(w_plus, self.model.generator.styles(w_plus), region)
        return self._background(edited) if keep_background else edited

    def mixed(
        self, fusion: StyleFusion, other: Tensor, part: str, *, keep_background: bool = False
    ) -> RGB:
        """The photograph with a part of its face as another latent has it (StyleFusion).

        Args:
            fusion: networks of the generator.
            other: that latent, (1, num_ws, w_dim).
            part: one of `fusion.regions`.
            keep_background: see `edited`.

        Raises:
            UsageError: networks that don't part it from the rest.
        """
        generator = self.model.generator
        own, others = generator.styles(self.w_plus), generator.styles(other)
        edited = self._carried(None, fusion.swapped(generator, own, {part: others}), "head")
        return self._background(edited) if keep_background else edited

    def with_glasses(self, strength: float) -> RGB:
        """The photograph with glasses on, see `Spectacles`; as it is where some are worn."""
        if self._spectacles.worn:
            log.warning("glasses are worn already")
        return self._spectacles(strength)

    def _carried(self, w_plus: Tensor | None, styles: list[Tensor], region: Region) -> RGB:
        """What styles change in the rendering, carried over to the photograph.

        Args:
            w_plus: their latents; None where they are of none.
        """
        after = self._render(w_plus, styles)
        features = region in ("face", "glasses")
        mask = face_region() if features else None
        skin = None
        parsed = None if features else self._parse(styles)
        if parsed is not None and self._parsed is not None:
            either = np.maximum(parsed, self._parsed)  # before or after the edit
            mask = grown(either[1] if region == "hair" else f32(either[1:].sum(0).clip(0, 1)))
            if region == "head":  # where hair comes, its color does
                bare = self._parsed[2:].sum(0).clip(0, 1) * (1 - parsed[1])
                skin = f32(cv2.GaussianBlur(bare, (0, 0), 1))
        change = measure_change(
            self._before,
            after,
            mask,
            skin=skin,
            reach=self._reach,
            steady=features,
        )
        return apply_change(self.rgb, self.alignment, change)

    def _slip(self, w_plus: Tensor) -> Points:
        """(2,) how far the head's middle moves to the right and down, in sides of the crop.

        The crop is about eyes and mouth: there a turning head moves away, which sits on a neck.
        """
        parsed = self._parse(self.model.generator.styles(w_plus))
        if parsed is None or self._parsed is None:
            return np.zeros(2, np.float32)
        return _middle(parsed) - _middle(self._parsed)

    def _before_background(self, fused: FusedRendering, slip: Points) -> RGB:
        """A fused rendering, carried over: the head's pixels moved, the background's kept.

        Args:
            slip: see `_slip`; the head is moved back by it.
        """
        assert isinstance(self.alignment, Alignment)  # HFGI is of faces
        after = slid(to_rgb(fused.image), -slip)
        whole = Placement(self.rgb, self.alignment).within(SIZE)
        change = measure_change(self._before, after, reach=whole, membrane=False)
        change = redrawn_beyond(change, _plane(fused.own))
        edited = apply_change(self.rgb, self.alignment, change)
        return before_background(
            self.rgb,
            edited,
            self.alignment,
            head=slid(_plane(fused.person), -slip, outside=0),
            been=_plane(fused.been),
            behind=f32(to_rgb(fused.behind)),
        )

    @cached_property
    def _background(self) -> KeptBackground:
        if not isinstance(self.alignment, Alignment):
            raise UsageError("backgrounds are kept behind heads alone", hint="Leave it out.")
        return KeptBackground(self.rgb, self.alignment, FaceParser())

    @cached_property
    def _spectacles(self) -> Spectacles:
        return Spectacles(self.rgb, self.alignment, FaceParser())

    @torch.inference_mode()
    def _render(self, w_plus: Tensor | None, styles: list[Tensor]) -> RGB:
        if self._detailed is not None and w_plus is not None:
            return to_rgb(self._detailed.render(w_plus))
        with self.model.arithmetic():
            return to_rgb(self.model.generator.synthesize(styles))

    def _parse(self, styles: list[Tensor]) -> Points | None:
        if self.directions is None:
            return None
        return self.directions.parse(self.model.generator, styles)


def _middle(parsed: Points) -> Points:
    """(x, y) of hair and face in (4, S, S) probabilities, in sides."""
    head = parsed[1:3].sum(0) ** 2
    y, x = (np.mgrid[: head.shape[0], : head.shape[1]] + 0.5) / head.shape[0]
    total = max(float(head.sum()), 1e-3)
    return f32(np.array([(head * x).sum(), (head * y).sum()]) / total)


def slid(picture: Any, way: Points, *, outside: float | None = None) -> Any:
    """(S, S) or (S, S, C) moved by `way` (x, y), in sides; its border goes on behind it.

    Args:
        outside: what comes in at the border instead.
    """
    side = picture.shape[0]
    matrix = f32(np.array([[1, 0, way[0] * side], [0, 1, way[1] * side]]))
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        picture, matrix, (side, side), borderMode=border, borderValue=outside or 0
    )


def _plane(field: Tensor) -> Points:
    return f32(field[0, 0].float().cpu().numpy())


def grown(mask: Points) -> Points:
    """(S, S) in 0..1, widened and softened."""
    size = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (GROWN, GROWN))
    wide = cv2.dilate(cv2.GaussianBlur(mask, (0, 0), 1), size)
    return f32(np.clip(cv2.GaussianBlur(wide, (0, 0), 1.2), 0, 1))


def face_region(side: int = 64) -> Points:
    """(side, side): eyes, nose and mouth of an aligned face, fading out around them."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side
    x = (axis[None, :] - FACE_CENTER[0]) / FACE_AXES[0]
    y = (axis[:, None] - FACE_CENTER[1]) / FACE_AXES[1]
    return f32(smoothstep((1.15 - np.hypot(x, y)) / 0.4))
