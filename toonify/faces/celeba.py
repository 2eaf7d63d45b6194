"""Heads labeled as CelebAMask-HQ's are: what mask-to-face networks were trained on.

Its 19 labels tell left from right (the person's own), noses, and upper from lower lips; the parser
doesn't, the face mesh does.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.bundle import bundle_folder, check_part, part_path, read_manifest
from toonify.errors import InputError
from toonify.faces import get_detector
from toonify.faces.alignment import align, ffhq_quad
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.types import RGB, Face, FaceDetector, Points, f32

CELEBA = (
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses",
    "left ear", "right ear", "earring", "nose", "mouth", "upper lip", "lower lip", "neck",
    "necklace", "clothes", "hair", "hat",
)  # fmt: skip
LOOSE = 1.5  # side of the crop that is labeled, in FFHQ crops
CROP = 256
# Ours → theirs; of a pair the one on the person's left
_SAME = {
    "skin": "skin", "hair": "hair", "ear": "left ear", "neck": "neck", "brow": "left brow",
    "eye": "left eye", "lips": "upper lip", "mouth": "mouth", "glasses": "glasses",
    "sunglasses": "glasses", "beard": "skin", "headwear": "hat", "hand": "skin",
    "clothes": "clothes",
}  # fmt: skip
_PAIRS = (("left ear", "right ear"), ("left brow", "right brow"), ("left eye", "right eye"))
NOSE = (
    168, 122, 196, 236, 198, 209, 49, 48, 64, 98, 97, 2, 326, 327, 294, 278, 279, 429, 420, 456,
    419, 351,
)  # fmt: skip
LOWER_LIP = (
    61, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 291, 375, 321, 405, 314, 17, 84, 181, 91,
    146,
)  # fmt: skip


class HeadLabeler:
    """Pictures → the 19 labels, every face found with its hair, neck and clothes.

    Args:
        detector: makes the one that finds faces, when first needed.
    """

    def __init__(
        self, parser: FaceParser, mesh: FaceMesh, detector: Callable[[], FaceDetector]
    ) -> None:
        self._parser, self._mesh, self._make_detector = parser, mesh, detector
        self._detector: FaceDetector | None = None

    @classmethod
    def from_bundle(cls, bundle: str | os.PathLike[str] = "default") -> HeadLabeler:
        """On a bundle's networks.

        Raises:
            ModelError: it has none, or they are damaged.
        """
        folder = bundle_folder(bundle)
        manifest = read_manifest(folder)
        for part in ("parsing", "face_mesh", "iris"):
            check_part(folder, manifest, part)
        return cls(
            FaceParser(part_path(folder, manifest, "parsing")),
            FaceMesh(part_path(folder, manifest, "face_mesh").parent),
            get_detector,
        )

    def __call__(self, rgb: RGB) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 → labels (H, W), indices of `CELEBA`.

        Raises:
            InputError: no face is found.
        """
        if self._detector is None:
            self._detector = self._make_detector()
        faces = self._detector.detect(rgb)
        if not faces:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        labels = np.zeros(rgb.shape[:2], np.uint8)
        for face in sorted(faces, key=lambda face: face.size):  # the largest lies on top
            found = self._head(rgb, face)
            labels[found > 0] = found[found > 0]
        return labels

    def _head(self, rgb: RGB, face: Face) -> NDArray[np.uint8]:
        close = align(rgb, face, CROP)
        points = close.to_photo(f32(self._mesh.measure(close.image).points))
        quad = ffhq_quad(face).astype(np.float64)
        right, down = (quad[3] - quad[0]) * LOOSE / CROP, (quad[1] - quad[0]) * LOOSE / CROP
        corner = quad.mean(0) - (right + down) * (CROP - 1) / 2
        matrix = np.stack([right, down, corner], 1)  # crop px -> picture px
        crop = cv2.warpAffine(
            rgb,
            matrix,
            (CROP, CROP),
            flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        parsed = self._parser.parse(np.asarray(crop, np.uint8)).resized((CROP, CROP))
        size = (rgb.shape[1], rgb.shape[0])
        planes = [
            cv2.warpAffine(np.ascontiguousarray(parsed[..., i]), matrix, size)
            for i in range(parsed.shape[2])
        ]
        planes[0][sum(planes) < 0.5] = 1  # outside the crop
        return celeba_labels(np.argmax(planes, axis=0).astype(np.uint8), points)


def celeba_labels(labels: NDArray[np.uint8], points: Points) -> NDArray[np.uint8]:
    """Labels (H, W) of the parser → of `CELEBA`.

    Args:
        points: (468, 2) the face mesh, px.
    """
    table = np.zeros(len(LABELS), np.uint8)
    for ours, theirs in _SAME.items():
        table[LABELS.index(ours)] = CELEBA.index(theirs)
    out = table[labels]
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32)
    top, chin = points[10], points[152]
    down = (chin - top) / (np.linalg.norm(chin - top) + 1e-6)
    aside = (x - top[0]) * down[1] - (y - top[1]) * down[0]  # + = to the picture's right
    for left, other in _PAIRS:
        out[(out == CELEBA.index(left)) & (aside < 0)] = CELEBA.index(other)
    out[_polygon(points[list(NOSE)], out.shape) & (out == CELEBA.index("skin"))] = CELEBA.index(
        "nose"
    )
    lower = _polygon(points[list(LOWER_LIP)], out.shape)
    middle = points[[13, 14]].mean(0)
    below = (x - middle[0]) * down[0] + (y - middle[1]) * down[1] > 0
    lips = out == CELEBA.index("upper lip")
    out[lips & (lower | below)] = CELEBA.index("lower lip")
    return out


def _polygon(outline: Points, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    return mask > 0
