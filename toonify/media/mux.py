"""Putting the new picture and everything else of the old clip into one file."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from toonify.errors import InputError, ToonifyError
from toonify.media.encoding import Encoding, SegmentWriter
from toonify.media.ffmpeg import Process, write_error
from toonify.media.nut import NutError, NutReader, NutWriter, Packet
from toonify.media.probe import Clip, Track, source_arguments
from toonify.media.video import DECODER, FRAMES, Span
from toonify.utils.atomic import write_bytes
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


# Channel layouts that libopus takes.
OPUS_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
LANGUAGE = re.compile("[a-z]{3}")
TRIAL = 20.0  # seconds that a trial may take


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


@dataclass(frozen=True)
class Plan:
    """What of a clip goes into a container beside the new picture.

    Attributes:
        arguments: of ffmpeg, the clip being its second input.
        notes: what can't be kept as it was, a line each.
    """

    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_tracks(clip: Clip | None, encoding: Encoding, span: Span, work: Path) -> Plan:
    """Settle which streams are copied, converted or left out, and try it on half a second of the
    clip: what the container refuses is known before anything is drawn.

    Args:
        clip: None has nothing to be kept.
        work: a folder for temporary files.

    Raises:
        InputError: not even the picture alone can be written.
    """
    if clip is None:
        return Plan()
    if encoding.suffix in ("", ".gif"):
        where = "a folder of pictures" if not encoding.suffix else encoding.suffix
        return Plan(
            notes=tuple(f"{_named(t, clip)}: not in {where}, left out" for t in clip.tracks)
        )
    ways = [_way(track, encoding.suffix) for track in clip.tracks]
    with TemporaryDirectory(dir=work, prefix="try-") as folder:
        picture = _one_frame(Path(folder), clip, encoding)

        def tried(chosen: Sequence[_Way]) -> str | None:
            return _trial(Path(folder), picture, clip, span, encoding, _planned(chosen, clip))

        if tried(ways) is not None:
            ways = [_fitting(way, encoding.suffix, tried) for way in ways]
            complaint = tried(ways)
            if complaint is not None:
                raise InputError(
                    f"{clip.path} can't be written as {encoding.suffix}: {complaint}",
                    hint="Give `output` as .mkv.",
                )
    return _planned(ways, clip, encoding.suffix)


@dataclass(frozen=True)
class _Way:
    """How a stream goes into a container.

    Attributes:
        codec: "copy", an encoder, or None: it is left out.
        note: what that costs, "" for nothing.
        options: of the encoder, "{}" standing for the stream.
    """

    track: Track
    codec: str | None
    note: str = ""
    options: tuple[str, ...] = ()


def _way(track: Track, suffix: str) -> _Way:
    """As far as is known without trying."""
    if track.kind == "audio":
        known, other = AUDIO[suffix]
        if known is None or track.codec.startswith(known):
            return _Way(track, "copy")
        return _converted(track, suffix) if other else _Way(track, None, "left out")
    if track.kind == "subtitle":
        taken, other = SUBTITLES[suffix]
        if track.codec in taken:
            return _Way(track, "copy")
        if track.codec in TEXT:
            return _Way(track, other)
        return _Way(track, None, f"do not go into {suffix}: left out")
    if track.kind == "attachment" and suffix == ".mkv":
        return _Way(track, "copy")
    return _Way(track, None, "is left out")


def _converted(track: Track, suffix: str) -> _Way:
    """Sound in the codec that a container prefers, its channels mixed to what that can hold."""
    encoder = AUDIO[suffix][1] or "flac"
    options: tuple[str, ...] = ()
    note = f"is {encoder.removeprefix('lib')}, was {track.codec}"
    if encoder == "libopus" and track.layout not in OPUS_LAYOUTS:
        options = ("-filter:{}", f"aformat=channel_layouts={'|'.join(OPUS_LAYOUTS)}")
        note += f" with channels {track.layout or 'unknown'}, mixed to what opus holds"
    return _Way(track, encoder, note, options)


def _fitting(way: _Way, suffix: str, tried: Callable[[Sequence[_Way]], str | None]) -> _Way:
    """A way that the container takes, by itself."""
    if way.codec is None or tried([way]) is None:
        return way
    track = way.track
    others = []
    if track.kind == "audio":
        others.append(_converted(track, suffix))
        mixed = ("-ac:{}", "2")
        others.append(replace(others[0], options=mixed, note=f"{others[0].note}, mixed to stereo"))
    elif track.kind == "subtitle" and track.codec in TEXT:
        others.append(_Way(track, SUBTITLES[suffix][1]))
    for other in others:
        if tried([other]) is None:
            return other
    return _Way(track, None, f"does not go into {suffix}: left out")


def _planned(ways: Sequence[_Way], clip: Clip, suffix: str = "") -> Plan:
    arguments = ["-map_metadata", "1", "-map_chapters", "1"]
    arguments += ["-map_metadata:s:v:0", f"1:s:{clip.index}"]
    notes = []
    counts: Counter[str] = Counter()
    for way in ways:
        track = way.track
        if way.note:
            notes.append(f"{_named(track, clip)} {way.note}")
        if way.codec is None:
            continue
        kind = {"audio": "a", "subtitle": "s", "attachment": "t"}[track.kind]
        stream = f"{kind}:{counts[kind]}"
        counts[kind] += 1
        arguments += ["-map", f"1:{track.index}"]
        arguments += [f"-map_metadata:s:{stream}", f"1:s:{track.index}"]
        arguments += [f"-c:{stream}", way.codec]
        arguments += [option.replace("{}", stream) for option in way.options]
        if suffix in (".mp4", ".mov") and not LANGUAGE.fullmatch(track.language or "und"):
            notes.append(
                f"{_named(track, clip)} loses its language {track.language!r}:"
                f" {suffix} holds three letters"
            )
    return Plan(tuple(arguments), tuple(notes))


def _named(track: Track, clip: Clip) -> str:
    """ "audio 2", "subtitles 1 (dvd_subtitle)": as people count them."""
    alike = [other for other in clip.tracks if other.kind == track.kind]
    number = alike.index(track) + 1
    if track.kind == "audio":
        return f"audio {number}"
    if track.kind == "subtitle":
        return f"subtitles {number} ({track.codec})"
    if track.kind == "video":
        return f"picture {number + 1} ({track.codec})"
    return f"{track.kind} stream {number} ({track.codec})"


def _one_frame(folder: Path, clip: Clip, encoding: Encoding) -> Path:
    """A segment of one black frame."""
    path = folder / "frame.nut"
    writer = SegmentWriter(path, encoding, Fraction(1, 1000))
    shape = (64, 64, 4 if encoding.alpha else 3)
    writer.write(0, np.zeros(shape, np.uint16 if clip.tone_mapped().deep else np.uint8))
    writer.close()
    return path


def _trial(
    folder: Path, picture: Path, clip: Clip, span: Span, encoding: Encoding, plan: Plan
) -> str | None:
    """ffmpeg's complaint where it refuses to write that plan, else None."""
    target = folder / f"trial{encoding.suffix}"
    process = Process(
        [
            *("-i", f"file:{picture}", "-t", "0.5", *_second_input(clip, span), "-map", "0:v"),
            *(*plan.arguments, "-c:v", "copy", *_container(encoding), "-t", "0.5"),
            *("-f", _muxer(encoding.suffix), f"file:{target}"),
        ],
        memory=DECODER + FRAMES * clip.width * clip.height,
    )
    try:
        # what goes on for so long has begun to write, and is reading on for a rare subtitle
        status = process.finish(timeout=TRIAL)
    finally:
        process.stop()
        target.unlink(missing_ok=True)
    return process.complaint() if status else None


def _container(encoding: Encoding) -> list[str]:
    """Options of the muxer."""
    options = []
    if encoding.suffix in (".mp4", ".mov"):
        options += ["-movflags", "+faststart+use_metadata_tags"]
        if encoding.codec == "hevc":
            options += ["-tag:v", "hvc1"]
    return options


def assemble(
    output: Path,
    temporary: Path,
    paths: Sequence[Path],
    encoding: Encoding,
    *,
    frames: int,
    clip: Clip | None,
    span: Span,
    plan: Plan,
    mark: Mapping[str, Any] | None = None,
) -> None:
    """Write `output` from segments, with sound, subtitles, chapters and metadata of the clip.

    Args:
        temporary: where the file grows before it is renamed.
        frames: how many there are in all segments.
        clip: the old one; None takes nothing from it.
        plan: what is taken from it.
        mark: what each picture of a folder says of itself, see `toonify.utils.marks.stamp`;
            what has the same in the folder beyond the last frame is an earlier result's.

    Raises:
        InputError: the file can't be written, full disk included, or a segment is damaged.
    """
    try:
        segments = Segments(paths)
        if encoding.suffix:
            _assemble(output, temporary, segments, encoding, frames, clip, span, plan)
        else:
            _write_folder(output, segments, mark or {"kind": "drawing"})
    except NutError as error:
        raise InputError(
            f"the unfinished work on {output} is damaged ({error})",
            hint="Run the same command: what is damaged is drawn anew.",
        ) from error


def _assemble(
    output: Path,
    temporary: Path,
    segments: Segments,
    encoding: Encoding,
    frames: int,
    clip: Clip | None,
    span: Span,
    plan: Plan,
) -> None:
    temporary.parent.mkdir(parents=True, exist_ok=True)
    target = ["-f", _muxer(encoding.suffix), f"file:{temporary}"]
    try:
        if encoding.suffix == ".gif":
            _write_gif(segments, temporary, target, alpha=encoding.pixels == "bgra")
        else:
            arguments = ["-copyts", "-f", "nut", "-i", "pipe:0"]
            extra = ["-map", "0:v", *plan.arguments]
            if clip is not None:
                arguments += _second_input(clip, span)
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
                extra += ["-video_track_timescale", str(scale.denominator)]
            extra += _container(encoding)
            _pipe(segments, [*arguments, *extra, *target], str(output))
        replace_durably(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)


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
        except ToonifyError:
            raise
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
        try:
            write_bytes(target, stamp(packet.data, target.name, mark), durable=True)
        except OSError as error:
            hint = "Free some space and run the same command: it goes on from here."
            raise InputError(f"can't write {target}: {error.strerror}", hint=hint) from error
    number += 1
    while is_unchanged(rest := output / f"{number:06d}.png"):
        if (read_mark(rest) or {}).get("input") != mark.get("input"):
            break
        rest.unlink()
        number += 1
