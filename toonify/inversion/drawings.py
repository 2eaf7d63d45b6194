"""Faces of sketches and masks by a bundle's own networks: read, then moved onto the drawing.

StyleGANEX (arXiv 2303.06146, section 5.2) renders what its encoders read off a drawing. A small
encoder reads less; but a generator's activations tell which part of a face is where, so that
w+ can be moved until the parts that it renders lie where the drawing has them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toonify.bundle import DRAWING, INVERSION, bundle_folder, check_part, read_manifest
from toonify.checkpoints import load_generator
from toonify.checkpoints.loading import load_network
from toonify.device import pick_device, pick_dtype
from toonify.errors import InputError
from toonify.faces.alignment import crop_to_photo, ffhq_quad
from toonify.faces.celeba import CELEBA
from toonify.faces.types import RGB, Face, FaceDetector, Points, f32
from toonify.inversion.fitting import Adam
from toonify.inversion.translation import SAMPLED_FROM, open_rows
from toonify.models.base import Generator
from toonify.models.encoders.drawing import (
    DrawingEncoder,
    mask_planes,
    sketch_planes,
    structure_features,
)
from toonify.models.latents import w_deviation
from toonify.utils.tensors import to_rgb

log = logging.getLogger(__name__)

SIZE = 256  # px of an aligned drawing, each way
STEPS, RATE = 30, 0.04
STRAY = 0.1  # weight of the squared way from what was read, in deviations of W
SURE = 2.0  # sharpens the labels that are read off a sketch

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class DrawingModel:
    """An encoder of drawings, and the generator of faces that it was trained for.

    Attributes:
        dtype: of the networks' arithmetic.
    """

    encoder: DrawingEncoder
    generator: Generator
    dtype: torch.dtype = torch.float32

    @classmethod
    def load(
        cls, bundle: str = "default", *, device: str = "auto", dtype: str = "auto"
    ) -> DrawingModel:
        """Of a bundle, named or in a folder.

        Raises:
            ModelError: it has none, or they are damaged, or don't belong together.
        """
        folder, place = bundle_folder(bundle), pick_device(device)
        manifest = read_manifest(folder)
        drawing, prior = (check_part(folder, manifest, part) for part in (DRAWING, INVERSION[0]))
        encoder = load_network("drawing", drawing, DrawingEncoder, device=place)
        generator = load_generator(prior, device=place)
        arithmetic = pick_dtype(dtype, place)
        if arithmetic == torch.float16:
            arithmetic = torch.bfloat16  # gradients would underflow
        return cls(encoder.requires_grad_(False), generator.requires_grad_(False), arithmetic)

    def __post_init__(self) -> None:
        self.encoder.check(self.generator)

    @torch.no_grad()
    def read(self, planes: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """w+ (1, num_ws, w_dim) of a drawing (20, 128, 128), and its parts (1, 19, 64, 64).

        Parts are probabilities, certain for masks.
        """
        drawing = torch.from_numpy(planes)[None].to(self.generator.w_avg)
        w, logits = self.encoder(drawing)
        parts = F.interpolate(logits, size=(64, 64), mode="bilinear").mul(SURE).softmax(1)
        if drawing[:, 1:].any():
            parts = F.adaptive_avg_pool2d(drawing[:, 1:], 64)
        return w[:, None].repeat(1, self.generator.num_ws, 1), parts

    def fit(self, w_plus: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:
        """Move the first rows of w+ until the face rendered has its parts (1, 19, 64, 64) there."""
        start = w_plus[:, :SAMPLED_FROM].detach()
        deviation = float(w_deviation(self.generator).mean())
        moved = start.clone().requires_grad_()
        adam = Adam(moved)
        weights = _balanced(parts)
        for step in range(steps):
            latents = torch.cat([moved, w_plus[:, SAMPLED_FROM:]], dim=1)
            low = self.dtype != torch.float32
            with torch.autocast(w_plus.device.type, self.dtype, enabled=low):
                logits = self.encoder.label(structure_features(self.generator, latents))
            missed = -(parts * weights * logits.float().log_softmax(1)).sum(1).mean()
            loss = missed + STRAY * ((moved - start) / deviation).square().mean()
            (gradient,) = torch.autograd.grad(loss, moved)
            adam.step(gradient, RATE * min(1.0, (step + 1) / 5) * (1 - 0.9 * step / steps))
        return torch.cat([moved.detach(), w_plus[:, SAMPLED_FROM:]], dim=1)

    @torch.no_grad()
    def render(self, w_plus: Tensor) -> RGB:
        """(R, R, 3) uint8."""
        low = self.dtype != torch.float32
        with torch.autocast(w_plus.device.type, self.dtype, enabled=low):
            image = self.generator.synthesize(self.generator.styles(w_plus))
        return to_rgb(image.float())

    def faces(
        self, planes: NDArray[np.float32], *, samples: int = 1, seed: int = 0
    ) -> Iterator[RGB]:
        """Faces (R, R, 3) uint8 that differ in what a drawing (20, 128, 128) leaves open."""
        w_plus = self.fit(*self.read(planes))
        for w in open_rows(self.generator, samples, seed):
            sampled = w_plus.clone()
            sampled[:, SAMPLED_FROM:] = w
            yield self.render(sampled)


def _balanced(parts: Tensor) -> Tensor:
    """(1, 19, 1, 1): small parts count for more than their area."""
    share = parts.mean((2, 3), keepdim=True)
    return (0.1 / (share + 0.01)).sqrt()


def aligned_sketch(gray: NDArray[np.uint8], detector: FaceDetector | None) -> NDArray[np.float32]:
    """Dark lines on white (H, W) → (20, 128, 128), its face where aligned ones are.

    Args:
        detector: finds the face; None takes the sketch as an aligned face. One in which none is
            found is taken so, too.

    Raises:
        InputError: nothing is drawn.
    """
    if int(gray.max()) - int(gray.min()) < 16:
        raise InputError("the sketch is empty", hint="Draw dark lines on white.")
    faces = [] if detector is None else detector.detect(np.repeat(gray[..., None], 3, axis=2))
    if detector is not None and not faces:
        log.warning("no face is found in the sketch, which is taken as an aligned one")
    quad = ffhq_quad(faces[0]).astype(np.float64) if faces else _square(*gray.shape)
    paper = int(np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])))
    scale = SIZE / float(np.hypot(*(quad[3] - quad[0])))
    if scale < 1:  # thin lines are averaged, not skipped
        height, width = (max(1, round(side * scale)) for side in gray.shape)
        ratio = np.array([width / gray.shape[1], height / gray.shape[0]])
        gray = np.asarray(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        quad = quad * ratio
    crop = cv2.warpAffine(
        gray,
        crop_to_photo(quad, SIZE),
        (SIZE, SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=paper,
    )
    return sketch_planes(np.asarray(crop, np.uint8))


def aligned_mask(labels: Labels, *, aligned: bool = False) -> NDArray[np.float32]:
    """Labels (H, W) → (20, 128, 128), the face where aligned ones are.

    Args:
        aligned: it is there already. A mask without both eyes and a mouth is taken so, too.

    Raises:
        InputError: nothing but background.
    """
    if not labels.any():
        raise InputError("the mask has nothing but background", hint="Label a face's parts.")
    points = None if aligned else _eyes_and_mouth(labels)
    if points is None and not aligned:
        log.warning("the mask has no two eyes and mouth; it is taken as an aligned one")
    if points is None:
        quad = _square(*labels.shape)
    else:
        box = f32([*points.min(0), *points.max(0)])
        quad = ffhq_quad(Face(box=box, score=1.0, points5=points)).astype(np.float64)
    crop = cv2.warpAffine(
        labels,
        crop_to_photo(quad, SIZE),
        (SIZE, SIZE),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return mask_planes(np.asarray(crop, np.uint8))


def _eyes_and_mouth(labels: Labels) -> Points | None:
    """(5, 2) as `Face.points5` from where a mask has its parts; None where it hasn't them."""

    def middle(*parts: str) -> Points | None:
        y, x = np.nonzero(np.isin(labels, [CELEBA.index(part) for part in parts]))
        return f32([x.mean(), y.mean()]) if len(x) else None

    one, other = middle("right eye"), middle("left eye")
    mouth = middle("mouth", "upper lip", "lower lip")
    if one is None or other is None:
        glasses = labels == CELEBA.index("glasses")
        if not glasses.any():
            return None
        y, x = np.nonzero(glasses)
        reach = (x.max() - x.min()) / 4  # eyes are in the middles of both lenses
        one = f32([x.mean() - reach, y.mean()])
        other = f32([x.mean() + reach, y.mean()])
    if mouth is None:
        return None
    left, right = (one, other) if one[0] < other[0] else (other, one)
    across = (right - left) * 0.35
    nose = ((left + right) / 2 + mouth) / 2
    points = f32(np.stack([left, right, nose, mouth - across, mouth + across]))
    return points if np.linalg.norm(right - left) > 2 else None


def _square(height: int, width: int) -> NDArray[np.float64]:
    """Corners of the smallest square around a picture, as `ffhq_quad` orders them."""
    side = max(height, width)
    x, y = (width - side) / 2 - 0.5, (height - side) / 2 - 0.5
    return np.array([[x, y], [x, y + side], [x + side, y + side], [x + side, y]], np.float64)
