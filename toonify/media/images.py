"""Reading and writing image files with Pillow: what cameras, phones, scanners and browsers make."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pil

from toonify.errors import InputError, UsageError
from toonify.media.decoding import decode, reason
from toonify.media.metadata import Metadata
from toonify.media.scan import scan_images
from toonify.utils import marks
from toonify.utils.atomic import write_bytes

RGB = NDArray[np.uint8]  # (H, W, 3)

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}  # written
# looked for in folders; those whose codec is missing are failures, not left out
IMAGE_SUFFIXES = (
    *FORMATS,
    *(".jpe", ".jfif", ".jif", ".mpo", ".jp2", ".j2k", ".jpx"),
    *(".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".avif", ".heic", ".heif", ".hif", ".jxl"),
)
_JPEG_LIKE = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".heic", ".heif", ".hif")


def same_kind(path: Path) -> str:
    """The suffix of a picture that is written as a photo was stored: JPEG for what cameras give,
    WebP for WebP, PNG for all else."""
    suffix = path.suffix.lower()
    return ".jpg" if suffix in _JPEG_LIKE else ".webp" if suffix == ".webp" else ".png"


@dataclass(frozen=True, eq=False)
class Image:
    """A picture as every part of the program wants it.

    Args:
        rgb: (H, W, 3) uint8 sRGB, upright (EXIF orientation applied).
        alpha: (H, W) uint8, 255 opaque, or None when the file has no transparency.
        icc: the embedded profile `rgb` was converted from, or None.
        path: the file it came from, or None.
        metadata: what the file says about the photo.
        reduced: how many times smaller than stored each side was read (a huge JPEG).
    """

    rgb: RGB
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    path: Path | None = None
    metadata: Metadata = field(default_factory=Metadata)
    reduced: int = 1

    @property
    def flat(self) -> RGB:
        """(H, W, 3) as it is seen over white: what lies under transparency does not show."""
        return self.rgb if self.alpha is None else over_white(self.rgb, self.alpha)


def over_white(rgb: RGB, alpha: NDArray[np.uint8]) -> RGB:
    """(H, W, 3) uint8 laid over white by its (H, W) uint8 opacity."""
    out = np.empty_like(rgb)
    for top in range(0, len(rgb), 256):  # in strips: the products need twice the bytes
        rows = slice(top, top + 256)
        weight = alpha[rows, :, None].astype(np.uint16)
        out[rows] = (rgb[rows] * weight + 255 * (255 - weight) + 127) // 255
    return out


def read_image(source: str | os.PathLike[str] | bytes | BinaryIO) -> Image:
    """Read a picture from a path, its bytes, or an open binary stream.

    Of an animation or a multi-page file the first frame is taken. 16-bit and floating-point
    values are scaled to 8 bits. An ICC profile that can't be used counts as sRGB. Only regular
    files are read, and no more pixels than `max_pixels` allows.

    Raises:
        InputError: missing, unreadable, empty, not an image, damaged, cut off, or too large.
    """
    found = decode(source)
    path = Path(source) if isinstance(source, (str, os.PathLike)) else None
    return Image(
        rgb=found.rgb,
        alpha=found.alpha,
        icc=found.metadata.icc,
        path=path,
        metadata=found.metadata,
        reduced=found.reduced,
    )


def write_image(
    path: str | os.PathLike[str],
    rgb: RGB,
    *,
    alpha: NDArray[np.uint8] | None = None,
    quality: int = 95,
    metadata: Metadata | None = None,
    mark: Mapping[str, Any] | None = None,
) -> None:
    """Write (H, W, 3) uint8 to `path`, in the format of its suffix, whole or not at all.

    Missing folders are made. `alpha` (H, W) is kept by PNG and WebP; for JPEG the picture is
    laid over white. Links are written through: see `toonify.utils.outputs.check_output`.

    Args:
        metadata: what the photo says about itself, see `Metadata`; None for nothing.
        mark: what the file says of itself, see `toonify.utils.marks.stamp`.

    Raises:
        UsageError: a suffix that is not written.
        InputError: the file can't be written (folder, permission, full disk).
    """
    target = Path(path)
    data = encode_image(rgb, target.suffix, alpha=alpha, quality=quality, metadata=metadata)
    write_file(target, marks.stamp(data, target.name, mark or {"kind": "picture"}))


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all; missing folders are made.

    Raises:
        InputError: it can't be written (folder, permission, full disk).
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            target.write_bytes(data)  # a device or pipe: must not be replaced by a file
            return
        write_bytes(target, data)
    except OSError as error:
        raise InputError(
            f"can't write {target}: {reason(error)}", hint=_write_hint(error)
        ) from error


def encode_image(
    rgb: RGB,
    format: str,
    *,
    alpha: NDArray[np.uint8] | None = None,
    quality: int = 95,
    metadata: Metadata | None = None,
) -> bytes:
    """(H, W, 3) uint8 as the bytes of a file; `format` is "png", "jpg", "jpeg" or "webp".

    Args:
        alpha: (H, W) uint8; JPEG has no transparency and lays the picture over white.
        quality: 1..100, of JPEG and WebP.
        metadata: what the photo says about itself, see `Metadata`; None for nothing.

    Raises:
        UsageError: another format.
    """
    suffix = "." + format.lower().lstrip(".")
    if suffix not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UsageError(
            f"can't write images as {format or 'a file without suffix'!r}",
            hint=f"Use one of {known}.",
        )
    kind = FORMATS[suffix]
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"an image is (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    if alpha is not None and kind == "JPEG":
        rgb, alpha = over_white(rgb, alpha), None
    image = pil.fromarray(rgb if alpha is None else np.dstack([rgb, alpha]))
    options: dict[str, Any] = {}
    if kind == "JPEG":
        options = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "WEBP":
        options = {"quality": quality, "exact": True}
    else:
        options = {"compress_level": 4}
    if metadata is not None:
        options |= metadata.save_options(kind)
    out = io.BytesIO()
    try:
        image.save(out, format=kind, **options)
    except (OSError, ValueError) as error:  # e.g. larger than the format allows
        raise InputError(
            f"can't encode {rgb.shape[1]}x{rgb.shape[0]} px as {kind}: {reason(error)}",
            hint="Use PNG.",
        ) from error
    return out.getvalue()


def iter_images(folder: str | os.PathLike[str], recursive: bool = False) -> Iterator[Path]:
    """The image files of a folder by suffix, sorted by path, as `scan_images` finds them; those
    that can't be read, links that lead nowhere among them, come as well, so that whoever reads
    them says so. Links out of the folder are left out.

    Raises:
        InputError: the folder is missing or can't be read.
    """
    scan = scan_images(folder, recursive=recursive, suffixes=IMAGE_SUFFIXES)
    root = Path(folder)
    odd = [path for path, _ in scan.unreadable if path.suffix.lower() in IMAGE_SUFFIXES]
    dangling = [path for path in scan.linked if not path.exists()]
    yield from sorted([*scan.images, *odd, *dangling], key=lambda p: p.relative_to(root).parts)


def pictures_under(folder: Path, what: str) -> list[Path]:
    """The image files of a folder and its sub-folders, sorted; at least one.

    Args:
        what: they are, for messages: "drawings".

    Raises:
        InputError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint=f"Name a folder of {what}.")
    paths = sorted(iter_images(folder, recursive=True))
    if not paths:
        raise InputError(f"no image in {folder}", hint=f"Put PNG or JPEG {what} there.")
    return paths


def _write_hint(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space and run it again."
    return "Choose another place for the output."
