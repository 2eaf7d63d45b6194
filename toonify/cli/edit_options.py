"""What `toonify edit` is given, and what its options may be together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings, refuse_given
from toonify.cli.hfgi import (
    EditMethod,
    EditMethodOption,
    FusionOption,
    HFGINetworkOption,
    KeepBackgroundOption,
)
from toonify.cli.inverting import (
    BoxOption,
    DomainName,
    DomainOption,
    EncoderOption,
    GeneratorOption,
    parse_box,
)
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.editing.job import EditJob

FRAMES = {".gif": 16}  # of a range, by what is written
STRIP_FRAMES = 7


class Place(StrEnum):
    """Where the edited face is shown."""

    photo = "photo"
    whole = "whole"
    face = "face"
    aligned = "aligned"


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """The command line, an option each."""

    source: Annotated[
        Path | None,
        typer.Argument(help="A photo, or latents that `toonify invert` wrote.", metavar="SOURCE"),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Picture (.png, .jpg, .webp), animation (.gif), or with --fit and no SOURCE the"
            " direction (.safetensors).",
        ),
    ] = None
    direction: Annotated[
        str | None,
        typer.Option(
            help="A name such as smile (see --list), sefa-1, sefa-2, … (found in the generator),"
            " FILE or FILE:NAME."
        ),
    ] = None
    strength: Annotated[
        float | None,
        typer.Option(
            min=-20,
            max=20,
            help="How far along it; --list tells how far photos stay whole.",
            show_default="what is usual of it, 1 of others than named ones",
        ),
    ] = None
    span: Annotated[
        str | None,
        typer.Option("--range", help="From one strength to another, such as -2:2: a strip or GIF."),
    ] = None
    frames: Annotated[
        int | None,
        typer.Option(
            min=2, max=200, help="Pictures of the range.", show_default="7, 16 in an animation"
        ),
    ] = None
    layers: Annotated[
        str | None,
        typer.Option(
            help="Entries of w+ that change: 4, 0-6 or 8-.",
            show_default="all, 0-7 along sefa directions of faces, 8- with --mix",
        ),
    ] = None
    mix: Annotated[
        Path | None, typer.Option(help="Photo or latents that these layers are taken from.")
    ] = None
    part: Annotated[
        str | None,
        typer.Option(
            help="Of --mix's face, in place of layers: hair, face, mouth or eyes, by --fusion."
        ),
    ] = None
    fusion: FusionOption = None
    fit: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Learn the direction from two folders of photos.", metavar="POSITIVE NEGATIVE"
        ),
    ] = None
    attribute_strip: Annotated[
        bool,
        typer.Option(
            "--attribute-strip", help="A row for each named direction, as far as it holds."
        ),
    ] = False
    list_: Annotated[
        bool,
        typer.Option(
            "--list", help="Print the named directions, what strength 1 is, and how far they hold."
        ),
    ] = False
    encoder: EncoderOption = None
    generator: GeneratorOption = None
    domain: DomainOption = DomainName.faces
    box: BoxOption = None
    frame: Annotated[
        Place | None,
        typer.Option(
            help="photo: the edit is carried over to the photo's own pixels, within the head."
            " Rendered anew instead: whole frames, 256 px around the eyes (face), or a photo that"
            " is an aligned face already.",
            show_default="photo, or whole with --generator of faces",
        ),
    ] = None
    method: EditMethodOption = EditMethod.flow
    hfgi_network: HFGINetworkOption = None
    keep_background: KeepBackgroundOption = None
    steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=500,
            help="Of the fit to the photo, with --frame photo.",
            show_default="15, 0 with --method hfgi, 200 without an encoder",
        ),
    ] = None
    drop_metadata: Annotated[
        bool,
        typer.Option("--strip", help="The picture says nothing of the photo: no date, no camera."),
    ] = False

    def check(self, ctx: typer.Context) -> Path:
        """Where the picture goes.

        Raises:
            UsageError: nowhere, or there are options that exclude each other, or change nothing in
                their company.
        """
        if self.output is None:
            raise UsageError("nowhere to put the picture", hint="Give -o FILE.")
        if self.source is None and (self.fit is None or self.output.suffix != ".safetensors"):
            raise UsageError(
                "nothing to edit",
                hint="Give a photo; without one --fit writes -o FILE.safetensors.",
            )
        if self.attribute_strip and self.domain is DomainName.any:
            raise UsageError(
                "--attribute-strip is of --domain faces", hint="Take --direction sefa-1."
            )
        others = self.fit or self.direction or self.mix or self.span or self.generator
        if self.attribute_strip and others:
            raise UsageError(
                "--attribute-strip shows the named directions alone",
                hint="Leave --direction, --fit, --mix, --range and --generator out.",
            )
        if self.source is not None:
            _check_picture(self.output, self.span)
        if self.span is not None:
            refuse_given(ctx, "has no effect beside --range", "strength")
        if self.direction is None and self.fit is None and not self.attribute_strip:
            refuse_given(ctx, "is of a --direction", "strength")
            if self.mix is None:
                refuse_given(ctx, "is of a --direction or --mix", "layers")
            if self.span is not None:
                raise UsageError("--range needs a direction", hint="Add --direction smile, say.")
        if self.attribute_strip:
            idle = ("strength", "layers", "keep_background")
            refuse_given(ctx, "has no effect with --attribute-strip", *idle)
            if self.frame not in (None, Place.photo):
                raise UsageError("--attribute-strip edits a photo", hint="Leave --frame out.")
        return self.output

    def job(self, settings: Settings, output: Path) -> EditJob:
        """The library's options.

        Raises:
            UsageError: --range is none, or --box.
        """
        from toonify.editing.job import EditJob

        return EditJob(
            source=self.source,
            direction=self.direction,
            strengths=_strengths(self.span, self.strength, self.frames, output),
            fit=self.fit,
            mix=self.mix,
            part=self.part,
            fusion=self.fusion,
            layers=self.layers,
            frame=None if self.frame is None else self.frame.value,
            method=self.method.value,
            hfgi_network=self.hfgi_network,
            steps=self.steps,
            keep_background=self.keep_background,
            encoder=self.encoder,
            generator=self.generator,
            domain=self.domain.value,
            box=parse_box(self.box),
            device=settings.device,
            dtype=settings.dtype,
            offline=settings.offline,
        )


def _strengths(
    span: str | None, strength: float | None, frames: int | None, output: Path
) -> list[float] | None:
    if span is None:
        if frames is not None:
            raise UsageError("--frames needs a --range", hint="Add --range -2:2, say.")
        return None if strength is None else [strength]
    first, _, last = span.partition(":")
    try:
        start, stop = float(first), float(last)
    except ValueError as error:
        raise UsageError(f"--range {span!r} is no range", hint="Give e.g. --range -2:2.") from error
    count = frames or FRAMES.get(output.suffix.lower(), STRIP_FRAMES)
    return [start + (stop - start) * i / (count - 1) for i in range(count)]


def _check_picture(output: Path, span: str | None) -> None:
    from toonify.media.images import FORMATS

    suffix = output.suffix.lower()
    if suffix not in (*FORMATS, ".gif"):
        raise UsageError(
            f"can't write a picture as {output.name!r}", hint="Use .png, .jpg, .webp or .gif."
        )
    if suffix == ".gif" and span is None:
        raise UsageError("an animation needs a --range", hint="Add --range, or write a .png.")
