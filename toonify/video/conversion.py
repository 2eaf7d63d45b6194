"""A clip from one file into another, with its people drawn."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toonify import __version__
from toonify.engines.base import Engine
from toonify.errors import InputError, UsageError
from toonify.faces.tracking import Tracker
from toonify.media.encoding import Encoding, SegmentWriter, choose_encoding
from toonify.media.ffmpeg import ffmpeg_path
from toonify.media.mux import Plan, assemble, plan_tracks
from toonify.media.probe import Clip
from toonify.media.timeline import jumps, straightened
from toonify.media.video import Pixels, Reader, Span, open_clip, open_reader
from toonify.utils.arguments import check_range
from toonify.utils.links import real_path
from toonify.utils.marks import read_mark
from toonify.utils.outputs import InputFiles, check_output, is_ours
from toonify.video.assignment import CharacterAssignment
from toonify.video.pipeline import Drawn, Pipeline
from toonify.video.resume import Gap, ResumeState, fingerprint
from toonify.video.temporal_consistency import TemporalConsistency

BLOCK = 8  # frames drawn together
LARGE = 1920 * 1088  # px from which they are fewer, for memory's sake
HUGE = 4096 * 2304  # px from which one at a time is drawn
SEGMENT = 48  # frames that are lost at most when the run is killed
WARM_UP = SEGMENT  # frames; averages through time keep a 30th of a millionth of what was before

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a clip is drawn and written.

    Attributes:
        characters: rules, see `CharacterAssignment`.
        span: which part, frame rate and size.
        smooth: 0..1, of landmarks, latents and outlines through time.
        largest: only the largest face is drawn.
        codec, crf, pixels: see `choose_encoding`.
        side_by_side: the original at the left of the result.
        resume: go on with unfinished work of the same command.
        keep_partial: when interrupted, leave what is done as a playable file.
        parts: segments of `SEGMENT` frames that one worker draws, each part begun anew after a
            second of warming up; 0 draws the clip from front to back. See `video.parts`.
        identity: whatever else the drawing depends on (the bundle, the level, …), JSON-able.
    """

    characters: Sequence[str] = ()
    span: Span = field(default_factory=Span)
    smooth: float = 0.5
    largest: bool = False
    codec: str = "auto"
    crf: int | None = None
    pixels: str | None = None
    side_by_side: bool = False
    resume: bool = True
    keep_partial: bool = False
    parts: int = 0
    identity: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range("smooth", self.smooth, 0, 1)
        check_range("crf", self.crf, 0, 63, whole=True)


@dataclass
class Report:
    """What became of a clip.

    Attributes:
        source: a file, or a folder of frames.
        output: likewise.
        frames: in the output.
        resumed: of them, drawn by an earlier run.
        frames_with_faces: of them, where somebody was found.
        min_face: height in px of the smallest faces that were looked for.
        seconds: that this run took.
        people: a record each: number, frames, and the character or style.
        warping_error: of what was drawn ("after") and of the clip itself ("before"), levels 0..255:
            how far frames are from the one before moved along by optical flow; None where nothing
            was measured.
        notes: what was done differently from what the clip has, a line each.
        damaged: the clip broke off; what could be read was drawn.
    """

    source: Path
    output: Path
    frames: int = 0
    resumed: int = 0
    frames_with_faces: int = 0
    min_face: float = 0.0
    seconds: float = 0.0
    people: list[dict[str, Any]] = field(default_factory=list)
    warping_error: dict[str, float] | None = None
    notes: list[str] = field(default_factory=list)
    damaged: bool = False

    @property
    def fps(self) -> float:
        """Frames a second of this run."""
        return (self.frames - self.resumed) / max(self.seconds, 1e-6)

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "frames": self.frames,
            "resumed": self.resumed,
            "frames_with_faces": self.frames_with_faces,
            "min_face": round(self.min_face, 1),
            "seconds": round(self.seconds, 2),
            "fps": round(self.fps, 2),
            "people": self.people,
            "warping_error": self.warping_error,
            "notes": self.notes,
            "damaged": self.damaged,
        }


def check_paths(source: Path, output: Path) -> None:
    """Raise UsageError where the output would destroy the input."""
    if source.exists() and output.exists() and real_path(source) == real_path(output):
        raise UsageError("the output is the input", hint="Choose another `output`.")
    check_output(output, InputFiles([source]), named=True)
    if not output.suffix and output.is_dir() and any(output.iterdir()):
        known = fingerprint(source)
        for path in output.iterdir():
            if path.is_symlink() or not (
                is_ours(path) and (read_mark(path) or {}).get("input") == known
            ):
                raise UsageError(
                    f"the folder {output} holds other files than this clip's frames: {path.name}",
                    hint="Give a new folder.",
                )


def convert(
    source: Path,
    output: Path,
    engine: Engine,
    options: Options,
    *,
    progress: Progress = lambda done, total: None,
    patience: float = 0,
) -> Report:
    """Draw the people of `source`, a clip or a folder of frames, into `output`.

    Args:
        engine: draws faces.
        progress: called with frames done and all, as far as known.
        patience: seconds to wait for another run that is at work on the same output.

    Raises:
        InputError: the clip can't be read or the output can't be written.
        UsageError: options don't go together.
        KeyboardInterrupt: with all finished segments kept; the same call goes on.
    """
    started = time.perf_counter()
    check_paths(source, output)
    clip = open_clip(source)
    assignment = CharacterAssignment(options.characters, engine.characters)
    broken = clip is not None and jumps(clip)
    reader = None if broken else open_reader(source, clip, options.span)
    try:
        transparent = clip.alpha if reader is None and clip else reader and reader.channels == 4
        alpha = bool(transparent) and "yuv420p" not in (options.pixels or "")
        encoding = choose_encoding(
            output, clip, codec=options.codec, crf=options.crf, pixels=options.pixels, alpha=alpha
        )
        plan = plan_of(source, options, encoding)
        with ResumeState(output, plan, resume=options.resume, patience=patience) as resume_state:
            notes: list[str] = []
            if reader is None:
                assert clip is not None
                clip, notes = straightened(clip, resume_state.folder)
                reader = open_reader(source, clip, options.span)
            tracks = plan_tracks(clip, encoding, options.span, resume_state.folder)
            run = Run(
                source, output, engine, options, clip, encoding, resume_state, assignment, tracks
            )
            try:
                report = run.through(reader, progress)
            except KeyboardInterrupt:
                if options.keep_partial:
                    run.keep_partial()
                raise
            run.assemble(output)
            report.notes += [*notes, *tracks.notes]
            if clip is not None and clip.hdr:
                report.notes.append(f"HDR ({clip.transfer}) became SDR")
            resume_state.remove()
    finally:
        if reader is not None:
            reader.close()
    report.seconds = time.perf_counter() - started
    return report


def _block(pixels: int) -> int:
    """Frames of so many pixels that are drawn together."""
    if pixels <= LARGE:
        return BLOCK
    return BLOCK // 2 if pixels <= HUGE else 1


def plan_of(source: Path, options: Options, encoding: Encoding) -> dict[str, Any]:
    """All that a clip's result depends on, JSON-able."""
    span = options.span
    return {
        "toonify": __version__,
        "ffmpeg": ffmpeg_path(),
        "source": fingerprint(source),
        "span": [span.start, span.end, str(span.fps), span.max_size],
        "encoding": [encoding.suffix, encoding.pixels, *encoding.arguments],
        "characters": list(options.characters),
        "smooth": options.smooth,
        "largest": options.largest,
        "side_by_side": options.side_by_side,
        "segment": SEGMENT,
        **({"parts": options.parts} if options.parts else {}),
        **options.identity,
    }


class Run:
    """One call of `convert`, or one part of a clip."""

    def __init__(
        self,
        source: Path,
        output: Path,
        engine: Engine,
        options: Options,
        clip: Clip | None,
        encoding: Encoding,
        resume_state: ResumeState,
        assignment: CharacterAssignment,
        tracks: Plan,
    ) -> None:
        self.source, self.output, self.options = source, output, options
        self.clip, self.encoding, self.resume_state = clip, encoding, resume_state
        self.engine, self.assignment, self.tracks = engine, assignment, tracks
        self.frames = self.with_faces = 0

    def through(self, reader: Reader, progress: Progress) -> Report:
        """Draw all that is not drawn yet, segment by segment."""
        drawn = 0
        damaged = False
        with ExitStack() as stack:
            while (gap := self.resume_state.next_gap()) is not None:
                if drawn:  # another gap behind segments that are there
                    reader = stack.enter_context(
                        closing(open_reader(self.source, self.clip, self.options.span))
                    )
                more = self.fill(gap, reader, progress)
                if not more:
                    raise InputError(
                        f"{self.source} ends sooner than when its work was begun",
                        hint="Draw it anew: add `no_resume`.",
                    )
                drawn += more
                damaged = damaged or reader.damaged
        report = self._report(drawn, damaged)
        report.min_face = self.engine.detector.smallest(max(reader.size))
        return report

    def fill(self, gap: Gap, reader: Reader, progress: Progress, *, stop: int | None = None) -> int:
        """Draw a gap, and go on as far as nothing is there; gives how many frames.

        A gap in the middle of a clip without the state before it begins anew: `WARM_UP` frames
        ahead are drawn, and not written, so that what is averaged through time has settled.

        Args:
            stop: number of the segment before which to stop; None for the clip's end.
        """
        resume_state, number = self.resume_state, gap.begin
        pipeline = self._pipeline(reader)
        self.frames = begin = gap.begin * SEGMENT
        self.with_faces = 0
        first = max(begin - WARM_UP, 0)
        if gap.state is not None:
            values, arrays = gap.state
            self.frames, self.with_faces = int(values["frames"]), int(values["with_faces"])
            pipeline.restore(values["pipeline"], arrays)
            first = begin = self.frames
        progress(begin, reader.expected)
        writer: SegmentWriter | None = None
        blocks = pipeline.run(frame for frame in reader if frame.index >= first)
        try:
            for block in blocks:
                if block[0].frame.index < begin:
                    pipeline.forget_counts()
                    continue
                if writer is None:
                    writer = SegmentWriter(
                        resume_state.segment(number),
                        self.encoding,
                        reader.time_base,
                        ahead=max(pipeline.block // 2, 1),
                    )
                for drawn in block:
                    writer.write(drawn.frame.pts, self._picture(drawn))
                    self.frames += 1
                    self.with_faces += bool(drawn.people)
                    progress(self.frames, reader.expected)
                if self.frames % SEGMENT == 0 or pipeline.finished:
                    writer.close()
                    writer = None
                    pipeline.temporal_consistency.pause()
                    self._save(number, pipeline, reader.damaged)
                    number += 1
                    if number == stop or (number > gap.missing and resume_state.known(number)):
                        break
        finally:
            blocks.close()
            if writer is not None:
                writer.abort()
        return self.frames - begin

    def _pipeline(self, reader: Reader) -> Pipeline:
        width, height = reader.size
        self.assignment.restore({})
        return Pipeline(
            self.engine,
            Tracker(self.engine.detector, largest=self.options.largest),
            self.assignment,
            smooth=self.options.smooth,
            time_base=reader.time_base,
            block=_block(width * height),
        )

    def _report(self, drawn: int, damaged: bool) -> Report:
        """Of a clip whose segments are all there, `drawn` frames of them by this run."""
        assert self.resume_state.end is not None
        state = self.resume_state.load(self.resume_state.end)
        assert state is not None
        values, _ = state
        self.frames = int(values["frames"])
        report = Report(self.source, self.output, self.frames, self.frames - drawn)
        report.frames_with_faces = int(values["with_faces"])
        self.assignment.restore(values["assignment"])
        kind = self.engine.kind
        report.people = [
            {"person": int(person), kind: self.assignment[int(person)], "frames": count}
            for person, count in sorted(values["people"].items(), key=lambda item: int(item[0]))
        ]
        consistency = TemporalConsistency()
        consistency.restore(values["warping_error"])
        report.warping_error = consistency.record()
        report.damaged = damaged or bool(values["damaged"])
        for number in sorted(set(self.resume_state.redrawn)):
            report.notes.append(f"part {number + 1} of the unfinished work was damaged: drawn anew")
        return report

    def _picture(self, drawn: Drawn) -> Pixels:
        if not self.options.side_by_side:
            return drawn.pixels
        return np.concatenate([drawn.frame.pixels, drawn.pixels], 1)

    def _save(self, number: int, pipeline: Pipeline, damaged: bool) -> None:
        values: dict[str, Any] = {"frames": self.frames, "with_faces": self.with_faces}
        arrays: dict[str, np.ndarray] = {}
        state = pipeline.state()
        if state is not None:
            values["pipeline"], arrays = state
        else:
            values["people"] = pipeline.people
            values["assignment"] = self.assignment.state()
            values["warping_error"] = pipeline.temporal_consistency.state()
            values["damaged"] = damaged
        self.resume_state.save(number, values, arrays, last=state is None)

    def assemble(self, output: Path) -> None:
        """The finished segments as one file."""
        segments = self.resume_state.segments
        unfinished = self.resume_state.end is None
        assemble(
            output,
            # of this run alone: a killed run's ffmpeg may not have ended yet
            self.resume_state.folder / f"joined-{secrets.token_hex(4)}{self.encoding.suffix}",
            segments,
            self.encoding,
            frames=len(segments) * SEGMENT if unfinished else self.frames,
            clip=self.clip,
            span=self.options.span,
            mark={"kind": "drawing", "input": fingerprint(self.source)},
            plan=self.tracks,
        )

    def keep_partial(self) -> Path | None:
        """What is finished as a playable file beside the output."""
        if not self.resume_state.segments:
            return None
        partial = self.output.with_name(f"{self.output.stem}.partial{self.output.suffix}")
        if not self.resume_state.wrote(partial):
            raise UsageError(
                f"{partial} is there and is not toonify's: it stays",
                hint="Move it away, or leave `keep_partial` out.",
            )
        self.assemble(partial)
        self.resume_state.note(partial)
        return partial
