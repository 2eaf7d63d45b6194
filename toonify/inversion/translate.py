"""A photograph, sketch or mask translated by one call, as `toonify translate` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from toonify.bundle import DRAWING, INVERSION, has_parts
from toonify.errors import InputError, UsageError
from toonify.faces import get_detector
from toonify.inversion.drawings import DrawingModel, aligned_mask, aligned_sketch
from toonify.inversion.frames import Framing
from toonify.inversion.reading import PhotoReader, load_face_model
from toonify.inversion.translation import (
    Task,
    check_encoder,
    check_size,
    load_parser,
    mask_tensor,
    read_mask,
    sketch_tensor,
    translate_drawing,
    translate_frame,
)
from toonify.media.images import read_image
from toonify.utils.arguments import check_choice, check_range
from toonify.utils.tensors import RGB, to_rgb

OFFICIAL: dict[Task, str] = {
    "super-resolution": "styleganex-sr",
    "sketch": "styleganex-sketch2face",
    "mask": "styleganex-mask2face",
    "edit": "styleganex-edit-age",
}
DRAWINGS: tuple[Task, ...] = ("sketch", "mask")


def translate(
    source: Path,
    task: Task,
    *,
    checkpoint: str | None = None,
    bundle: str = "default",
    generator: str | None = None,
    samples: int = 1,
    factor: int | None = None,
    parser: Path | None = None,
    strength: float = 1.0,
    framing: Framing = "whole",
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
) -> Iterator[RGB]:
    """Make a face of few pixels, a sketch or a mask, or another one of a photograph.

    Args:
        source: a photograph, a sketch of dark lines on white, or a mask of CelebAMask-HQ's labels.
        checkpoint: StyleGANEX of this task, a file or registry name; None for a bundle's networks
            of sketches and masks (see `toonify.inversion.drawings`), else the official one.
        bundle: its folder, or "default".
        generator: another StyleGAN2 that renders; of a checkpoint.
        samples: different faces of one sketch or mask.
        factor: lower the photograph's resolution first by so much, for super-resolution.
        parser: of masks: the source is a photograph, labeled by `load_parser(parser)`.
        strength: of an edit; negative turns it round.
        framing: how much of a photograph is taken; of the bundle's sketches and masks, "aligned"
            says that the face is where aligned ones have it.
        seed: of the samples.

    Returns:
        `samples` pictures (H, W, 3) uint8, made as they are requested.

    Raises:
        UsageError: options of another task, or numbers out of range; nothing is loaded for them.
        InputError: an unreadable source, or a photograph without a face.
        ModelError: networks that can't be loaded, or are of another task.

    Examples:
        >>> (large,) = translate(Path("small.jpg"), "super-resolution")
    """
    check_options(task, samples=samples, factor=factor, parser=parser, strength=strength)
    if checkpoint is None and task not in OFFICIAL:
        raise UsageError(f"{task} has no official network", hint="Name a `checkpoint`.")
    if checkpoint is None and drawn_by_bundle(task, bundle):
        if generator is not None:
            raise UsageError("`generator` is of a `checkpoint`", hint="Leave it out, or add one.")
        if framing == "face":
            raise UsageError("`frame` face is of photographs", hint="Use whole or aligned.")
        drawing = _planes(source, task, parser, framing=framing, offline=offline)
        model = DrawingModel.load(bundle, device=device, dtype=dtype)
        return model.faces(drawing, samples=samples, seed=seed)
    name = checkpoint or OFFICIAL[task]
    face_model = load_face_model(name, generator, device=device, dtype=dtype)
    check_encoder(face_model, task)
    reader = PhotoReader(face_model, framing, offline=offline)
    images = _translated(reader, source, task, samples, factor, parser, strength, seed)
    return (to_rgb(image) for image in images)


def drawn_by_bundle(task: Task, bundle: str) -> bool:
    """Whether a bundle has networks of its own for sketches or masks."""
    return task in DRAWINGS and has_parts(bundle, (DRAWING, INVERSION[0]))


def _planes(
    source: Path, task: Task, parser: Path | None, *, framing: Framing, offline: bool
) -> NDArray[np.float32]:
    """What the bundle's encoder reads of a sketch, a mask, or a photograph to be labeled."""
    aligned = framing == "aligned"
    try:
        if task == "sketch":
            rgb = read_image(source).flat
            check_size(*rgb.shape[:2])
            gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
            return aligned_sketch(gray, None if aligned else get_detector(offline=offline))
        if parser is None:
            return aligned_mask(read_mask(source), aligned=aligned)
        return aligned_mask(load_parser(parser)(read_image(source).flat), aligned=aligned)
    except InputError as error:
        if str(source) in error.message:
            raise
        raise InputError(f"{source}: {error.message}", hint=error.hint) from error


def check_options(
    task: Task,
    *,
    samples: int = 1,
    factor: int | None = None,
    parser: Path | None = None,
    strength: float = 1.0,
) -> None:
    """UsageError for options of another task, or numbers out of range."""
    check_choice("task", task, get_args(Task))
    if samples != 1 and task not in DRAWINGS:
        raise UsageError(f"{task} has one answer", hint="Leave `samples` out.")
    if strength != 1 and task != "edit":
        raise UsageError("`strength` belongs to edit", hint="Leave it out.")
    if factor is not None and task != "super-resolution":
        raise UsageError("`factor` belongs to super-resolution", hint="Leave it out.")
    if parser is not None and task != "mask":
        raise UsageError("`parser` belongs to masks", hint="Add `task` mask, or leave it out.")
    check_range("samples", samples, 1, 100, whole=True)
    check_range("factor", factor, 4, 64, whole=True)


def _translated(
    reader: PhotoReader,
    source: Path,
    task: Task,
    samples: int,
    factor: int | None,
    parser: Path | None,
    strength: float,
    seed: int,
) -> Iterator[Tensor]:
    model = reader.model
    if task == "super-resolution" or task == "edit" or task == "toonify":
        aligned = reader.prepare_input(source, lower=factor)
        yield translate_frame(model, aligned, task, strength=strength)
        return
    if task == "sketch":
        drawing = sketch_tensor(read_image(source).flat)
    elif parser is not None:
        aligned = reader.prepare_input(source)
        seen = aligned.face if aligned.frame is None else aligned.frame
        drawing = mask_tensor(load_parser(parser)(seen))
    else:
        drawing = mask_tensor(read_mask(source))
    yield from translate_drawing(model, drawing, task, samples=samples, seed=seed)
