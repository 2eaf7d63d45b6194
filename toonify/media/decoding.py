"""Pictures of strangers: the kind found by content, the size known before any pixel is decoded.

Memory stays in proportion to what is drawn: a picture above `max_pixels()` is refused from its
header alone (a JPEG up to `JPEG_EXCESS` times as large is decoded at half or a quarter of its
size), formats whose decoders need much more memory a pixel get a smaller share, and colors are
converted strip by strip.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pil
from PIL import ImageCms

from toonify.errors import InputError, ToonifyError, UsageError
from toonify.media.metadata import Metadata

RGB = NDArray[np.uint8]  # (H, W, 3)
Source = str | os.PathLike[str] | bytes | BinaryIO

MAX_PIXELS = 120_000_000  # what medium-format cameras give fits
VARIABLE = "TOONIFY_MAX_PIXELS"
JPEG_EXCESS = 2  # a JPEG may be that many times larger: it is decoded at a fraction of its size
MAX_BYTES = 1 << 30  # of a file
MAX_SCANS = 100  # of a progressive JPEG; each costs as much time as the whole picture
STRIP = 1 << 21  # pixels converted at once
HEAD = 4096  # bytes that tell the kind

# What may be opened: no format that starts another program (EPS) or fetches other files. The
# number is how much of the limit a picture may take: these decoders hold several whole copies.
READ_FORMATS = {
    "PNG": 1.0,
    "JPEG": 1.0,
    "MPO": 1.0,
    "TIFF": 1.0,
    "BMP": 1.0,
    "GIF": 1.0,
    "PPM": 1.0,
    "WEBP": 0.5,
    "AVIF": 0.5,
    "JPEG2000": 0.5,
    "HEIF": 0.5,
    "JXL": 0.5,
}
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
WHOLE = ("WEBP", "AVIF", "HEIF", "JXL")  # read into memory by their plugins at once

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs")
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a")
_OTHER_KINDS = (  # what people take for pictures, by how such files begin
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"<svg", "an SVG drawing"),
    (b"PK\x03\x04", "an archive"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"RIFF", "a video or sound"),
)


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB, upright.
        alpha: (H, W) uint8, or None.
        metadata: what its writer said about it.
        reduced: how many times smaller than stored each side was decoded.
    """

    rgb: RGB
    alpha: NDArray[np.uint8] | None
    metadata: Metadata
    reduced: int


def max_pixels() -> int:
    """The most pixels that are decoded: `TOONIFY_MAX_PIXELS`, or 120 million.

    Raises:
        UsageError: the variable is no such number.
    """
    text = os.environ.get(VARIABLE, "").strip()
    return parse_pixels(text) if text else MAX_PIXELS


def parse_pixels(text: str) -> int:
    """A number of pixels: "60000000" or "60M".

    Raises:
        UsageError: anything else, or none.
    """
    number = text.strip().lower().removesuffix("p").removesuffix("m")
    factor = 1 if number == text.strip().lower() else 1_000_000
    with contextlib.suppress(ValueError, OverflowError):
        count = int(float(number) * factor)
        if 0 < count < 1 << 40:
            return count
    raise UsageError(
        f"{text!r} is no number of pixels", hint="Give e.g. 60M for 60 million pixels."
    )


@contextlib.contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """A seekable file of a picture, and what to call it. Only regular files are opened: a pipe
    would wait for ever, a device never ends. Streams are read into memory, within bounds.

    Raises:
        InputError: missing, unreadable, no regular file, empty, or far too large.
    """
    if isinstance(source, bytes):
        if not source:
            raise _empty("the image")
        yield io.BytesIO(source), "the image"
    elif isinstance(source, (str, os.PathLike)):
        with _regular_file(Path(source)) as file:
            yield file, str(Path(source))
    else:
        name = str(getattr(source, "name", "the image"))
        name = "standard input" if name in ("<stdin>", "0") else name
        yield io.BytesIO(_read_stream(source, name)), name


def open_picture(file: BinaryIO, name: str) -> pil.Image:
    """The picture in a seekable file, its header read, its size within bounds.

    Raises:
        InputError: not a picture, or too large.
    """
    head = file.read(HEAD)
    if not head:
        raise _empty(name)
    kind = kind_of(head)
    opener = kind and _opener(kind)
    if not opener:
        raise _unknown(name, head)
    if kind in WHOLE and _length(file) > MAX_BYTES // 4:
        raise InputError(f"{name} is too large ({_length(file) >> 20} MB)", hint=_SMALLER)
    file.seek(0)
    try:
        image = opener(file, "")  # not Pillow's open, whose own limit is another
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise _unknown(name, head) from error
    _check_size(image, name, file)
    return image


def read_metadata(source: Source) -> Metadata:
    """What a picture says about itself; its pixels are not decoded.

    Raises:
        InputError: not a picture, or too large.
    """
    with opened(source) as (file, name), open_picture(file, name) as image:
        return Metadata.of(image)


def decode(source: Source) -> Decoded:
    """Read a picture; of an animation or a multi-page file the first.

    16-bit and floating-point values are scaled to 8 bits. A profile that can't be used counts as
    sRGB.

    Raises:
        InputError: as `opened` and `open_picture`, and damaged or cut off files.
    """
    with opened(source) as (file, name):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with open_picture(file, name) as image:
                    reduced = _reduce(image)
                    image.load()
                    metadata = Metadata.of(image)
                    rgb, alpha = _to_srgb(image, metadata.icc)
                    turn = metadata.orientation
        except ToonifyError:
            raise
        except pil.DecompressionBombError as error:
            raise InputError(f"{name} is too large", hint=_SMALLER) from error
        except MemoryError as error:
            raise InputError(f"{name} doesn't fit into memory", hint="Scale it down.") from error
        except Exception as error:  # decoders raise nearly anything on damaged files
            raise InputError(
                f"{name} is damaged or cut off ({reason(error)})",
                hint="Copy or export the picture again.",
            ) from error
    rgb = _upright(rgb, turn)
    alpha = None if alpha is None else _upright(alpha, turn)
    if alpha is not None:
        # what a program left under full transparency was never meant to be seen
        rgb[alpha == 0] = 255
    return Decoded(rgb, alpha, metadata, reduced)


def is_picture(path: Path) -> bool:
    """Whether a regular file begins like a picture of a kind that is read or known."""
    try:
        with _regular_file(path) as file:
            head = file.read(HEAD)
    except InputError:
        return False
    return kind_of(head) is not None


def kind_of(head: bytes) -> str | None:
    """Pillow's name of the format that a file's first bytes tell, None for no picture."""
    if _is_heif(head):
        return "HEIF"
    if head.startswith(_JXL):
        return "JXL"
    pil.init()
    for kind in READ_FORMATS:
        _, accepts = pil.OPEN.get(kind, (None, None))
        with contextlib.suppress(IndexError):  # of a few bytes
            if accepts is not None and accepts(head[:16]):
                return kind
    return None


def _is_heif(head: bytes) -> bool:
    if head[4:8] != b"ftyp" or head[8:12] in (b"avif", b"avis"):
        return False
    brands = head[8 : min(256, int.from_bytes(head[:4], "big"))]
    return any(brands[i : i + 4] in _HEIF_BRANDS for i in range(0, len(brands), 4))


def reason(error: BaseException) -> str:
    """An error in a few words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_SMALLER = "Scale it down, or raise `max_pixels`."


def _empty(name: str) -> InputError:
    return InputError(f"{name} is empty", hint="Copy or export the picture again.")


@contextlib.contextmanager
def _regular_file(path: Path) -> Iterator[BinaryIO]:
    try:
        # without waiting: to open a pipe blocks until somebody writes into it
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", hint="Check the name.") from error
    except PermissionError as error:
        if path.is_dir():  # on Windows
            raise InputError(f"{path} is a folder, not an image") from error
        raise InputError(f"no permission to read {path}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"can't read {path}: {reason(error)}") from error
    try:
        _check_regular(path, os.fstat(handle))
    except InputError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        try:
            yield cast(BinaryIO, file)
        except ToonifyError:
            raise
        except OSError as error:
            raise InputError(f"can't read {path}: {reason(error)}") from error


_BINARY = getattr(os, "O_BINARY", 0)


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder, not an image")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is a pipe or device, not a file", hint="Pipe the picture in: -.")
    if status.st_size > MAX_BYTES:
        raise InputError(f"{path} is too large ({status.st_size >> 20} MB)", hint=_SMALLER)


def _read_stream(stream: BinaryIO, name: str) -> bytes:
    try:
        head = stream.read(HEAD)
        if not head:
            raise _empty(name)
        if kind_of(head) is None:
            raise _unknown(name, head)
        rest = stream.read(MAX_BYTES // 2)
        if len(rest) == MAX_BYTES // 2:
            raise InputError(f"{name} is too large", hint=_SMALLER)
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(f"can't read {name}: {reason(error)}") from error
    return head + rest


def _opener(kind: str) -> Callable[[IO[bytes], str], Any] | None:
    """What reads a format, None where its codec is not installed."""
    try:
        if kind == "HEIF":
            from pillow_heif import HeifImageFile

            return cast(Callable[[IO[bytes], str], Any], HeifImageFile)
        if kind == "JXL":
            import pillow_jxl  # noqa: F401  registers itself
    except ImportError:
        return None
    return pil.OPEN[kind][0]


def _unknown(name: str, head: bytes) -> InputError:
    kind = kind_of(head)
    if kind == "HEIF":
        return InputError(
            f"{name} is a HEIC picture, whose codec is not installed",
            hint="Install it: pip install pillow-heif.",
        )
    if kind == "JXL":
        return InputError(
            f"{name} is a JPEG XL picture, whose codec is not installed",
            hint="Install it: pip install pillow-jxl-plugin.",
        )
    for start, what in _OTHER_KINDS:
        if head.startswith(start):
            return InputError(f"{name} is {what}, not an image", hint=_CONVERT)
    if head[4:8] == b"ftyp":
        return InputError(f"{name} is a video, not an image", hint="See `toonify video`.")
    return InputError(f"{name} is not an image this program reads", hint=_CONVERT)


_CONVERT = "Convert it to PNG, JPEG or WebP."


def _length(file: BinaryIO) -> int:
    here = file.tell()
    length = file.seek(0, io.SEEK_END)
    file.seek(here)
    return length


def _check_size(image: pil.Image, name: str, file: BinaryIO) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{name} has no pixels", hint="Export the picture again.")
    kind = image.format or ""
    limit = max_pixels()
    allowed = int(limit * READ_FORMATS.get(kind, 1.0))
    if kind in ("JPEG", "MPO"):
        allowed = limit * JPEG_EXCESS
        if image.info.get("progressive") and _scans(file) > MAX_SCANS:
            raise InputError(f"{name} has too many scans for a photo", hint="Export it again.")
    if width * height > allowed:
        raise InputError(
            f"{name} is too large: {width}x{height} px are {width * height / 1e6:.0f} megapixels, "
            f"{allowed / 1e6:.3g} are read",
            hint=_SMALLER,
        )


def _scans(file: BinaryIO) -> int:
    """How often a JPEG begins a scan; within its data 0xFF is never followed by this byte."""
    here = file.tell()
    file.seek(0)
    count, last = 0, b""
    while chunk := file.read(1 << 20):
        count += (last + chunk).count(b"\xff\xda")
        last = chunk[-1:] if chunk.endswith(b"\xff") else b""
    file.seek(here)
    return count


def _reduce(image: pil.Image) -> int:
    """Have a JPEG above the limit decoded at half, a quarter or an eighth of its size."""
    if image.format not in ("JPEG", "MPO"):
        return 1
    width, height = image.size
    limit, times = max_pixels(), 1
    while times < 8 and width * height / times**2 > limit:
        times *= 2
    if times > 1:
        # of modes None, Pillow keeps the file's
        image.draft(cast(str, None), (width // times, height // times))
    return times


def _to_srgb(image: pil.Image, icc: bytes | None) -> tuple[RGB, NDArray[np.uint8] | None]:
    """A loaded Pillow image as sRGB and its alpha, strip by strip, not turned."""
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    transparent = image.mode in ALPHA_MODES or "transparency" in image.info
    deep = image.mode in SIXTEEN_BIT or image.mode in ("I", "F")
    alpha = np.empty((height, width), np.uint8) if transparent and not deep else None
    scale = _eight_bit_scale(image) if deep else 1.0
    convert: Callable[[pil.Image], pil.Image] | None = None
    for strip, rows in _strips(image):
        if deep:
            strip = pil.fromarray(_eight_bit(np.asarray(strip), scale))
        elif alpha is not None:
            strip = strip.convert("RGBA")
            alpha[rows] = np.asarray(strip.getchannel("A"))
            strip = strip.convert("RGB")
        elif strip.mode in ("1", "P"):
            strip = strip.convert("RGB")
        convert = convert or _converter(strip.mode, icc)
        rgb[rows] = np.asarray(convert(strip))
    return rgb, alpha


def _strips(image: pil.Image) -> Iterator[tuple[pil.Image, slice]]:
    width, height = image.size
    step = max(1, STRIP // width)
    for top in range(0, height, step):
        bottom = min(height, top + step)
        yield image.crop((0, top, width, bottom)), slice(top, bottom)


def _eight_bit_scale(image: pil.Image) -> float:
    """What takes gray values of more than 8 bits to 0..255: 0..1 floats, 16 bits, else 32."""
    if image.mode in SIXTEEN_BIT:
        return 255 / 65535
    with np.errstate(all="ignore"):
        top = max(float(np.nanmax(np.asarray(strip), initial=0)) for strip, _ in _strips(image))
    if image.mode == "F":
        return 255.0 if top <= 1 else 1.0 if top <= 255 else 255 / 65535
    return 255 / 65535 if top <= 65535 else 255 / (2**31 - 1)


def _eight_bit(values: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    data = np.nan_to_num(values.astype(np.float64))
    return np.clip(np.rint(data * scale), 0, 255).astype(np.uint8)


def _converter(mode: str, icc: bytes | None) -> Callable[[pil.Image], pil.Image]:
    """Pictures of a mode to sRGB; an unusable profile counts as none."""
    try:
        if mode == "LAB":
            lab = ImageCms.createProfile("LAB")
            return _transformer(lab, "LAB", "LAB")
        if icc:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            if "srgb" not in ImageCms.getProfileDescription(profile).lower():
                space = profile.profile.xcolor_space.strip()
                seen = mode
                if space == "GRAY" and mode == "RGB":
                    seen = "L"
                elif space == "RGB" and mode != "RGB":
                    seen = "RGB"
                return _transformer(profile, mode, seen)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        pass
    return lambda strip: strip.convert("RGB")


def _transformer(profile: Any, mode: str, seen: str) -> Callable[[pil.Image], pil.Image]:
    target = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(profile, target, seen, "RGB")

    def convert(strip: pil.Image) -> pil.Image:
        strip = strip if mode == seen else strip.convert(seen)
        return ImageCms.applyTransform(strip, transform) or strip.convert("RGB")

    return convert


def _upright(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A picture turned as EXIF's orientation says."""
    turned = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, 1),
    }.get(orientation)
    return picture if turned is None else np.ascontiguousarray(turned(picture))
