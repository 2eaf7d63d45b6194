"""A folder of photographs as aligned faces, cut once and kept for fast random access."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toonify.errors import InputError, ToonifyError
from toonify.faces import FaceDetector, align, get_detector
from toonify.faces.types import RGB
from toonify.media.images import Image, pictures_under, read_image
from toonify.training.data.drawings import check_enough, prepare
from toonify.utils.atomic import Temporary, write_text
from toonify.utils.tensors import to_float

SMALLEST_FACE = 64  # px across the crop; below that there is nothing to learn from
Cut = Callable[[Image, int], RGB]


@dataclass(frozen=True)
class PhotoSet:
    """Aligned faces.

    Attributes:
        images: (N, S, S, 3) uint8 RGB, memory-mapped.
        names: path of each photograph within the folder, with forward slashes.
        skipped: (name, reason) of every file that was left out.
    """

    images: np.ndarray
    names: list[str]
    skipped: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, index: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1]."""
        images = torch.from_numpy(np.asarray(self.images[index.numpy()]))
        return to_float(images.permute(0, 3, 1, 2))


def load_photos(
    folder: str | os.PathLike[str],
    cache: Path,
    *,
    size: int = 256,
    aligned: bool = False,
    minimum: int = 2,
    detector: FaceDetector | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PhotoSet:
    """The largest face of every photograph under `folder`, in FFHQ's alignment, or their middles.

    Args:
        cache: folder that keeps the crops; they are reused while no file's size or time changes.
        size: height and width of the crops.
        aligned: the files are FFHQ-aligned crops already, or show something else than faces: their
            middle squares are only resampled.
        minimum: fewer faces than this are an error.
        detector: the package's default when None.
        progress: called with (files read, files in all).

    Raises:
        InputError: no such folder, no image in it, or too few faces (the first reason is in the
            message).
    """
    folder = Path(folder)
    paths = pictures_under(folder, "photographs")
    key = _fingerprint(folder, paths, size, aligned)
    photos = _read(cache, key)
    if photos is None:
        cut = _resampled if aligned else _face_cutter(detector or get_detector())
        _cut_all(folder, paths, cut, size, cache, key, progress)
        photos = _read(cache, key)
        assert photos is not None
    what = "photographs" if aligned else "faces"
    check_enough(folder, len(photos), minimum, photos.skipped, what=what)
    return photos


def _resampled(image: Image, size: int) -> RGB:
    _check_side(min(image.rgb.shape[:2]))
    return prepare(image.rgb, image.alpha, size)


def _face_cutter(detector: FaceDetector) -> Cut:
    def cut(image: Image, size: int) -> RGB:
        faces = detector.detect(image.flat)
        if not faces:
            raise InputError("no face found in it")
        alignment = align(image.flat, faces[0], size)
        _check_side(float(np.hypot(*alignment.matrix[:, 0])) * size)
        return alignment.image

    return cut


def _check_side(side: float) -> None:
    if side < SMALLEST_FACE:
        raise InputError(f"{side:.0f} pixels across are too few, {SMALLEST_FACE} are needed")


def _cut_all(
    folder: Path,
    paths: list[Path],
    cut: Cut,
    size: int,
    cache: Path,
    key: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write `photos.npy` (as many rows as files, the last ones empty) and `photos.json`."""
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    try:
        # not through a memory map: there a full disk kills the process
        with Temporary(cache / "photos.npy") as partial, partial.path.open("r+b") as file:
            shape = (len(paths), size, size, 3)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            begin = file.tell()
            for done, path in enumerate(paths):
                if progress:
                    progress(done, len(paths))
                name = path.relative_to(folder).as_posix()
                try:
                    crop = cut(read_image(path), size)
                except ToonifyError as error:
                    skipped.append((name, str(error)))
                    continue
                file.write(np.ascontiguousarray(crop).tobytes())
                names.append(name)
            file.truncate(begin + int(np.prod(shape)))
            file.close()
            # without an index the crops count for nothing: the old one goes first
            (cache / "photos.json").unlink(missing_ok=True)
            partial.commit()
        index = {"key": key, "names": names, "skipped": skipped}
        write_text(cache / "photos.json", json.dumps(index))
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(
            f"can't keep the aligned photographs in {cache} ({error.strerror or error})",
            hint="Make room, or choose another `output`.",
        ) from error


def _read(cache: Path, key: str) -> PhotoSet | None:
    try:
        index = json.loads((cache / "photos.json").read_text(encoding="utf-8"))
        if index["key"] != key:
            return None  # of other photographs
        images = np.load(cache / "photos.npy", mmap_mode="r")
        skipped = [(name, reason) for name, reason in index["skipped"]]
        return PhotoSet(images[: len(index["names"])], index["names"], skipped)
    except (OSError, ValueError, KeyError, EOFError):
        return None  # not there yet, or cut short by a crash: cut them again


def _fingerprint(folder: Path, paths: list[Path], size: int, aligned: bool) -> str:
    digest = hashlib.sha256(f"{size} {aligned}".encode())
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # a link that leads nowhere
            continue
        name = path.relative_to(folder).as_posix()
        digest.update(
            f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape")
        )
    return digest.hexdigest()
