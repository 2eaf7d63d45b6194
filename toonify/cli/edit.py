"""`toonify edit`: latents moved along directions, mixed, or rendered by another generator."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.bundle import model_files
from toonify.cli.common import Settings, complain, examples, refuse_given, settings_of
from toonify.cli.hfgi import (
    EditMethod,
    EditMethodOption,
    HFGINetworkOption,
    KeepBackgroundOption,
    check_edit_method,
)
from toonify.cli.inverting import (
    EncoderOption,
    Framing,
    GeneratorOption,
    load_model,
    present,
)
from toonify.errors import InputError, ModelError, UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.editing.named import NamedDirections, Region
    from toonify.editing.photo_editor import PhotoEditor
    from toonify.inversion.hfgi import DetailModel
    from toonify.inversion.latents import Latents
    from toonify.inversion.reading import PhotoReader
    from toonify.media.images import Image
    from toonify.utils.tensors import RGB

EPILOG = examples(
    "toonify edit me.jpg -o smiling.jpg --direction smile --strength 2",
    "toonify edit me.jpg -o strip.png --direction yaw --range -3:3",
    "toonify edit me.jpg -o all.png --attribute-strip",
    "toonify edit inverted/me.safetensors -o me.gif --direction sefa-4 --layers 0-5 --range 0:4",
    "toonify edit me.jpg -o older.png --encoder styleganex-inversion"
    " --direction directions.pt:age --strength 2",
    "toonify edit me.jpg -o mix.png --mix friend.jpg --layers 8-",
    "toonify edit me.jpg -o arcane.png --encoder styleganex-inversion --generator stylegan2-arcane",
    "toonify edit me.jpg -o smile.png --fit smiling/ serious/ --strength 1",
)
STRIP_SIDE = 512  # px, the longer side of a strip's photographs
ATTRIBUTE_STEPS = (-3.0, -1.5, 0.0, 1.5, 3.0)
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
            show_default="all, 8- with --mix",
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
    attribute_strip: Annotated[
        bool,
        typer.Option("--attribute-strip", help="A row for each named direction, from -3 to 3."),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the named directions and what strength 1 is.")
    ] = False,
    encoder: EncoderOption = "default",
    generator: GeneratorOption = None,
    frame: Annotated[
        Place | None,
        typer.Option(
            help="photo: the edit is carried over to the photo's own pixels, within the head."
            " Rendered anew instead: whole frames, 256 px around the eyes (face), or a photo that"
            " is an aligned face already.",
            show_default="photo, or whole with --generator",
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
            show_default="15, 0 with --method hfgi",
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
    from toonify.bundle import INVERSION, has_parts, is_bundle
    from toonify.editing.edits import layer_range, mixed
    from toonify.editing.named import shipped_directions
    from toonify.editing.photo_edits import (
        FIT_STEPS,
        MIX_LAYERS,
        edited_pictures,
        keeps_background,
    )
    from toonify.inversion.reading import PhotoReader
    from toonify.media.images import read_image

    settings = settings_of(ctx)
    if list_:
        _print_names(settings)
        return
    if output is None:
        raise UsageError("nowhere to put the picture", hint="Give -o FILE.")
    if source is None and (fit is None or output.suffix != ".safetensors"):
        raise UsageError(
            "nothing to edit", hint="Give a photo; without one --fit writes -o FILE.safetensors."
        )
    if fit is not None and direction is not None:
        raise UsageError("--fit and --direction exclude each other", hint="Take one.")
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
    if attribute_strip:
        idle = ("strength", "layers", "keep_background")
        refuse_given(ctx, "has no effect with --attribute-strip", *idle)
    present(source)
    present(mix)
    sides = [] if fit is None else [_side(folder) for folder in fit]
    direction_file = None if direction is None else direction.rpartition(":")[0] or direction
    reads = [source, mix, direction, direction_file, hfgi_network]
    inputs = InputFiles([*reads, *model_files(encoder, generator)])
    for path in (path for side in sides for path in side):
        inputs.add(path)
    check_output(output, inputs, named=True)
    strengths = _strengths(span, strength, frames, output)
    inverted = source is not None and source.suffix == ".safetensors"
    place = frame or (Place.whole if inverted or generator else Place.photo)
    if place is Place.photo and source is not None:
        if inverted:
            raise UsageError(
                "latents have no photo to edit", hint="Give the photo, or --frame whole."
            )
        if generator is not None:
            raise UsageError(
                "another --generator draws the whole picture", hint="Leave --frame photo out."
            )
    onto_photo = place is Place.photo and source is not None
    check_edit_method(ctx, method, hfgi_network, onto_photo=onto_photo)
    if not onto_photo or span is not None or attribute_strip:
        refuse_given(ctx, "is of one edited photo", "drop_metadata")
    if attribute_strip and place is not Place.photo:
        raise UsageError("--attribute-strip edits a photo", hint="Leave --frame out.")
    photo_given = any(p is not None and p.suffix != ".safetensors" for p in (source, mix))
    encodes = photo_given or fit is not None
    if not encodes and generator is None and is_bundle(encoder) and has_parts(encoder, INVERSION):
        generator = encoder  # what the latents were inverted with
    model = load_model(
        settings, encoder if encodes else None, generator, gradients=place is Place.photo
    )
    # what is carried over to a photo is measured on the aligned face
    framing = Framing.face if place is Place.photo else Framing(place.value)
    photos = PhotoReader(model, framing.value, offline=settings.offline)
    num_ws = model.generator.num_ws
    named = shipped_directions()
    about = None if named is None or direction is None else named.about.get(direction)
    touched = layer_range(layers or (about.layers if about else None), num_ws)

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

        vector = find_direction(direction, model.generator, touched if layers else None, named)
    elif span is not None:
        raise UsageError("--range needs a direction", hint="Add --direction smile, say.")
    assert source is not None
    chosen = layer_range(layers, num_ws, MIX_LAYERS)
    photo: Image | None = None
    if place is not Place.photo:
        latents = _fitting(photos.latents(source), num_ws)
        if mix is not None:
            other = _fitting(photos.latents(mix), num_ws)
            latents = latents.with_codes(mixed(latents.w_plus, other.w_plus, chosen))
        pictures = _pictures(settings, photos, latents, vector, strengths, touched)
    else:
        details = None
        if method is EditMethod.hfgi:
            from toonify.inversion.hfgi import load_details

            details = load_details(model, encoder, hfgi_network)
        if steps is None:
            steps = FIT_STEPS if details is None else 0
        photo = read_image(source)
        try:
            editor = _editor(settings, photos, photo.flat, named, steps, details)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        if attribute_strip:
            _write(output, [_attribute_sheet(settings, editor, named)])
            record = {"source": str(source), "output": str(output), "pictures": 1}
            settings.result(record, f"{source} -> {output}")
            return
        w_plus = editor.w_plus
        if mix is not None:
            w_plus = mixed(w_plus, photos.face_codes(mix).to(w_plus), chosen)
        region: Region = about.region if about else "head"
        pictures = edited_pictures(
            editor,
            w_plus,
            vector,
            strengths,
            touched,
            region=region,
            keep_background=keeps_background(direction, keep_background),
            progress=settings.progress,
        )
        if len(pictures) > 1:
            pictures = [_small(picture) for picture in pictures]
    if photo is not None and drop_metadata:
        photo = replace(photo, metadata=photo.metadata.stripped())
    _write(output, pictures, photo if len(pictures) == 1 else None)
    record = {"source": str(source), "output": str(output), "pictures": len(pictures)}
    settings.result(record | {"strengths": strengths}, f"{source} -> {output}")


def _print_names(settings: Settings) -> None:
    from toonify.editing.named import shipped_directions

    named = shipped_directions()
    if named is None:
        raise ModelError("this installation has no named directions", hint="Install toonify again.")
    for name, about in named.about.items():
        record = {"name": name, "unit": about.unit, "region": about.region, "layers": about.layers}
        settings.result(record, f"{name:<12} {about.unit} (changes the {about.region})")


def _editor(
    settings: Settings,
    photos: PhotoReader,
    rgb: RGB,
    named: NamedDirections | None,
    steps: int,
    details: DetailModel | None,
) -> PhotoEditor:
    """A photo's face, fitted."""
    from toonify.editing.photo_editor import PhotoEditor
    from toonify.editing.photo_edits import fit_settings

    with settings.progress("reading the face") as bar:
        return PhotoEditor(
            photos.model,
            rgb,
            photos.detector,
            directions=named,
            fit=fit_settings(photos.model, steps, settings.dtype),
            details=details,
            progress=bar,
        )


def _attribute_sheet(settings: Settings, editor: PhotoEditor, named: NamedDirections | None) -> Any:
    """A strip for each named direction, one below the other."""
    import numpy as np

    from toonify.editing.edits import labeled, layer_range, moved, strip
    from toonify.editing.photo_edits import keeps_background

    if named is None:
        raise ModelError("this installation has no named directions", hint="Install toonify again.")
    named.check(editor.model.generator)
    num_ws = editor.model.generator.num_ws
    rows = []
    with settings.progress("directions") as bar:
        for done, (name, about) in enumerate(named.about.items()):
            bar(done, len(named.about))
            row = []
            for value in ATTRIBUTE_STEPS:
                layers = layer_range(about.layers, num_ws)
                codes = moved(editor.w_plus, named.vectors[name], value, layers)
                kept = keeps_background(name, None)
                picture = editor.edited(codes, region=about.region, keep_background=kept)
                row.append(_small(picture, STRIP_SIDE // 2))
            rows.append(labeled(strip(row), name))
    return np.concatenate(rows)


def _small(picture: Any, side: int = STRIP_SIDE) -> Any:
    """A picture with a longer side of at most `side` px."""
    from toonify.inversion.frames import resize

    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    return resize(picture, max(1, round(height * scale)), max(1, round(width * scale)))


def _pictures(
    settings: Settings,
    photos: PhotoReader,
    latents: Latents,
    vector: Tensor | None,
    strengths: list[float],
    layers: range,
) -> list[Any]:
    from toonify.editing.edits import moved
    from toonify.utils.tensors import to_rgb

    if vector is None:
        return [to_rgb(photos.model.render(latents))]
    pictures = []
    with settings.progress("rendering") as bar:
        for done, value in enumerate(strengths):
            codes = moved(latents.w_plus, vector, value, layers)
            pictures.append(to_rgb(photos.model.render(latents.with_codes(codes))))
            bar(done + 1, len(strengths))
    return pictures


def _write(output: Path, pictures: list[Any], photo: Image | None = None) -> None:
    """Write one picture, a strip or an animation.

    Args:
        photo: what the one picture is an edit of, whose opacity and metadata it keeps.
    """
    from toonify.editing.edits import strip, write_animation
    from toonify.media.images import write_image

    if output.suffix.lower() == ".gif":
        write_animation(output, pictures)
    elif len(pictures) > 1:
        write_image(output, strip(pictures))
    elif photo is None:
        write_image(output, pictures[0])
    else:
        write_image(output, pictures[0], alpha=photo.alpha, metadata=photo.metadata)


def _fitting(latents: Latents, num_ws: int) -> Latents:
    from toonify.inversion.latents import fit_codes

    return latents.with_codes(fit_codes(latents.w_plus, num_ws))


def _side(folder: Path) -> list[Path]:
    """The photos of one of --fit's folders."""
    from toonify.cli.invert import photographs

    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Give --fit POSITIVE/ NEGATIVE/.")
    return photographs([folder], note=complain)


def _fitted(
    settings: Settings, photos: PhotoReader, folders: tuple[Path, Path], files: list[list[Path]]
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
