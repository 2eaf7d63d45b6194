"""A folder of drawings as one uint8 tensor at the training size, checked before any training."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from toonify.errors import InputError, ToonifyError
from toonify.media.images import pictures_under, read_image
from toonify.utils.atomic import write_bytes

# Below this share of the training size a drawing would be mostly interpolation.
SMALLEST_SHARE = 0.25


@dataclass(frozen=True)
class Drawings:
    """A data set in memory.

    Attributes:
        images: (N, 3, S, S) uint8 RGB.
        names: path of each within the folder, with forward slashes.
        characters: each one's sub-folder (the first path part), or "" at the top.
        skipped: (name, reason) of every file that was left out.
    """

    images: Tensor
    names: list[str]
    characters: list[str]
    skipped: list[tuple[str, str]]

    def of(self, character: str) -> Tensor:
        """The images of one character (N_c, 3, S, S)."""
        return self.images[[i for i, c in enumerate(self.characters) if c == character]]


def prepare(rgb: np.ndarray, alpha: np.ndarray | None, size: int) -> np.ndarray:
    """(H, W, 3) uint8 → (size, size, 3): put over white where transparent, center-cropped."""
    if alpha is not None:
        share = alpha[..., None].astype(np.float32) / 255
        rgb = np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)
    square = PILImage.fromarray(center_square(rgb))
    return np.asarray(square.resize((size, size), PILImage.Resampling.LANCZOS))


def center_square(picture: np.ndarray) -> np.ndarray:
    """The middle (S, S, …) of (H, W, …)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]


def load_drawings(
    folder: str | os.PathLike[str],
    size: int,
    *,
    minimum: int = 1,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Drawings:
    """Read every image under `folder`, recursively.

    Args:
        size: height and width to resample to.
        minimum: fewer usable images than this are an error.
        cache: folder for the decoded tensor; it is reused while no file's size or time changes.
        progress: called with (files read, files in all).

    Raises:
        InputError: no such folder, no image in it, or too few usable ones (the first reason is
            in the message).
    """
    folder = Path(folder)
    paths = pictures_under(folder, "drawings")
    key = _fingerprint(folder, paths, size)
    stored = cache / f"drawings-{size}-{key}.safetensors" if cache else None
    drawings = _read_cache(stored) if stored else None
    if drawings is None:
        drawings = _read_all(folder, paths, size, progress)
        if stored and drawings.names:
            _write_cache(stored, drawings)
    check_enough(folder, len(drawings.names), minimum, drawings.skipped, what="images")
    return drawings


def check_enough(
    folder: Path, count: int, minimum: int, skipped: list[tuple[str, str]], *, what: str
) -> None:
    """Refuse a folder with fewer usable pictures than `minimum`, naming the first left out.

    Raises:
        InputError: there are too few.
    """
    if count >= minimum:
        return
    why = ""
    if skipped:
        name, reason = skipped[0]
        why = f"; {len(skipped)} left out, such as {name} ({reason})"
    raise InputError(
        f"{folder} has {count} usable {what}, {minimum} are needed{why}", hint="Add some."
    )


def _read_all(
    folder: Path, paths: list[Path], size: int, progress: Callable[[int, int], None] | None
) -> Drawings:
    arrays, names, characters, skipped = [], [], [], []
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths))
        relative = path.relative_to(folder)
        try:
            image = read_image(path)
        except ToonifyError as error:
            skipped.append((relative.as_posix(), str(error)))
            continue
        side = min(image.rgb.shape[:2])
        if side < SMALLEST_SHARE * size:
            reason = f"{side} pixels are too few for a training size of {size}"
            skipped.append((relative.as_posix(), reason))
            continue
        arrays.append(prepare(image.rgb, image.alpha, size))
        names.append(relative.as_posix())
        characters.append(relative.parts[0] if len(relative.parts) > 1 else "")
    shape = (0, size, size, 3)
    stacked = np.stack(arrays) if arrays else np.zeros(shape, np.uint8)
    images = torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
    return Drawings(images, names, characters, skipped)


def _fingerprint(folder: Path, paths: list[Path], size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # a link that leads nowhere, or a file that went away
            continue
        digest.update(
            f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()[:16]


def _read_cache(path: Path) -> Drawings | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            lists = json.loads(file.metadata()["drawings"])
            images = file.get_tensor("images")
    except (SafetensorError, OSError, KeyError, ValueError):
        return None  # cut short by a crash: read the images again
    skipped = [(name, reason) for name, reason in lists["skipped"]]
    return Drawings(images, lists["names"], lists["characters"], skipped)


def _write_cache(path: Path, drawings: Drawings) -> None:
    lists = {
        "names": drawings.names,
        "characters": drawings.characters,
        "skipped": drawings.skipped,
    }
    write_bytes(path, save({"images": drawings.images}, {"drawings": json.dumps(lists)}))
