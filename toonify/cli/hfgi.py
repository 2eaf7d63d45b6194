"""The options by which `invert` and `edit` keep a photograph's details (HFGI), and their use."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import refuse_given
from toonify.cli.inverting import Framing, present
from toonify.errors import UsageError


class InvertMethod(StrEnum):
    """How a photo's details are found."""

    refine = "refine"
    hfgi = "hfgi"


InvertMethodOption = Annotated[
    InvertMethod,
    typer.Option(
        "--method",
        help="refine: by --steps. hfgi: the aligned face in one pass, its details fused into the"
        " generator's middle layers.",
    ),
]
HFGINetworkOption = Annotated[
    Path | None,
    typer.Option(
        help="Of --method hfgi: a file of `toonify train-encoder --task hfgi`. The published"
        " ckpt.pt is given as --encoder.",
        show_default="the bundle's",
    ),
]


def inverted_framing(
    ctx: typer.Context, method: InvertMethod, frame: Framing, network: Path | None
) -> Framing:
    """How photos are framed; UsageError for options of the other method."""
    if method is InvertMethod.refine:
        refuse_given(ctx, "is of --method hfgi", "hfgi_network")
        return frame
    refuse_given(ctx, "is of --method refine", "steps", "pti", "pti_steps", "keep_background")
    present(network)
    if frame is Framing.whole:
        refuse_given(ctx, "whole is of --method refine", "frame")
        return Framing.face
    return frame


class EditMethod(StrEnum):
    """How an edit comes into the photo."""

    flow = "flow"
    hfgi = "hfgi"


EditMethodOption = Annotated[
    EditMethod,
    typer.Option(
        "--method",
        help="What the edit is measured on, with --frame photo. flow: renderings fitted to the"
        " face. hfgi: renderings with the photo's details in them, in one pass.",
    ),
]


FusionOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of StyleFusion's networks (all.pt, face.pt, …) for the generator: they mix a"
        " --part, or keep backgrounds with --method hfgi.",
    ),
]
KeepBackgroundOption = Annotated[
    bool | None,
    typer.Option(
        "--keep-background/--no-keep-background",
        help="Leave what is behind the head as it is, and continue it where the head has been.",
        show_default="where a direction turns it",
    ),
]


def check_edit_method(
    ctx: typer.Context, method: EditMethod, network: Path | None, *, onto_photo: bool
) -> None:
    """UsageError for a method that has nothing to do, or options of another one."""
    if not onto_photo:
        refuse_given(ctx, "is of --frame photo", "keep_background")
    if method is not EditMethod.hfgi:
        refuse_given(ctx, "is of --method hfgi", "hfgi_network")
        if not onto_photo:
            refuse_given(ctx, "is of --frame photo", "method")
        return
    if not onto_photo:
        raise UsageError("--method hfgi edits a photo", hint="Leave --frame and --generator out.")
    present(network)
