"""What a clip holds, as its container states it, before anything is decoded."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from toonify.errors import InputError

# Containers that hold all they need. Not among them is whatever opens other files by name:
# playlists (hls, dash, concat, imf), sequences (image2), indexes (vobsub), scripts (avisynth),
# discs and network descriptions (sdp).
CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "gif", "apng", "ogg", "asf"),
    *("mxf", "nut", "ivf", "rm", "wtv", "gxf", "dv", "h263", "h264", "hevc", "vvc", "av1", "obu"),
    *("m4v", "mjpeg", "vc1", "dirac", "yuv4mpegpipe", "swf"),
    # sound, which has a message of its own, and the subtitles that an AVI holds
    *("wav", "mp3", "flac", "aac", "ac3", "srt", "ass"),
)
SAFE = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
PATIENT = {"analyzeduration": "120000000", "probesize": "100000000"}  # microseconds, bytes
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]")
STILLS = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\0", b"MM\0*")  # JPEG, PNG, BMP, TIFF
MAX_PIXELS = 36_000_000  # of a frame: 8192x4320, the largest of 8K, and a little
MAX_GIF_PIXELS = 16_000_000  # of one whose file can be as small as its number of frames
HDR = ("smpte2084", "arib-std-b67")
FASTEST = 240  # frames a second, from which the number may be the container's clock
LOOKED_AT = 120  # packets that tell the rate then

# ITU-T H.273's numbers as ffmpeg calls them.
MATRICES = {
    **{0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco"},
    **{9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc"},
    **{13: "chroma-derived-c", 14: "ictcp"},
}
PRIMARIES = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film"},
    **{9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "jedec-p22"},
}
TRANSFERS = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear"},
    **{9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1"},
    **{14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67"},
}


@dataclass(frozen=True)
class Track:
    """A stream beside the picture.

    Attributes:
        index: in the file.
        kind: "audio", "subtitle", "data", "attachment", or "video" for a second picture.
        codec: ffmpeg's name.
        language: its tag, "" where there is none.
        layout: of the sound's channels, as "stereo" or "5.1(side)"; "" for other kinds.
    """

    index: int
    kind: str
    codec: str
    language: str = ""
    layout: str = ""


@dataclass(frozen=True)
class Clip:
    """What is known of a clip before it is decoded.

    Attributes:
        path: the file.
        container: its format.
        width, height: px as stored, before rotation.
        codec: the picture's.
        pixels: ffmpeg's name of the pixel format.
        deep: more than 8 bits a channel.
        alpha: has transparency.
        rgb: stored as RGB, gray or a palette, not YUV.
        color_range: "tv", "pc" or None.
        matrix, primaries, transfer: ffmpeg's names, None where unknown.
        interlaced: the file says so.
        aspect: width over height of a pixel.
        fps: the average frame rate.
        base_rate: the rate that all frames fit into, as far as the container tells.
        duration: seconds, or None.
        start: seconds at which the file's clock begins.
        index: the picture's stream.
        tracks: everything else.
        alpha_layer: VP8 or VP9 with transparency in a layer of its own.
    """

    path: Path
    container: str
    width: int
    height: int
    codec: str
    pixels: str
    deep: bool
    alpha: bool
    rgb: bool
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
    def hdr(self) -> bool:
        """Its colors are of high dynamic range (PQ or HLG)."""
        return self.transfer in HDR

    def tone_mapped(self) -> Clip:
        """The clip as its frames are read: HDR becomes SDR of 8 bits, other clips stay."""
        if not self.hdr:
            return self
        return replace(
            self,
            deep=False,
            rgb=False,
            color_range="tv",
            matrix="bt709",
            primaries="bt709",
            transfer="bt709",
        )


def source_arguments(path: Path) -> list[str]:
    """How a file is given to ffmpeg: whatever its name looks like, and so that it reads nothing
    else."""
    options = [part for name, value in SAFE.items() for part in (f"-{name}", value)]
    return [*options, "-i", f"file:{path}"]


def probe(path: Path) -> Clip:
    """Read what a clip's container says of it.

    Raises:
        InputError: missing, no video, or damaged beyond opening.
    """
    import av

    if not path.exists():
        raise InputError(f"no such file: {path}", hint="Check the name.")
    if not path.is_file():
        raise InputError(f"{path} is not a file", hint="Give a clip, or a folder of frames.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", hint="Copy or export it again.")
    options = {**SAFE, "max_pixels": str(MAX_PIXELS)}
    try:
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
            if not any(
                s.codec_context and not s.codec_context.format for s in container.streams.video
            ):
                return _described(path, container)
        # a picture that stands still from the beginning tells its format late
        with av.open(
            f"file:{path}", options=options | PATIENT, metadata_errors="replace"
        ) as container:
            return _described(path, container)
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except av.error.FFmpegError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> InputError:
    with open(path, "rb") as file:
        head = file.read(4096)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(PLAYLISTS):
        return InputError(
            f"{path} is a list that names other files, which are not read",
            hint="Give the clip itself.",
        )
    if any(atom in head for atom in (b"ftyp", b"mdat", b"moov", b"wide")):
        return InputError(
            f"{path} is cut off: the part that says where its frames are is missing",
            hint="Copy or export it again.",
        )
    picture = head.startswith(STILLS)
    hint = "It is a picture: `toonify stylize` draws it." if picture else "Give a clip."
    return InputError(f"{path} is not a video that can be read", hint=hint)


def _described(path: Path, container: Any) -> Clip:
    from av.stream import Disposition

    pictures = [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    if not pictures:
        raise InputError(f"there is no video in {path}", hint="Give a clip with a picture.")
    picture = pictures[0]
    coded = picture.codec_context
    if coded is None:
        raise InputError(f"the picture of {path} is in no known codec", hint="Export it again.")
    if not coded.width or not coded.height or coded.format is None:
        raise InputError(
            f"{path} is damaged: its picture has no size, or one beyond"
            f" {MAX_PIXELS // 10**6} megapixels",
            hint="Export it again.",
        )
    most = MAX_GIF_PIXELS if coded.name in ("gif", "apng") else MAX_PIXELS
    if coded.width * coded.height > most:
        raise InputError(
            f"the frames of {path} are {coded.width}x{coded.height}, more than"
            f" {most // 10**6} megapixels",
            hint="Scale the clip down first.",
        )
    layer = picture.metadata.get("alpha_mode") == "1"
    components = coded.format.components
    fps = picture.average_rate or picture.guessed_rate or Fraction(25)
    base_rate = picture.base_rate or fps
    duration = container.duration
    start = container.start_time
    return Clip(
        path=path,
        container=container.format.name,
        width=coded.width,
        height=coded.height,
        codec=coded.codec.canonical_name,
        pixels=coded.format.name,
        deep=max(component.bits for component in components) > 8,
        alpha=layer
        or coded.format.has_palette
        or any(component.is_alpha for component in components),
        rgb=coded.format.is_rgb
        or coded.format.has_palette
        or sum(not component.is_alpha for component in components) == 1,
        color_range={1: "tv", 2: "pc"}.get(int(coded.color_range)),
        matrix=MATRICES.get(coded.colorspace),
        primaries=PRIMARIES.get(coded.color_primaries),
        transfer=TRANSFERS.get(coded.color_trc),
        interlaced=int(coded.field_order) >= 2,
        aspect=picture.sample_aspect_ratio or Fraction(1),
        fps=fps if fps < FASTEST else _measured_rate(container, picture) or fps,
        base_rate=base_rate,
        duration=duration / 1e6 if duration and duration > 0 else None,
        start=start / 1e6 if start is not None else 0.0,
        index=picture.index,
        tracks=tuple(_track(stream) for stream in container.streams if stream is not picture),
        alpha_layer=layer,
    )


def _track(stream: Any) -> Track:
    coded = stream.codec_context
    name = coded.codec.canonical_name if coded is not None else getattr(stream, "name", None)
    layout = coded.layout.name if coded is not None and stream.type == "audio" else ""
    language = stream.metadata.get("language", "")
    return Track(stream.index, stream.type, name or "unknown", language, layout)


def _measured_rate(container: Any, picture: Any) -> Fraction | None:
    """Frames a second by the first frames' own times: recordings of browsers tick in
    milliseconds, which their container gives as a rate of 1000."""
    times: list[int] = []
    for packet in container.demux(picture):
        if packet.pts is not None:
            times.append(packet.pts)
        if len(times) >= LOOKED_AT:
            break
    times.sort()
    steps = [b - a for a, b in itertools.pairwise(times) if b > a]
    if not steps:
        return None
    return 1 / (Fraction(statistics.median(steps)) * picture.time_base)
