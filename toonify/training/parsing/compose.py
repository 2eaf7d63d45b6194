"""Pictures with exact labels, put together from labeled faces: framing, backgrounds, second
people, glasses and other things worn or held, light and damage."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.parsing import GLASSES, LABELS
from toonify.faces.person import fill_from
from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.damage import damage, recolor_skin_and_hair, relight
from toonify.training.parsing.faces import LabeledFaces
from toonify.training.parsing.fringe import draw_fringe, dress
from toonify.training.parsing.glasses import draw_glasses
from toonify.training.parsing.hands import draw_hand, draw_object
from toonify.training.parsing.headwear import draw_headwear
from toonify.training.parsing.labels import IGNORED
from toonify.training.parsing.scenery import scenery
from toonify.training.parsing.wrinkles import draw_wrinkles

SIDE = 256
UNKNOWN = -1
INDEX = {name: i for i, name in enumerate(LABELS)}
ADDED = tuple(
    INDEX[name] for name in ("glasses", "sunglasses", "headwear", "hand", "object", "clothes")
)
BAND = 20  # px beside and below the crop that are mirrored to go on outside it
Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture (256, 256, 3), its labels (256, 256), and attributes, `UNKNOWN` where not known:
    index of `GLASSES`, then beard, moustache, headwear in 0..1."""

    rgb: RGB
    labels: Labels
    attributes: Points


@dataclass(frozen=True, eq=False)
class Layer:
    """A person on the output's grid: colors, opacity, labels."""

    rgb: Points
    alpha: Points
    labels: Labels


def compose(
    faces: LabeledFaces, rng: np.random.Generator, *, camera: bool = True, aligned: bool = False
) -> Sample:
    """One random picture.

    Args:
        camera: what a poor camera does to it is done; False leaves it as the scene was.
        aligned: the face lies as an FFHQ crop has it, as exactly as one is found.
    """
    number = faces.pick(rng)
    face = faces[number]
    rgb, labels = face.rgb, face.labels.copy()
    attributes = face.attributes.copy()
    source = faces[faces.pick(rng)].rgb
    if rng.random() < 0.12:
        rgb, labels = draw_fringe(rgb, face.points, labels, rng)
    if rng.random() < 0.35:
        rgb = draw_wrinkles(rgb, face.points, labels, rng)
    if rng.random() < 0.2:
        rgb = dress(rgb, labels, source, rng)
    if attributes[0] == 0 and rng.random() < 0.36:
        drawn = draw_glasses(rgb, face.points, labels == INDEX["hair"], rng)
        rgb = drawn.rgb
        labels[drawn.dark > 0] = INDEX["sunglasses"]
        labels[drawn.frame > 0] = INDEX["glasses"]
        attributes[0] = GLASSES.index(drawn.kind)
    if attributes[3] == 0 and rng.random() < 0.13:
        rgb, worn = draw_headwear(rgb, face.points, labels, source, rng)
        labels[worn] = INDEX["headwear"]
        attributes[3] = 1
    rgb = recolor_skin_and_hair(rgb, labels, rng)
    if rng.random() < 0.1:
        rgb, labels = draw_hand(rgb, face.points, labels, source, rng)
    elif rng.random() < 0.07:
        rgb, labels = draw_object(rgb, face.points, labels, source, rng)
    added = np.isin(labels, ADDED)
    alpha = np.maximum(face.alpha, f32(added & (labels != face.labels)))
    matrix, zoom = _framing(rng, aligned=aligned)
    layer = _on_grid(rgb, alpha, labels, matrix, rng)
    own = zoom > 0.85 and rng.random() < 0.5
    if own:
        behind = cv2.warpAffine(
            fill_from(rgb, f32(1 - cv2.dilate(alpha, np.ones((5, 5), np.uint8)))),
            matrix,
            (SIDE, SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
    else:
        behind = background(faces, rgb, labels, rng)
    picture = f32(behind)
    result = np.zeros((SIDE, SIDE), np.uint8)
    company = rng.random()  # somebody behind, somebody before, nobody
    if not own and company < 0.24:
        picture, result = _other_person(faces, picture, result, rng)
    cover = layer.alpha[..., None]
    picture = f32(picture * (1 - cover) + layer.rgb * cover)
    result = np.where(layer.alpha > 0.5, layer.labels, result).astype(np.uint8)
    if company > 0.93:
        picture, result = _other_person(faces, picture, result, rng, before=True)
    if rng.random() < 0.5:
        picture, result = picture[:, ::-1], result[:, ::-1]
    picture = relight(np.ascontiguousarray(picture), rng)
    result = np.ascontiguousarray(result)
    if not camera:
        whole = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        return Sample(whole, result, attributes)
    out = damage(np.clip(picture, 0, 255), rng)
    if rng.random() < 0.2:
        _cut_off(out, result, rng)
    return Sample(out, result, attributes)


def _cut_off(rgb: RGB, labels: Labels, rng: np.random.Generator) -> None:
    """As where a crop reaches beyond its photo: the border's pixels go on, with no label."""
    for _ in range(int(rng.integers(1, 3))):
        turns = int(rng.integers(4))
        picture, names = np.rot90(rgb, turns), np.rot90(labels, turns)
        width = int(rng.uniform(2, 0.28 * SIDE))
        picture[:, :width] = picture[:, width : width + 1]
        names[:, :width] = IGNORED


def _framing(
    rng: np.random.Generator, *, aligned: bool = False
) -> tuple[NDArray[np.float32], float]:
    """Affine map (2, 3) of output pixels into the crop, and how large the face becomes."""
    if aligned:  # what landmarks err by
        zoom = float(np.exp(rng.normal(0, 0.02)))
        return _affine(zoom, rng.normal(0, 1.5), rng.normal(0, 0.008, 2), 1.0), zoom
    kind = rng.random()
    if kind < 0.45:  # about an FFHQ crop
        zoom = float(np.exp(rng.normal(-0.08, 0.1)))
    elif kind < 0.75:  # twice as loose
        zoom = float(rng.uniform(0.44, 0.65))
    else:
        zoom = float(np.exp(rng.uniform(np.log(0.45), np.log(1.35))))
    degrees = rng.uniform(-45, 45) if rng.random() < 0.2 else rng.normal(0, 9)
    shift = rng.normal(0, 0.05, 2)
    return _affine(zoom, degrees, shift, float(np.exp(rng.normal(0, 0.04)))), zoom


def _affine(
    zoom: float, degrees: float, shift: NDArray[np.float64], stretch: float
) -> NDArray[np.float32]:
    angle = np.radians(degrees)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    linear = np.array([[cos * stretch, -sin], [sin * stretch, cos]])
    center = np.array([SIDE / 2, SIDE / 2])
    offset = center - linear @ (center + shift * SIDE)
    return f32(np.concatenate([linear, offset[:, None]], 1))


def _on_grid(
    rgb: RGB, alpha: Points, labels: Labels, matrix: NDArray[np.float32], rng: np.random.Generator
) -> Layer:
    """The person seen through the map; what the crop cuts off is made up."""
    v, u = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    x = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2]
    y = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2]
    last = SIDE - 1
    there = np.ones_like(x, bool)
    above = y < 0
    if above.any():  # a head cut off at the top is rounded
        cut = np.flatnonzero(alpha[0] > 0.5)
        height = max(0.13 * len(cut), 6) * rng.uniform(0.7, 1.3)
        rise = np.clip(-y / height, 0, 1)
        middle = float(cut.mean()) if len(cut) else SIDE / 2
        narrow = np.sqrt(np.clip(1 - rise**2, 1e-4, 1))
        x = np.where(above, middle + (x - middle) / narrow, x)
        there &= ~above | ((rise < 1) & bool(len(cut)))
        y = np.where(above, np.minimum(-0.6 * y, BAND), y)
    below = y > last
    far = f32(np.clip(y - last, 0, None))
    if below.any():  # shoulders widen
        x = np.where(below, last / 2 + (x - last / 2) / (1 + rng.uniform(0, 0.8) * far / SIDE), x)
    beside = np.maximum(-x, x - last)
    there &= (beside < rng.uniform(4, 30)) | (y > 0.6 * SIDE)
    fall = rng.uniform(0.3, 1.3)  # of the shoulders that go on beside the crop
    for column, out in ((0, -x), (-1, x - last)):
        seen = np.flatnonzero(alpha[int(0.6 * SIDE) :, column] > 0.5)
        start = 0.6 * SIDE + float(seen[0]) if len(seen) else 1.1 * SIDE
        there &= (out <= 0) | (y < 0.6 * SIDE) | (y > start + fall * out + 0.002 * out**2)
    x, y = f32(x), f32(y)
    names = _sample(labels, x, y, cv2.INTER_NEAREST).astype(np.uint8)
    opacity = f32(_sample(f32(alpha), x, y, cv2.INTER_LINEAR) * there)
    colors = f32(_sample(f32(rgb), x, y, cv2.INTER_LINEAR))
    if below.any() or (beside > 0).any():  # texture goes on, where it is of the same label
        inner_x = np.where(x < 0, _bounce(-x), np.where(x > last, last - _bounce(x - last), x))
        inner_y = f32(np.where(below, last - _bounce(far), y))
        inner_x = f32(inner_x)
        same = _sample(labels, inner_x, inner_y, cv2.INTER_NEAREST) == names
        mirrored = _sample(f32(rgb), inner_x, inner_y, cv2.INTER_LINEAR)
        colors = np.where(same[..., None], mirrored, colors)
        dressed = (names == INDEX["neck"]) & (far > rng.uniform(0.03, 0.2) * SIDE)
        dressed |= (names == INDEX["hair"]) & (far > rng.uniform(0.1, 0.8) * SIDE)
        names[dressed] = INDEX["clothes"]
        worn = rgb[-20:][labels[-20:] == INDEX["clothes"]]
        plain = worn.mean(0) if len(worn) > 50 and rng.random() < 0.7 else rng.uniform(0, 255, 3)
        colors = f32(np.where(dressed[..., None], f32(plain), colors))
    opacity[(names == 0) & (opacity > 0.5)] = 0.5
    return Layer(colors, opacity, names)


def _sample(array: np.ndarray, x: Points, y: Points, how: int) -> np.ndarray:
    return np.asarray(cv2.remap(array, x, y, how, borderMode=cv2.BORDER_REPLICATE))


def _bounce(distance: Points) -> Points:
    """Distances beyond the border as distances inside it, to and fro within `BAND`."""
    return f32(BAND - np.abs(distance % (2 * BAND) - BAND))


def background(faces: LabeledFaces, rgb: RGB, labels: Labels, rng: np.random.Generator) -> Points:
    """Something to stand before (256, 256, 3): a room, a texture, a plain; at times of the color
    of the hair or the skin."""
    kind = rng.random()
    if kind < 0.45:
        behind = scenery(SIDE, faces[faces.pick(rng)].rgb, rng)
    elif kind < 0.75:
        other = faces[faces.pick(rng)]
        sure = f32(1 - cv2.dilate(other.alpha, np.ones((7, 7), np.uint8)))
        behind = f32(fill_from(other.rgb, sure))
        if rng.random() < 0.5:
            turn = cv2.getRotationMatrix2D(
                (SIDE / 2, SIDE / 2), rng.choice([0, 90, 180, 270]), rng.uniform(1, 2)
            )
            behind = f32(cv2.warpAffine(behind, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))
    elif kind < 0.82:  # stuff: some of a picture's middle or lower part, magnified
        other = faces[faces.pick(rng)]
        size = int(rng.uniform(20, 60))
        px = int(rng.uniform(0, SIDE - size))
        py = int(rng.choice([rng.uniform(0, 30), rng.uniform(190, SIDE - size)]))
        part = other.rgb[py : py + size, px : px + size]
        behind = f32(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    elif kind < 0.93:
        behind = np.zeros((SIDE, SIDE, 3), np.float32) + f32(rng.uniform(0, 255, 3))
        for octave in (2, 4, 8, 16, 32):
            noise = rng.normal(size=(octave, octave, 3)) * rng.uniform(0, 50)
            gray = noise.mean(2, keepdims=True)
            noise = gray + (noise - gray) * rng.uniform(0, 0.6)
            behind += cv2.resize(f32(noise), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    else:
        ends = rng.uniform(0, 255, (2, 2, 3))
        if rng.random() < 0.5:
            ends[:] = rng.choice([rng.uniform(0, 25), rng.uniform(215, 255)])
        behind = f32(cv2.resize(f32(ends), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))
    if rng.random() < 0.3:  # hard to tell from hair or skin
        part = labels == INDEX["hair" if rng.random() < 0.75 else "skin"]
        if part.sum() > 50:
            mean = rgb[part].mean(0)
            behind = f32(mean + (behind - behind.mean((0, 1))) * rng.uniform(0.1, 0.6))
    if rng.random() < 0.4:
        behind = f32(cv2.GaussianBlur(behind, (0, 0), rng.uniform(0.5, 6)))
    return f32(np.clip(behind, 0, 255))


def _other_person(
    faces: LabeledFaces,
    picture: Points,
    result: Labels,
    rng: np.random.Generator,
    *,
    before: bool = False,
) -> tuple[Points, Labels]:
    """Somebody behind or beside, or partly before."""
    other = faces[faces.pick(rng)]
    zoom = rng.uniform(0.45, 1.2)
    side = rng.choice([-1, 1])
    near = 0.62 if before else 0.38
    shift = np.array([side * rng.uniform(near, 0.8), rng.normal(0.05, 0.15)]) * SIDE
    angle = np.radians(rng.normal(0, 12))
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    linear = np.array([[cos, -sin], [sin, cos]])
    center = np.array([SIDE / 2, SIDE / 2])
    matrix = f32(np.concatenate([linear, (center - linear @ (center + shift))[:, None]], 1))
    rgb = recolor_skin_and_hair(other.rgb, other.labels, rng)
    layer = _on_grid(rgb, other.alpha, other.labels, matrix, rng)
    colors, opacity = layer.rgb, layer.alpha
    if rng.random() < (0.1 if before else 0.5):
        blur = rng.uniform(0.5, 3)
        colors = f32(cv2.GaussianBlur(colors, (0, 0), blur))
        opacity = f32(cv2.GaussianBlur(opacity, (0, 0), blur))
    cover = opacity[..., None]
    picture = f32(picture * (1 - cover) + colors * rng.uniform(0.7, 1.1) * cover)
    return picture, np.where(opacity > 0.5, INDEX["person"], result).astype(np.uint8)
