"""`toonify edit`: latents moved along directions, mixed, or rendered by another generator."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.cli.common import Settings, complain, examples, refuse_given, settings_of
from toonify.cli.hfgi import (
    EditMethod,
    EditMethodOption,
    FusionOption,
    HFGINetworkOption,
    KeepBackgroundOption,
    check_edit_method,
)
from toonify.cli.inverting import (
    BoxOption,
    DomainName,
    DomainOption,
    EncoderOption,
    GeneratorOption,
    parse_box,
    present,
)
from toonify.errors import ModelError, UsageError
from toonify.utils.outputs import check_output

EPILOG = examples(
    "toonify edit me.jpg -o smiling.jpg --direction smile --strength 2",
    "toonify edit me.jpg -o strip.png --direction yaw --range -3:3",
    "toonify edit me.jpg -o all.png --attribute-strip",
    "toonify edit inverted/me.safetensors -o me.gif --direction sefa-4 --layers 0-5 --range 0:4",
    "toonify edit me.jpg -o older.png --encoder styleganex-inversion"
    " --direction directions.pt:age --strength 2",
    "toonify edit me.jpg -o mix.png --mix friend.jpg --layers 8-",
    "toonify edit me.jpg -o mix.png --mix friend.jpg --part hair --encoder e4e.pt --fusion ffhq/",
    "toonify edit me.jpg -o arcane.png --encoder styleganex-inversion --generator stylegan2-arcane",
    "toonify edit me.jpg -o smile.png --fit smiling/ serious/ --strength 1",
    "toonify edit car.jpg -o red.jpg --domain any --generator cars.pkl --direction sefa-2",
)
FRAMES = {".gif": 16}  # of a range, by what is written
STRIP_FRAMES = 7


class Place(StrEnum):
    """Where the edited face is shown."""

    photo = "photo"
    whole = "whole"
    face = "face"
    aligned = "aligned"


def edit(
    ctx: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(help="A photo, or latents that `toonify invert` wrote.", metavar="SOURCE"),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Picture (.png, .jpg, .webp), animation (.gif), or with --fit and no SOURCE the"
            " direction (.safetensors).",
        ),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(
            help="A name such as smile (see --list), sefa-1, sefa-2, … (found in the generator),"
            " FILE or FILE:NAME."
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(min=-20, max=20, help="How far along it; -3 to 3 look natural.")
    ] = 1.0,
    span: Annotated[
        str | None,
        typer.Option("--range", help="From one strength to another, such as -3:3: a strip or GIF."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=2, max=200, help="Pictures of the range.", show_default="7, 16 in an animation"
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Entries of w+ that change: 4, 0-6 or 8-.",
            show_default="all, 0-7 along sefa directions of faces, 8- with --mix",
        ),
    ] = None,
    mix: Annotated[
        Path | None, typer.Option(help="Photo or latents that these layers are taken from.")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Of --mix's face, in place of layers: hair, face, mouth or eyes, by --fusion."
        ),
    ] = None,
    fusion: FusionOption = None,
    fit: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Learn the direction from two folders of photos.", metavar="POSITIVE NEGATIVE"
        ),
    ] = None,
    attribute_strip: Annotated[
        bool,
        typer.Option("--attribute-strip", help="A row for each named direction, from -3 to 3."),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the named directions and what strength 1 is.")
    ] = False,
    encoder: EncoderOption = None,
    generator: GeneratorOption = None,
    domain: DomainOption = DomainName.faces,
    box: BoxOption = None,
    frame: Annotated[
        Place | None,
        typer.Option(
            help="photo: the edit is carried over to the photo's own pixels, within the head."
            " Rendered anew instead: whole frames, 256 px around the eyes (face), or a photo that"
            " is an aligned face already.",
            show_default="photo, or whole with --generator of faces",
        ),
    ] = None,
    method: EditMethodOption = EditMethod.flow,
    hfgi_network: HFGINetworkOption = None,
    keep_background: KeepBackgroundOption = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=500,
            help="Of the fit to the photo, with --frame photo.",
            show_default="15, 0 with --method hfgi, 200 without an encoder",
        ),
    ] = None,
    drop_metadata: Annotated[
        bool,
        typer.Option("--strip", help="The picture says nothing of the photo: no date, no camera."),
    ] = False,
) -> None:
    """Edit a face: move along a direction, mix styles, or render with another generator.

    The photo stays what it is: the edit moves and changes its own pixels within the head, and
    strength 0 gives the photo back. A fine-tuned --generator alone transfers the photo into its
    domain, rendered. Strengths of sefa directions are in deviations of the generator's latents, of
    fitted ones in steps from the one folder to the other.
    """
    from toonify.editing.directions import save_direction
    from toonify.editing.job import EditJob, attribute_sheet, edited, learnt_direction
    from toonify.media.images import write_image
    from toonify.stylize.jobs import photographs

    settings = settings_of(ctx)
    if list_:
        others = (param.name for param in ctx.command.params if param.name != "list_")
        refuse_given(ctx, "has no effect with --list", *(name for name in others if name))
        _print_names(settings)
        return
    if output is None:
        raise UsageError("nowhere to put the picture", hint="Give -o FILE.")
    if source is None and (fit is None or output.suffix != ".safetensors"):
        raise UsageError(
            "nothing to edit", hint="Give a photo; without one --fit writes -o FILE.safetensors."
        )
    if attribute_strip and domain is DomainName.any:
        raise UsageError("--attribute-strip is of --domain faces", hint="Take --direction sefa-1.")
    if attribute_strip and (fit or direction or mix or span or generator):
        raise UsageError(
            "--attribute-strip shows the named directions alone",
            hint="Leave --direction, --fit, --mix, --range and --generator out.",
        )
    if source is not None:
        _check_output(output, span)
    if span is not None:
        refuse_given(ctx, "has no effect beside --range", "strength")
    if direction is None and fit is None and not attribute_strip:
        refuse_given(ctx, "is of a --direction", "strength")
        if mix is None:
            refuse_given(ctx, "is of a --direction or --mix", "layers")
        if span is not None:
            raise UsageError("--range needs a direction", hint="Add --direction smile, say.")
    if attribute_strip:
        idle = ("strength", "layers", "keep_background")
        refuse_given(ctx, "has no effect with --attribute-strip", *idle)
        if frame not in (None, Place.photo):
            raise UsageError("--attribute-strip edits a photo", hint="Leave --frame out.")
    present(source)
    present(mix)
    present(fusion)
    job = EditJob(
        source=source,
        direction=direction,
        strengths=_strengths(span, strength, frames, output),
        fit=fit,
        mix=mix,
        part=part,
        fusion=fusion,
        layers=layers,
        frame=None if frame is None else frame.value,
        method=method.value,
        hfgi_network=hfgi_network,
        steps=steps,
        keep_background=keep_background,
        encoder=encoder,
        generator=generator,
        domain=domain.value,
        box=parse_box(box),
        device=settings.device,
        dtype=settings.dtype,
        offline=settings.offline,
    )
    for folder in fit or ():
        if folder.is_dir():  # what it holds besides photos is told once, here
            photographs([folder], note=complain)
    check_output(output, job.inputs(), named=True)
    check_edit_method(ctx, method, hfgi_network, onto_photo=job.onto_photo)
    job.check()
    if not job.onto_photo or span is not None or attribute_strip:
        refuse_given(ctx, "is of one edited photo", "drop_metadata")
    record: dict[str, Any]
    if source is None:
        assert fit is not None
        vector = learnt_direction(job, settings.progress)
        save_direction(output, vector, positive=fit[0].name, negative=fit[1].name)
        record = {"output": str(output), "length": float(vector.norm())}
        settings.result(record, f"{fit[0]} - {fit[1]} -> {output}")
        return
    record = {"source": str(source), "output": str(output), "pictures": 1}
    if attribute_strip:
        write_image(output, attribute_sheet(job, settings.progress))
    else:
        done = edited(job, settings.progress)
        done.write(output, drop_metadata=drop_metadata)
        record |= {"pictures": len(done.pictures), "strengths": job.strengths}
    settings.result(record, f"{source} -> {output}")


def _print_names(settings: Settings) -> None:
    from toonify.editing.named import shipped_directions

    named = shipped_directions()
    if named is None:
        raise ModelError("this installation has no named directions", hint="Install toonify again.")
    for name, about in named.about.items():
        record = {"name": name, "unit": about.unit, "region": about.region, "layers": about.layers}
        settings.result(record, f"{name:<12} {about.unit} (changes the {about.region})")


def _strengths(span: str | None, strength: float, frames: int | None, output: Path) -> list[float]:
    if span is None:
        if frames is not None:
            raise UsageError("--frames needs a --range", hint="Add --range -3:3, say.")
        return [strength]
    first, _, last = span.partition(":")
    try:
        start, stop = float(first), float(last)
    except ValueError as error:
        raise UsageError(f"--range {span!r} is no range", hint="Give e.g. --range -3:3.") from error
    count = frames or FRAMES.get(output.suffix.lower(), STRIP_FRAMES)
    return [start + (stop - start) * i / (count - 1) for i in range(count)]


def _check_output(output: Path, span: str | None) -> None:
    from toonify.media.images import FORMATS

    suffix = output.suffix.lower()
    if suffix not in (*FORMATS, ".gif"):
        raise UsageError(
            f"can't write a picture as {output.name!r}", hint="Use .png, .jpg, .webp or .gif."
        )
    if suffix == ".gif" and span is None:
        raise UsageError("an animation needs a --range", hint="Add --range, or write a .png.")
