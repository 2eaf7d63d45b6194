"""One clip drawn by several workers, a part each.

Tracking and averages through time go from frame to frame, so a part in the middle of a clip begins
`WARM_UP` frames early. After those all that is averaged has settled; what differs from a clip drawn
from front to back is when a face was looked for and followed. Who is who follows from the order and
place in which people appear, and latents may be kept from a person's first frame, so parts are for
what needs neither: styles, and one character by an engine that encodes every frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from toonify.engines.base import Engine
from toonify.errors import InputError
from toonify.media.encoding import choose_encoding
from toonify.media.mux import Plan as Tracks
from toonify.media.timeline import jumps
from toonify.media.video import Reader, open_clip, open_reader
from toonify.video.assignment import CharacterAssignment
from toonify.video.conversion import (
    SEGMENT,
    Options,
    Progress,
    Report,
    Run,
    check_paths,
    convert,
    plan_of,
)
from toonify.video.resume import ResumeState

ENDLESS = 1 << 30  # segments
PART = 5  # segments of a part: 240 frames, of which warming up is a sixth more


def can_be_parted(engine: Engine, options: Options) -> bool:
    """Whether parts of a clip can be drawn without knowing the frames before."""
    if engine.kind == "style":
        return True
    rules = [name for rule in options.characters for name in rule.split(",")]
    return not engine.keeps_latents and len(rules) <= 1 and not any("=" in name for name in rules)


class PartedClip:
    """A clip whose parts others draw; use it as a context while they do.

    Args:
        options: with `parts` set.

    Raises:
        InputError: the clip can't be read, or another run is at work on the output.
        UsageError: the output must not be written.

    Examples:
        >>> with PartedClip(source, output, engine, options) as clip:
        ...     for part in clip.missing:
        ...         draw_part(source, output, engine, options, part)
        >>> report = clip.finish()
    """

    def __init__(self, source: Path, output: Path, engine: Engine, options: Options) -> None:
        check_paths(source, output)
        self.source, self.output, self.engine, self.options = source, output, engine, options
        with _opened(source, output, engine, options) as (_, reader, plan):
            self._plan, self.expected = plan, reader.expected
        self._state = ResumeState(output, self._plan, resume=options.resume)
        self._there = 0  # segments that were there when this run began
        self._end: int | None = None

    def __enter__(self) -> PartedClip:
        self._state.__enter__()
        self._there, self._end = self._state.count, self._state.end
        return self

    def __exit__(self, *error: Any) -> None:
        self._state.__exit__(*error)

    @property
    def parts(self) -> list[range]:
        """Segments of each part; the last goes on to the clip's end, however many there are."""
        size = self.options.parts
        count = max(1, round((self.expected or 0) / (size * SEGMENT)))
        ends = [*(size * number for number in range(1, count)), ENDLESS]
        return [range(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]

    @property
    def missing(self) -> list[range]:
        """Parts that are not drawn yet."""
        return [part for part in self.parts if self._state.after(part) is None]

    def finish(self, progress: Progress = lambda done, total: None) -> Report:
        """The parts as one file with the clip's sound; call it when all are drawn.

        Raises:
            InputError: parts are missing, or the output can't be written.
        """
        with ResumeState(self.output, self._plan) as state:
            end = state.end
            drawn = [part for part in self.parts if end is not None and part.start <= end]
            after = [state.after(part) for part in drawn]
            if end is None or None in after:
                raise InputError(
                    f"parts of {self.source} are missing", hint="Run the same command again."
                )
            state.save(
                end, _merged([values for values in after if values is not None]), {}, last=True
            )
        report = convert(self.source, self.output, self.engine, self.options, progress=progress)
        report.resumed = self._there * SEGMENT
        if self._end is not None:  # which is shorter
            report.resumed += report.frames - (self._end + 1) * SEGMENT
        return report


def draw_part(
    source: Path,
    output: Path,
    engine: Engine,
    options: Options,
    part: range,
    *,
    progress: Progress = lambda done, total: None,
) -> int:
    """Draw one part of a clip into the folder of unfinished work that a `PartedClip` holds.

    Args:
        part: numbers of its segments.

    Returns:
        frames drawn now; finished segments of an earlier worker are gone on with.

    Raises:
        InputError: the clip can't be read, or there is no such work.
    """
    with _opened(source, output, engine, options, part=part) as (run, reader, _):
        gap = run.resume_state.next_gap()
        return 0 if gap is None else run.fill(gap, reader, progress, stop=part.stop)


def parted(source: Path, output: Path, engine: Engine, options: Options) -> PartedClip | None:
    """A clip to be drawn in parts; None where it is better drawn from front to back: it is short,
    it has to be repaired first, or its people depend on the frames before.

    Raises:
        InputError: the clip can't be read.
        UsageError: the output must not be written.
    """
    if not can_be_parted(engine, options):
        return None
    clip = open_clip(source)
    if clip is not None and jumps(clip):
        return None
    found = PartedClip(source, output, engine, replace(options, parts=PART))
    return found if len(found.parts) > 1 else None


def _merged(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What parts say of themselves, as a clip drawn from front to back says it at its end.

    A person has the same number in all parts only as far as people appear in the same order.
    """
    people: Counter[str] = Counter()
    errors, cast = [0.0] * 5, dict[str, str]()
    for values in states:
        of_part = values.get("pipeline", values)
        people.update(of_part["people"])
        cast |= of_part["assignment"]
        pairs = zip(errors, of_part["warping_error"], strict=True)
        errors = [total + value for total, value in pairs]
    return {
        "frames": states[-1]["frames"],
        "with_faces": sum(int(values["with_faces"]) for values in states),
        "people": dict(people),
        "assignment": cast,
        "warping_error": errors,
        "damaged": any(values.get("damaged", False) for values in states),
    }


@contextmanager
def _opened(
    source: Path, output: Path, engine: Engine, options: Options, *, part: range | None = None
) -> Iterator[tuple[Run, Reader, dict[str, Any]]]:
    """A run on a clip; of a part, within the unfinished work of whoever shares it out."""
    with ExitStack() as stack:
        clip = open_clip(source)
        reader = open_reader(source, clip, options.span)
        stack.callback(reader.close)
        alpha = reader.channels == 4 and "yuv420p" not in (options.pixels or "")
        encoding = choose_encoding(
            output, clip, codec=options.codec, crf=options.crf, pixels=options.pixels, alpha=alpha
        )
        plan = plan_of(source, options, encoding)
        state = ResumeState(output, plan, part=part)
        if part is not None:
            stack.enter_context(state)
        assignment = CharacterAssignment(options.characters, engine.characters)
        run = Run(source, output, engine, options, clip, encoding, state, assignment, Tracks())
        yield run, reader, plan
