"""Where in a photograph something is drawn: person, background, faces, or a mask that is given."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.bundle import bundle_folder, check_part, read_manifest
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import align, get_detector
from toonify.faces.alignment import unit_to_photo
from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.person import PersonMatte
from toonify.faces.types import RGB, Points, f32
from toonify.media.images import read_image

CROP = 256  # px of a face's crop that is parsed
OF_FACES = ("skin", "brow", "eye", "lips", "mouth", "glasses", "sunglasses", "beard", "ear")
PERSON, BACKGROUND = 1, 0  # labels


class PersonMask:
    """(H, W, 3) → (H, W) in 0..1, the people's opacity, or what is around them.

    Raises:
        ModelError: the bundle has no matte network.
    """

    def __init__(self, bundle: str | os.PathLike[str], *, inverted: bool = False) -> None:
        self.inverted = inverted
        self._matte = PersonMatte(_part(bundle, "person_matte"))

    def __call__(self, rgb: RGB) -> Points:
        matte = self._matte(rgb)
        return f32(1 - matte) if self.inverted else matte


class FaceMask:
    """(H, W, 3) → (H, W) in 0..1: faces and ears, without hair."""

    def __init__(self, bundle: str | os.PathLike[str], *, landmarks: str = "auto") -> None:
        self._parser = FaceParser(_part(bundle, "parsing"))
        self._detector = get_detector(landmarks)

    def __call__(self, rgb: RGB) -> Points:
        found = self._detector.detect(rgb)
        if not found:
            raise InputError("no face found", hint="Take another `region`.")
        mask = np.zeros(rgb.shape[:2], np.float32)
        wanted = [LABELS.index(name) for name in OF_FACES]
        for face in found:
            alignment = align(rgb, face, CROP)
            part = f32(np.ascontiguousarray(self._parser(alignment.image)[..., wanted].sum(axis=2)))
            side = part.shape[0]
            to_photo = unit_to_photo(alignment)
            to_photo[:, :2] /= side
            to_photo[:, 2] += to_photo[:, :2] @ [0.5, 0.5]
            placed = cv2.warpAffine(part, to_photo, rgb.shape[1::-1], flags=cv2.INTER_LINEAR)
            mask = np.maximum(mask, placed)
        return f32(np.clip(mask, 0, 1))


class GivenMask:
    """A picture as a mask for photographs of its shape.

    Raises:
        InputError: unreadable or empty.
    """

    def __init__(self, path: Path) -> None:
        picture = cv2.cvtColor(read_image(path).rgb, cv2.COLOR_RGB2GRAY)
        if picture.max() < 8:
            raise InputError(f"the mask {path} is empty", hint="Paint white where it shall act.")
        self.path, self._mask = path, f32(picture) / 255

    def __call__(self, rgb: RGB) -> Points:
        (height, width), (own_height, own_width) = rgb.shape[:2], self._mask.shape
        if abs(own_width * height - own_height * width) > 0.01 * own_width * height:
            raise InputError(
                f"the mask {self.path} is {own_width}x{own_height}, the photo {width}x{height}",
                hint="Give a mask of the photo's shape.",
            )
        how = cv2.INTER_AREA if own_width > width else cv2.INTER_LINEAR
        return f32(cv2.resize(self._mask, (width, height), interpolation=how))


def region_mask(
    region: str, bundle: str | os.PathLike[str], *, landmarks: str = "auto"
) -> PersonMask | FaceMask | GivenMask:
    """What `--region` names.

    Raises:
        UsageError: neither a known region nor a file. InputError, ModelError: see the classes.
    """
    if region in ("person", "background"):
        return PersonMask(bundle, inverted=region == "background")
    if region == "face":
        return FaceMask(bundle, landmarks=landmarks)
    if not Path(region).is_file():
        raise UsageError(
            f"there is no region or mask {region!r}",
            hint="Say person, background, face, or name a picture.",
        )
    return GivenMask(Path(region))


class PersonLabels:
    """(H, W, 3) → (H, W) uint8: 1 where people are, 0 around them."""

    def __init__(self, bundle: str | os.PathLike[str]) -> None:
        self._mask = PersonMask(bundle)

    def __call__(self, rgb: RGB) -> NDArray[np.uint8]:
        return np.where(self._mask(rgb) > 0.5, PERSON, BACKGROUND).astype(np.uint8)


def _part(bundle: str | os.PathLike[str], part: str) -> Path:
    folder = bundle_folder(bundle)
    manifest = read_manifest(folder)
    if part not in (manifest.get("files") or {}):
        raise ModelError(f"the bundle {bundle} has no {part}", hint="Leave `bundle` out.")
    return check_part(folder, manifest, part)
