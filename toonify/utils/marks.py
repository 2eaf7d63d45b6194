"""Marks: what toonify wrote says so within the file, with what it was made from.

A mark is a small JSON object in a comment of the picture (PNG's tEXt, JPEG's COM, GIF's comment
extension, a chunk of WebP's own, comments at the end of SVG and PDF), so that it is written with
the picture or not at all and moves with it. It tells no path and nothing of the photograph but
its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import unicodedata
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_VERSION = 1
_KEYWORD = b"toonify"
_PNG_END = b"\0\0\0\0IEND\xaeB\x60\x82"
_HEAD, _TAIL = 4096, 8192  # bytes within which a mark lies
_WEBP_CHUNK = b"TOON"
_SVG_MARK, _SVG_END = b"<!--toonify ", b"-->\n"
_PDF_MARK, _PDF_END = b"%toonify ", b"\n"

# of marked pictures, those that are as good a photograph as any
CROP = "crop"


def stamp(data: bytes, name: str, mark: Mapping[str, Any]) -> bytes:
    """A picture's bytes with a mark in them.

    Args:
        data: a whole PNG, JPEG, WebP, GIF, SVG or PDF; anything else is given back as it is.
        name: the file's name, without its folder: a copy under another name is no output.
        mark: JSON-able: "kind", and for drawings "input" and "settings" (see `digest`), ….
    """
    about = {
        "toonify": _VERSION,
        **mark,
        "name": _normal(name),
        "content": hashlib.sha256(data).hexdigest(),
    }
    text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode("ascii")
    if data.endswith(_PNG_END):
        return data[:-12] + png_chunk(text) + data[-12:]
    if data[:2] == b"\xff\xd8" and len(text) < 60_000:
        place = _after_jfif(data)
        payload = _KEYWORD + b"\0" + text
        segment = b"\xff\xfe" + struct.pack(">H", len(payload) + 2) + payload
        return data[:place] + segment + data[place:]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        chunk = _WEBP_CHUNK + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
        size = struct.unpack("<I", data[4:8])[0] + len(chunk)
        return data[:4] + struct.pack("<I", size) + data[8:] + chunk
    if data[:4] == b"GIF8" and data.endswith(b";"):
        payload = _KEYWORD + b"\0" + text
        blocks = b"".join(
            bytes([len(part)]) + part
            for part in (payload[i : i + 255] for i in range(0, len(payload), 255))
        )
        return data[:-1] + b"\x21\xfe" + blocks + b"\0;"
    if data.endswith(b"</svg>\n"):
        return data + _SVG_MARK + text.replace(b"--", b"-\\u002d") + _SVG_END  # as XML wants it
    if data[:5] == b"%PDF-" and data.endswith(b"%%EOF\n"):
        return data + _PDF_MARK + text + _PDF_END
    return data


def png_chunk(text: bytes) -> bytes:
    """A mark's JSON as a chunk of PNG."""
    body = b"tEXt" + _KEYWORD + b"\0" + text
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def finish_png(path: Path, name: str, mark: Mapping[str, Any]) -> None:
    """Put a mark into a PNG that was written piece by piece.

    Raises:
        OSError: it can't be written.
    """
    with open(path, "r+b") as file:
        digest = hashlib.file_digest(file, "sha256")
        about = {"toonify": _VERSION, **mark, "name": _normal(name), "content": digest.hexdigest()}
        text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode("ascii")
        file.seek(-len(_PNG_END), os.SEEK_END)
        file.write(png_chunk(text) + _PNG_END)


def read_mark(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The mark of a picture, or None: it has none, is no picture, or can't be read.

    Only the file's beginning and end are read.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEAD)
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
    except (OSError, ValueError):
        return None
    found = _find(head, tail)
    return None if found is None else found[2]


def is_unchanged(path: str | os.PathLike[str]) -> bool:
    """Whether a picture is, byte for byte, what toonify wrote under this name."""
    if read_mark(path) is None:  # without reading all of somebody's file
        return False
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError):
        return False
    found = _find(data[:_HEAD], data[-_TAIL:])
    if found is None:
        return False
    where, length, mark = found
    start = where if where >= 0 else len(data) + where
    plain = data[:start] + data[start + length :]
    if data[:4] == b"RIFF":
        size = struct.unpack("<I", data[4:8])[0] - length
        plain = plain[:4] + struct.pack("<I", size & 0xFFFFFFFF) + plain[8:]
    return mark.get("content") == hashlib.sha256(plain).hexdigest() and names(mark, path)


def names(mark: Mapping[str, Any], path: str | os.PathLike[str]) -> bool:
    """Whether a mark belongs to a file of this name."""
    return bool(mark.get("name") == _normal(Path(path).name))


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of anything JSON-able, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _find(head: bytes, tail: bytes) -> tuple[int, int, dict[str, Any]] | None:
    """(where it begins, its length, the mark); counted from the end where negative."""
    try:
        return _found(head, tail)
    except (struct.error, IndexError):  # cut off, or made to look so
        return None


def _found(head: bytes, tail: bytes) -> tuple[int, int, dict[str, Any]] | None:
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        at = tail.rfind(b"tEXt" + _KEYWORD + b"\0")
        if at < 4:
            return None
        length = struct.unpack(">I", tail[at - 4 : at])[0]
        text = tail[at + 4 + len(_KEYWORD) + 1 : at + 4 + length]
        return _parsed(at - 4 - len(tail), length + 12, text)
    if head[:2] == b"\xff\xd8":
        place = _after_jfif(head)
        start = place + 4 + len(_KEYWORD) + 1
        if head[place : place + 2] != b"\xff\xfe" or head[place + 4 : start] != _KEYWORD + b"\0":
            return None
        length = struct.unpack(">H", head[place + 2 : place + 4])[0]
        return _parsed(place, length + 2, head[start : place + 2 + length])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        at = tail.rfind(_WEBP_CHUNK)
        if at < 0:
            return None
        length = struct.unpack("<I", tail[at + 4 : at + 8])[0]
        return _parsed(at - len(tail), 8 + length + length % 2, tail[at + 8 : at + 8 + length])
    if head[:4] == b"GIF8":
        at = tail.rfind(b"\x21\xfe")
        if at < 0:
            return None
        payload, place = b"", at + 2
        while place < len(tail) and tail[place]:
            payload += tail[place + 1 : place + 1 + tail[place]]
            place += 1 + tail[place]
        if not payload.startswith(_KEYWORD + b"\0"):
            return None
        return _parsed(at - len(tail), place + 1 - at, payload[len(_KEYWORD) + 1 :])
    for opening, closing in ((_SVG_MARK, _SVG_END), (_PDF_MARK, _PDF_END)):
        at = tail.rfind(opening)
        text = tail[at + len(opening) : -len(closing)]
        if at >= 0 and tail.endswith(closing) and b"\n" not in text:
            return _parsed(at - len(tail), len(tail) - at, text)
    return None


def _parsed(where: int, length: int, text: bytes) -> tuple[int, int, dict[str, Any]] | None:
    try:
        mark = json.loads(text)
    except ValueError:
        return None
    if not isinstance(mark, dict) or mark.get("toonify") != _VERSION:
        return None
    return where, length, mark


def _after_jfif(data: bytes) -> int:
    """Where a JPEG's comment goes: behind JFIF's own segment, which has to be the first."""
    if data[2:4] == b"\xff\xe0" and len(data) > 6:
        return int(4 + struct.unpack(">H", data[4:6])[0])
    return 2


def _normal(name: str) -> str:
    """Names as they are compared: some file systems decompose letters with accents."""
    return unicodedata.normalize("NFC", name)
