"""Reading and writing image files with Pillow: what cameras, phones, scanners and browsers make."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pil
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from toonify.errors import InputError, UsageError

RGB = NDArray[np.uint8]  # (H, W, 3)

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}  # written
IMAGE_SUFFIXES = (*FORMATS, ".bmp", ".tif", ".tiff", ".gif", ".avif")  # looked for in folders
# What may be opened: no format that starts another program (EPS) or fetches other files.
READ_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, eq=False)
class Image:
    """A picture as every part of the program wants it.

    Args:
        rgb: (H, W, 3) uint8 sRGB, upright (EXIF orientation applied).
        alpha: (H, W) uint8, 255 opaque, or None when the file has no transparency.
        icc: the embedded profile `rgb` was converted from, or None.
        path: the file it came from, or None.
    """

    rgb: RGB
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    path: Path | None = None


def read_image(source: str | os.PathLike[str] | bytes | BinaryIO) -> Image:
    """Read a picture from a path, its bytes, or an open binary stream.

    Of an animation or a multi-page file the first frame is taken. 16-bit and floating-point
    values are scaled to 8 bits. An ICC profile that can't be used counts as sRGB.

    Raises:
        InputError: missing, unreadable, empty, not an image, damaged, cut off, or too large.
    """
    path: Path | None = None
    if isinstance(source, bytes):
        name, data = "the image", source
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name, data = str(path), _read_bytes(path)
    else:
        name = str(getattr(source, "name", "the image"))
        name = "standard input" if name in ("<stdin>", "0") else name
        try:
            data = source.read()
        except OSError as error:
            raise InputError(f"can't read {name}: {_reason(error)}") from error
    if not data:
        raise InputError(f"{name} is empty", mend="Copy or export the picture again.")
    try:
        with warnings.catch_warnings():
            # Pillow warns from half its size limit on; beyond the limit it raises.
            warnings.simplefilter("ignore")
            with pil.open(io.BytesIO(data), formats=_read_formats()) as image:
                image.load()
                rgb, alpha, icc = _to_srgb(image)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is not an image this program reads",
            mend="Convert it to PNG, JPEG or WebP.",
        ) from error
    except pil.DecompressionBombError as error:
        limit = 2 * (pil.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise InputError(
            f"{name} is too large", mend=f"Scale it down below {limit} megapixels."
        ) from error
    except MemoryError as error:
        raise InputError(f"{name} doesn't fit into memory", mend="Scale it down.") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        EOFError,
        IndexError,
        KeyError,
    ) as error:
        raise InputError(
            f"{name} is damaged or cut off ({_reason(error)})",
            mend="Copy or export the picture again.",
        ) from error
    return Image(rgb=rgb, alpha=alpha, icc=icc, path=path)


def write_image(
    path: str | os.PathLike[str],
    rgb: RGB,
    *,
    alpha: NDArray[np.uint8] | None = None,
    quality: int = 95,
) -> None:
    """Write (H, W, 3) uint8 to `path`, in the format of its suffix, whole or not at all.

    Missing folders are made. `alpha` (H, W) is kept by PNG and WebP; for JPEG the picture is
    laid over white.

    Raises:
        UsageError: a suffix that is not written.
        InputError: the file can't be written (folder, permission, full disk).
    """
    target = Path(path)
    data = encode_image(rgb, target.suffix, alpha=alpha, quality=quality)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            target.write_bytes(data)  # a device or pipe: must not be replaced by a file
            return
        _replace_file(target.resolve(), data)
    except OSError as error:
        raise InputError(
            f"can't write {target}: {_reason(error)}", mend=_write_mend(error)
        ) from error


def encode_image(
    rgb: RGB,
    format: str,
    *,
    alpha: NDArray[np.uint8] | None = None,
    quality: int = 95,
) -> bytes:
    """(H, W, 3) uint8 as the bytes of a file; `format` is "png", "jpg", "jpeg" or "webp".

    Args:
        alpha: (H, W) uint8; JPEG has no transparency and lays the picture over white.
        quality: 1..100, of JPEG and WebP.

    Raises:
        UsageError: another format.
    """
    suffix = "." + format.lower().lstrip(".")
    if suffix not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UsageError(
            f"can't write images as {format or 'a file without suffix'!r}",
            mend=f"Use one of {known}.",
        )
    kind = FORMATS[suffix]
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"an image is (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    if alpha is not None and kind == "JPEG":
        weight = alpha[..., None].astype(np.uint16)
        rgb = ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
        alpha = None
    image = pil.fromarray(rgb if alpha is None else np.dstack([rgb, alpha]))
    options: dict[str, Any] = {}
    if kind == "JPEG":
        options = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "WEBP":
        options = {"quality": quality, "exact": True}
    else:
        options = {"compress_level": 4}
    out = io.BytesIO()
    try:
        image.save(out, format=kind, **options)
    except (OSError, ValueError) as error:  # e.g. larger than the format allows
        raise InputError(
            f"can't encode {rgb.shape[1]}x{rgb.shape[0]} px as {kind}: {_reason(error)}",
            mend="Use PNG.",
        ) from error
    return out.getvalue()


def iter_images(folder: str | os.PathLike[str], recursive: bool = False) -> Iterator[Path]:
    """The image files of a folder by suffix, sorted by path; hidden files and folders are left
    out, and linked folders are not entered.

    Raises:
        InputError: the folder is missing or can't be read.
    """
    root = Path(folder)

    def refuse(error: OSError) -> None:
        raise InputError(f"can't read the folder {error.filename}: {_reason(error)}")

    found = []
    for base, folders, files in os.walk(root, onerror=refuse):
        folders[:] = [f for f in folders if recursive and not f.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                found.append(Path(base, name))
    yield from sorted(found, key=lambda p: p.relative_to(root).parts)


def _read_formats() -> list[str]:
    pil.init()
    return [name for name in READ_FORMATS if name in pil.OPEN]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", mend="Check the name.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not an image") from error
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"can't read {path}: {_reason(error)}") from error


def _to_srgb(image: pil.Image) -> tuple[RGB, NDArray[np.uint8] | None, bytes | None]:
    """A loaded Pillow image as upright sRGB, its alpha and its profile."""
    icc = image.info.get("icc_profile") or None
    with contextlib.suppress(KeyError, ValueError, TypeError, SyntaxError, struct.error, OSError):
        image = ImageOps.exif_transpose(image)  # damaged EXIF counts as none
    if image.mode in SIXTEEN_BIT or image.mode in ("I", "F"):
        image = pil.fromarray(_eight_bit(np.asarray(image)))
    alpha = None
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("RGB")
    elif image.mode in ("1", "P"):
        image = image.convert("RGB")
    if icc:
        image = _apply_profile(image, icc)
    return np.array(image.convert("RGB")), alpha, icc


def _eight_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits scaled to 0..255: 0..1 floats, 16 bits, else 32 bits."""
    data = values.astype(np.float64)
    top = float(np.nanmax(data, initial=0))
    if values.dtype.kind == "f":
        scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255 / 65535
    elif values.dtype.itemsize <= 2 or top <= 65535:
        scale = 255 / 65535
    else:
        scale = 255 / (2**31 - 1)
    return np.clip(np.rint(np.nan_to_num(data) * scale), 0, 255).astype(np.uint8)


def _apply_profile(image: pil.Image, icc: bytes) -> pil.Image:
    """Convert to sRGB; an unusable profile, or one for other channels, leaves the image as is."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return image
        space = profile.profile.xcolor_space.strip()
        if space == "GRAY" and image.mode == "RGB":
            image = image.convert("L")
        elif space == "RGB" and image.mode != "RGB":
            image = image.convert("RGB")
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, target, outputMode="RGB")
        return converted or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _replace_file(target: Path, data: bytes) -> None:
    """Write beside `target` under a temporary name, then rename over it."""
    temporary = target.with_name(f".{target.name[:60]}.{secrets.token_hex(4)}.tmp")
    # Not tempfile: it would make the result readable by its owner only.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, target)
    except BaseException:  # KeyboardInterrupt too
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _write_mend(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space and run it again."
    return "Choose another place for the output."
