"""Parts of one person's face in another's photograph.

By default their pixels are put there by geometry and blending (`toonify.editing.part_transfer`).
A network that is named mixes stylemaps instead (StyleMapGAN, arXiv 2104.14754):
both aligned faces are encoded, their stylemaps mixed by the part's mask (section 3.4) and decoded.
What the network can't render is added back (ours): outside the part the photograph's own detail,
within it the other face's. The photograph changes in the part and a narrow band around it alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify import bundle as bundles
from toonify.checkpoints.stylemap import load_stylemap
from toonify.device import pick_device
from toonify.editing.face_parts import PARTS, SIDE, part_mask, share_of, widened
from toonify.editing.hair_transfer import hair_layer
from toonify.editing.part_people import Person, check_poses, measure
from toonify.editing.part_transfer import PartTransfer
from toonify.editing.stylemap import local_edit
from toonify.engine import Photo, as_photo
from toonify.errors import InputError, ModelError
from toonify.faces import Alignment, FaceDetector, align, get_detector
from toonify.faces.alignment import unit_to_photo
from toonify.faces.parsing import FaceParser, Parsing
from toonify.faces.types import RGB, Points, f32
from toonify.media.images import FORMATS, read_image
from toonify.models.generators.stylemap import StyleMapGAN
from toonify.names import unknown_name
from toonify.portrait.engine import load_analyzer
from toonify.utils.arguments import check_range
from toonify.utils.tensors import check_finite, to_tensor

log = logging.getLogger(__name__)
LARGEST = 1024  # px of the crop that details are taken at
BLEND = 0.05  # width of the band around a part in which it passes into the photograph, in sides
SOFT = 0.012  # softness of the part's own edge, in sides
GAIN = (0.5, 2.0)  # limits of the factors that bring skin to the photograph's tone
TURNED = 0.35  # of `turning`, from which faces differ too much to go together
FILLED = 128  # px of the crop that what lies behind hair is continued at
LEAST_SKIN = 0.01  # share of a crop from which skin has a tone


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """The largest face of a picture.

    Attributes:
        alignment: its crop, of any size.
        parsing: what the crop shows.
    """

    alignment: Alignment
    parsing: Parsing


class LocalEditor:
    """A network, and what finds faces and their parts; one instance a thread.

    Args:
        network: encoder and generator.
        detector: finds faces; the package's default when None.
    """

    def __init__(self, network: StyleMapGAN, detector: FaceDetector | None = None) -> None:
        self.network, self.detector = network, detector or get_detector()
        self.parser = FaceParser()
        self.device = next(network.parameters()).device

    def face(self, rgb: RGB, size: int | None = None) -> AlignedFace:
        """The largest face of (H, W, 3), as large as it is there or `size`.

        Raises:
            InputError: no face in it.
        """
        faces = self.detector.detect_largest(rgb)
        if not faces:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        alignment = align(rgb, faces[0], SIDE)
        parsing = self.parser.parse(alignment.image)
        if size is None:
            side = float(np.hypot(*alignment.matrix[:, 0])) * SIDE
            size = int(np.clip(round(side), SIDE, LARGEST))
        if size != SIDE:
            alignment = align(rgb, faces[0], size)
        return AlignedFace(alignment, parsing)

    def edited(
        self,
        rgb: RGB,
        face: AlignedFace,
        other: RGB,
        mask: Points,
        strength: float = 1.0,
    ) -> RGB:
        """A copy of a photograph (H, W, 3) with what another face has under a mask.

        Args:
            face: of the photograph.
            other: (S, S, 3), the other face's crop, as large as the face's.
            mask: (256, 256) in {0, 1} of the photograph's crop.
            strength: how far the part goes from the photograph's towards the other's.
        """
        crop, size = face.alignment.image, face.alignment.image.shape[0]
        source, taken = self._encoded(crop), self._encoded(other)
        placed = _resized(mask, self.network.size) * 2 - 1
        with torch.inference_mode():
            made = [
                self.network.generator(source),
                self.network.generator(taken),
                local_edit(
                    self.network.generator,
                    source,
                    source + strength * (taken - source),
                    torch.from_numpy(placed)[None].to(self.device),
                ),
            ]
        before, there, mixed = (self._levels(picture, size) for picture in made)
        lacking, detail = f32(crop) - before, f32(other) - there
        share = strength * _resized(_soft(mask, SOFT), size)[..., None]
        edit = mixed - before + share * (detail - lacking)
        band = _resized(_soft(widened(mask, BLEND / 2), BLEND / 4), size)
        return _put_back(rgb, face.alignment, f32(edit * (band * _edge(size))[..., None]))

    def _encoded(self, crop: RGB) -> Tensor:
        size = self.network.size
        small = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            return self.network.encoder(to_tensor(np.asarray(small, np.uint8)).to(self.device))

    def _levels(self, picture: Tensor, size: int) -> Points:
        """A network's (1, 3, R, R) in levels, (size, size, 3)."""
        check_finite(picture)
        levels = f32((picture[0].float() * 127.5 + 127.5).permute(1, 2, 0).cpu().numpy())
        return f32(cv2.resize(levels, (size, size), interpolation=cv2.INTER_CUBIC))


def edit_part(
    photo: Photo,
    reference: Photo,
    part: str | os.PathLike[str],
    strength: float = 1.0,
    *,
    at: Sequence[float] | None = None,
    network: str | os.PathLike[str] | None = None,
    device: str = "auto",
    offline: bool = True,
) -> RGB:
    """Give the largest face of a photograph a part of another person's.

    Args:
        photo: (H, W, 3) uint8 RGB, a PIL image, or a file.
        reference: likewise, whose part is taken.
        part: a name of `PARTS`, or the file of a mask: of the photograph's size, white where the
            other face is taken.
        strength: how far the part goes towards the other's, -1 to 2; 0 is the photograph. Beyond 0
            to 1, shapes go on, colors don't (of a network: both).
        at: (x, y) px of the photograph where the part's middle is put; None for its own place.
        network: what mixes the faces: a file of `toonify train-stylemap`, a published StyleMapGAN,
            or a bundle. None for none: the other's own pixels are warped and blended.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        offline: never fetch a detector's weights.

    Returns:
        (H, W, 3) uint8. Away from the part it is the photograph itself.

    Raises:
        UsageError: an unknown part, or a strength out of range.
        InputError: an unreadable file, no face, a part that the other face lacks or that something
            is before, heads that are turned too differently, or a mask that is empty, of another
            size, or beside the face.
        ModelError: a network that can't be loaded or is of another kind.

    Examples:
        >>> hers = edit_part("me.jpg", "friend.jpg", "eyes")
        >>> half = edit_part("me.jpg", "friend.jpg", "hair", 0.5)
    """
    check_range("strength", strength, -1, 2)
    rgb, other = as_photo(photo), as_photo(reference)
    drawn = None
    if str(part) not in PARTS:
        drawn = read_mask(part, rgb.shape[:2])
    if network is not None:
        editor = LocalEditor(
            load_stylemap(find_stylemap(network), device=pick_device(device)),
            get_detector(device=str(pick_device(device)), offline=offline),
        )
        return _by_network(editor, (rgb, photo), (other, reference), str(part), drawn, strength, at)
    detector = get_detector(device=str(pick_device(device)), offline=offline)
    return _by_pixels(detector, (rgb, photo), (other, reference), str(part), drawn, strength, at)


Source = tuple[RGB, Photo]  # a picture, and what it was read from


def _by_pixels(
    detector: FaceDetector,
    source: Source,
    reference: Source,
    part: str,
    drawn: Points | None,
    strength: float,
    at: Sequence[float] | None,
) -> RGB:
    analyzer = load_analyzer()
    people = []
    for (rgb, origin), what in ((source, "photo"), (reference, "reference")):
        name = _named(origin, what)
        faces = detector.detect_largest(rgb)
        if not faces:
            raise InputError(f"{name}: no face found", hint="Use a picture with a visible face.")
        people.append(measure(analyzer, rgb, faces, name))
    photo, other = people
    if drawn is None:
        alignment = align(other.rgb, other.face, SIDE)
        if part_mask(part, FaceParser().parse(alignment.image), alignment) is None:
            raise InputError(
                f"{other.name}: no {part} to take", hint="Choose another part or picture."
            )
    check_poses(photo, other)
    transfer = PartTransfer(photo, other, strength)
    if drawn is not None:
        layer = transfer.area(_of_window(drawn, photo))
    elif part == "hair":
        layer = hair_layer(transfer)
    elif part == "glasses":
        layer = transfer.glasses()
    elif part == "beard":
        layer = transfer.beard()
    else:
        layer = transfer.feature(part)
    if at is not None:
        place = cv2.invertAffineTransform(photo.to_picture)
        layer = transfer.moved(layer, f32(place[:, :2] @ f32(at) + place[:, 2]))
    return transfer.laid(layer)


def _by_network(
    editor: LocalEditor,
    source: Source,
    reference: Source,
    part: str,
    drawn: Points | None,
    strength: float,
    at: Sequence[float] | None,
) -> RGB:
    (rgb, photo), (other, friend) = source, reference
    face = _found(editor, rgb, photo, "photo")
    taken = _found(editor, other, friend, "reference", face.alignment.image.shape[0])
    if abs(turning(taken) - turning(face)) > TURNED:
        log.warning("the faces look into different directions: the part will not fit well")
    theirs = in_tone(taken, face)
    if drawn is not None:
        mask = _of_crop(drawn, face.alignment)
    else:
        name = part
        found = part_mask(name, taken.parsing, taken.alignment)
        if found is None:
            what = _named(friend, "reference")
            raise InputError(f"{what}: no {name} to take", hint="Choose another part or picture.")
        if not PARTS[name].skin:
            theirs = _blended(theirs, taken.alignment.image, _soft(found, SOFT))
        mine = part_mask(name, face.parsing, face.alignment) if at is None else None
        mask = found if mine is None else np.maximum(found, mine)
        if name == "hair" and at is None:
            theirs = _before_the_photo(theirs, taken, face, mask)
    if at is not None:
        mask, theirs = _moved(mask, theirs, face.alignment, at)
    return editor.edited(rgb, face, theirs, mask, strength)


def find_stylemap(name: str | os.PathLike[str]) -> Path:
    """The file of a bundle's StyleMapGAN, or the file that was named.

    Raises:
        ModelError: the bundle has none, or a damaged one.
    """
    if not bundles.is_bundle(str(name)):
        return Path(name)
    folder = bundles.bundle_folder(name)
    if not bundles.has_parts(folder, (bundles.STYLEMAP,)):
        raise ModelError(
            f"the bundle {name} holds no StyleMapGAN",
            hint="Train one with `toonify train-stylemap` and name it.",
        )
    manifest = bundles.read_manifest(folder)
    return bundles.check_part(folder, manifest, bundles.STYLEMAP)


def read_mask(path: str | os.PathLike[str], shape: tuple[int, ...]) -> Points:
    """(H, W) in {0, 1} of a picture, white where the other face is taken.

    Args:
        shape: (H, W) that it must have.

    Raises:
        UsageError: no picture's name and no part's.
        InputError: unreadable, empty or of another size.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise unknown_name("part", str(path), tuple(PARTS))
    rgb = read_image(path).flat
    if rgb.shape[:2] != tuple(shape):
        found, wanted = (f"{w}x{h}" for h, w in (rgb.shape[:2], shape))
        raise InputError(
            f"the mask {path} is {found}, the photo {wanted}", hint="Draw it over the photo."
        )
    mask = f32(rgb.mean(axis=2) > 127)
    if not mask.any():
        raise InputError(f"the mask {path} is empty", hint="Paint white what is to change.")
    return mask


def in_tone(reference: AlignedFace, face: AlignedFace) -> RGB:
    """The reference's crop (S, S, 3) with its skin in the tone of another face's."""
    crop = reference.alignment.image
    found = []
    for one in (reference, face):
        image = one.alignment.image
        where = _resized(share_of(one.parsing, "skin"), image.shape[0]) > 0.7
        if where.mean() < LEAST_SKIN:
            return crop
        found.append(f32(image)[where].mean(axis=0))
    gain = np.clip(found[1] / np.maximum(found[0], 1), *GAIN)
    return np.asarray(np.rint((f32(crop) * gain).clip(0, 255)), np.uint8)


def turning(face: AlignedFace) -> float:
    """Where a face's nose lies between its eyes, 0 in the middle; positive to the right."""
    left, right, tip = face.alignment.face_in_crop.points5[:3]
    across = right - left
    return float((tip - (left + right) / 2) @ across / (across @ across))


def _found(
    editor: LocalEditor, rgb: RGB, source: Photo, what: str, size: int | None = None
) -> AlignedFace:
    try:
        return editor.face(rgb, size)
    except InputError as error:
        raise InputError(f"{_named(source, what)}: {error.message}", hint=error.hint) from error


def _named(source: Photo, what: str) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"the {what}"


def _of_window(mask: Points, photo: Person) -> Points:
    """A photograph's mask (H, W) in the window of its face."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = f32(cv2.warpAffine(mask, photo.to_picture, photo.size, flags=flags))
    if not (found > 0.5).any():
        raise InputError("the mask lies beside the face", hint="Paint white over the face.")
    return found


def _of_crop(mask: Points, alignment: Alignment) -> Points:
    """A photograph's mask (H, W) in its face's crop, (256, 256)."""
    matrix = unit_to_photo(alignment)
    matrix[:, :2] /= SIDE
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = f32(cv2.warpAffine(mask, matrix, (SIDE, SIDE), flags=flags) > 0.5)
    if not found.any():
        raise InputError("the mask lies beside the face", hint="Paint white over the face.")
    return found


def _moved(
    mask: Points, other: RGB, alignment: Alignment, at: Sequence[float]
) -> tuple[Points, RGB]:
    """A mask (256, 256) with its middle at (x, y) px of the photograph, and the crop it is of."""
    y, x = np.nonzero(mask)
    point = alignment.to_crop(f32([at]))[0] / alignment.image.shape[0]
    way = point - np.array([x.mean(), y.mean()]) / SIDE

    def shifted(image: Points | RGB, border: int) -> np.ndarray:
        size = image.shape[0]
        matrix = np.array([[1, 0, way[0] * size], [0, 1, way[1] * size]])
        return cv2.warpAffine(image, matrix, (size, size), borderMode=border)

    moved = f32(shifted(mask, cv2.BORDER_CONSTANT) > 0.5)
    if not moved.any():
        raise InputError("`at` lies beside the face", hint="Give px of the photo near the face.")
    return moved, np.asarray(shifted(other, cv2.BORDER_REFLECT), np.uint8)


def _before_the_photo(other: RGB, taken: AlignedFace, face: AlignedFace, mask: Points) -> RGB:
    """Another head (S, S, 3) before what the photograph shows around its own.

    What lies behind hair that goes is nobody's to know: its surroundings are continued there.
    """
    head = share_of(taken.parsing, "hair", "skin", "ear", "brow", "eye", "glasses")
    crop = face.alignment.image
    gone = widened(f32(mask * (share_of(face.parsing, "hair") > 0.15)), 0.01)
    # faces and necks are not continued into the background
    person = 1 - share_of(face.parsing, "background", "person", "object", "clothes")
    small = cv2.resize(crop, (FILLED, FILLED), interpolation=cv2.INTER_AREA)
    hole = _resized(np.maximum(gone, person), FILLED) > 0.15
    if not hole.all():
        filled = cv2.inpaint(small, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)
        large = cv2.resize(filled, crop.shape[:2], interpolation=cv2.INTER_CUBIC)
        crop = _blended(crop, np.asarray(large, np.uint8), _soft(gone, SOFT / 2))
    return _blended(crop, other, f32(np.clip((head - 0.3) / 0.4, 0, 1)))


def _blended(below: RGB, above: RGB, share: Points) -> RGB:
    """One picture over another, by a mask of any size."""
    weight = _resized(share, below.shape[0])[..., None]
    mixed = f32(below) + weight * (f32(above) - f32(below))
    return np.asarray(np.rint(mixed), np.uint8)


def _put_back(rgb: RGB, alignment: Alignment, edit: Points) -> RGB:
    """The photograph with an edit of its crop (S, S, 3) added, in levels."""
    size = edit.shape[0]
    height, width = rgb.shape[:2]
    corners = alignment.to_photo(f32([[0, 0], [size, 0], [0, size], [size, size]]))
    x0, y0 = (int(v) for v in np.clip(np.floor(corners.min(0)), 0, [width, height]))
    x1, y1 = (int(v) for v in np.clip(np.ceil(corners.max(0)) + 1, 0, [width, height]))
    out = rgb.copy()
    if x1 - x0 < 2 or y1 - y0 < 2:
        return out
    matrix = alignment.matrix.copy()
    matrix[:, 2] -= [x0, y0]
    added = cv2.warpAffine(edit, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_CUBIC)
    area = out[y0:y1, x0:x1]
    area[:] = np.clip(np.rint(f32(area) + added), 0, 255).astype(np.uint8)
    return out


def _edge(size: int) -> Points:
    """(size, size): falls to 0 towards the crop's border."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    ramp = np.clip(np.minimum(at, 1 - at) / 0.03, 0, 1)
    return f32(np.outer(ramp, ramp))


def _soft(mask: Points, sides: float) -> Points:
    return f32(cv2.GaussianBlur(mask, (0, 0), sides * mask.shape[0]))


def _resized(mask: Points, size: int) -> Points:
    how = cv2.INTER_AREA if size < mask.shape[0] else cv2.INTER_LINEAR
    return f32(cv2.resize(mask, (size, size), interpolation=how))
