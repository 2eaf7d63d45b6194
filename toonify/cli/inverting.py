"""What `invert`, `edit` and `translate` share: options and their inputs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from toonify.errors import InputError
from toonify.inversion import FACE_GENERATOR


class Framing(StrEnum):
    """How much of a photo is taken."""

    whole = "whole"
    face = "face"
    aligned = "aligned"


EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="What reads the photos: a StyleGANEX, pSp, e4e, ReStyle or compact encoder (file,"
        " registry name such as styleganex-inversion, or bundle).",
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
        " aligned face already. Encoders other than StyleGANEX's take the face alone.",
    ),
]


def present(path: Path | None) -> None:
    """Refuse a file that isn't there, before networks are loaded for it.

    Raises:
        InputError: it isn't.
    """
    if path is not None and not path.exists():
        raise InputError(f"no such file: {path}", hint="Check the name.")
