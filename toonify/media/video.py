"""Frames of a clip, one after the other, through a pipe and with their timestamps."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError, UsageError
from toonify.media.ffmpeg import Process, has_filter
from toonify.media.images import iter_images, read_image
from toonify.media.nut import NutError, NutReader, Stream
from toonify.media.probe import MAX_PIXELS, Clip, probe, source_arguments
from toonify.utils.arguments import check_number, check_range

Pixels = NDArray[Any]  # (H, W, 3 or 4), uint8 or uint16
AHEAD = 4  # frames decoded before they are requested
LARGE = 2048 * 1152  # px from which they are fewer, for memory's sake
FASTEST = 1000  # frames a second
SMALLEST = 16  # px, a longest side
STALLED = 180.0  # seconds without a frame after which decoding is given up
# What ffmpeg may take: as much whatever the clip, and frames of its size, in bytes a pixel.
DECODER, FRAMES = 1 << 30, 48 * 4
# What zscale can begin with.
ZSCALE_MATRICES = ("bt709", "bt470bg", "smpte170m", "bt2020nc", "bt2020c")
ZSCALE_PRIMARIES = ("bt709", "bt470bg", "smpte170m", "bt2020", "smpte431", "smpte432")
# Raw pixels as NUT names them, by (channels, bytes a channel).
FOURCC = {(3, 1): b"RGB\x18", (4, 1): b"RGBA", (3, 2): b"RGB0", (4, 2): b"RBA@"}
PIXELS = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
SCALING = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


@dataclass(frozen=True)
class VideoFrame:
    """One picture and when it is shown.

    Attributes:
        index: counted from the first frame that is read.
        pts: ticks of the reader's `time_base` since the start that was requested.
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA, uint8, or uint16 from clips of more than 8 bits.
    """

    index: int
    pts: int
    pixels: Pixels

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8."""
        color = self.pixels[..., :3]
        if color.dtype != np.uint8:
            color = (color >> 8).astype(np.uint8)
        return np.ascontiguousarray(color)


@dataclass(frozen=True, kw_only=True)
class Span:
    """Which part of a clip is read, and how large.

    Attributes:
        start: seconds from its beginning.
        end: seconds from its beginning, None for all.
        fps: frames a second, None for those it has, with their own timestamps.
        max_size: the longest side, px; larger pictures are made smaller.
    """

    start: float = 0.0
    end: float | None = None
    fps: Fraction | None = None
    max_size: int | None = None

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("end", self.end)
        if not self.start >= 0 or (self.end is not None and not self.end > self.start):
            raise UsageError("the clip would end before it starts", hint="Check `start` and `end`.")
        if self.fps is not None and not 0 < self.fps <= FASTEST:
            raise UsageError(f"`fps` {self.fps} is no frame rate", hint="Give 25, say.")
        check_range("max_size", self.max_size, SMALLEST, 1 << 16, whole=True)


class VideoReader:
    """Frames of a file, decoded ahead in a thread; upright, square pixels, progressive.

    Raises:
        InputError: not a clip that can be decoded.
    """

    def __init__(self, clip: Clip, span: Span) -> None:
        self.clip, self.span = clip, span
        depth = 2 if clip.tone_mapped().deep else 1
        self._layout = (4 if clip.alpha else 3, depth)
        pixels = clip.width * clip.height
        memory = DECODER + FRAMES * depth * pixels
        self._process = Process(self._arguments(), writes=True, memory=memory)
        watchdog = threading.Timer(STALLED, self._process.kill)
        watchdog.start()
        try:
            self._nut = NutReader(self._process.stdout)
        except NutError as error:
            raise self._nothing() from error
        finally:
            watchdog.cancel()
        ahead = max(AHEAD * LARGE // max(pixels, LARGE), 1)
        self._ready: queue.Queue[VideoFrame | BaseException | None] = queue.Queue(ahead)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._decode, daemon=True)
        self._thread.start()

    def _arguments(self) -> list[str]:
        clip, span = self.clip, self.span
        arguments = ["-max_pixels", str(MAX_PIXELS)]
        if clip.alpha_layer:
            arguments += ["-c:v", "libvpx-vp9" if clip.codec == "vp9" else "libvpx"]
        if span.start:
            arguments += ["-ss", f"{span.start:.6f}"]
        if span.end is not None:
            arguments += ["-t", f"{span.end - span.start:.6f}"]
        filters = ["bwdif=mode=send_frame:deint=interlaced"] if clip.interlaced else []
        if span.fps:
            filters.append(f"fps={span.fps}")
        if clip.hdr:
            filters += _tone_mapping(clip)
        width, height = ("iw*sar", "ih") if clip.aspect != 1 else ("iw", "ih")
        if span.max_size:
            shrink = f"min(1,{span.max_size}/max({width},{height}))"
            width, height = f"{width}*{shrink}", f"{height}*{shrink}"
        if span.max_size or clip.aspect != 1:
            # even sides, which most encoders want
            width, height = f"max(2,2*round({width}/2))", f"max(2,2*round({height}/2))"
        filters += [f"scale=w='{width}':h='{height}':{SCALING}", "setsar=1"]
        filters.append(f"format={PIXELS[self._layout]}")
        picture = ["-map", f"0:{clip.index}", "-vf", ",".join(filters)]
        timing = ["-fps_mode", "passthrough", "-enc_time_base", "filter" if span.fps else "demux"]
        raw = ["-c:v", "rawvideo", "-f", "nut", "-write_index", "0", "pipe:1"]
        # The file's own clock: how else it begins differs with the streams that are read.
        clock = ["-copyts", *arguments, *source_arguments(clip.path)]
        return [*clock, *picture, *timing, *raw]

    @property
    def time_base(self) -> Fraction:
        """Seconds a tick."""
        return self._nut.stream.time_base

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames, px."""
        return self._nut.stream.width, self._nut.stream.height

    @property
    def channels(self) -> int:
        """3, or 4 with transparency."""
        return self._layout[0]

    @property
    def expected(self) -> int | None:
        """About how many frames there are, as far as known."""
        if self.clip.duration is None:
            return None
        end = min(self.span.end or self.clip.duration, self.clip.duration)
        rate = self.span.fps or self.clip.fps
        return max(round((end - self.span.start) * rate), 1)

    @property
    def damaged(self) -> bool:
        """Whether ffmpeg complained of the file so far."""
        return self._process.damaged

    def __iter__(self) -> Iterator[VideoFrame]:
        """Raises InputError for a file without a single frame, or when none comes any more."""
        while True:
            try:
                got = self._ready.get(timeout=STALLED)
            except queue.Empty:
                self.close()
                raise InputError(
                    f"{self.clip.path} gave no frame for {STALLED:.0f} seconds",
                    hint="Export it again.",
                ) from None
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            yield got

    def _decode(self) -> None:
        channels, depth = self._layout
        width, height = self.size
        count = 0
        begin = round(Fraction(f"{self.clip.start + self.span.start:.6f}") / self.time_base)
        end = self.span.end
        length = None if end is None else Fraction(f"{end - self.span.start:.6f}")
        try:
            for packet in self._nut:
                pts = max(packet.pts - begin, 0)
                if length is not None and pts * self.time_base >= length:
                    break
                flat = np.frombuffer(packet.data, np.uint8 if depth == 1 else "<u2")
                picture = flat.reshape(height, width, channels)
                if not self._put(VideoFrame(count, pts, picture)):
                    return
                count += 1
            else:
                self._process.finish()
            self._put(None if count else self._nothing())
        except NutError:
            self._put(None if count else self._nothing())
        except (OSError, ValueError) as error:
            self._put(error)

    def _put(self, item: VideoFrame | BaseException | None) -> bool:
        """False when nobody reads any more."""
        while not self._over.is_set():
            try:
                self._ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def _nothing(self) -> InputError:
        self._process.stop()
        path = self.clip.path
        if self.span.start and (self.clip.duration or 1e9) <= self.span.start:
            return InputError(f"{path} ends before `start`", hint="Give an earlier `start`.")
        if not self._process.damaged and not self._process.lines:
            return InputError(f"there is no frame in {path}", hint="Check `start` and `end`.")
        reason = self._process.complaint()
        return InputError(f"{path} can't be decoded: {reason}", hint="Export it again.")

    def close(self) -> None:
        """End decoding."""
        self._over.set()
        self._process.stop()


def _tone_mapping(clip: Clip) -> list[str]:
    """Filters from HDR to bt709. White of SDR (203 nits, BT.2408) stays where it is, what is
    brighter is rolled off.

    Raises:
        InputError: ffmpeg was built without what this takes.
    """
    if not has_filter("zscale"):
        raise InputError(
            f"{clip.path} is an HDR clip ({clip.transfer}), and this ffmpeg has no zscale",
            hint="Install one that has it: pip install imageio-ffmpeg.",
        )
    matrix = clip.matrix if clip.matrix in ZSCALE_MATRICES else "bt2020nc"
    primaries = clip.primaries if clip.primaries in ZSCALE_PRIMARIES else "bt2020"
    known = f"colorspace={matrix}:color_primaries={primaries}:color_trc={clip.transfer}"
    return [
        f"setparams={known}:range={clip.color_range or 'tv'}",
        "zscale=t=linear:npl=203",
        "format=gbrpf32le",
        "zscale=p=bt709",
        "tonemap=tonemap=mobius:param=0.7:desat=0:peak=5",
        "zscale=t=bt709:m=bt709:r=tv",
        "format=yuv444p",
        "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv",
    ]


class FolderReader:
    """The pictures of a folder, by name, as frames of one rate.

    Raises:
        InputError: no pictures, or one of another size.
    """

    damaged = False

    def __init__(self, folder: Path, span: Span) -> None:
        self.rate = span.fps or Fraction(25)
        first = int(span.start * self.rate)
        last = None if span.end is None else int(span.end * self.rate)
        self._paths = list(iter_images(folder))[first:last]
        if not self._paths:
            raise InputError(f"no images in {folder}", hint="Check the folder, `start` and `end`.")
        self._span = span
        picture = self._read(self._paths[0])
        self.size = picture.shape[1], picture.shape[0]
        self.channels = picture.shape[2]
        self.time_base = 1 / self.rate
        self.expected = len(self._paths)

    def _read(self, path: Path) -> Pixels:
        import cv2

        image = read_image(path)
        pixels = image.rgb if image.alpha is None else np.dstack([image.rgb, image.alpha])
        longest = max(pixels.shape[:2])
        if self._span.max_size and longest > self._span.max_size:
            k = self._span.max_size / longest
            width, height = (max(2, 2 * round(side * k / 2)) for side in pixels.shape[1::-1])
            pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
        return pixels

    def __iter__(self) -> Iterator[VideoFrame]:
        for index, path in enumerate(self._paths):
            pixels = self._read(path)
            if pixels.shape[1::-1] != self.size:
                raise InputError(
                    f"{path} is {pixels.shape[1]}x{pixels.shape[0]}, the first picture "
                    f"{self.size[0]}x{self.size[1]}",
                    hint="Give frames of one size.",
                )
            if pixels.shape[2] < self.channels:
                opaque = np.full(pixels.shape[:2], 255, np.uint8)
                pixels = np.dstack([pixels, opaque])
            yield VideoFrame(index, index, pixels[..., : self.channels])

    def close(self) -> None:
        """Nothing is open."""


Reader = VideoReader | FolderReader


def open_clip(path: Path) -> Clip | None:
    """What a file holds; None for a folder of pictures."""
    return None if path.is_dir() else probe(path)


def open_reader(path: Path, clip: Clip | None, span: Span) -> Reader:
    """Frames of a file or of a folder."""
    return FolderReader(path, span) if clip is None else VideoReader(clip, span)


def raw_stream(pixels: Pixels, time_base: Fraction) -> Stream:
    """How raw frames like `pixels` are announced in a pipe."""
    height, width, channels = pixels.shape
    fourcc = FOURCC[channels, pixels.dtype.itemsize]
    return Stream(fourcc, time_base, width, height, aspect=Fraction(1))
