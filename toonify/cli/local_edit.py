"""`toonify local-edit`: a part of one person's face in another's photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.bundle import model_files
from toonify.cli.common import examples, existing, settings_of
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

EPILOG = examples(
    "toonify local-edit me.jpg --from friend.jpg --part eyes -o her-eyes.jpg",
    "toonify local-edit me.jpg --from friend.jpg --part mouth --strength 0.5 -o half.png",
    "toonify local-edit me.jpg --from friend.jpg --part painted-white.png -o mixed.png",
    "toonify local-edit me.jpg --from friend.jpg --part mouth --at 310,140 -o odd.png",
)


def local_edit(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help="A photo.", metavar="PHOTO")],
    *,
    reference: Annotated[
        Path, typer.Option("--from", help="Photo of the person a part is taken from.")
    ],
    part: Annotated[
        str,
        typer.Option(
            help="eyes, brows, nose, mouth, hair, glasses, beard, or a picture as large as the"
            " photo, white where the other face is taken.",
            metavar="PART|MASK.png",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture (.png, .jpg, .webp).")],
    strength: Annotated[
        float,
        typer.Option(min=-1, max=2, help="From the photo's own part (0) to the other's (1)."),
    ] = 1.0,
    at: Annotated[
        str | None,
        typer.Option(
            help="Put the part's middle there instead, px of the photo from its top left corner.",
            metavar="X,Y",
            show_default="where the face has it",
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Let a network mix the faces: a file of `toonify train-stylemap`, StyleMapGAN's"
            " own .pt, or a bundle.",
            show_default="none: the other's own pixels, warped and blended",
        ),
    ] = None,
    drop_metadata: Annotated[
        bool,
        typer.Option("--strip", help="The picture says nothing of the photo: no date, no camera."),
    ] = False,
) -> None:
    """Give a photo a part of another person's face.

    The part is turned, sized and lit as the photo's face is, and blended in; all around it the
    photo stays its own pixels. Of several faces the largest counts.
    """
    from toonify.editing.face_parts import PARTS
    from toonify.editing.local_edits import edit_part
    from toonify.media.images import FORMATS, read_image, write_image

    settings = settings_of(ctx)
    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"can't write a picture as {output.name!r}", hint="Use .png or .jpg.")
    point = None if at is None else _point(at)
    existing(source, "the photo")
    existing(reference, "the photo")
    drawn = None if part in PARTS else part
    models = () if network is None else model_files(network)
    check_output(output, InputFiles([source, reference, drawn, *models]), named=True)
    edited = edit_part(
        source,
        reference,
        part,
        strength,
        at=point,
        network=network,
        device=settings.device,
        offline=settings.offline,
    )
    photo = read_image(source)
    metadata = photo.metadata.stripped() if drop_metadata else photo.metadata
    write_image(output, edited, alpha=photo.alpha, metadata=metadata)
    record = {"source": str(source), "from": str(reference), "part": part, "output": str(output)}
    settings.result(record, f"{source} -> {output}")


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in text.split(","))
    except ValueError as error:
        raise UsageError(f"--at {text!r} is no point", hint="Give X,Y, such as 310,140.") from error
    return x, y
