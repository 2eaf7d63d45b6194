"""The StyleGANEX engine of clips: each person's part of the frame, as it stands in the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from toonify.engine import DEFAULT_LEVEL
from toonify.errors import InputError
from toonify.faces import Alignment, Face, FaceDetector, align
from toonify.faces.alignment import ffhq_quad
from toonify.faces.types import RGB, Points, f32
from toonify.frame_engine import FACE, FrameToonifier
from toonify.video.artist import chunks

REACH = 1.5  # side of the part that is drawn, in sides of the face's FFHQ crop
LIFT = 0.06  # of that part's centre above the crop's, in crop sides: hair is above, body below
EDGE = 0.08  # of its side, over which it fades into the frame
SEEN = (9.0, 26.0)  # levels of difference from the frame that begin to count, and count fully
CLOSE = 0.035  # of its side: gaps in a drawing up to this wide are drawn too


class FrameArtist:
    """Whole frames through StyleGANEX's encoder and generator.

    A region is not turned and not aligned, so the landmarks' noise moves nothing; where the
    network leaves the frame alone, the frame's own pixels stay.

    Args:
        toonifier: the engine.
        detector: finds faces.
        level, trgb, color: as in `FrameToonifier.render`.
        batch_size: regions drawn together.
    """

    keeps_code = True
    clears_hair = False

    def __init__(
        self,
        toonifier: FrameToonifier,
        detector: FaceDetector,
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        batch_size: int = 8,
    ) -> None:
        self.toonifier, self.batch_size = toonifier, batch_size
        self._detector = detector
        self.level, self.trgb, self.color = level, trgb, color

    @property
    def characters(self) -> tuple[str, ...]:
        return self.toonifier.characters

    @property
    def detector(self) -> FaceDetector:
        return self._detector

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """An upright square around the head, its face as large as in training."""
        quad = ffhq_quad(face).astype(np.float64)
        crop = float(np.hypot(*(quad[3] - quad[0])))
        up = (quad[0] - quad[1]) / crop
        middle = quad.mean(0) + LIFT * crop * up
        size = round(self.toonifier.crop * REACH / 8) * 8
        scale = crop / self.toonifier.crop  # photo px a region px
        corner = middle - scale * (size - 1) / 2
        matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
        reach = scale * size
        if not (-reach < corner[0] < rgb.shape[1] and -reach < corner[1] < rgb.shape[0]):
            raise InputError("a face lies outside the picture")
        return Alignment(image=_cut(rgb, matrix, size), matrix=matrix, face=face)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """w+ (N, num_ws, w_dim) of the aligned faces."""
        crops = []
        for region in regions:
            face = region.face
            moved = Face(
                box=f32(region.to_crop(face.box.reshape(2, 2)).ravel()),
                score=face.score,
                points5=region.to_crop(face.points5),
                points68=None if face.points68 is None else region.to_crop(face.points68),
            )
            crops.append(align(region.image, moved, FACE).image)
        return f32(self.toonifier.encode(crops).cpu().numpy())

    def render(
        self, regions: Sequence[Alignment], codes: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """The regions, drawn."""
        drawn: dict[int, RGB] = {}
        for name in sorted(set(characters)):
            rows = [row for row, wanted in enumerate(characters) if wanted == name]
            for part in chunks(rows, self.batch_size):
                w_plus = torch.from_numpy(codes[part]).to(self.toonifier.device)
                toons = self.toonifier.render(
                    [regions[row].image for row in part],
                    w_plus,
                    name,
                    level=self.level,
                    trgb=self.trgb,
                    color=self.color,
                )
                drawn.update(zip(part, toons, strict=True))
        return [drawn[row] for row in range(len(characters))]

    def matte(self, region: Alignment, toon: RGB) -> Points:
        """Where the drawing differs from the frame, the face's own part of it without holes."""
        size = region.image.shape[0]
        small = cv2.resize(toon, (size, size), interpolation=cv2.INTER_AREA)
        sigma = size / 192
        soft, seen = (cv2.GaussianBlur(f32(x), (0, 0), sigma) for x in (small, region.image))
        low, high = SEEN
        change = np.clip((np.abs(soft - seen).max(2) - low) / (high - low), 0, 1)
        matte, side = _one_piece(f32(change), region), toon.shape[0]
        if side == size:
            return matte
        return f32(cv2.resize(matte, (side, side), interpolation=cv2.INTER_LINEAR))

    def occlusion(self, region: Alignment) -> None:
        """None: the network draws whole regions, with what stands before the face as it is."""

    def mask(self, matte: Points) -> Points:
        """The matte, faded towards the region's edges."""
        at = (np.arange(matte.shape[0]) + 0.5) / matte.shape[0]
        ramp = np.clip(np.minimum(at, 1 - at) / EDGE, 0, 1)
        ramp = ramp * ramp * (3 - 2 * ramp)
        return f32(matte * np.outer(ramp, ramp))


def _cut(rgb: RGB, matrix: np.ndarray, size: int) -> RGB:
    """The region, averaged where the frame is larger; beyond the frame it is mirrored."""
    zoom = float(matrix[0, 0])
    times = max(int(np.ceil(zoom - 0.2)), 1)
    fine = matrix.copy()
    fine[:, :2] /= times
    fine[:, 2] -= (times - 1) / (2 * times) * zoom
    image = cv2.warpAffine(
        rgb,
        fine,
        (size * times, size * times),
        flags=(cv2.INTER_CUBIC if zoom < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if times > 1:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)


def _one_piece(change: Points, region: Alignment) -> Points:
    """The part of a change (S, S) that the face lies in, gaps closed and holes filled."""
    size = change.shape[0]
    gap = max(3, round(CLOSE * size) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap))
    certain = cv2.morphologyEx((change > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    count, labels = cv2.connectedComponents(certain)
    if count < 2:
        return f32(np.zeros_like(change))
    x, y = region.to_crop(f32(region.face.points5.mean(0)[None]))[0]
    near = int(size * 0.12)
    rows = slice(max(int(y) - near, 0), max(int(y) + near, 1))
    columns = slice(max(int(x) - near, 0), max(int(x) + near, 1))
    here = labels[rows, columns]
    tally = np.bincount(here[here > 0], minlength=count) if here.size else np.zeros(count)
    own = int(tally.argmax()) if tally.any() else 0
    if not own:
        return f32(np.zeros_like(change))
    outlines, _ = cv2.findContours(
        (labels == own).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    whole = cv2.drawContours(np.zeros((size, size), np.uint8), outlines, -1, 1, cv2.FILLED)
    whole = cv2.dilate(whole, np.ones((3, 3), np.uint8), iterations=max(1, size // 128))
    return f32(cv2.GaussianBlur(f32(whole), (0, 0), size / 160))
