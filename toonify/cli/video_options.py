"""What `toonify video` is given, and what its options may be together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import (
    BatchSizeOption,
    BundleOption,
    ClusterOption,
    MinFaceOption,
    WorkersOption,
    check_cluster,
    refuse_given,
)
from toonify.cli.engines import (
    PEOPLE,
    ColorOption,
    EngineName,
    EngineOption,
    LevelOption,
    TrgbOption,
)
from toonify.cli.style_transfer import (
    AlphaOption,
    PreserveColorOption,
    StyleImageOption,
    StyleNetworkOption,
)
from toonify.cli.styles import BackgroundOption, StyleOption, refuse_character_options
from toonify.cli.stylize_options import Faces, Landmarks
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.engines.base import Engine
    from toonify.media.video import Span
    from toonify.video import Options

# of one machine alone: see docs/cluster.md
ONE_MACHINE = (
    *("preview", "resume", "keep_partial"),
    *("style_image", "alpha", "preserve_color"),
)


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """The command line, an option each."""

    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="Clips, folders of clips, or a folder of frames."),
    ]
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="A .mp4, .mov, .mkv, .webm or .gif; a name without suffix is a folder of PNG"
            " frames; with --preview a picture.",
        ),
    ]
    engine: EngineOption = EngineName.auto
    style: StyleOption = field(default_factory=list)
    character: Annotated[
        list[str],
        typer.Option(
            help="mina: everybody. mina,jun: in the order they appear. left=mina,right=jun: by"
            " place. 1=mina,2=jun: by number."
        ),
    ] = field(default_factory=list)
    style_image: StyleImageOption = field(default_factory=list)
    alpha: AlphaOption = 1.0
    preserve_color: PreserveColorOption = False
    style_network: StyleNetworkOption = None
    bundle: BundleOption = "default"
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="An official StyleGANEX checkpoint for toonification, instead of a bundle: a file"
            " or a registry name such as styleganex-toonify-pixar."
        ),
    ] = None
    level: LevelOption = None
    trgb: TrgbOption = None
    color: ColorOption = None
    faces: Annotated[Faces, typer.Option(help="Whose faces are drawn.")] = Faces.all
    landmarks: Annotated[
        Landmarks, typer.Option(help="Face detector, see `toonify stylize --help`.")
    ] = Landmarks.auto
    min_face: MinFaceOption = None
    smooth: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="How steady through time; 0 draws each frame alone."),
    ] = 0.5
    background: BackgroundOption = None
    start: Annotated[str, typer.Option(help="Where to begin: seconds, or H:MM:SS.")] = "0"
    end: Annotated[str | None, typer.Option(help="Where to stop, likewise.")] = None
    fps: Annotated[
        str | None, typer.Option(help="Frames a second (25, 30000/1001); default: as they are.")
    ] = None
    max_size: Annotated[
        int | None, typer.Option(min=32, help="Longest side in pixels; larger clips are shrunk.")
    ] = None
    codec: Annotated[
        str,
        typer.Option(
            help="auto, h264, hevc, vp9, av1, prores, ffv1, hardware, or a hardware encoder's name."
        ),
    ] = "auto"
    crf: Annotated[
        int | None, typer.Option(min=0, max=63, help="Quality: lower is better and larger.")
    ] = None
    pix_fmt: Annotated[
        str | None, typer.Option(help="Pixel format; default: one that plays everywhere.")
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", help="Go on with what the same, interrupted command has done."
        ),
    ] = True
    keep_partial: Annotated[
        bool,
        typer.Option("--keep-partial", help="When interrupted, leave OUT.partial.mp4 to look at."),
    ] = False
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="The original at the left of the result.")
    ] = False
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Only first, middle and last frame, as a picture."),
    ] = False
    batch_size: BatchSizeOption = "auto"
    cluster: ClusterOption = None
    workers: WorkersOption = None

    def check(self, ctx: typer.Context, *, several: bool) -> None:
        """Refuse options that exclude each other, or change nothing in their company.

        Args:
            several: more than one clip is drawn.

        Raises:
            UsageError: there are such.
        """
        if several and self.preview:
            raise UsageError("--preview is of one clip", hint="Name one.")
        check_cluster(ctx, self.cluster, self.workers, ONE_MACHINE)
        if self.preview:
            idle = ("smooth", "codec", "crf", "pix_fmt", "resume", "keep_partial", "side_by_side")
            refuse_given(ctx, "has no effect with --preview", *idle)
        if self.output.suffix.lower() == ".gif" or not self.output.suffix:
            what = "GIF" if self.output.suffix else "a folder of frames"
            refuse_given(ctx, f"is of clips, not of {what}", "pix_fmt")

    def check_drawn(self, styles: Sequence[str]) -> None:
        """Refuse options that are not of what is drawn: style pictures, a style, or characters.

        Args:
            styles: that are drawn, where --style-image isn't given.

        Raises:
            UsageError: there are such.
        """
        largest = self.faces is Faces.largest
        if self.style_image:
            if styles or self.character or self.other or self.background is not None or largest:
                raise UsageError(
                    "--style-image draws whole frames, without styles, characters and faces",
                    hint="Leave --style, --character, --background, --checkpoint and --faces out.",
                )
        elif styles and (self.character or self.other):
            raise UsageError(
                "a clip is drawn in a style or as characters, not both",
                hint="Leave --style or --character, --engine and --checkpoint out.",
            )
        if self.style_image or styles:
            refuse_character_options(self.level, self.trgb, self.color)
        if styles and largest:
            raise UsageError("a style draws everybody in a clip", hint="Leave --faces out.")

    @property
    def other(self) -> bool:
        """Whether characters are meant, by an engine or a checkpoint of theirs."""
        return self.engine in PEOPLE or self.checkpoint is not None

    def span(self) -> Span:
        """Which part of a clip is drawn, how fast and how large.

        Raises:
            UsageError: --start or --end is no time, or --fps no rate.
        """
        from toonify.media.video import Span

        return Span(
            start=seconds(self.start, "--start"),
            end=None if self.end is None else seconds(self.end, "--end"),
            fps=_rate(self.fps),
            max_size=self.max_size,
        )

    def options(self, span: Span, engine: Engine) -> Options:
        """How clips are drawn and written."""
        from toonify.video import Options

        return Options(
            characters=tuple(self.character),
            span=span,
            smooth=self.smooth,
            largest=self.faces is Faces.largest,
            codec=self.codec,
            crf=self.crf,
            pixels=self.pix_fmt,
            side_by_side=self.side_by_side,
            resume=self.resume,
            keep_partial=self.keep_partial,
            identity=engine.describe(),
        )


def seconds(text: str, option: str) -> float:
    """ "12.5", "1:02" or "1:02:03.5" in seconds.

    Raises:
        UsageError: anything else.
    """
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(part < 0 for part in parts):
            raise ValueError
    except ValueError:
        raise UsageError(f"{option} {text!r} is no time", hint="Give 12.5 or 1:02:03.") from None
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


def _rate(text: str | None) -> Fraction | None:
    if text is None:
        return None
    try:
        rate = Fraction(text)
        if not 0 < rate <= 1000:
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"--fps {text!r} is no frame rate", hint="Give 25 or 30000/1001."
        ) from None
    return rate
