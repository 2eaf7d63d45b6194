"""`toonify invert`: a photo into a generator's latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import complain, examples, refuse_given, settings_of
from toonify.cli.hfgi import (
    HFGINetworkOption,
    InvertMethod,
    InvertMethodOption,
    inverted_framing,
)
from toonify.cli.inverting import (
    BoxOption,
    DomainName,
    DomainOption,
    EncoderOption,
    Framing,
    FramingOption,
    GeneratorOption,
    parse_box,
)
from toonify.cli.request import takes

if TYPE_CHECKING:
    from toonify.inversion.job import SavedInversion

EPILOG = examples(
    "toonify invert me.jpg -o inverted/ --encoder styleganex-inversion",
    "toonify invert photos/ -o inverted/ --steps 0",
    "toonify invert crop.png -o inverted/ --frame aligned --generator ffhq-mobile --pti",
    "toonify invert photos/ -o inverted/ --method hfgi",
    "toonify invert street.jpg -o inverted/ --domain any --generator cars.pkl --box 40,90,300,160",
)


@dataclass(frozen=True, kw_only=True)
class InvertRequest:
    """The command line, an option each."""

    inputs: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")]
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder of the latents and pictures."),
    ]
    encoder: EncoderOption = None
    generator: GeneratorOption = None
    domain: DomainOption = DomainName.faces
    box: BoxOption = None
    frame: FramingOption = Framing.whole
    method: InvertMethodOption = InvertMethod.refine
    hfgi_network: HFGINetworkOption = None
    steps: Annotated[
        int,
        typer.Option(
            min=0,
            help="Steps that refine the encoder's answer, 500 as published; 0 for none.",
        ),
    ] = 100
    pti: Annotated[
        bool, typer.Option("--pti", help="Tune a copy of the generator to each photo too.")
    ] = False
    pti_steps: Annotated[int, typer.Option(min=1, help="Steps of that.")] = 350
    keep_background: Annotated[
        bool | None,
        typer.Option(
            "--keep-background/--no-keep-background",
            help="NAME.png shows the head of the reconstruction within the photo, or all of it as"
            " the generator renders it.",
            show_default="of whole frames with --steps 0, whose background is a guess",
        ),
    ] = None


@takes(InvertRequest)
def invert(ctx: typer.Context, request: InvertRequest) -> None:
    """Find the latents that a generator of faces, or of anything else, renders a photo from.

    For NAME.jpg this writes NAME.safetensors (w+, first feature, noise maps), NAME.png (the
    reconstruction), NAME-loss.csv and NAME-loss.png, and with --pti NAME-generator.safetensors;
    with --method hfgi the first two alone, of the aligned face.
    A photo that fails is named, the others go on, and the exit status is 1.
    """
    from toonify.inversion.job import InvertJob, invert_photos
    from toonify.stylize.jobs import photographs

    settings = settings_of(ctx)
    frame = inverted_framing(ctx, request.method, request.frame, request.hfgi_network)
    if not request.pti:
        refuse_given(ctx, "is of --pti", "pti_steps")
    job = InvertJob(
        photos=photographs(request.inputs, note=complain),
        output=request.output,
        encoder=request.encoder,
        generator=request.generator,
        domain=request.domain.value,
        box=parse_box(request.box),
        frame=frame.value,
        method=request.method.value,
        hfgi_network=request.hfgi_network,
        steps=request.steps,
        pti_steps=request.pti_steps if request.pti else 0,
        keep_background=request.keep_background,
        seed=settings.seed,
        device=settings.device,
        dtype=settings.dtype,
        offline=settings.offline,
    )
    failed = 0
    for done in invert_photos(job, settings.progress):
        if done.error is not None:
            complain(str(done.error))
            failed += 1
            continue
        stages = list(done.likeness.values())
        name = "lpips" if "lpips" in stages[0] else "mae"
        figures = " -> ".join(str(stage[name]) for stage in stages)
        line = f"{done.source} -> {done.reconstruction}, {name.upper()} {figures}"
        settings.result(_record(done), line)
    raise typer.Exit(1 if failed else 0)


def _record(done: SavedInversion) -> dict[str, Any]:
    """What --json tells of a photo."""
    files = {"source": done.source, "latents": done.latents, "reconstruction": done.reconstruction}
    extra = {"generator": done.generator, "curve": done.curve}
    return {
        **{name: str(path) for name, path in files.items()},
        **done.likeness,
        **{name: str(path) for name, path in extra.items() if path is not None},
    }
