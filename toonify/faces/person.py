"""Which pixels belong to a person: MediaPipe's selfie segmentation through OpenCV's TFLite reader.

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
                mend="Get it again: toonify models pull person-matte",
            ) from error

    def __call__(self, rgb: RGB) -> Points:
        """(H, W, 3) uint8 → (H, W) float32 in 0..1."""
        small = cv2.resize(rgb, (INPUT, INPUT), interpolation=cv2.INTER_AREA)
        self._network.setInput(f32(small).transpose(2, 0, 1)[None] / 255)
        matte = np.clip(self._network.forward().reshape(INPUT, INPUT), 0, 1)
        size = (rgb.shape[1], rgb.shape[0])
        return f32(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR))


def fill_behind(rgb: RGB, matte: Points) -> RGB:
    """The picture (H, W, 3) uint8 with what `matte` (H, W) covers filled from around it, softly.

    Colours are averaged over ever larger neighbourhoods, of what is certainly background, until
    every pixel has one (pull-push, Gortler et al. 1996).
    """
    sure = f32(np.clip(1 - 2.5 * cv2.dilate(matte, np.ones((5, 5), np.uint8)), 0, 1))
    levels = [(f32(rgb) * sure[..., None], sure)]
    while min(levels[-1][1].shape) > 1:
        colours, weight = levels[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        levels.append(
            (
                f32(cv2.resize(colours, size, interpolation=cv2.INTER_AREA)),
                f32(cv2.resize(weight, size, interpolation=cv2.INTER_AREA)),
            )
        )
    colours, weight = levels[-1]
    filled = colours / max(float(weight.max()), 1e-6)
    for colours, weight in reversed(levels[:-1]):
        size = (weight.shape[1], weight.shape[0])
        below = f32(cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)).reshape(colours.shape)
        share = np.minimum(weight, 1)[..., None]
        filled = colours + (1 - share) * below
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)
