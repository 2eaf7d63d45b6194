"""Options of `train-encoder`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class TaskName(StrEnum):
    """What the encoder is for."""

    face = "face"
    inversion = "inversion"
    super_resolution = "super-resolution"
    sketch = "sketch"
    mask = "mask"
    drawing = "drawing"
    hfgi = "hfgi"
    fusion = "fusion"
    restoration = "restoration"
    video_edit = "video-edit"
    video_toonify = "video-toonify"


class VariantName(StrEnum):
    """Architecture."""

    compact = "compact"
    psp = "psp"
    restyle = "restyle"


class SizeName(StrEnum):
    """Backbone: 10, 18, 50 of pSp and ReStyle; 12, 24, 50 of StyleGANEX."""

    ir10 = "10"
    ir12 = "12"
    ir18 = "18"
    ir24 = "24"
    ir50 = "50"


def _weight(term: str, default: str | None = None, *flags: str) -> Any:
    text = f"Weight of {term}; 0 leaves it out."
    return typer.Option(*flags, min=0.0, help=text, show_default=default or True)


GeneratorOption = Annotated[
    str,
    typer.Option(help="Face generator to invert: a checkpoint, a registry name, or a bundle."),
]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")]
TaskOption = Annotated[
    TaskName,
    typer.Option(
        help="face: w+ of aligned faces. drawing: what `translate --task sketch` and `mask` read"
        " with a bundle. hfgi: what `invert` and `edit --method hfgi` keep details by."
        " fusion: what keeps backgrounds behind turned heads. restoration: what `translate --task"
        " super-resolution` enlarges faces by with a bundle. The others are StyleGANEX's, of whole"
        " frames; their generator is of StyleGAN2's layout."
    ),
]
VariantOption = Annotated[
    VariantName | None,
    typer.Option(
        help="compact: small, one step; psp: one pass, W+ from a pyramid; restyle: residual"
        " steps, each seeing the last reconstruction.",
        show_default="compact",
    ),
]
SizeOption = Annotated[
    SizeName | None,
    typer.Option(
        help="IR-SE backbone: 10, 18 or 50 of psp and restyle, 12, 24 or 50 of StyleGANEX's"
        " tasks; 50 is the published one, for a GPU.",
        show_default="18 and 12",
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=10, help="Residual steps of compact and restyle.", show_default="1 and 3"
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(help="Go on from an encoder (a checkpoint or a bundle) instead of afresh."),
]
PhotosOption = Annotated[
    Path | None, typer.Option(help="Folder of photographs; the largest face of each is used.")
]
ScenesOption = Annotated[
    Path | None,
    typer.Option(
        help="inversion: folder of photographs of people and what is around them, in place of"
        " faces; goes with --face-encoder."
    ),
]
AlignedOption = Annotated[
    bool, typer.Option("--aligned", help="The photographs are FFHQ-aligned faces already.")
]
PairsOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of generated faces with their latents; filled when it is empty. Without it"
        " faces are rendered as they are needed."
    ),
]
PairCountOption = Annotated[
    int | None,
    typer.Option(
        min=100, help="Faces to render into an empty --pairs folder.", show_default="6000"
    ),
]
PhotoShareOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Of photographs in each batch; 1 leaves generated faces out.",
        show_default="0.5",
    ),
]
KimgOption = Annotated[
    float, typer.Option(min=0.001, help="Thousand faces to show; the rate falls over them.")
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Faces a step.",
        show_default="32 compact, 4 StyleGANEX, 6 restoration, 8 the others",
    ),
]
LrOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Learning rate.",
        show_default="1e-3 small, 3e-4 size 18, 1e-4 size 50 and after --start",
    ),
]
SnapshotOption = Annotated[
    float, typer.Option(min=0.001, help="Thousand faces between snapshots and validations.")
]
HeldOutOption = Annotated[
    int, typer.Option(min=1, help="Faces of either kind kept for validation.")
]
LatentOption = Annotated[
    float | None,
    _weight("the difference in w+, generated faces", "1, frames 0.3", "--latent", "--code"),
]
FeaturesOption = Annotated[float, _weight("that in activations, generated faces")]
L2Option = Annotated[float | None, _weight("the picture's squared error", "1, or the task's")]
L1Option = Annotated[
    float | None, _weight("its absolute error, frames, restoration", "0, or the task's")
]
LpipsOption = Annotated[float | None, _weight("its LPIPS", "0.8, or the task's")]
AlignOption = Annotated[float | None, _weight("the aligned map's error, hfgi", "0.5")]
IdentityOption = Annotated[float | None, _weight("its likeness as a person", "0.1, or the task's")]
WNormOption = Annotated[
    float | None,
    _weight("the distance of w+ to the average, photographs", "0.005, or the task's"),
]
AdversarialOption = Annotated[float | None, _weight("a patch discriminator, frames", "0.1")]
FlickerOption = Annotated[
    float | None, _weight("flicker in the second half, frames", "30 of video tasks")
]
TrainFromOption = Annotated[
    int | None,
    typer.Option(min=4, help="Generator layers of this resolution and above learn too, frames."),
]
FaceEncoderOption = Annotated[
    str | None,
    typer.Option(
        "--face-encoder",
        "--codes-by",
        help="inversion: an encoder of faces, or a bundle's, gives w+; f alone is learnt."
        " hfgi, restoration: whose w+ is rendered.",
    ),
]
DrawingsOption = Annotated[
    Path | None,
    typer.Option(
        help="Sketches or label maps, named as the photographs. Sketches are made of the"
        " photographs without it."
    ),
]
ParserOption = Annotated[
    Path | None,
    typer.Option(help="What makes the label maps: `default` (what ships) or an ONNX network."),
]
DirectionOption = Annotated[
    str | None, typer.Option(help="Of video-edit, as `toonify edit --direction`.")
]
StrengthOption = Annotated[float, typer.Option(help="Of that direction, at most.")]
FacesOption = Annotated[
    str | None,
    typer.Option(
        help="Face generator whose frames video-toonify turns into the generator's own"
        " drawings of the same latents, or that cutouts are made of; of hfgi, whose faces are"
        " edited."
    ),
]
ToonOption = Annotated[
    str | None, typer.Option(help="Bundle that draws the cutouts' heads, and whose latents.")
]
CutoutsOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of people cut out and drawings of them, which frames are put together"
        " from; filled when it is empty."
    ),
]
CutoutCountOption = Annotated[int, typer.Option(min=16, help="How many to fill it with.")]
TableOption = Annotated[
    str | None, typer.Option(help="Latents of the cutouts' characters.", show_default="--toon's")
]
CompiledOption = Annotated[
    bool, typer.Option("--compile", help="Frames: through torch.compile, about twice as fast.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
]
