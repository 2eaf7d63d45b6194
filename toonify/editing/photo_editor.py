"""Edits of a face, or whatever a generator draws, within its photograph: read it, fit it, edit its
rendering, carry that over."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify.editing.background import KeptBackground, Placement, before_background
from toonify.editing.named import NamedDirections, Region
from toonify.editing.onto_photo import SIZE, apply_change, measure_change
from toonify.errors import UsageError
from toonify.faces import Alignment
from toonify.faces.parsing import FaceParser
from toonify.faces.subject import Subject
from toonify.faces.types import RGB, Points, f32
from toonify.inversion.background_fusion import BackgroundFusion, FusedRendering
from toonify.inversion.fitting import FitSettings, fit_face
from toonify.inversion.hfgi import DetailedFace, DetailModel
from toonify.inversion.model import FaceModel
from toonify.utils.tensors import to_rgb, to_tensor

CROP = 256  # px of the crop that the encoder reads
GROWN = 5  # px of 64 by which a region is widened, for what an edit adds to it
FACE_CENTER, FACE_AXES = (0.5, 0.6), (0.29, 0.36)  # of the region "face", in sides of the crop


class PhotoEditor:
    """One photograph and the largest face in it, or its square of another subject.

    Nothing outside the head or square changes, and an edit of strength 0 gives the photograph
    itself.

    Args:
        model: an encoder of aligned faces or squares and its generator; without an encoder the fit
            starts at the average code.
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
        start = model.face_codes(photo)
        self.w_plus = fit_face(
            model.generator, model.face_encoder, photo, start, fit, progress=progress
        )
        self._detailed: DetailedFace | None = None
        self._fusion = fusion
        if details is not None:
            self._detailed = DetailedFace(model, details, photo, self.w_plus)
        self._before = self._render(self.w_plus)
        self._parsed = self._parse(self.w_plus)

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
            return self._before_background(self._detailed.fused(self._fusion, w_plus))
        after = self._render(w_plus)
        mask = face_region() if region == "face" else None
        skin = None
        parsed = None if region == "face" else self._parse(w_plus)
        if parsed is not None and self._parsed is not None:
            either = np.maximum(parsed, self._parsed)  # before or after the edit
            mask = grown(either[1] if region == "hair" else f32(either[1:].sum(0).clip(0, 1)))
            if region == "head":  # where hair comes, its color does
                bare = self._parsed[2:].sum(0).clip(0, 1) * (1 - parsed[1])
                skin = f32(cv2.GaussianBlur(bare, (0, 0), 1))
        change = measure_change(self._before, after, mask, skin=skin, reach=self._reach)
        edited = apply_change(self.rgb, self.alignment, change)
        return self._background(edited) if keep_background else edited

    def _before_background(self, fused: FusedRendering) -> RGB:
        """A fused rendering, carried over: the head's pixels moved, the background's kept."""
        assert isinstance(self.alignment, Alignment)  # HFGI is of faces
        after = to_rgb(fused.image)
        whole = Placement(self.rgb, self.alignment).within(SIZE)
        change = measure_change(self._before, after, reach=whole, membrane=False)
        edited = apply_change(self.rgb, self.alignment, change)
        return before_background(
            self.rgb,
            edited,
            self.alignment,
            head=_plane(fused.person),
            been=_plane(fused.been),
            behind=f32(to_rgb(fused.behind)),
        )

    @cached_property
    def _background(self) -> KeptBackground:
        if not isinstance(self.alignment, Alignment):
            raise UsageError("backgrounds are kept behind heads alone", hint="Leave it out.")
        return KeptBackground(self.rgb, self.alignment, FaceParser())

    @torch.inference_mode()
    def _render(self, w_plus: Tensor) -> RGB:
        if self._detailed is not None:
            return to_rgb(self._detailed.render(w_plus))
        generator = self.model.generator
        with self.model.arithmetic():
            return to_rgb(generator.synthesize(generator.styles(w_plus)))

    def _parse(self, w_plus: Tensor) -> Points | None:
        if self.directions is None:
            return None
        return self.directions.parse(self.model.generator, w_plus)


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
    at = np.clip((1.15 - np.hypot(x, y)) / 0.4, 0, 1)
    return f32(at * at * (3 - 2 * at))
