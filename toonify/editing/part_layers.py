"""Another's pixels over a photograph: where they come from, their colors, and laying them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from toonify.editing.part_light import Kept, from_log, to_log, toned
from toonify.editing.part_people import Person
from toonify.editing.part_shapes import remapped
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.fields import smoothstep


@dataclass(frozen=True, eq=False)
class Toning:
    """How another's pixels take the photograph's tone and light, in the photograph's window.

    Attributes:
        base: (h, w, 3) logarithms of the other's skin.
        wanted: (h, w, 3) those of the photograph's.
        white: (h, w) in 0..1, where there is no skin, but an eye or teeth.
        light: (h, w, 3) logarithms that are added there.
        kept: what comes along.
    """

    base: Points
    wanted: Points
    white: Points
    light: Points
    kept: Kept

    def with_white(self, white: Points, light: Points) -> Toning:
        """The same with something else that is no skin."""
        return replace(self, white=white, light=light)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What the photograph shows behind a layer, in its window.

    Attributes:
        colors: (h, w, 3), levels.
        share: (h, w) in 0..1, where they stand for the photograph's own.
    """

    colors: Points
    share: Points


@dataclass(frozen=True, eq=False)
class Layer:
    """Another's pixels over the photograph's window.

    Attributes:
        flow: (h, w, 2) where each px comes from, px of the other's window.
        own: (h, w, 2) where the photograph's own come from around it, px of its window.
        alpha: (h, w) in 0..1, where the other's are seen.
        toning: what becomes of their colors.
        backdrop: what is behind the layer instead of the photograph; None for the photograph.
        pure: (h, w, 3) levels and (h, w) in 0..1, colors that stand for the other's own.
    """

    flow: Points
    own: Points
    alpha: Points
    toning: Toning
    backdrop: Backdrop | None = None
    pure: tuple[Points, Points] | None = None


def laid(photo: Person, other: Person, layer: Layer, strength: float) -> RGB:
    """The photograph (H, W, 3) with another's pixels, at its own resolution."""
    flow, own, alpha, toning = layer.flow, layer.own, layer.alpha, layer.toning
    out = photo.rgb.copy()
    height, width = out.shape[:2]
    changes = alpha if layer.backdrop is None else np.maximum(alpha, layer.backdrop.share)
    rows, columns = np.nonzero(changes > 1 / 512)
    if not len(rows) or not strength:
        return out
    matrix = photo.to_picture
    low = matrix[:, :2] @ [columns.min() - 1, rows.min() - 1] + matrix[:, 2]
    high = matrix[:, :2] @ [columns.max() + 1, rows.max() + 1] + matrix[:, 2]
    x0, y0 = (int(v) for v in np.clip(np.floor(low), 0, [width, height]))
    x1, y1 = (int(v) for v in np.clip(np.ceil(high) + 1, 0, [width, height]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return out
    to_area = matrix.copy()
    to_area[:, 2] -= [x0, y0]

    def large(field: Points) -> Points:
        return f32(cv2.warpAffine(field, to_area, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR,
                                  borderMode=cv2.BORDER_REPLICATE))  # fmt: skip

    share = large(alpha)
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    moved = (own - np.stack([x, y], 2)) * smoothstep(alpha, 0, 0.5)[..., None]
    moved = large(f32(moved)) @ f32(matrix[:, :2].T)
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    base = remapped(
        photo.rgb, f32(np.stack([x + moved[..., 0], y + moved[..., 1]], 2)), cv2.INTER_CUBIC
    )
    places = large(flow) @ f32(other.to_picture[:, :2].T) + f32(other.to_picture[:, 2])
    # a larger face is first averaged down, so that the warp doesn't alias
    picture = other.rgb
    ratio = other.subject.face.unit * other.to_picture[0, 0]
    ratio /= photo.subject.face.unit * matrix[0, 0]
    if ratio > 1.3:
        size = (max(round(picture.shape[1] / ratio), 8), max(round(picture.shape[0] / ratio), 8))
        scale = f32([size[0] / picture.shape[1], size[1] / picture.shape[0]])
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        places = (places + 0.5) * scale - 0.5
    taken = remapped(picture, f32(places), cv2.INTER_CUBIC)
    if layer.pure is not None:
        taken = taken + large(layer.pure[1])[..., None] * (large(layer.pure[0]) - taken)
    logs = to_log(taken)
    skin = toned(logs, large(toning.base), large(toning.wanted), toning.kept)
    white = large(toning.white)[..., None]
    taken = from_log(skin + white * (logs + large(toning.light) - skin))
    weight = float(np.clip(strength, 0, 1))
    if layer.backdrop is not None:
        behind = large(layer.backdrop.share)[..., None] * weight
        base = base + behind * (large(layer.backdrop.colors) - base)
    mixed = base + (share * weight)[..., None] * (taken - base)
    area = out[y0:y1, x0:x1]
    changed = large(changes) > 1 / 512
    area[changed] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)[changed]
    return out
