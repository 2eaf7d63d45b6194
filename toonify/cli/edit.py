"""`toonify edit`: latents moved along directions, mixed, or rendered by another generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import Settings, complain, examples, model_files, settings_of
from toonify.cli.inverting import (
    EncoderOption,
    Framing,
    FramingOption,
    GeneratorOption,
    Photos,
    load_model,
    present,
)
from toonify.errors import InputError, UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.inversion.latents import Latents

EPILOG = examples(
    "toonify edit me.jpg -o strip.png --direction sefa-1 --range -3:3",
    "toonify edit inverted/me.safetensors -o me.gif --direction sefa-4 --layers 0-5 --range 0:4",
    "toonify edit me.jpg -o older.png --encoder styleganex-inversion"
    " --direction directions.pt:age --strength 2",
    "toonify edit me.jpg -o mix.png --mix friend.jpg --layers 8-",
    "toonify edit me.jpg -o arcane.png --encoder styleganex-inversion --generator stylegan2-arcane",
    "toonify edit me.jpg -o smile.png --fit smiling/ serious/ --strength 1",
)
MIX_LAYERS = "8-"  # colours and texture, as in style mixing of the paper
FRAMES = {".gif": 16}  # of a range, by what is written
STRIP_FRAMES = 7


def edit(
    ctx: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(help="A photo, or latents that `toonify invert` wrote.", metavar="SOURCE"),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Picture (.png, .jpg, .webp), animation (.gif), or with --fit and no SOURCE the"
            " direction (.safetensors).",
        ),
    ],
    direction: Annotated[
        str | None,
        typer.Option(help="sefa-1, sefa-2, … (found in the generator), FILE or FILE:NAME."),
    ] = None,
    strength: Annotated[float, typer.Option(help="How far along it.")] = 1.0,
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
            show_default=f"all, {MIX_LAYERS} with --mix",
        ),
    ] = None,
    mix: Annotated[
        Path | None, typer.Option(help="Photo or latents that these layers are taken from.")
    ] = None,
    fit: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Learn the direction from two folders of photos.", metavar="POSITIVE NEGATIVE"
        ),
    ] = None,
    encoder: EncoderOption = "default",
    generator: GeneratorOption = None,
    frame: FramingOption = Framing.whole,
) -> None:
    """Edit a face: move along a direction, mix styles, or render with another generator.

    A fine-tuned --generator alone transfers the photo into its domain. Strengths of sefa
    directions are in deviations of the generator's latents, of fitted ones in steps from the one
    folder to the other.
    """
    from toonify.bundle import INVERSION, has_parts
    from toonify.bundle_writing import is_bundle
    from toonify.editing.edits import layer_range, mixed

    settings = settings_of(ctx)
    if source is None and (fit is None or output.suffix != ".safetensors"):
        raise UsageError(
            "nothing to edit", mend="Give a photo; without one --fit writes -o FILE.safetensors."
        )
    if fit is not None and direction is not None:
        raise UsageError("--fit and --direction exclude each other", mend="Take one.")
    if source is not None:
        _check_output(output, span)
    present(source)
    present(mix)
    sides = [] if fit is None else [_side(folder) for folder in fit]
    named = None if direction is None else direction.rpartition(":")[0] or direction
    inputs = InputFiles([source, mix, direction, named, *model_files(encoder, generator)])
    for path in (path for side in sides for path in side):
        inputs.add(path)
    check_output(output, inputs, named=True)
    strengths = _strengths(span, strength, frames, output)
    photo_given = any(p is not None and p.suffix != ".safetensors" for p in (source, mix))
    reads = photo_given or fit is not None
    if not reads and generator is None and is_bundle(encoder) and has_parts(encoder, INVERSION):
        generator = encoder  # what the latents were inverted with
    model = load_model(settings, encoder if reads else None, generator)
    photos = Photos(settings, model, frame)
    num_ws = model.generator.num_ws
    touched = layer_range(layers, num_ws)

    vector = None
    if fit is not None:
        vector = _fitted(settings, photos, fit, sides)
        if source is None:
            from toonify.editing.directions import save_direction

            save_direction(output, vector, positive=fit[0].name, negative=fit[1].name)
            record: dict[str, Any] = {"output": str(output), "length": float(vector.norm())}
            settings.result(record, f"{fit[0]} - {fit[1]} -> {output}")
            return
    elif direction is not None:
        from toonify.editing.directions import find_direction

        vector = find_direction(direction, model.generator, touched if layers else None)
    elif span is not None:
        raise UsageError("--range needs a direction", mend="Add --direction sefa-1, say.")
    assert source is not None
    latents = _fitting(photos.latents(source), num_ws)
    if mix is not None:
        other = _fitting(photos.latents(mix), num_ws)
        chosen = layer_range(layers, num_ws, MIX_LAYERS)
        latents = latents.with_codes(mixed(latents.w_plus, other.w_plus, chosen))
    pictures = _pictures(settings, photos, latents, vector, strengths, touched)
    _write(output, pictures)
    record = {"source": str(source), "output": str(output), "pictures": len(pictures)}
    settings.result(record | {"strengths": strengths}, f"{source} -> {output}")


def _pictures(
    settings: Settings,
    photos: Photos,
    latents: Latents,
    vector: Tensor | None,
    strengths: list[float],
    layers: range,
) -> list[Any]:
    from toonify.editing.edits import moved
    from toonify.inversion.frames import to_rgb

    if vector is None:
        return [to_rgb(photos.model.render(latents))]
    pictures = []
    with settings.progress("rendering") as bar:
        for done, value in enumerate(strengths):
            codes = moved(latents.w_plus, vector, value, layers)
            pictures.append(to_rgb(photos.model.render(latents.with_codes(codes))))
            bar(done + 1, len(strengths))
    return pictures


def _write(output: Path, pictures: list[Any]) -> None:
    from toonify.editing.edits import strip, write_animation
    from toonify.media.images import write_image

    if output.suffix.lower() == ".gif":
        write_animation(output, pictures)
    else:
        write_image(output, pictures[0] if len(pictures) == 1 else strip(pictures))


def _fitting(latents: Latents, num_ws: int) -> Latents:
    from toonify.inversion.latents import fit_codes

    return latents.with_codes(fit_codes(latents.w_plus, num_ws))


def _side(folder: Path) -> list[Path]:
    """The photos of one of --fit's folders."""
    from toonify.cli.invert import photographs

    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", mend="Give --fit POSITIVE/ NEGATIVE/.")
    return photographs([folder])


def _fitted(
    settings: Settings, photos: Photos, folders: tuple[Path, Path], files: list[list[Path]]
) -> Tensor:
    """The direction from the second folder's photos to the first's."""
    import torch

    from toonify.editing.directions import fit_direction

    sides = []
    for folder, paths in zip(folders, files, strict=True):
        codes = []
        with settings.progress(folder.name) as bar:
            for done, path in enumerate(paths):
                bar(done, len(paths))
                try:
                    codes.append(photos.latents(path).w_plus.cpu())
                except InputError as error:
                    complain(f"left out: {error}")
        if not codes:
            raise InputError(f"no usable photo in {folder}")
        sides.append(torch.cat(codes))
    return fit_direction(*sides)


def _strengths(span: str | None, strength: float, frames: int | None, output: Path) -> list[float]:
    if span is None:
        if frames is not None:
            raise UsageError("--frames needs a --range", mend="Add --range -3:3, say.")
        return [strength]
    first, _, last = span.partition(":")
    try:
        start, stop = float(first), float(last)
    except ValueError as error:
        raise UsageError(f"--range {span!r} is no range", mend="Give e.g. --range -3:3.") from error
    count = frames or FRAMES.get(output.suffix.lower(), STRIP_FRAMES)
    return [start + (stop - start) * i / (count - 1) for i in range(count)]


def _check_output(output: Path, span: str | None) -> None:
    from toonify.media.images import FORMATS

    suffix = output.suffix.lower()
    if suffix not in (*FORMATS, ".gif"):
        raise UsageError(
            f"can't write a picture as {output.name!r}", mend="Use .png, .jpg, .webp or .gif."
        )
    if suffix == ".gif" and span is None:
        raise UsageError("an animation needs a --range", mend="Add --range, or write a .png.")
