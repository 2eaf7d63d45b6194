"""What is written: container, codec, pixel format and colors; and segments of it."""

from __future__ import annotations

import queue
import secrets
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from toonify.errors import UsageError
from toonify.media.ffmpeg import Process, encodes, write_error
from toonify.media.nut import NutWriter
from toonify.media.probe import Clip
from toonify.media.video import SCALING, Pixels, raw_stream
from toonify.utils.durable import replace_durably

FOLDER = ""  # the "suffix" of a folder of frames
# Encoder, its default --crf (None: it has none), options, and containers, by --codec.
CODECS: dict[str, tuple[str, int | None, tuple[str, ...], tuple[str, ...]]] = {
    "h264": ("libx264", 18, ("-preset", "medium", "-bf", "0"), (".mp4", ".mov", ".mkv")),
    "hevc": (
        "libx265",
        20,
        ("-preset", "medium", "-bf", "0", "-x265-params", "log-level=error"),
        (".mp4", ".mov", ".mkv"),
    ),
    "vp9": (
        "libvpx-vp9",
        30,
        ("-b:v", "0", "-row-mt", "1", "-deadline", "good", "-cpu-used", "4"),
        (".webm", ".mkv", ".mp4"),
    ),
    "av1": ("libsvtav1", 30, ("-preset", "8"), (".webm", ".mkv", ".mp4")),
    "prores": ("prores_ks", None, (), (".mov", ".mkv")),
    "ffv1": ("ffv1", None, ("-g", "1"), (".mkv",)),
    "png": ("png", None, (), (FOLDER,)),
    "gif": ("ffv1", None, ("-g", "1"), (".gif",)),  # lossless until the palette is made
}
LARGE = 4096 * 2304  # px, from which encoders look at fewer frames ahead, for memory's sake
FRUGAL = {
    "libx264": ("-rc-lookahead", "6", "-threads", "4"),
    "libx265": ("-x265-params", "log-level=error:rc-lookahead=6:frame-threads=1"),
    "libvpx-vp9": ("-lag-in-frames", "6"),
}
DEFAULTS = {".mp4": "h264", ".mov": "h264", ".mkv": "h264", ".webm": "vp9", ".gif": "gif"}
HARDWARE = ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf")
SUFFIXES = tuple(DEFAULTS)
# Names of matrices: the frame's own -> the scaler's.
MATRICES = {
    "bt709": "bt709",
    "bt2020nc": "bt2020",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "smpte240m": "smpte240m",
    "fcc": "fcc",
}


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded.

    Attributes:
        suffix: of the container, or "" for a folder of PNG files.
        codec: one of `CODECS`, or a hardware encoder's own name.
        pixels: ffmpeg's pixel format.
        arguments: the encoder's.
        filters: from raw RGB to the pixel format, colors described.
        alpha: pictures come with transparency.
    """

    suffix: str
    codec: str
    pixels: str
    arguments: tuple[str, ...]
    filters: str
    alpha: bool = False


def choose_encoding(
    output: Path,
    clip: Clip | None,
    *,
    codec: str = "auto",
    crf: int | None = None,
    pixels: str | None = None,
    alpha: bool = False,
) -> Encoding:
    """Settle what is written.

    Args:
        output: its suffix says the container, none says a folder of PNG files.
        clip: where colors and depth are taken from.
        codec: "auto", a name of `CODECS`, "hardware", or a hardware encoder's name.
        crf: quality, lower is better; None takes the codec's default.
        pixels: pixel format; None takes one that plays everywhere.
        alpha: frames have transparency.

    Raises:
        UsageError: these don't go together, or the encoder doesn't work here.
    """
    suffix = output.suffix.lower()
    if suffix not in (*SUFFIXES, FOLDER):
        raise UsageError(
            f"can't write {suffix} files ({output})",
            hint=f"Use one of {', '.join(SUFFIXES)}, or a folder for frames.",
        )
    clip = None if clip is None else clip.tone_mapped()
    deep = clip is not None and clip.deep
    if clip is not None and clip.codec == "gif" and suffix == ".mp4":
        alpha = False  # every GIF can have transparency, few use it for more than their size
    codec = _codec(codec, suffix, deep=deep, alpha=alpha)
    if codec in CODECS:
        encoder, default_crf, options, suffixes = CODECS[codec]
        if suffix not in suffixes:
            where = ", ".join(s for s in suffixes if s) or "a folder"
            raise UsageError(
                f"{codec} does not go into {suffix or 'a folder'}", hint=f"Use {where}."
            )
    else:
        encoder, default_crf, options, suffixes = codec, 20, ("-bf", "0"), (".mp4", ".mov", ".mkv")
    if not encodes(encoder):
        raise UsageError(
            f"the encoder {encoder} does not work here", hint="Choose another `codec`."
        )
    if crf is not None and default_crf is None:
        raise UsageError(f"{codec} has no `crf`", hint="Leave `crf` out.")
    if pixels is not None:
        _check_format(pixels)
    quality = default_crf if crf is None else crf
    chosen = pixels or _pixels(codec, suffix, deep=deep, alpha=alpha)
    if codec == "prores":
        options = ("-profile:v", "4444" if "444" in chosen else "hq", "-vendor", "apl0")
    arguments = ["-c:v", encoder, *options, *_quality(encoder, quality)]
    if codec == "hevc" and suffix != ".mkv":
        arguments += ["-tag:v", "hvc1"]
    if clip is not None and clip.width * clip.height > LARGE:
        arguments += FRUGAL.get(encoder, ())
    filters, tags = _colors(clip, chosen)
    return Encoding(suffix, codec, chosen, (*arguments, *tags), filters, alpha)


def _check_format(pixels: str) -> None:
    """UsageError unless ffmpeg knows this pixel format."""
    try:
        av.VideoFormat(pixels)
    except ValueError as error:
        raise UsageError(
            f"`pix_fmt` {pixels!r} is no pixel format", hint="Give yuv420p, say."
        ) from error


def _codec(codec: str, suffix: str, *, deep: bool, alpha: bool) -> str:
    if suffix == FOLDER:
        return "png" if codec == "auto" else codec
    if codec == "hardware":
        for name in HARDWARE:
            if encodes(name):
                return name
        raise UsageError("no hardware encoder works here", hint="Leave `codec` out.")
    if codec != "auto":
        known = [name for name in CODECS if name not in ("png", "gif")]
        prefix = codec.partition("_")[2]
        if codec not in CODECS and prefix not in ("nvenc", "videotoolbox", "qsv", "amf"):
            raise UsageError(
                f"unknown codec {codec!r}", hint=f"Use `codec` auto, {', '.join(known)}, hardware."
            )
        return codec
    if alpha and suffix == ".mov":
        return "prores"
    if alpha and suffix == ".mkv":
        return "ffv1"
    if alpha and suffix == ".mp4":
        raise UsageError(
            "mp4 keeps no transparency", hint="Write .mov or .webm, or add `pix_fmt` yuv420p."
        )
    # H.264 of more than 8 bits plays nearly nowhere, HEVC's does.
    return "hevc" if deep and DEFAULTS[suffix] == "h264" else DEFAULTS[suffix]


def _pixels(codec: str, suffix: str, *, deep: bool, alpha: bool) -> str:
    if codec == "png":
        return {(0, 0): "rgb24", (0, 1): "rgba", (1, 0): "rgb48be", (1, 1): "rgba64be"}[deep, alpha]
    if codec == "gif":
        return "bgra" if alpha else "bgr0"
    if codec == "prores":
        return "yuva444p10le" if alpha else "yuv422p10le"
    if codec == "ffv1" and alpha:
        return "yuva444p10le" if deep else "bgra"
    if alpha and codec == "vp9":
        return "yuva420p"
    return "yuv420p10le" if deep and codec in ("hevc", "vp9", "av1", "ffv1") else "yuv420p"


def _quality(encoder: str, crf: int | None) -> list[str]:
    if crf is None:
        return []
    if encoder.endswith("_nvenc"):
        return ["-rc", "vbr", "-cq", str(crf), "-b:v", "0"]
    if encoder.endswith("_videotoolbox"):
        return ["-q:v", str(max(1, 100 - 2 * crf))]
    if encoder.endswith("_qsv"):
        return ["-global_quality", str(crf)]
    if encoder.endswith("_amf"):
        return ["-rc", "cqp", "-qp_i", str(crf), "-qp_p", str(crf)]
    return ["-crf", str(crf)]


def _colors(clip: Clip | None, pixels: str) -> tuple[str, list[str]]:
    """Filters and arguments that keep matrix, range, primaries and transfer of the clip."""
    to_yuv = pixels.startswith(("yuv", "nv", "p0"))
    if not to_yuv:
        return f"format={pixels}", []
    if clip is None or clip.rgb:
        matrix = primaries = transfer = "bt709"
        color_range = "tv"
    else:
        matrix, primaries, transfer = (
            name or "" for name in (clip.matrix, clip.primaries, clip.transfer)
        )
        color_range = clip.color_range or "tv"
    scale = f"scale=out_color_matrix={MATRICES.get(matrix, 'bt601')}:out_range={color_range}"
    tags = {"range": color_range, "colorspace": matrix}
    tags |= {"color_primaries": primaries, "color_trc": transfer}
    described = ":".join(f"{name}={value or 'unknown'}" for name, value in tags.items())
    arguments = []
    for name, value in tags.items():
        option = {"range": "-color_range"}.get(name, f"-{name}")
        arguments += [option, value] if value else []
    return f"{scale}:{SCALING},format={pixels},setparams={described}", arguments


class SegmentWriter:
    """Encodes frames into one file of their own, in a thread.

    The file appears under its name when `close` has found it whole.

    Args:
        path: a NUT file.
        ahead: frames that wait for the encoder at most.
    """

    def __init__(
        self, path: Path, encoding: Encoding, time_base: Fraction, *, ahead: int = 4
    ) -> None:
        self.path, self.encoding, self.time_base = path, encoding, time_base
        # of this run alone: a killed run's ffmpeg may not have ended yet
        self._temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        self._waiting: queue.Queue[tuple[int, Pixels] | None] = queue.Queue(ahead)
        self._error: BaseException | None = None
        timing = ["-fps_mode", "passthrough", "-enc_time_base", "demux"]
        self._process = Process(
            [
                *("-copyts", "-thread_queue_size", "2", "-f", "nut", "-i", "pipe:0"),
                *("-vf", encoding.filters, *timing),
                *encoding.arguments,
                *("-f", "nut", "-write_index", "0", f"file:{self._temporary}"),
            ],
            reads=True,
        )
        self._thread = threading.Thread(target=self._encode, daemon=True)
        self._thread.start()

    def write(self, pts: int, pixels: Pixels) -> None:
        """Append a frame.

        Raises:
            InputError: the file can't be written, full disk included.
        """
        while self._thread.is_alive():
            try:
                self._waiting.put((pts, pixels), timeout=0.2)
                return
            except queue.Full:
                continue
        self._failed()

    def _encode(self) -> None:
        nut = None
        try:
            while (item := self._waiting.get()) is not None:
                pts, pixels = item
                pixels = _even(pixels, self.encoding)
                if nut is None:
                    nut = NutWriter(self._process.stdin, raw_stream(pixels, self.time_base))
                nut.write(pts, np.ascontiguousarray(pixels).data.cast("B"))
        except (OSError, ValueError) as error:
            self._error = error

    def close(self) -> None:
        """Wait until all is written.

        Raises:
            InputError: the file can't be written, full disk included.
        """
        while self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()
        status = self._process.finish()
        if status or self._error:
            self._failed()
        replace_durably(self._temporary, self.path)

    def _failed(self) -> None:
        self._process.finish()
        self.abort()
        raise write_error(str(self.path), self._process)

    def abort(self) -> None:
        """Give up and leave nothing."""
        self._process.stop()
        self._temporary.unlink(missing_ok=True)


def _even(pixels: Pixels, encoding: Encoding) -> Pixels:
    """Odd sides get their last line twice where chroma is halved."""
    if "420" not in encoding.pixels and "422" not in encoding.pixels:
        return pixels
    height, width = pixels.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return pixels
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
