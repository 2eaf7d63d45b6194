"""`toonify translate`: StyleGANEX's trained translations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.bundle import INVERSION, has_parts, model_files
from toonify.cli.common import BundleOption, Settings, examples, refuse_given, settings_of
from toonify.cli.inverting import Framing, FramingOption, present
from toonify.cli.request import takes
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


@dataclass(frozen=True, kw_only=True)
class TranslateRequest:
    """The command line, an option each."""

    source: Annotated[Path, typer.Argument(help="A photo, a sketch or a mask.")]
    task: Annotated[Task, typer.Option(help="What SOURCE is to become a face from.")]
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Picture; several samples add numbers to its name."),
    ]
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="StyleGANEX of this task, a file or a registry name.",
            show_default="the bundle's networks; edit: the official one",
        ),
    ] = None
    bundle: BundleOption = "default"
    character: Annotated[
        str | None,
        typer.Option(
            help="Of the bundle, for toonify; as `toonify video --character`.",
            show_default="a style",
        ),
    ] = None
    style: Annotated[
        str | None,
        typer.Option(
            help="Style of the bundle, for toonify: people stay who they are.",
            show_default="its first",
        ),
    ] = None
    generator: Annotated[
        str | None, typer.Option(help="Render with another StyleGAN2, such as a fine-tuned one.")
    ] = None
    samples: Annotated[
        int, typer.Option(min=1, max=100, help="Different faces from one sketch or mask.")
    ] = 1
    factor: Annotated[
        int | None,
        typer.Option(
            min=4, max=64, help="Lower the photo's resolution first, to see what can be undone."
        ),
    ] = None
    parser: Annotated[
        Path | None,
        typer.Option(
            help="SOURCE is a photo, labeled by `default` (what ships) or an ONNX network "
            "of 19 labels."
        ),
    ] = None
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="The answer says nothing of SOURCE: no date, no camera. Never a place."
        ),
    ] = False
    strength: Annotated[float, typer.Option(help="Of an edit; negative turns it round.")] = 1.0
    frame: FramingOption = Framing.whole

    def check(self) -> None:
        """Refuse options that exclude each other.

        Raises:
            UsageError: there are such.
            InputError: a file isn't there.
        """
        from toonify.inversion.translate import check_options
        from toonify.media.images import FORMATS

        if self.output.suffix.lower() not in FORMATS:
            name = self.output.name
            raise UsageError(f"can't write a picture as {name!r}", hint="Use .png or .jpg.")
        check_options(
            self.task.value,
            samples=self.samples,
            factor=self.factor,
            parser=self.parser,
            strength=self.strength,
        )
        apart = self.task is not Task.toonify or self.checkpoint is not None
        if self.character is not None and apart:
            raise UsageError("--character is of a bundle's toonify", hint="Leave it out.")
        if self.style is not None and (apart or self.character):
            raise UsageError(
                "--style is of a bundle's toonify", hint="Leave it or --character out."
            )
        present(self.source)
        if self.parser != Path("default"):
            present(self.parser)

    def targets(self) -> list[Path]:
        """A file for each sample."""
        if self.samples == 1:
            return [self.output]
        stem, suffix = self.output.stem, self.output.suffix
        numbers = range(1, self.samples + 1)
        return [self.output.with_name(f"{stem}-{number}{suffix}") for number in numbers]


@takes(TranslateRequest)
def translate(ctx: typer.Context, request: TranslateRequest) -> None:
    """Faces from few pixels, a sketch or a mask; photos edited or toonified as whole frames.

    A sketch has dark lines on white. A mask has the 19 labels of CelebAMask-HQ, as gray or palette
    values 0-18 or in StyleGANEX's colors. By the bundle's networks either becomes an aligned face
    of 256 px; the answer is four times as large as SOURCE with the official checkpoints
    (styleganex-sketch2face), whose faces have their eyes about 64 px apart. Super-resolution by
    the bundle needs no checkpoint: every face gets details from the generator that its pixels
    bear out, the largest 256 px across, and the rest of SOURCE is enlarged as it is.
    """
    settings = settings_of(ctx)
    request.check()
    if request.checkpoint is None and request.task is Task.toonify:
        _by_bundle(request)
        refuse_given(ctx, "has no effect: toonify draws whole frames", "frame")
        _toonify(settings, request)
        return
    enlarged = request.checkpoint is None and request.task is Task.super_resolution
    if enlarged and has_parts(request.bundle, INVERSION):
        _by_bundle(request)
        _enlarge(settings, request)
        return
    _translate(settings, request)


def _by_bundle(request: TranslateRequest) -> None:
    """UsageError for what the bundle's own networks don't take."""
    if request.generator is not None:
        raise UsageError("--generator is of a --checkpoint", hint="Leave it out, or add one.")


def _networks(settings: Settings) -> dict[str, Any]:
    """Where networks run."""
    return {"device": settings.device, "dtype": settings.dtype, "offline": settings.offline}


def _toonify(settings: Settings, request: TranslateRequest) -> None:
    """The whole photo in a style, or with its people as a character."""
    from toonify.stylize.whole import draw_whole

    source, output = request.source, request.output
    check_output(output, InputFiles([source, *model_files(request.bundle)]), named=True)
    drawn = draw_whole(
        source,
        request.bundle,
        character=request.character,
        style=request.style,
        **_networks(settings),
    )
    drawn.write(output, strip=request.strip)
    record: dict[str, Any] = {
        "source": str(source),
        "outputs": [str(output)],
        "faces": drawn.faces,
    }
    if drawn.style is not None:
        record["style"] = drawn.style
    settings.result(record, f"{source} -> {output}")


def _enlarge(settings: Settings, request: TranslateRequest) -> None:
    """The photo enlarged, its faces by the bundle's generator."""
    from toonify.inversion.super_resolution import enlarge_photo

    source, output = request.source, request.output
    check_output(output, InputFiles([source, *model_files(request.bundle)]), named=True)
    with settings.progress(source.name) as bar:
        enlarged = enlarge_photo(
            source,
            request.bundle,
            framing=request.frame.value,
            factor=request.factor,
            progress=bar,
            **_networks(settings),
        )
    enlarged.write(output, strip=request.strip)
    record = {
        "source": str(source),
        "outputs": [str(output)],
        "faces": enlarged.faces,
        "times": enlarged.times,
    }
    settings.result(record, f"{source} -> {output}")


def _translate(settings: Settings, request: TranslateRequest) -> None:
    """By StyleGANEX, the bundle's or the official one of the task."""
    from toonify.inversion import translate as translation
    from toonify.media.decoding import read_metadata
    from toonify.media.images import write_image

    source, checkpoint = request.source, request.checkpoint
    targets = request.targets()
    own = checkpoint is None and translation.drawn_by_bundle(request.task.value, request.bundle)
    if not own:
        checkpoint = checkpoint or translation.OFFICIAL[request.task.value]
    models = model_files(request.bundle) if own else model_files(checkpoint, request.generator)
    reads = InputFiles([source, request.parser, *models])
    for target in targets:
        check_output(target, reads, named=request.samples == 1)
    pictures = translation.translate(
        source,
        request.task.value,
        checkpoint=checkpoint,
        bundle=request.bundle,
        generator=request.generator,
        samples=request.samples,
        factor=request.factor,
        parser=request.parser,
        strength=request.strength,
        framing=request.frame.value,
        seed=settings.seed,
        **_networks(settings),
    )
    metadata = read_metadata(source)
    if request.strip:
        metadata = metadata.stripped()
    with settings.progress(source.name) as bar:
        for done, (picture, target) in enumerate(zip(pictures, targets, strict=True), start=1):
            write_image(target, picture, metadata=metadata)
            bar(done, len(targets))
    outputs = [str(target) for target in targets]
    settings.result(
        {"source": str(source), "outputs": outputs}, f"{source} -> {', '.join(outputs)}"
    )
