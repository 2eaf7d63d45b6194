"""`toonify translate`: StyleGANEX's trained translations."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.bundle import model_files
from toonify.cli.common import (
    BundleOption,
    Settings,
    examples,
    refuse_given,
    settings_of,
)
from toonify.cli.inverting import Framing, FramingOption, load_model, present
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.inversion.model import FaceModel
    from toonify.inversion.reading import PhotoReader
    from toonify.media.metadata import Metadata

EPILOG = examples(
    "toonify models pull styleganex-sr",
    "toonify translate small.jpg -o large.png --task super-resolution",
    "toonify translate photo.jpg -o again.png --task super-resolution --factor 32",
    "toonify translate sketch.png -o faces/face.png --task sketch --samples 4",
    "toonify translate mask.png -o face.png --task mask",
    "toonify translate photo.jpg -o toon.png --task toonify --character mina",
    "toonify translate photo.jpg -o toon.png --task toonify --checkpoint styleganex-toonify-pixar",
    "toonify translate photo.jpg -o younger.png --task edit --strength -1",
    "toonify translate photo.jpg -o faces/like.png --task mask --parser default --samples 4",
)


class Task(StrEnum):
    """What to translate."""

    super_resolution = "super-resolution"
    sketch = "sketch"
    mask = "mask"
    edit = "edit"
    toonify = "toonify"


OFFICIAL = {
    Task.super_resolution: "styleganex-sr",
    Task.sketch: "styleganex-sketch2face",
    Task.mask: "styleganex-mask2face",
    Task.edit: "styleganex-edit-age",
}
DRAWINGS = (Task.sketch, Task.mask)


def translate(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help="A photo, a sketch or a mask.")],
    task: Annotated[Task, typer.Option(help="What SOURCE is to become a face from.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Picture; several samples add numbers to its name."),
    ],
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="StyleGANEX of this task, a file or a registry name.",
            show_default="the official one; toonify: the bundle's",
        ),
    ] = None,
    bundle: BundleOption = "default",
    character: Annotated[
        str | None,
        typer.Option(
            help="Of the bundle, for toonify; as `toonify video --character`.",
            show_default="a style",
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            help="Style of the bundle, for toonify: people stay who they are.",
            show_default="its first",
        ),
    ] = None,
    generator: Annotated[
        str | None, typer.Option(help="Render with another StyleGAN2, such as a fine-tuned one.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, max=100, help="Different faces from one sketch or mask.")
    ] = 1,
    factor: Annotated[
        int | None,
        typer.Option(
            min=4, max=64, help="Lower the photo's resolution first, to see what can be undone."
        ),
    ] = None,
    parser: Annotated[
        Path | None,
        typer.Option(
            help="SOURCE is a photo, labelled by `default` (what ships) or an ONNX network "
            "of 19 labels."
        ),
    ] = None,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="The answer says nothing of SOURCE: no date, no camera. Never a place."
        ),
    ] = False,
    strength: Annotated[float, typer.Option(help="Of an edit; negative turns it round.")] = 1.0,
    frame: FramingOption = Framing.whole,
) -> None:
    """Faces from few pixels, a sketch or a mask; photos edited or toonified as whole frames.

    A sketch has dark lines on white. A mask has the 19 labels of CelebAMask-HQ, as grey or palette
    values 0-18 or in StyleGANEX's colours. The answer is four times as large as SOURCE with the
    official checkpoints, whose faces have their eyes about 64 px apart.
    """
    from toonify.media.images import write_image
    from toonify.utils.tensors import to_rgb

    settings = settings_of(ctx)
    _check(task, output, samples, factor, parser, strength)
    if character is not None and (task is not Task.toonify or checkpoint is not None):
        raise UsageError("--character is of a bundle's toonify", hint="Leave it out.")
    if style is not None and (task is not Task.toonify or checkpoint is not None or character):
        raise UsageError("--style is of a bundle's toonify", hint="Leave it or --character out.")
    present(source)
    if parser != Path("default"):
        present(parser)
    if task is Task.toonify and checkpoint is None:
        if generator is not None:
            raise UsageError("--generator is of a --checkpoint", hint="Leave it out, or add one.")
        refuse_given(ctx, "has no effect: toonify draws whole frames", "frame")
        _toonify(settings, source, output, bundle, character, style, strip)
        return
    targets = [output]
    if samples > 1:
        names = (f"{output.stem}-{i}{output.suffix}" for i in range(1, samples + 1))
        targets = [output.with_name(name) for name in names]
    reads = InputFiles([source, parser, *model_files(checkpoint or OFFICIAL[task], generator)])
    for target in targets:
        check_output(target, reads, named=samples == 1)
    model = load_model(settings, checkpoint or OFFICIAL[task], generator)
    from toonify.inversion.reading import PhotoReader

    photos = PhotoReader(model, frame.value, offline=settings.offline)
    metadata = _metadata(source, strip)
    images = _images(task, photos, source, samples, factor, parser, strength, settings.seed)
    with settings.progress(source.name) as bar:
        for done, (image, target) in enumerate(zip(images, targets, strict=True), start=1):
            write_image(target, to_rgb(image), metadata=metadata)
            bar(done, len(targets))
    record: dict[str, Any] = {"source": str(source), "outputs": [str(t) for t in targets]}
    settings.result(record, f"{source} -> {', '.join(record['outputs'])}")


def _toonify(
    settings: Settings,
    source: Path,
    output: Path,
    bundle: str,
    character: str | None,
    style: str | None,
    strip: bool,
) -> None:
    """A photograph drawn as a whole: in a style, or every face as a character by the bundle's
    StyleGANEX model."""
    from toonify.portrait.catalog import bundle_styles

    if style is not None or (character is None and bundle_styles(bundle)):
        _draw_style(settings, source, output, bundle, style, strip)
        return
    from toonify.engines.registry import load_engine
    from toonify.errors import InputError
    from toonify.media.images import read_image, write_image
    from toonify.video import CharacterAssignment
    from toonify.video.stills import draw_still

    check_output(output, InputFiles([source, *model_files(bundle)]), named=True)
    engine = load_engine(
        "styleganex",
        bundle,
        device=settings.device,
        dtype=settings.dtype,
        offline=settings.offline,
    )
    assignment = CharacterAssignment([character] if character else [], engine.characters)
    image = read_image(source)
    drawn, count = draw_still(image.flat, engine, assignment)
    if not count:
        raise InputError(f"{source}: no face found", hint="Use a picture with a visible face.")
    metadata = image.metadata.stripped() if strip else image.metadata
    alpha = None if image.alpha is None else fitted(image.alpha, drawn)
    write_image(output, drawn, alpha=alpha, metadata=metadata)
    record = {"source": str(source), "outputs": [str(output)], "faces": count}
    settings.result(record, f"{source} -> {output}")


def _draw_style(
    settings: Settings, source: Path, output: Path, bundle: str, style: str | None, strip: bool
) -> None:
    from toonify.media.images import read_image, write_image
    from toonify.portrait import PortraitEngine

    check_output(output, InputFiles([source, *model_files(bundle)]), named=True)
    engine = PortraitEngine.from_bundle(bundle, offline=settings.offline)
    chosen = engine.style(style).name
    image = read_image(source)
    rgb = image.flat
    faces = engine.detector.detect(rgb)
    drawn = engine.stylize(rgb, chosen, faces=faces)
    metadata = image.metadata.stripped() if strip else image.metadata
    alpha = None if image.alpha is None else fitted(image.alpha, drawn)
    write_image(output, drawn, alpha=alpha, metadata=metadata)
    record = {
        "source": str(source),
        "outputs": [str(output)],
        "faces": len(faces),
        "style": chosen,
    }
    settings.result(record, f"{source} -> {output}")


def _metadata(source: Path, strip: bool) -> Metadata:
    """What the source says about itself."""
    from toonify.media.decoding import open_picture, opened
    from toonify.media.metadata import Metadata

    with opened(source) as (file, name), open_picture(file, name) as image:
        metadata = Metadata.of(image)
    return metadata.stripped() if strip else metadata


def fitted(alpha: Any, drawn: Any) -> Any:
    """An opacity (H, W) at the size of a drawing (H', W', 3)."""
    from toonify.inversion.frames import resize

    return resize(alpha, *drawn.shape[:2])


def _images(
    task: Task,
    photos: PhotoReader,
    source: Path,
    samples: int,
    factor: int | None,
    parser: Path | None,
    strength: float,
    seed: int,
) -> Iterator[Tensor]:
    from toonify.inversion import translation as t
    from toonify.media.images import read_image

    model: FaceModel = photos.model
    name: t.Task = task.value
    t.check_encoder(model, name)
    if name == "super-resolution" or name == "edit" or name == "toonify":
        aligned = photos.prepare_input(source, lower=factor)
        yield t.translate_frame(model, aligned, name, strength=strength)
        return
    if task is Task.sketch:
        drawing = t.sketch_tensor(read_image(source).flat)
    elif parser is not None:
        aligned = photos.prepare_input(source)
        seen = aligned.face if aligned.frame is None else aligned.frame
        drawing = t.mask_tensor(t.load_parser(parser)(seen))
    else:
        drawing = t.mask_tensor(t.read_mask(source))
    yield from t.translate_drawing(model, drawing, name, samples=samples, seed=seed)


def _check(
    task: Task,
    output: Path,
    samples: int,
    factor: int | None,
    parser: Path | None,
    strength: float,
) -> None:
    from toonify.media.images import FORMATS

    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"can't write a picture as {output.name!r}", hint="Use .png or .jpg.")
    if samples > 1 and task not in DRAWINGS:
        raise UsageError(f"{task.value} has one answer", hint="Leave --samples out.")
    if strength != 1 and task is not Task.edit:
        raise UsageError("--strength belongs to edit", hint="Leave it out.")
    if factor is not None and task is not Task.super_resolution:
        raise UsageError("--factor belongs to super-resolution", hint="Leave it out.")
    if parser is not None and task is not Task.mask:
        raise UsageError("--parser belongs to masks", hint="Add --task mask, or leave it out.")
