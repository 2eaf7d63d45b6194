"""Cutouts made with a bundle: sampled faces, cut out, and what the bundle draws of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from toonify.engine import Toonifier
from toonify.errors import InputError, ToonifyError
from toonify.faces.alignment import silhouette_mask
from toonify.faces.matte import drawing_matte
from toonify.faces.person import PersonMatte, fill_behind, hair_matte
from toonify.media.images import write_file
from toonify.models.base import Generator
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.encoders.data import resized
from toonify.training.styleganex.cutouts import write_faces, write_index
from toonify.utils.marks import stamp
from toonify.utils.outputs import InputFiles, check_output
from toonify.utils.tensors import to_arrays

SIZE = 256
CHIN = 0.885  # of an FFHQ crop
TOGETHER = 8


def make_cutouts(
    faces: Generator,
    toonifier: Toonifier,
    matte: PersonMatte,
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fill `folder` with what `CutoutSet` reads: one drawing a face, the characters in turn.

    Args:
        faces: generator of faces, FFHQ-aligned.
        toonifier: draws its characters in front of plain backgrounds.
        progress: called with (faces done, faces in all).

    Raises:
        InputError: no drawing has a plain background, or the folder can't be written.
    """
    names = toonifier.characters
    random = torch.Generator().manual_seed(seed)
    images = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    opacities = np.zeros((count, SIZE, SIZE), np.float32)
    hairs, fills = np.zeros_like(opacities), np.zeros_like(images)
    rows: list[dict[str, object]] = []
    try:
        for name in names:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for start in range(0, count, TOGETHER):
            stop = min(start + TOGETHER, count)
            w_plus = sample_w_plus(faces, stop - start, random)
            pictures = resized(render(faces, w_plus, size=SIZE), SIZE)
            pixels = to_arrays(pictures)
            w_plus = toonifier.model.encode(pixels)
            for offset, picture in enumerate(pixels):
                number = start + offset
                images[number], opacities[number] = picture, matte(picture)
                hairs[number] = hair_matte(picture, opacities[number])
                fills[number] = fill_behind(picture, opacities[number])
                character = number % len(names)
                (drawing,) = toonifier.model.render(w_plus[offset : offset + 1], names[character])
                shape = drawing_matte(drawing)
                if shape is None:
                    continue  # it can't be separated from its background
                file = f"{names[character]}/{number:05d}.png"
                alpha = np.rint(silhouette_mask(shape) * 255).astype(np.uint8)
                head = np.dstack([drawing[..., ::-1], alpha])
                encoded = cv2.imencode(".png", head)[1].tobytes()
                mark = {"kind": "cutout"}
                check_output(folder / file, InputFiles(), option="`cutouts`", folder=folder)
                write_file(folder / file, stamp(encoded, Path(file).name, mark))
                rows.append({"face": number, "character": character, "head": file, "chin": CHIN})
            if progress:
                progress(stop, count)
        if not rows:
            raise InputError(
                "no drawing can be separated from its background",
                hint="Whole frames need characters drawn in front of something plain.",
            )
        write_faces(folder, images, opacities, hairs, fills)
        write_index(folder, names, rows, margin=0.0)
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(
            f"can't keep cutouts in {folder}: {error.strerror or error}",
            hint="Make room, or choose another folder.",
        ) from error
