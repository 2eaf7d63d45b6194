"""What a photo says about itself (EXIF, XMP, color profile, resolution), fit to travel on.

Where it was taken is left out, and what would be wrong in the drawing: its orientation (pixels are
upright already), embedded thumbnails of the photo, makers' private notes.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from PIL import Image as pil
from PIL import ImageCms, PngImagePlugin

_ORIENTATION, _EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_GPS_VERSION = 0x0000  # of the position's tags, the one that says nothing of a place
_PRIVATE = (0x927C, 0x9286)  # maker's note (offsets, previews, places), user comment
_SIZES = (0x0100, 0x0101)
_EXIF_SIZES = (0xA002, 0xA003)
_JPEG_SEGMENT = 65_500  # what fits into one
_MOST = 1 << 20  # bytes of EXIF or XMP that are looked at
_DAMAGED = (KeyError, ValueError, TypeError, SyntaxError, struct.error, OSError, AttributeError)


@dataclass(frozen=True, eq=False)
class Metadata:
    """Of one picture, as its file had it.

    Attributes:
        exif: EXIF as bytes, without a place; None for none.
        xmp: the same of XMP.
        icc: the embedded profile that colors were converted from.
        dpi: pixels an inch, across and down.
        orientation: 1..8, of the stored pixels.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int = 1

    @classmethod
    def of(cls, image: pil.Image) -> Metadata:
        """Of an open Pillow image; damaged entries count as absent."""
        icc = image.info.get("icc_profile") or None
        orientation, exif = 1, None
        with contextlib.suppress(*_DAMAGED):
            found = image.getexif()
            orientation = int(found.get(_ORIENTATION, 1))
            exif = _without_place(found) if len(found) else None
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        return cls(
            exif=exif,
            xmp=_xmp_without_place(xmp) if isinstance(xmp, (bytes, str)) else None,
            icc=icc if isinstance(icc, bytes) else None,
            dpi=_resolution(image.info.get("dpi")),
            orientation=orientation if 1 <= orientation <= 8 else 1,
        )

    def save_options(self, kind: str) -> dict[str, Any]:
        """Arguments of Pillow's `save` for "JPEG", "PNG" or "WEBP"."""
        options: dict[str, Any] = {}
        if self.icc:
            options["icc_profile"] = self.icc if _is_srgb(self.icc) else _srgb()
        most = _JPEG_SEGMENT if kind == "JPEG" else _MOST
        if self.exif and len(self.exif) <= most:
            options["exif"] = self.exif
        if self.dpi and kind != "WEBP":
            options["dpi"] = self.dpi
        if self.xmp and len(self.xmp) <= most:
            if kind == "PNG":
                info = PngImagePlugin.PngInfo()
                info.add_itxt("XML:com.adobe.xmp", self.xmp.decode("utf-8", "replace"))
                options["pnginfo"] = info
            else:
                options["xmp"] = self.xmp
        return options

    def stripped(self) -> Metadata:
        """Nothing but what colors need."""
        return replace(self, exif=None, xmp=None, dpi=None)


def _without_place(exif: pil.Exif) -> bytes | None:
    """EXIF of an upright picture that says nothing of where it was taken."""
    clean = pil.Exif()
    clean.endian = exif.endian
    for tag, value in exif.items():
        if tag not in (_ORIENTATION, _EXIF_IFD, _GPS_IFD, _INTEROP_IFD, *_SIZES, *_PRIVATE):
            _put(clean, tag, value)
    inner = clean.get_ifd(_EXIF_IFD)
    for tag, value in exif.get_ifd(_EXIF_IFD).items():
        if tag not in (_INTEROP_IFD, *_EXIF_SIZES, *_PRIVATE):
            _put(inner, tag, value)
    if exif.get_ifd(_GPS_IFD):
        clean.get_ifd(_GPS_IFD)[_GPS_VERSION] = b"\x02\x03\x00\x00"
    return clean.tobytes() if len(clean) or inner else None


def _put(into: Any, tag: int, value: Any) -> None:
    """Copy an entry that can be written again; others are left out, one by one."""
    if not isinstance(value, (str, bytes, int, float, tuple, pil.Exif)) and not hasattr(
        value, "numerator"
    ):
        return
    trial = pil.Exif()
    with contextlib.suppress(Exception):  # what a damaged entry raises is not documented
        trial.get_ifd(_EXIF_IFD)[tag] = value
        trial.tobytes()
        into[tag] = value


def _xmp_without_place(xmp: bytes | str) -> bytes | None:
    """XMP without places, orientation, thumbnails; None where it can't be read safely."""
    data = xmp.encode() if isinstance(xmp, str) else xmp
    data = data.strip(b"\0 \n\r\t")
    if not data or len(data) > _MOST or b"<!" in data.replace(b"<!--", b""):
        return None  # declarations of entities may grow without bound
    try:
        document = minidom.parseString(data)
    except (ExpatError, ValueError, LookupError, RecursionError):
        return None
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > 64:
            return None
        for child in list(node.childNodes):
            if child.nodeType != child.ELEMENT_NODE:
                continue
            if _is_location(child.localName or child.tagName):
                node.removeChild(child)
                continue
            for name in [str(key) for key in child.attributes.keys()]:  # noqa: SIM118
                if _is_location(name.rpartition(":")[2]):
                    child.removeAttribute(name)
            waiting.append((child, depth + 1))
    try:
        return b"".join(part.toxml().encode() for part in document.childNodes)
    except (RecursionError, ValueError):
        return None


def _is_location(name: str) -> bool:
    return name.startswith(("GPS", "Location")) or name in ("Orientation", "Thumbnails")


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(1 <= value <= 10_000 for value in (across, down)) else None


def _is_srgb(icc: bytes) -> bool:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        return "srgb" in ImageCms.getProfileDescription(profile).lower()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


@cache
def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
