"""Faces of few pixels enlarged with a generator's help.

A bundle's network (`FaceRestoration`) tells its generator in one pass what a face is to be, and
what comes out, made small again, is the photograph; less of it comes in where the two don't agree,
and nothing around the head, where that would be ripples: there edges are made crisp instead.

In a bundle without one, a latent is fitted whose rendering, at as few pixels, looks like the
photograph (PULSE, Menon et al., arXiv 2003.03808). PULSE gives that rendering out, who then is
somebody else. Here the photograph stays: all that its own pixels show is kept as it is
(back-projection, Irani and Peleg 1991), and only what is finer comes from the rendering, moved to
where the photograph has it by the optical flow between the two, and only as far as the finest that
both show agrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toonify.bundle import RESTORATION, bundle_folder, check_part, has_parts, read_manifest
from toonify.checkpoints.loading import load_network
from toonify.errors import InputError
from toonify.faces import Face, FaceDetector, align, ffhq_quad, get_detector
from toonify.faces.alignment import overlay, square_mask
from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.types import RGB, Points, f32
from toonify.inversion.fitting import SIZE, FitSettings, fit_face
from toonify.inversion.frames import Framing, resize
from toonify.inversion.model import FaceModel
from toonify.inversion.reading import load_face_model
from toonify.media.images import read_image, write_image
from toonify.media.metadata import Metadata
from toonify.models.base import Generator
from toonify.models.encoders.hfgi import at_size
from toonify.models.encoders.hfgi_compact import moved_along
from toonify.models.encoders.restoration import FaceRestoration, consistent, restored
from toonify.portrait.shock_filter import shock_filter
from toonify.tuning import gradient_dtype
from toonify.utils.tensors import lowered, to_arrays, to_tensor

FIT = FitSettings(steps=20)  # a latent to a face
SMALLEST_FACE = 12  # px across the FFHQ crop; with fewer nobody can be recognized
MOST_PIXELS = 1 << 25  # of an enlarged photograph
FOUND_AT = 640  # px, the side below which photographs are enlarged to find their faces
AROUND = 1.5  # deviation of the window in which details are compared, in the photograph's pixels
MOST_CONTRAST = 1.5  # by which the rendering's details are raised where the photograph's are
# How much of the network's details each part of a photograph takes: what it has learnt well
LEARNT = {
    "skin": 1.0, "brow": 1.0, "eye": 1.0, "lips": 1.0, "mouth": 1.0, "beard": 1.0, "ear": 0.8,
    "neck": 0.7, "hair": 0.6, "glasses": 0.6, "sunglasses": 0.25, "headwear": 0.15,
}  # fmt: skip
CRISP = (4.0, 8.0)  # times enlarged, from which and at which edges around the head are made crisp


@dataclass(frozen=True, eq=False)
class SmallPhoto:
    """A photograph with faces of few pixels.

    Attributes:
        rgb: (H, W, 3) uint8.
        faces: largest first; none where the whole photograph is an aligned face.
        times: by which it is to be enlarged, so that the largest face's crop has 256 px.
    """

    rgb: RGB
    faces: tuple[Face, ...]
    times: float


@dataclass(frozen=True, eq=False)
class Enlarged:
    """An enlarged photograph.

    Attributes:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8 opacity of a whole photograph that has one.
        metadata: what the photograph says about itself.
        faces: how many were redrawn.
        times: by which it was enlarged.
    """

    rgb: RGB
    alpha: NDArray[np.uint8] | None
    metadata: Metadata
    faces: int
    times: float

    def write(self, path: Path, *, strip: bool = False) -> None:
        """Write the picture; `strip` leaves date and camera out."""
        metadata = self.metadata.stripped() if strip else self.metadata
        write_image(path, self.rgb, alpha=self.alpha, metadata=metadata)


def enlarge_photo(
    source: Path,
    bundle: str = "default",
    *,
    framing: Framing = "whole",
    factor: int | None = None,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Enlarged:
    """Super-resolution of a photograph's faces by a bundle's generator of faces.

    Args:
        bundle: its folder, or "default".
        framing, factor: see `small_photo`.
        progress: called with (faces done, faces).

    Raises:
        InputError: an unreadable photograph, or one of those that `small_photo` refuses.
        ModelError: a bundle without such networks.

    Examples:
        >>> enlarge_photo(Path("small.jpg")).write(Path("large.png"))
    """
    image = read_image(source)
    detector = None if framing == "aligned" else get_detector(offline=offline)
    try:
        photo = small_photo(image.flat, framing, detector, factor=factor)
    except InputError as error:
        raise InputError(f"{source}: {error.message}", hint=error.hint) from error
    model = load_face_model(bundle, gradients=True, device=device, dtype=dtype)
    fit = replace(FIT, dtype=gradient_dtype(dtype, model.device, model.generator))
    network = load_restoration(bundle, model.generator, device=model.device)
    drawn = enlarge(model, photo, network=network, fit=fit, progress=progress)
    alpha = image.alpha if framing == "whole" else None
    if alpha is not None:
        alpha = resize(alpha, *drawn.shape[:2])
    count = max(1, len(_redrawn(photo)))
    return Enlarged(drawn, alpha, image.metadata, count, round(photo.times, 2))


def load_restoration(
    bundle: str, generator: Generator, *, device: torch.device
) -> FaceRestoration | None:
    """A bundle's network for small faces; None where it has none.

    Raises:
        ModelError: it is damaged, or another generator's.
    """
    folder = bundle_folder(bundle)
    if not has_parts(folder, (RESTORATION,)):
        return None
    path = check_part(folder, read_manifest(folder), RESTORATION)
    network = load_network("restoration", path, FaceRestoration, device=device)
    network.check(generator)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _redrawn(photo: SmallPhoto) -> list[Face]:
    """Its faces that have pixels enough."""
    return [face for face in photo.faces if crop_side(face) >= SMALLEST_FACE]


def small_photo(
    rgb: RGB, framing: Framing, detector: FaceDetector | None, *, factor: int | None = None
) -> SmallPhoto:
    """What is to be enlarged of a photograph (H, W, 3) uint8.

    Args:
        framing: "whole", "face" for what surrounds the largest face, "aligned" for a photograph
            that is an FFHQ crop.
        detector: not needed for "aligned".
        factor: lowers it first, so that its largest face has 256 / factor px across.

    Raises:
        InputError: no face; one that has 256 px and more, or too few; too large a result.
    """
    if framing == "aligned":
        side = min(rgb.shape[:2])
        wanted = _wanted(side, factor)
        return SmallPhoto(resize(rgb, wanted, wanted), (), SIZE / wanted)
    if detector is None:
        raise ValueError("a detector is needed to find the face")
    faces = _found(rgb, detector)
    if not faces:
        raise InputError("no face found", hint="Use a picture with a visible face.")
    if framing == "face":
        rgb, faces = _around(rgb, faces)
    side = crop_side(faces[0])
    shrink = _wanted(side, factor) / side
    if factor and shrink < 1:
        height, width = (max(1, round(s * shrink)) for s in rgb.shape[:2])
        scale = (width / rgb.shape[1], height / rgb.shape[0])
        rgb, faces = resize(rgb, height, width), [scaled(face, *scale) for face in faces]
    times = SIZE / crop_side(faces[0])
    height, width = (round(s * times) for s in rgb.shape[:2])
    if height * width > MOST_PIXELS:
        raise InputError(
            f"enlarged so that the largest face has {SIZE} px it would be {width}x{height} px",
            hint="Use `frame` face, or a picture that shows less.",
        )
    return SmallPhoto(rgb, tuple(faces), times)


def _wanted(side: float, factor: int | None) -> int:
    """Px across the face that is worked on; InputError where there is nothing to do."""
    wanted = round(min(side, SIZE / factor)) if factor else round(side)
    if wanted < SMALLEST_FACE:
        raise InputError(
            f"the face is {wanted} px across, too few to tell whose it is",
            hint=f"At least {SMALLEST_FACE} are needed, from the hair to below the chin.",
        )
    if wanted >= SIZE:
        raise InputError(
            f"the face is {wanted} px across already, and super-resolution draws {SIZE}",
            hint="Give a smaller picture, or `factor` to see what can be undone.",
        )
    return wanted


def crop_side(face: Face) -> float:
    """Px across a face's FFHQ crop."""
    quad = ffhq_quad(face)
    return float(np.hypot(*(quad[3] - quad[0])))


def scaled(face: Face, x: float, y: float) -> Face:
    """The face in a picture that is resized by these factors."""
    return _moved(face, lambda points: f32((points + 0.5) * [x, y] - 0.5))


def _moved(face: Face, move: Callable[[Points], Points]) -> Face:
    return replace(
        face,
        box=move(face.box.reshape(2, 2)).ravel(),
        points5=move(face.points5),
        points68=None if face.points68 is None else move(face.points68),
    )


def _found(rgb: RGB, detector: FaceDetector) -> list[Face]:
    """Faces, found in the photograph enlarged where it is small."""
    height, width = rgb.shape[:2]
    times = min(8, max(1, round(FOUND_AT / min(height, width))))
    if times == 1:
        return detector.detect(rgb)
    large = resize(rgb, height * times, width * times)
    return [scaled(face, 1 / times, 1 / times) for face in detector.detect(large)]


def _around(rgb: RGB, faces: list[Face]) -> tuple[RGB, list[Face]]:
    """What lies within a crop's side of the largest face's eyes, and that face."""
    x, y = (float(v) for v in faces[0].points5[:2].mean(0))
    reach = crop_side(faces[0])
    x0, y0 = max(0, round(x - reach)), max(0, round(y - reach))
    part = rgb[y0 : round(y + reach), x0 : round(x + reach)]
    face = _moved(faces[0], lambda points: f32(points - [x0, y0]))
    return np.ascontiguousarray(part), [face]


def enlarge(
    model: FaceModel,
    photo: SmallPhoto,
    *,
    network: FaceRestoration | None = None,
    fit: FitSettings = FIT,
    progress: Callable[[int, int], None] | None = None,
) -> RGB:
    """The photograph (H, W, 3) uint8 at `times` its size, its faces redrawn, the rest bicubic.

    Args:
        model: with a generator and an encoder of aligned faces.
        network: for small faces, trained for that generator.
        fit: how a latent is fitted to each face without it.
        progress: called with (faces done, faces).

    Examples:
        >>> photo = small_photo(rgb, "whole", get_detector())
        >>> large = enlarge(load_face_model("default"), photo)
    """

    parser = FaceParser()

    def drawn(crop: RGB, side: float) -> RGB:
        seen = to_tensor(crop).to(model.device)
        image = redraw(model, seen, round(side), network=network, parser=parser, fit=fit)
        return to_arrays(image)[0]

    if not photo.faces:
        image = drawn(resize(photo.rgb, SIZE, SIZE), photo.rgb.shape[0])
        if progress:
            progress(1, 1)
        return image
    height, width = (round(side * photo.times) for side in photo.rgb.shape[:2])
    large = resize(photo.rgb, height, width).copy()
    scale = (width / photo.rgb.shape[1], height / photo.rgb.shape[0])
    faces = _redrawn(photo)
    for done, face in enumerate(reversed(faces), start=1):  # the largest is drawn last
        alignment = align(large, scaled(face, *scale), SIZE)
        overlay(large, drawn(alignment.image, crop_side(face)), square_mask(SIZE), alignment)
        if progress:
            progress(done, len(faces))
    return large


def redraw(
    model: FaceModel,
    photo: Tensor,
    side: int,
    *,
    network: FaceRestoration | None = None,
    parser: FaceParser | None = None,
    fit: FitSettings = FIT,
) -> Tensor:
    """An aligned face of few pixels, enlarged, (1, 3, 256, 256) in [-1, 1] → a sharp one, clamped.

    Args:
        side: px that it has had across.
        network: for small faces, trained for the model's generator.
        parser: tells what the network has learnt well, see `LEARNT`; None for all to be drawn.
        fit: how the latent is fitted without it; no steps render the encoder's answer.
    """
    side = min(side, SIZE - 1)
    with torch.no_grad():
        start = model.face_w_plus(photo)
    if network is not None:
        sides = torch.tensor([side], device=photo.device)
        with torch.no_grad(), model.arithmetic():
            drawn = restored(network, network.check(model.generator), photo, start, sides)
        drawn = drawn.float()
        coarse = lowered(drawn, side)
        # where the rendering is not what the photograph shows, as of a profile, less of it
        detail = agreement(photo, coarse, side).clamp(max=1) * (drawn - coarse)
        if parser is None:
            return consistent(photo + detail, photo, sides).clamp(-1, 1)
        learnt = _learnt(photo, parser)
        plain = photo + learnt * detail
        image = consistent(plain, photo, sides)
        return around_head(image, plain, learnt.sqrt(), side).clamp(-1, 1)
    w_plus = fit_face(model.generator, model.face_encoder, photo, start, fit, side=side)
    with torch.no_grad(), model.arithmetic():
        rendering = at_size(model.generator(w_plus)).float().clamp(-1, 1)
    return with_detail(photo, rendering, side).clamp(-1, 1)


def _learnt(photo: Tensor, parser: FaceParser) -> Tensor:
    """(1, 1, S, S) in 0..1: how much of the network's details a photograph (1, 3, S, S) takes."""
    labels = parser(to_arrays(photo)[0])
    share = f32(sum(labels[..., LABELS.index(name)] * much for name, much in LEARNT.items()))
    size = (photo.shape[3], photo.shape[2])
    soft = cv2.GaussianBlur(cv2.resize(share, size), (0, 0), size[0] / 128)
    return torch.from_numpy(f32(soft.clip(0, 1)))[None, None].to(photo)


def around_head(image: Tensor, plain: Tensor, head: Tensor, side: int) -> Tensor:
    """An enlarged photograph (1, 3, S, S) in [-1, 1] whose edges beside the head are crisp.

    Back-projection of a few pixels leaves stairs and nets there; the shock filter takes them away.

    Args:
        plain: the same before back-projection.
        head: (1, 1, S, S) in 0..1, where `image` stays.
        side: px that it has had across.
    """
    times = image.shape[3] / side
    low, high = CRISP
    share = min(1.0, (times - low) / (high - low))
    if share <= 0:
        return image
    crisp = shock_filter(
        to_arrays(plain.clamp(-1, 1))[0],
        sigma=0.4 * times,
        spread=0.9 * times,
        steps=round(0.5 * times),
    )
    soft = np.asarray(cv2.GaussianBlur(crisp, (0, 0), 0.09 * times), np.uint8)
    return image + share * (1 - head) * (to_tensor(soft).to(image) - image)


@torch.no_grad()
def with_detail(photo: Tensor, rendering: Tensor, side: int) -> Tensor:
    """The photograph (B, 3, S, S) in [-1, 1] with what of a rendering is finer than its pixels.

    Args:
        rendering: likewise, of much the same face.
        side: px that the photograph has had across.
    """
    there = moved_along(rendering, lowered(rendering, side), photo)
    coarse = lowered(there, side)
    return photo + agreement(photo, coarse, side) * (there - coarse)


def agreement(photo: Tensor, coarse: Tensor, side: int) -> Tensor:
    """(B, 1, S, S) in 0..`MOST_CONTRAST`: how far the photograph bears a rendering's detail out.

    The finest that `side` pixels show of both is correlated, and its contrast compared, within a
    small window: what matches there is taken to match beyond.
    """
    half = max(2, side // 2)
    own, other = (x - lowered(x, half) for x in (photo, coarse))
    sigma = AROUND * photo.shape[-1] / side

    def around(x: Tensor) -> Tensor:
        return _blurred(x.mean(1, keepdim=True), sigma)

    own_power, other_power = around(own.square()), around(other.square())
    both = around(own * other)
    match = both / (own_power * other_power).sqrt().clamp_min(1e-5)
    contrast = (own_power / other_power.clamp_min(1e-6)).sqrt().clamp(0, MOST_CONTRAST)
    return match.clamp(0, 1) * contrast


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = F.pad(x.float(), (reach, reach, reach, reach), mode="replicate")
    x = F.conv2d(x, kernel[:, :, None, :], groups=x.shape[1])
    return F.conv2d(x, kernel[..., None], groups=x.shape[1])
