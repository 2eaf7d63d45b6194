"""What a clip holds, read from ffmpeg's own description of it: pip's ffmpeg has no ffprobe.

The description's lines are free text, but their form has not changed in a decade. Only what can't
be had from the frames themselves is read from them.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toonify.errors import InputError
from toonify.media.ffmpeg import complaint_of, ffmpeg_path

_STREAM = re.compile(r"^\s+Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: (\w+): (.*)$")
_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")
_START = re.compile(r"start: (-?\d+(?:\.\d+)?)")
# A clip may name no other files and no addresses.
_SAFE = ("-protocol_whitelist", "file,pipe")
HDR = ("smpte2084", "arib-std-b67")


@dataclass(frozen=True)
class Track:
    """A stream beside the picture: its index in the file, kind and codec."""

    index: int
    kind: str  # "audio", "subtitle", "data" or "attachment"
    codec: str


@dataclass(frozen=True)
class Clip:
    """What is known of a clip before it is decoded.

    Attributes:
        path: the file.
        width, height: px as stored, before rotation.
        codec: the picture's.
        pixels: ffmpeg's name of the pixel format.
        color_range: "tv", "pc" or None.
        matrix, primaries, transfer: ffmpeg's names, None where unknown.
        interlaced: the file says so.
        aspect: width over height of a pixel.
        fps: the average frame rate.
        base_rate: the rate that all frames fit into, as ffmpeg guesses it.
        duration: seconds, or None.
        start: seconds at which the file's clock begins.
        index: the picture's stream.
        tracks: everything else but cover pictures.
        alpha_layer: VP8 or VP9 with transparency in a layer of its own.
    """

    path: Path
    width: int
    height: int
    codec: str
    pixels: str
    color_range: str | None
    matrix: str | None
    primaries: str | None
    transfer: str | None
    interlaced: bool
    aspect: Fraction
    fps: Fraction
    base_rate: Fraction
    duration: float | None
    start: float
    index: int
    tracks: tuple[Track, ...]
    alpha_layer: bool = False

    @property
    def deep(self) -> bool:
        """More than 8 bits a channel."""
        return (
            re.search(r"(9|10|12|14|16|32|48|64)(le|be)$|^p0?[124]1?[06]", self.pixels) is not None
        )

    @property
    def alpha(self) -> bool:
        """Has transparency."""
        names = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8", "ayuv")
        return self.alpha_layer or self.pixels.startswith(names)

    @property
    def rgb(self) -> bool:
        """Stored as RGB, grey or a palette, not YUV."""
        return not self.pixels.startswith(("yuv", "nv", "p0", "p2", "p4", "ayuv", "uyv", "yuyv"))


def source_arguments(path: Path) -> list[str]:
    """How a file is given to ffmpeg, whatever its name looks like."""
    return [*_SAFE, "-i", f"file:{path}"]


def probe(path: Path) -> Clip:
    """Read a clip's description.

    Raises:
        InputError: missing, no video, damaged beyond opening, or HDR.
    """
    if not path.exists():
        raise InputError(f"no such file: {path}", mend="Check the name.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty", mend="Copy or export it again.")
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", *source_arguments(path)]
    done = subprocess.run(command, capture_output=True)
    lines = done.stderr.decode(errors="replace").splitlines()
    if not any(line.startswith("Input #0") for line in lines):
        raise _unreadable(path, lines)
    return _described(path, lines)


def _unreadable(path: Path, lines: list[str]) -> InputError:
    text = " ".join(lines)
    if "Permission denied" in text:
        return InputError(f"no permission to read {path}")
    if "moov atom not found" in text and _begins_as_mp4(path):
        return InputError(
            f"{path} is cut off: the part that says where its frames are is missing",
            mend="Copy or export it again.",
        )
    if "Invalid data found" in text or "moov atom" in text:
        return InputError(f"{path} is not a video that ffmpeg reads", mend="Give a clip.")
    return InputError(f"can't read {path}: {complaint_of(lines)}")


def _begins_as_mp4(path: Path) -> bool:
    """Whether it is one at all, and not something else by that name."""
    with open(path, "rb") as file:
        head = file.read(4096)
    return any(atom in head for atom in (b"ftyp", b"mdat", b"moov", b"wide"))


def _described(path: Path, lines: list[str]) -> Clip:
    picture: tuple[int, str] | None = None
    tracks = []
    below = ""  # the lines under the picture's own
    inside = False
    for line in lines:
        match = _STREAM.match(line)
        if match is None:
            if inside and line.startswith("    "):
                below += line + "\n"
            continue
        index, _, kind, rest = match.groups()
        is_picture = kind == "Video" and "(attached pic)" not in rest and picture is None
        inside = is_picture
        if is_picture:
            picture = int(index), rest
        elif kind != "Video":
            tracks.append(Track(int(index), kind.lower(), rest.split(",")[0].split()[0]))
    if picture is None:
        raise InputError(f"there is no video in {path}", mend="Give a clip with a picture.")
    fields = _fields(picture[1])
    if fields[0].startswith("ansi"):  # ffmpeg shows any text as a picture
        raise InputError(f"{path} is not a video that ffmpeg reads", mend="Give a clip.")
    size = next((m for f in fields if (m := re.match(r"(\d+)x(\d+)\b", f))), None)
    if size is None or "none" in fields[:2]:
        raise InputError(f"{path} is damaged: its picture has no size", mend="Export it again.")
    at = fields.index(size.string)
    pixels, _, detail = (fields[at - 1] if at > 1 else "").partition("(")
    color_range, matrix, primaries, transfer, interlaced = _colour(detail.rstrip(")"))
    if transfer in HDR:
        raise InputError(
            f"{path} is an HDR clip ({transfer}), drawings would come out in wrong colours",
            mend="Convert it to SDR first: ffmpeg -i IN -vf zscale=t=linear:npl=100,"
            "tonemap=hable,zscale=p=bt709:t=bt709:m=bt709,format=yuv420p OUT.",
        )
    text = "\n".join(lines)
    aspect = re.search(r"SAR (\d+):(\d+)", picture[1])
    duration = _DURATION.search(text)
    start = _START.search(text)
    return Clip(
        path=path,
        width=int(size[1]),
        height=int(size[2]),
        codec=fields[0].split()[0],
        pixels=pixels,
        color_range=color_range,
        matrix=matrix,
        primaries=primaries,
        transfer=transfer,
        interlaced=interlaced,
        aspect=Fraction(int(aspect[1]), int(aspect[2]))
        if aspect and int(aspect[2])
        else Fraction(1),
        fps=_rate(fields, "fps", "tbr"),
        base_rate=_rate(fields, "tbr", "fps"),
        duration=(
            int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3])
            if duration
            else None
        ),
        start=float(start[1]) if start else 0.0,
        index=picture[0],
        tracks=tuple(tracks),
        alpha_layer=re.search(r"alpha_mode\s*: 1", below, re.IGNORECASE) is not None,
    )


def _fields(text: str) -> list[str]:
    """Split at commas that are in no parentheses or brackets."""
    fields, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            fields.append("")
        else:
            fields[-1] += sign
    return [field.strip() for field in fields]


def _colour(detail: str) -> tuple[str | None, str | None, str | None, str | None, bool]:
    color_range, names, interlaced = None, [], False
    for part in (p.strip() for p in detail.split(",")):
        if part in ("tv", "pc"):
            color_range = part
        elif "first" in part:
            interlaced = True
        elif part and part not in ("progressive", "left", "center", "topleft", "top", "bottom"):
            names = part.split("/")
    known = [None if n in ("unknown", "reserved", "unspecified") else n for n in names]
    if len(known) == 1:
        known = known * 3
    matrix, primaries, transfer = known if len(known) == 3 else (None, None, None)
    return color_range, matrix, primaries, transfer, interlaced


def _rate(fields: list[str], *units: str) -> Fraction:
    """The rate of frames; NTSC's, which are shown rounded, are made exact."""
    for unit in units:
        for field in fields:
            if field.endswith(f" {unit}"):
                value = field.removesuffix(f" {unit}")
                scale = 1000 if value.endswith("k") else 1
                rate = float(value.rstrip("k")) * scale
                ntsc = Fraction(round(rate * 1.001) * 1000, 1001)
                if rate != round(rate) and abs(float(ntsc) - rate) < 0.006:
                    return ntsc
                return Fraction(value.rstrip("k")) * scale
    return Fraction(25)
