"""`toonify translate`: StyleGANEX's trained translations."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.bundle import INVERSION, has_parts, model_files
from toonify.cli.common import BundleOption, examples, refuse_given, settings_of
from toonify.cli.inverting import Framing, FramingOption, present
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

EPILOG = examples(
    "toonify translate small.jpg -o large.png --task super-resolution",
    "toonify translate photo.jpg -o again.png --task super-resolution --factor 8",
    "toonify models pull styleganex-sr",
    "toonify translate small.jpg -o large.png --task super-resolution --checkpoint styleganex-sr",
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
            show_default="the bundle's networks; edit: the official one",
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
            help="SOURCE is a photo, labeled by `default` (what ships) or an ONNX network "
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

    A sketch has dark lines on white. A mask has the 19 labels of CelebAMask-HQ, as gray or palette
    values 0-18 or in StyleGANEX's colors. By the bundle's networks either becomes an aligned face
    of 256 px; the answer is four times as large as SOURCE with the official checkpoints
    (styleganex-sketch2face), whose faces have their eyes about 64 px apart. Super-resolution by
    the bundle needs no checkpoint: every face gets details from the generator that its pixels
    bear out, the largest 256 px across, and the rest of SOURCE is enlarged as it is.
    """
    from toonify.inversion import translate as t
    from toonify.inversion.super_resolution import enlarge_photo
    from toonify.media.decoding import read_metadata
    from toonify.media.images import FORMATS, write_image
    from toonify.stylize.whole import draw_whole

    settings = settings_of(ctx)
    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"can't write a picture as {output.name!r}", hint="Use .png or .jpg.")
    t.check_options(task.value, samples=samples, factor=factor, parser=parser, strength=strength)
    if character is not None and (task is not Task.toonify or checkpoint is not None):
        raise UsageError("--character is of a bundle's toonify", hint="Leave it out.")
    if style is not None and (task is not Task.toonify or checkpoint is not None or character):
        raise UsageError("--style is of a bundle's toonify", hint="Leave it or --character out.")
    present(source)
    if parser != Path("default"):
        present(parser)
    networks: dict[str, Any] = {
        "device": settings.device,
        "dtype": settings.dtype,
        "offline": settings.offline,
    }
    record: dict[str, Any] = {"source": str(source), "outputs": [str(output)]}
    if task is Task.toonify and checkpoint is None:
        if generator is not None:
            raise UsageError("--generator is of a --checkpoint", hint="Leave it out, or add one.")
        refuse_given(ctx, "has no effect: toonify draws whole frames", "frame")
        check_output(output, InputFiles([source, *model_files(bundle)]), named=True)
        drawn = draw_whole(source, bundle, character=character, style=style, **networks)
        drawn.write(output, strip=strip)
        record["faces"] = drawn.faces
        if drawn.style is not None:
            record["style"] = drawn.style
        settings.result(record, f"{source} -> {output}")
        return
    if task is Task.super_resolution and checkpoint is None and has_parts(bundle, INVERSION):
        if generator is not None:
            raise UsageError("--generator is of a --checkpoint", hint="Leave it out, or add one.")
        check_output(output, InputFiles([source, *model_files(bundle)]), named=True)
        with settings.progress(source.name) as bar:
            enlarged = enlarge_photo(
                source, bundle, framing=frame.value, factor=factor, progress=bar, **networks
            )
        enlarged.write(output, strip=strip)
        record |= {"faces": enlarged.faces, "times": enlarged.times}
        settings.result(record, f"{source} -> {output}")
        return
    targets = [output]
    if samples > 1:
        names = (f"{output.stem}-{i}{output.suffix}" for i in range(1, samples + 1))
        targets = [output.with_name(name) for name in names]
    own = checkpoint is None and t.drawn_by_bundle(task.value, bundle)
    if not own:
        checkpoint = checkpoint or t.OFFICIAL[task.value]
    models = model_files(bundle) if own else model_files(checkpoint, generator)
    reads = InputFiles([source, parser, *models])
    for target in targets:
        check_output(target, reads, named=samples == 1)
    pictures = t.translate(
        source,
        task.value,
        checkpoint=checkpoint,
        bundle=bundle,
        generator=generator,
        samples=samples,
        factor=factor,
        parser=parser,
        strength=strength,
        framing=frame.value,
        seed=settings.seed,
        **networks,
    )
    metadata = read_metadata(source)
    if strip:
        metadata = metadata.stripped()
    with settings.progress(source.name) as bar:
        for done, (picture, target) in enumerate(zip(pictures, targets, strict=True), start=1):
            write_image(target, picture, metadata=metadata)
            bar(done, len(targets))
    record["outputs"] = [str(target) for target in targets]
    settings.result(record, f"{source} -> {', '.join(record['outputs'])}")
