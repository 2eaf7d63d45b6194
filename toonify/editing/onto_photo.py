"""An edit of a rendered face, carried over to the photograph that the face was read from.

The generator never redraws the photograph. Between its face before and after the edit two things
are measured: where everything moves (optical flow), and what changes apart from that. The
photograph's own pixels are moved and changed so, within the head; the rest stays as it is, to the
bit. That is the purpose of HFGI's distortion consultation (arXiv 2109.06590), with a measured flow
in place of a learnt alignment: details stay, and nothing is left behind where something moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from toonify.faces.alignment import Crop, unit_to_photo
from toonify.faces.types import RGB, Points, f32
from toonify.utils.optical_flow import optical_flow
from toonify.utils.ramps import smoothstep

SIZE = 256  # of the fields
REACH = (0.47, 0.56)  # half axes of the ellipse that an edit may change, in crop sides
SOFT = 0.28  # share of it over which changes fade out
LONGEST = 0.09  # way that anything may move, in sides
MOVES_SMOOTH = 0.011  # smoothing of the flow, in sides
NEW = (0.06, 0.18)  # change of detail, in [0, 1], from which and at which the rendering takes over
MEMBRANE = 32  # cells a side of what takes a seam away
LIGHT = 0.03  # sides, what counts as light instead of detail
LEAST_COLOR = 0.9  # share of its saturation that skin keeps
OTHER_COLOR = 0.25  # of it, how much of another hue may come to skin
LUMA = f32(np.array([0.299, 0.587, 0.114]))  # of RGB (ITU-R BT.601)


@dataclass(frozen=True, eq=False)
class Change:
    """What an edit does to an aligned face, fields of (256, 256).

    Attributes:
        flow: (S, S, 2) where each pixel comes from, away from itself, in sides of the crop.
        added: (S, S, 3) float, added to what was moved there, in levels.
        new: (S, S) in 0..1, where details are the rendering's.
        detail: (S, S, 3) float, the rendering's detail there, in levels.
        mask: (S, S) in 0..1, where anything changes.
        skin: (S, S) in 0..1, where the photograph's own color stays; None for nowhere.
    """

    flow: Points
    added: Points
    new: Points
    detail: Points
    mask: Points
    skin: Points | None = None


def measure_change(
    before: RGB,
    after: RGB,
    head: Points | None = None,
    *,
    skin: Points | None = None,
    reach: Points | None = None,
    membrane: bool = True,
    steady: bool = False,
) -> Change:
    """Two renderings (S, S, 3) uint8 of one face, before and after an edit → what changed.

    Args:
        head: (S', S') in 0..1, where an edit may change something beside the ellipse; None for the
            ellipse alone.
        skin: (S', S') in 0..1, where an edit may make things lighter and darker, but neither gray
            nor green; None for nowhere.
        reach: (256, 256) in 0..1, how far an edit of something else than a face may change it;
            None for the ellipse around a head.
        membrane: with `reach`, nothing is known of what is subject there and what background, so
            that a change of light and color that comes up to where it ends is taken back
            everywhere, as far as it goes on inwards.
        steady: what most of the mask is lighter, darker or of another color by is no part of the
            edit: a smile makes nobody pale.
    """
    before, after = _sized(before), _sized(after)
    mask = _reach() if reach is None else reach
    if head is not None:
        mask = mask * f32(cv2.resize(head, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))
    flow = optical_flow(before, after, longest=LONGEST, smooth=MOVES_SMOOTH) * mask[..., None]
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    moved = f32(
        cv2.remap(
            f32(before),
            x + flow[..., 0],
            y + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
    added = f32(after) - moved
    if reach is not None and membrane:
        added = _seamless(added, reach)
    if steady:
        added = f32(added - np.median(added[mask > 0.5], axis=0))
    light = _soft(added, LIGHT)
    changed = np.abs(_soft(added - light, 0.006)).mean(2) / 255
    low, high = NEW
    new = np.clip((_soft(f32(changed), 0.008) - low) / (high - low), 0, 1)
    detail = f32(after) - _soft(f32(after), LIGHT)
    return Change(
        flow=f32(flow / SIZE),
        added=_soft(added, 0.003) * mask[..., None],
        new=f32(new * mask),
        detail=detail,
        mask=mask,
        skin=None if skin is None else f32(cv2.resize(skin, (SIZE, SIZE))),
    )


def redrawn_beyond(change: Change, subject: Points) -> Change:
    """The change, with the rendering's details wherever it would move others than the subject's.

    Args:
        subject: (256, 256) in 0..1, where the photograph shows what is edited.
    """
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    way = change.flow * SIZE
    border = cv2.BORDER_REPLICATE
    moved = cv2.remap(
        subject, x + way[..., 0], y + way[..., 1], cv2.INTER_LINEAR, borderMode=border
    )
    beyond = _soft(f32(1 - moved), 0.006) * change.mask
    return replace(change, new=f32(np.maximum(change.new, beyond)))


def apply_change(rgb: RGB, alignment: Crop, change: Change) -> RGB:
    """A copy of the photograph (H, W, 3) uint8 with the change where the face's crop lies."""
    out = rgb.copy()
    to_photo = unit_to_photo(alignment)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ to_photo[:, :2].T + to_photo[:, 2]
    height, width = rgb.shape[:2]
    x0, y0 = (int(v) for v in np.clip(np.floor(corners.min(0)), 0, [width, height]))
    x1, y1 = (int(v) for v in np.clip(np.ceil(corners.max(0)) + 1, 0, [width, height]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return out
    field_to_photo = to_photo.copy()
    field_to_photo[:, :2] /= SIZE
    field_to_photo[:, 2] += field_to_photo[:, :2] @ [0.5, 0.5] - [x0, y0]

    def placed(field: Points) -> Points:
        return f32(cv2.warpAffine(field, field_to_photo, (x1 - x0, y1 - y0), flags=cv2.INTER_CUBIC))

    flow = placed(change.flow) @ f32(to_photo[:, :2].T)  # sides of the crop → px of the photo
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    moved = f32(
        cv2.remap(
            rgb,
            x + flow[..., 0],
            y + flow[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
    side = float(np.hypot(*to_photo[:, 0]))
    new = np.clip(placed(change.new), 0, 1)[..., None]
    plain = moved + placed(change.added)
    if new.max() > 0:
        redrawn = cv2.GaussianBlur(plain, (0, 0), max(side * LIGHT, 0.5)) + placed(change.detail)
        plain = plain + (redrawn - plain) * new
    if change.skin is not None:
        skin = np.clip(placed(change.skin), 0, 1)[..., None]
        plain = plain + skin * _lost_color(moved, plain, max(side * LIGHT / 4, 0.5))
    mask = placed(change.mask) > 1e-3
    area = out[y0:y1, x0:x1]
    area[mask] = np.clip(np.rint(plain), 0, 255).astype(np.uint8)[mask]
    return out


def _lost_color(before: Points, after: Points, sigma: float) -> Points:
    """(H, W, 3) to add, so that nothing of a blur of `sigma` px turns gray or takes another hue.

    A rendering's change of color is added to a photograph whose skin may be paler: what takes all
    red from the one leaves the other green. So the color that `before` has in the light of `after`
    is kept in part, and other hues are limited by it. 0 where nothing changes.
    """
    was, now = (f32(cv2.GaussianBlur(each, (0, 0), sigma)) for each in (before, after))
    luma_was, luma_now = ((each @ LUMA)[..., None] for each in (was, now))
    own = (was - luma_was) * np.clip(luma_now / np.maximum(luma_was, 1), 0, 1.25)
    color = now - luma_now
    length = np.maximum(np.linalg.norm(own, axis=2, keepdims=True), 1)
    share = (color * own).sum(2, keepdims=True) / length**2
    other = color - share * own
    far = np.linalg.norm(other, axis=2, keepdims=True)
    kept = np.minimum(1, OTHER_COLOR * length / np.maximum(far, 1e-3))
    return f32(np.maximum(LEAST_COLOR - share, 0) * own - other * (1 - kept))


def _seamless(added: Points, reach: Points) -> Points:
    """(S, S, 3) less the membrane over its values where `reach` ends, which leaves no seam.

    That is Poisson editing (Pérez et al., 2003), the membrane being the mean of the rim's values
    by distance.
    """
    small = (MEMBRANE, MEMBRANE)
    rim = cv2.resize(reach, small, interpolation=cv2.INTER_AREA) < 0.9
    if not rim.any():
        return added
    values = cv2.resize(added, small, interpolation=cv2.INTER_AREA)[rim]
    places = np.stack(np.nonzero(rim), axis=1)
    y, x = np.mgrid[:MEMBRANE, :MEMBRANE].reshape(2, -1)
    away = (y[:, None] - places[:, 0]) ** 2 + (x[:, None] - places[:, 1]) ** 2
    weight = 1 / (away + 0.1) ** 1.5
    membrane = weight @ values / weight.sum(axis=1, keepdims=True)
    field = f32(membrane.reshape(*small, 3))
    return f32(added - cv2.resize(field, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))


def _sized(rgb: RGB) -> RGB:
    if rgb.shape[0] == SIZE:
        return rgb
    return np.asarray(cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def _reach() -> Points:
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE - 0.5
    radius = np.hypot(axis[None, :] / REACH[0], axis[:, None] / REACH[1])
    edge = np.clip((0.5 - np.abs(axis)) / 0.04, 0, 1)  # nothing changes on the crop's border
    return f32(smoothstep((1 - radius) / SOFT) * edge[None, :] * edge[:, None])


def _soft(field: Points, sides: float) -> Points:
    return f32(cv2.GaussianBlur(field, (0, 0), sides * SIZE, borderType=cv2.BORDER_REPLICATE))
