"""Which pixels belong to a person: MediaPipe's selfie segmentation through OpenCV's TFLite reader,
and which of them are hair, separated by their colors.

Used where training frames are put together: people before other backgrounds, and backgrounds
without their people.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from toonify.errors import ModelError
from toonify.faces.types import RGB, Points, f32

FILE = "selfie_segmentation.tflite"
INPUT = 256


class PersonMatte:
    """Head-and-shoulder pictures → opacity of the person; one instance a thread.

    Args:
        weights: the .tflite file, or the folder it lies in.

    Raises:
        ModelError: the file is not there or can't be read.
    """

    def __init__(self, weights: Path) -> None:
        path = weights / FILE if weights.is_dir() else weights
        try:
            self._network = cv2.dnn.readNetFromTFLite(str(path))
        except cv2.error as error:
            raise ModelError(
                f"{path} can't be read as selfie segmentation ({error.err})",
                hint="Get it again: toonify models pull person-matte",
            ) from error

    def __call__(self, rgb: RGB) -> Points:
        """(H, W, 3) uint8 → (H, W) float32 in 0..1."""
        small = cv2.resize(rgb, (INPUT, INPUT), interpolation=cv2.INTER_AREA)
        self._network.setInput(f32(small).transpose(2, 0, 1)[None] / 255)
        matte = np.clip(self._network.forward().reshape(INPUT, INPUT), 0, 1)
        size = (rgb.shape[1], rgb.shape[0])
        return f32(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR))


def fill_behind(rgb: RGB, matte: Points) -> RGB:
    """The picture (H, W, 3) uint8 with what `matte` (H, W) covers filled from around it."""
    sure = np.clip(1 - 2.5 * cv2.dilate(matte, np.ones((5, 5), np.uint8)), 0, 1)
    return fill_from(rgb, f32(sure))


def fill_from(rgb: RGB, sure: Points) -> RGB:
    """The picture (H, W, 3) uint8 with what is not `sure` (H, W; 1 where it is) filled softly.

    Colors are averaged over ever larger neighborhoods until every pixel has one (pull-push,
    Gortler et al. 1996).
    """
    levels = [(f32(rgb) * sure[..., None], sure)]
    while min(levels[-1][1].shape) > 1:
        colors, weight = levels[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        levels.append(
            (
                f32(cv2.resize(colors, size, interpolation=cv2.INTER_AREA)),
                f32(cv2.resize(weight, size, interpolation=cv2.INTER_AREA)),
            )
        )
    colors, weight = levels[-1]
    filled = colors / max(float(weight.max()), 1e-6)
    for colors, weight in reversed(levels[:-1]):
        size = (weight.shape[1], weight.shape[0])
        below = f32(cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)).reshape(colors.shape)
        share = np.minimum(weight, 1)[..., None]
        filled = colors + (1 - share) * below
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)


def hair_matte(face: RGB, matte: Points) -> Points:
    """Hair of a person in an FFHQ crop (S, S, 3), as (S, S) in 0..1; a guess.

    Colors above and beside the face are the hair's, those of its middle are skin, those at the
    bottom clothes; whatever is likest to hair and hangs together with what is above, is hair.
    """
    side = face.shape[0]
    smooth = cv2.bilateralFilter(face, 7, 30, 5)
    lab = f32(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)) * f32([0.7, 1, 1])
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    oval = ((x - 0.5) / 0.25) ** 2 + ((y - 0.6) / 0.34) ** 2
    person = matte > 0.9
    above = person & (oval > 1.25) & (y < 0.5) & (y > 0.02)
    if above.mean() < 0.006:
        return f32(np.zeros_like(matte))
    hair = _likeness(lab, above, 4)
    skin = _likeness(lab, person & (oval < 0.55) & (y > 0.45), 3)
    below = person & (y > 0.9) & (np.abs(x - 0.5) < 0.2)
    cloth = _likeness(lab, below, 3) if below.mean() > 0.005 else skin
    found = (hair > skin) & (hair > cloth) & (hair > -16) & person & (oval > 0.85)
    mask = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    _, parts = cv2.connectedComponents(mask)
    hanging = np.unique(parts[(y < 0.45) & (mask > 0)])
    one = np.isin(parts, hanging[hanging > 0])
    return f32(cv2.GaussianBlur(f32(one), (0, 0), side / 200))


def _likeness(lab: Points, where: np.ndarray, count: int) -> Points:
    """Logarithm of the likelihood (S, S) under `count` colors found `where`."""
    seen = lab[where]
    seen = seen[np.random.default_rng(0).permutation(len(seen))[:2000]]
    if len(seen) < count:
        return f32(np.full(lab.shape[:2], -1e9))
    cv2.setRNGSeed(0)
    rule = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 20, 1.0)
    empty = np.empty(0, np.int32)
    _, labels, centers = cv2.kmeans(seen, count, empty, rule, 2, cv2.KMEANS_PP_CENTERS)
    scores = []
    for i, center in enumerate(centers):
        own = seen[labels.ravel() == i]
        spread = float(own.std(0).mean()) + 4 if len(own) else 4.0
        away = ((lab - center) ** 2).sum(2)
        share = np.log(len(own) / len(seen) + 1e-3)
        scores.append(share - away / (2 * spread**2) - 3 * np.log(spread))
    return f32(np.max(scores, axis=0))
