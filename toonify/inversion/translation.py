"""Inputs of StyleGANEX's trained translations (arXiv 2303.06146), and the translations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from toonify.errors import InputError, ModelError, UsageError
from toonify.faces.celeba import CELEBA, HeadLabeler
from toonify.inversion.frames import MOST_PIXELS, RGB, SMALLEST, AlignedInput, pad_to_stride, resize
from toonify.inversion.latents import Latents, fit_w_plus
from toonify.inversion.model import FaceModel
from toonify.models.base import Generator, Noise
from toonify.models.encoders.styleganex import StyleGANEXEncoder
from toonify.utils.tensors import to_tensor

Task = Literal["super-resolution", "sketch", "mask", "edit", "toonify"]
FrameTask = Literal["super-resolution", "edit", "toonify"]
LABELS = CELEBA
BUNDLED_PARSER = Path("default")  # names the parser that ships instead of a file
SAMPLED_FROM = 8  # the first entry of w+ that a sketch or mask leaves open
SAMPLE_TRUNCATION = 0.7
PARSED_SIZE = 512  # pixels each way that parsing networks take


def label_colors() -> NDArray[np.uint8]:
    """(19, 3) uint8: the colors that pix2pixHD and StyleGANEX draw labels in."""
    colors = np.zeros((len(LABELS), 3), np.uint8)
    for label in range(len(LABELS)):
        rest = label
        for bit in range(7):
            for channel in range(3):
                colors[label, channel] |= (rest >> channel & 1) << (7 - bit)
            rest >>= 3
    return colors


def check_size(height: int, width: int) -> None:
    """UsageError for drawings that are too small, or would need too much memory."""
    small = min(height, width) < SMALLEST
    if small or height * width > MOST_PIXELS:
        raise UsageError(
            f"a drawing of {width}x{height} px is too {'small' if small else 'large'}",
            hint=f"Scale it to about 256 px a face, at most {MOST_PIXELS} pixels.",
        )


def sketch_tensor(rgb: RGB) -> Tensor:
    """Dark lines on white (H, W, 3) uint8 → (1, 1, H, W) in [0, 1]."""
    check_size(*rgb.shape[:2])
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return torch.from_numpy(gray.astype(np.float32) / 255)[None, None]


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Labels (H, W) of a mask: gray or palette values 0–18, or the colors of `label_colors`.

    Raises:
        InputError: not an image.
        UsageError: unknown labels, too small or too large.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            values = np.asarray(picture if picture.mode in ("L", "P") else picture.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", hint="Check the name.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path} is no image that can be read ({error})") from error
    check_size(*values.shape[:2])
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]  # labels saved as three equal channels
    if values.ndim == 2:
        if values.max() >= len(LABELS):
            raise UsageError(
                f"{path} has the label {values.max()}", hint=f"Use 0 to {len(LABELS) - 1}."
            )
        return values.astype(np.uint8)
    packed = (values.astype(np.int64) << np.array([16, 8, 0])).sum(axis=2)
    known = (label_colors().astype(np.int64) << np.array([16, 8, 0])).sum(axis=1)
    labels = np.full(packed.shape, 255, np.uint8)
    for label, color in enumerate(known):
        labels[packed == color] = label
    if (labels == 255).any():
        odd = values[labels == 255][0]
        raise UsageError(
            f"{path} has the color ({odd[0]}, {odd[1]}, {odd[2]}), which is no label's",
            hint="Save labels as gray values 0-18, or as PNG in the 19 colors, without smoothing.",
        )
    return labels


def mask_tensor(labels: NDArray[np.uint8]) -> Tensor:
    """Labels (H, W) → one-hot (1, 19, H, W)."""
    one_hot = F.one_hot(torch.from_numpy(labels.astype(np.int64)), len(LABELS))
    return one_hot.permute(2, 0, 1)[None].float()


class OnnxParser:
    """A parsing network of `LABELS` in an ONNX file, run by OpenCV (BiSeNet exports do).

    It takes (1, 3, 512, 512), normalized as ImageNet, and gives (1, 19, 512, 512) first.

    Raises:
        ModelError: not such a network.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ModelError(f"no parsing network at {path}", hint="Check the name.")
        try:
            self.network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise ModelError(
                f"{path} can't be read as ONNX ({error.err})", hint="Export the network again."
            ) from error

    def __call__(self, rgb: RGB) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 → labels (H, W)."""
        pixels = resize(rgb, PARSED_SIZE, PARSED_SIZE).astype(np.float32) / 255
        pixels = (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        self.network.setInput(pixels.transpose(2, 0, 1)[None].astype(np.float32))
        try:
            scores = self.network.forward(self.network.getUnconnectedOutLayersNames()[0])
        except cv2.error as error:
            raise ModelError(f"{self.path} does not run ({error.err})") from error
        if scores.ndim != 4 or scores.shape[1] != len(LABELS):
            raise ModelError(
                f"{self.path} answers {scores.shape}, not (1, {len(LABELS)}, H, W)",
                hint="Give a network of the 19 CelebAMask-HQ labels.",
            )
        labels = scores[0].argmax(axis=0).astype(np.uint8)
        size = (rgb.shape[1], rgb.shape[0])
        return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def load_parser(path: Path) -> Callable[[RGB], NDArray[np.uint8]]:
    """What labels pictures: the default bundle's networks for "default", else an `OnnxParser`.

    Raises:
        ModelError: there is no such network.
    """
    if path == BUNDLED_PARSER and not path.exists():
        return HeadLabeler.from_bundle()
    return OnnxParser(path)


def check_encoder(model: FaceModel, task: Task) -> StyleGANEXEncoder:
    """The model's encoder if it can be one for the task; ModelError otherwise."""
    encoder = model.encoder
    labels = {"sketch": 1, "mask": len(LABELS)}.get(task, 0)
    if (
        not isinstance(encoder, StyleGANEXEncoder)
        or encoder.label_channels != labels
        or encoder.has_direction != (task == "edit")
    ):
        raise ModelError(
            f"the checkpoint's encoder is not one of StyleGANEX for {task}",
            hint="Give `checkpoint` of that task, or leave it out for the official one.",
        )
    if not encoder.heads:
        raise ModelError(
            "the checkpoint's encoder draws a bundle's characters",
            hint="Give a `bundle` with one: `toonify bundle` makes it.",
        )
    return encoder


@torch.no_grad()
def translate_frame(
    model: FaceModel, aligned: AlignedInput, task: FrameTask, *, strength: float = 1.0
) -> Tensor:
    """Frame and face of a photograph → (1, 3, 4H, 4W) at R=1024, about [-1, 1].

    Args:
        task: "super-resolution"; "edit" along the vector that the encoder was trained with;
            "toonify" into the style that it was trained for.
        strength: of the edit.
    """
    encoder = check_encoder(model, task)
    face = to_tensor(aligned.face).to(model.device)
    frame = face if aligned.frame is None else to_tensor(aligned.frame).to(model.device)
    v = strength * encoder.direction[None] if task == "edit" else None
    with model.arithmetic():
        w_plus = encoder.encode(face)
    noise: Noise = "const" if task == "super-resolution" else "zero"  # which would flicker
    return _render(model, encoder, frame, w_plus, v=v, noise=noise)


@torch.no_grad()
def open_rows(generator: Generator, samples: int, seed: int) -> Tensor:
    """w (samples, w_dim) of random faces, for the rows of w+ that a drawing leaves open."""
    width = generator.z_dim
    z = torch.randn(samples, width, generator=torch.Generator().manual_seed(seed))
    return generator.mapping(z.to(generator.w_avg), truncation_psi=SAMPLE_TRUNCATION)


@torch.no_grad()
def translate_drawing(
    model: FaceModel, drawing: Tensor, task: Task, *, samples: int, seed: int
) -> Iterator[Tensor]:
    """A sketch (1, 1, H, W) or mask (1, 19, H, W) → pictures that differ in what it leaves open.

    Entries of w+ below 8 come from the drawing, the others from random faces.

    Args:
        samples: how many.
        seed: of the random faces.
    """
    encoder = check_encoder(model, task)
    drawing = drawing.to(model.device)
    with model.arithmetic():
        w_plus = encoder.encode(pad_to_stride(drawing)).float()
    generator = model.generator
    for w in open_rows(generator, samples, seed):
        sampled = fit_w_plus(w_plus, generator.num_ws).clone()
        sampled[:, SAMPLED_FROM:] = w
        yield _render(model, encoder, drawing, sampled)


def _render(
    model: FaceModel,
    encoder: StyleGANEXEncoder,
    frame: Tensor,
    w_plus: Tensor,
    *,
    v: Tensor | None = None,
    noise: Noise = "const",
) -> Tensor:
    network = model.refactored(encoder.feature_channels)
    with model.arithmetic():
        features = encoder.frame_features(pad_to_stride(frame))
        fuse = encoder.fuser(features, v)
        w_plus = w_plus.float() if v is None else w_plus.float() + v
        w_plus = fit_w_plus(w_plus, network.num_ws)
        image = network(w_plus, noise=noise, feature=features.feature, fuse=fuse).float()
    height, width = frame.shape[2:]
    return model.cropped(image, Latents(w_plus, features.feature, {}, (height, width)))
