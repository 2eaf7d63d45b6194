"""Clips whose clock jumps, as recordings do that were joined by appending one to another."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

from toonify.errors import InputError
from toonify.media.ffmpeg import Process, write_error
from toonify.media.mux import SUBTITLES, TEXT
from toonify.media.probe import SAFE, Clip, probe, source_arguments
from toonify.media.video import DECODER

BACK = 0.5  # seconds by which timestamps of frames in their stored order never go back
FORWARD = 10.0  # seconds from which on a step is a jump, where there may be any
ALONE = 600.0  # and without sound that jumps with it: the picture may stand for minutes
STREAMS = {"mpegts": "mpegts", "mpeg": "vob"}  # containers that expect jumps, and their muxers
TS_DISCONT = 0x0200  # ffmpeg's flag of containers whose timestamps may jump
USUAL = 20  # usual steps that a jump is longer than: slide shows have long ones


def jumps(clip: Clip) -> bool:
    """Whether the picture's timestamps jump, back or far ahead. Reads the whole file, without
    decoding it."""
    import av

    times: dict[int, list[float]] = {clip.index: []}
    sounds = [track.index for track in clip.tracks if track.kind == "audio"][:1]
    times |= {index: [] for index in sounds}
    try:
        with av.open(f"file:{clip.path}", options=dict(SAFE), metadata_errors="replace") as file:
            discontinuous = bool(file.format.flags & TS_DISCONT)
            for packet in file.demux([file.streams[index] for index in times]):
                at = packet.pts if packet.dts is None else packet.dts
                if at is not None and packet.time_base is not None:
                    times[packet.stream.index].append(float(at * packet.time_base))
    except (av.error.FFmpegError, OSError):
        pass  # what is behind the damage is not read later either
    steps = [b - a for a, b in itertools.pairwise(times[clip.index])]
    if not steps:
        return False
    if min(steps) < -BACK:
        return True
    usual = USUAL * max(statistics.median(steps), 0.0)
    longest = max(steps)
    if longest <= max(FORWARD, usual):
        return False
    if discontinuous:
        return True
    if not sounds:
        return longest > ALONE
    return max((b - a for a, b in itertools.pairwise(times[sounds[0]])), default=0.0) > FORWARD


def straightened(clip: Clip, folder: Path) -> tuple[Clip, list[str]]:
    """The same packets with timestamps that go on where they jumped, in a file in `folder`, and
    what is to be said of it.

    Raises:
        InputError: it can't be written.
    """
    notes = ["its timestamps jump: they go on without a gap"]
    muxer = STREAMS.get(clip.container, "matroska")
    stream = clip.container in STREAMS
    path = folder / f"straight.{muxer}"
    arguments = ["-map", f"0:{clip.index}", "-c", "copy"]
    subtitles = 0
    for track in clip.tracks:
        keep = track.kind == "audio"
        if track.kind == "subtitle":
            keep = stream or track.codec in (*SUBTITLES[".mkv"][0], *TEXT)
            if keep and not stream and track.codec not in SUBTITLES[".mkv"][0]:
                arguments += [f"-c:s:{subtitles}", "subrip"]
            subtitles += keep
        if keep:
            arguments += ["-map", f"0:{track.index}"]
        else:
            notes.append(f"a {track.kind} stream ({track.codec}) is left out")
    # containers that don't expect their clock to jump also go back by less than ffmpeg minds
    limits = ["-dts_delta_threshold", str(FORWARD), "-dts_error_threshold", "1"]
    process = Process(
        [
            *(*limits, *source_arguments(clip.path), *arguments, "-f", muxer, f"file:{path}"),
        ],
        memory=DECODER,
    )
    try:
        if process.finish():
            raise write_error(str(path), process)
    finally:
        process.stop()
    try:
        return probe(path), notes
    except InputError as error:
        raise InputError(
            f"the timestamps of {clip.path} jump and can't be straightened",
            hint="Export it again.",
        ) from error
