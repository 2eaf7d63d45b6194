"""Putting the new picture and everything else of the old clip into one file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from toonify.errors import InputError
from toonify.media.encoding import Encoding
from toonify.media.ffmpeg import Process, write_error
from toonify.media.nut import NutError, NutReader, NutWriter, Packet
from toonify.media.probe import Clip, Track, source_arguments
from toonify.media.video import Span
from toonify.utils.durable import replace_durably
from toonify.utils.marks import is_unchanged, read_mark, stamp

TEXT = ("subrip", "ass", "ssa", "webvtt", "mov_text", "text")
# Codecs that a container takes as they are, and what others become; None takes all.
AUDIO: dict[str, tuple[tuple[str, ...] | None, str]] = {
    ".mp4": (("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "vorbis"), "aac"),
    ".mov": (("aac", "mp3", "ac3", "eac3", "alac", "pcm"), "aac"),
    ".webm": (("opus", "vorbis"), "libopus"),
    ".mkv": (None, ""),
}
SUBTITLES: dict[str, tuple[tuple[str, ...], str]] = {
    ".mp4": (("mov_text",), "mov_text"),
    ".mov": (("mov_text",), "mov_text"),
    ".webm": (("webvtt",), "webvtt"),
    ".mkv": (
        ("subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"),
        "subrip",
    ),
}


class Segments:
    """The packets of segment files as one stream.

    Raises:
        NutError: a segment is damaged.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        with open(self.paths[0], "rb") as file:
            self.stream = NutReader(file).stream
        last = list(self._packets(self.paths[-1]))
        before = list(self._packets(self.paths[-2]))[-1:] if len(self.paths) > 1 else []
        tail = [packet.pts for packet in [*before, *last]]
        self.last_duration = tail[-1] - tail[-2] if len(tail) > 1 else 0

    def _packets(self, path: Path) -> Iterator[Packet]:
        with open(path, "rb") as file:
            yield from NutReader(file)

    def __iter__(self) -> Iterator[Packet]:
        for path in self.paths:
            yield from self._packets(path)


def assemble(
    output: Path,
    temporary: Path,
    paths: Sequence[Path],
    encoding: Encoding,
    *,
    frames: int,
    clip: Clip | None,
    span: Span,
    mark: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write `output` from segments, with sound, subtitles, chapters and metadata of the clip.

    Args:
        temporary: where the file grows before it is renamed.
        frames: how many there are in all segments.
        clip: the old one; None takes nothing from it.
        mark: what each picture of a folder says of itself, see `toonify.utils.marks.stamp`;
            what has the same in the folder beyond the last frame is an earlier result's.

    Returns:
        What could not be kept as it was, a line each.

    Raises:
        InputError: the file can't be written, full disk included.
    """
    segments = Segments(paths)
    if not encoding.suffix:
        _write_folder(output, segments, mark or {"kind": "drawing"})
        return []
    notes: list[str] = []
    temporary.parent.mkdir(parents=True, exist_ok=True)
    target = ["-f", _muxer(encoding.suffix), f"file:{temporary}"]
    try:
        if encoding.suffix == ".gif":
            _write_gif(segments, temporary, target, alpha=encoding.pixels == "bgra")
        else:
            arguments = ["-copyts", "-f", "nut", "-i", "pipe:0"]
            extra = ["-map", "0:v"]
            if clip is not None:
                arguments += _second_input(clip, span)
                extra += _tracks(clip, encoding.suffix, notes)
            # NUT has no durations: each frame lasts until the next one.
            ticks = _last_duration(segments, clip, span)
            last = f"setts=duration='if(gte(N,{frames - 1}),{ticks},NEXT_PTS-PTS)'"
            extra += ["-c:v", "copy", "-bsf:v", last, "-avoid_negative_ts", "disabled"]
            if span.start:
                extra += ["-ss", "0"]  # nothing from before, to which sound is sought
            if span.end is not None:
                extra += ["-t", f"{span.end - span.start:.6f}"]
            if encoding.suffix in (".mp4", ".mov"):
                scale = segments.stream.time_base
                extra += ["-movflags", "+faststart+use_metadata_tags"]
                extra += ["-video_track_timescale", str(scale.denominator)]
            if encoding.codec == "hevc" and encoding.suffix in (".mp4", ".mov"):
                extra += ["-tag:v", "hvc1"]
            _pipe(segments, [*arguments, *extra, *target], str(output))
        replace_durably(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return notes


def _last_duration(segments: Segments, clip: Clip | None, span: Span) -> int:
    """Ticks that the last frame lasts: one of the rate, but no longer than the one before."""
    rate = span.fps or (clip.base_rate if clip else Fraction(25))
    nominal = round(1 / (segments.stream.time_base * rate))
    if not segments.last_duration:
        return nominal
    # far above 240 frames a second the guess is only the container's clock
    return min(segments.last_duration, nominal) if rate <= 240 else segments.last_duration


def _second_input(clip: Clip, span: Span) -> list[str]:
    arguments = ["-itsoffset", f"{-clip.start - span.start:.6f}"]
    if span.start:
        arguments += ["-ss", f"{span.start:.6f}"]
    return [*arguments, *source_arguments(clip.path)]


def _tracks(clip: Clip, suffix: str, notes: list[str]) -> list[str]:
    """Which other streams are copied, which converted; what is left out goes into `notes`."""
    arguments = ["-map_metadata", "1", "-map_chapters", "1"]
    arguments += ["-map_metadata:s:v:0", f"1:s:{clip.index}"]
    audio = subtitle = attached = 0
    for track in clip.tracks:
        if track.kind == "audio":
            known, other = AUDIO[suffix]
            as_is = known is None or track.codec.startswith(known)
            if not as_is:
                notes.append(f"audio {audio + 1} is {other.removeprefix('lib')}, was {track.codec}")
            arguments += _mapped(track, f"s:a:{audio}")
            arguments += [f"-c:a:{audio}", "copy" if as_is else other]
            audio += 1
        elif track.kind == "subtitle":
            taken, other = SUBTITLES[suffix]
            if track.codec not in taken and track.codec not in TEXT:
                notes.append(f"subtitles in {track.codec} do not go into {suffix}: left out")
                continue
            arguments += _mapped(track, f"s:s:{subtitle}")
            arguments += [f"-c:s:{subtitle}", "copy" if track.codec in taken else other]
            subtitle += 1
        elif track.kind == "attachment" and suffix == ".mkv":
            arguments += [*_mapped(track, f"s:t:{attached}"), "-c:t", "copy"]
            attached += 1
        else:
            notes.append(f"a {track.kind} stream ({track.codec}) is left out")
    return arguments


def _mapped(track: Track, output: str) -> list[str]:
    """A stream with its language, title and so on, as that output stream."""
    return ["-map", f"1:{track.index}", f"-map_metadata:{output}", f"1:s:{track.index}"]


def _muxer(suffix: str) -> str:
    return {".mkv": "matroska"}.get(suffix, suffix[1:])


def _pipe(packets: Segments, arguments: list[str], what: str) -> None:
    """Run ffmpeg on the packets."""
    process = Process(arguments, reads=True)
    failure: list[BaseException] = []

    def feed() -> None:
        try:
            nut = NutWriter(process.stdin, packets.stream)
            for packet in packets:
                nut.write(packet.pts, packet.data, key=packet.key)
            process.stdin.close()
        except (OSError, ValueError) as error:
            failure.append(error)

    feeder = threading.Thread(target=feed, daemon=True)
    try:
        feeder.start()
        while feeder.is_alive():
            feeder.join(0.2)
        status = process.finish()
    finally:
        process.stop()
    if any(isinstance(error, NutError) for error in failure):
        raise failure[0]
    if status or failure:
        raise write_error(what, process)


def _write_gif(packets: Segments, temporary: Path, target: list[str], *, alpha: bool) -> None:
    """Two passes, so that no more than a frame is in memory: the palette, then the pictures."""
    palette = temporary.with_name(f"{temporary.name}.palette.png")
    opaque = "0" if not alpha else "1"
    try:
        making = f"palettegen=stats_mode=full:reserve_transparent={opaque}"
        _pipe(
            packets,
            ["-f", "nut", "-i", "pipe:0", "-vf", making, "-update", "1", f"file:{palette}"],
            str(temporary),
        )
        inputs = ["-f", "nut", "-i", "pipe:0", "-i", f"file:{palette}"]
        using = "[0:v][1:v]paletteuse=dither=sierra2_4a:diff_mode=rectangle"
        _pipe(packets, [*inputs, "-lavfi", using, "-fps_mode", "passthrough", *target], str(target))
    finally:
        palette.unlink(missing_ok=True)


def _write_folder(output: Path, packets: Iterable[Packet], mark: Mapping[str, Any]) -> None:
    """Frames as 000001.png, 000002.png, …"""
    number = 0
    output.mkdir(parents=True, exist_ok=True)
    for number, packet in enumerate(packets, start=1):
        target = output / f"{number:06d}.png"
        part = output / f".{number:06d}.part"
        try:
            part.write_bytes(stamp(packet.data, target.name, mark))
            replace_durably(part, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            mend = "Free some space and run the same command: it goes on from here."
            raise InputError(f"can't write {target}: {error.strerror}", mend=mend) from error
    number += 1
    while is_unchanged(rest := output / f"{number:06d}.png"):
        if (read_mark(rest) or {}).get("input") != mark.get("input"):
            break
        rest.unlink()
        number += 1
