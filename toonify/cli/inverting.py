"""What `invert`, `edit` and `translate` share: options and their inputs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from toonify.errors import InputError, UsageError
from toonify.inversion import FACE_GENERATOR


class Framing(StrEnum):
    """How much of a photo is taken."""

    whole = "whole"
    face = "face"
    aligned = "aligned"


class DomainName(StrEnum):
    """What photos show."""

    faces = "faces"
    any = "any"


DomainOption = Annotated[
    DomainName,
    typer.Option(
        "--domain",
        help="any: photos of anything that --generator draws, cars say. No face is looked for; the"
        " middle square is read, or the --box.",
    ),
]
TrainingDomainOption = Annotated[
    DomainName,
    typer.Option(
        "--domain",
        help="any: the generator draws something else than faces. No face is looked for and no"
        " loss is of faces; the pictures' middle squares are learnt.",
    ),
]
BoxOption = Annotated[
    str | None,
    typer.Option(
        "--box",
        help="Of --domain any: where in the photo it is, in px from the top left. The smallest"
        " square around it is read.",
        metavar="X,Y,W,H",
        show_default="the middle square",
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="What reads the photos: a StyleGANEX, pSp, e4e, ReStyle or compact encoder (file,"
        " registry name such as styleganex-inversion, or bundle).",
        show_default="default; of --domain any none: latents start at the average",
    ),
]
GeneratorOption = Annotated[
    str | None,
    typer.Option(
        "--generator",
        help="What renders: a generator's file, registry name or bundle.",
        show_default=f"the encoder's own, else {FACE_GENERATOR}",
    ),
]
FramingOption = Annotated[
    Framing,
    typer.Option(
        "--frame",
        help="The whole photo, 256 px around the eyes at training size, or a photo that is an"
        " aligned face already. Encoders other than StyleGANEX's take the face alone. With --domain"
        " any, whole has the square at 256 px, and aligned is the square alone.",
    ),
]


def parse_box(text: str | None) -> tuple[int, ...] | None:
    """The four numbers of --box.

    Raises:
        UsageError: they are none.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--box {text!r} is no X,Y,W,H", hint="Give e.g. 40,90,300,160."
        ) from error


def present(path: Path | None) -> None:
    """Refuse a file that isn't there, before networks are loaded for it.

    Raises:
        InputError: it isn't.
    """
    if path is not None and not path.exists():
        raise InputError(f"no such file: {path}", hint="Check the name.")
