"""Options of `finetune`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ObjectiveName(StrEnum):
    """How to learn from the drawings."""

    paired = "paired"
    adversarial = "adversarial"
    both = "both"
    pix2pix = "pix2pix"


class AugmentName(StrEnum):
    """What the discriminator sees the images through; the published code's names."""

    off = "off"
    blit = "blit"
    geom = "geom"
    color = "color"
    filter = "filter"
    noise = "noise"
    cutout = "cutout"
    bg = "bg"
    bgc = "bgc"
    bgcf = "bgcf"
    bgcfn = "bgcfn"
    bgcfnc = "bgcfnc"


DataOption = Annotated[
    Path,
    typer.Option(
        help="Folder of drawings; each sub-folder is one character. For pix2pix photos/ and"
        " drawings/, of the same names; folders in drawings/ are styles."
    ),
]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")]
ObjectiveOption = Annotated[
    ObjectiveName,
    typer.Option(
        help="paired: each drawing with the face it could be of, minutes on a laptop;"
        " adversarial: StyleGAN2-ADA's recipe, for a GPU; both: one after the other; pix2pix: a"
        " style of your own, from photos with their drawings."
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        help="Face generator: a checkpoint, a registry name, or a bundle. For pix2pix a style's"
        " network to start from: a file, or a style of the default bundle.",
        show_default="of pix2pix a fresh network",
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Steps on pairs.", show_default="1500, 6000 of pix2pix"),
]
KimgOption = Annotated[
    float | None,
    typer.Option(min=0.0, help="Thousand images of adversarial.", show_default="20"),
]
SnapshotOption = Annotated[
    float, typer.Option(min=0.001, help="Thousand images between snapshots and previews.")
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(min=1, help="Drawings a step.", show_default="4 on pairs, else 8"),
]
LrOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Learning rate.",
        show_default="0.003 on pairs, 0.002 adversarial, 0.0008 pix2pix",
    ),
]
FreezeBelowOption = Annotated[
    int | None,
    typer.Option(
        help="Layers of a lower resolution stay: the swap replaces them. 16 suits many"
        " drawings of heads unlike a person's; swap at the same resolution then.",
        show_default="32, 4 with --domain any",
    ),
]
SharpenOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="On pairs: weight of a discriminator of patches, of line and texture.",
        show_default="0.1",
    ),
]
CompiledOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="On pairs: torch.compile, twice as fast after a minute; needs a C++ compiler.",
    ),
]
AugmentOption = Annotated[
    AugmentName | None,
    typer.Option(
        help="Adversarial: blitting, geometry, color, filtering, noise, cutout: one of them,"
        " or initials for all up to one.",
        show_default="bgc",
    ),
]
AugmentPOption = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="Fixed probability of each.", show_default="adaptive (ADA)"
    ),
]
AdaTargetOption = Annotated[
    float | None,
    typer.Option(
        min=-1.0,
        max=1.0,
        help="r_t that the adaptive probability keeps; lower augments more.",
        show_default="0.6",
    ),
]
MirrorOption = Annotated[
    bool | None,
    typer.Option("--mirror/--no-mirror", help="Adversarial: also drawings flipped in x."),
]
R1Option = Annotated[
    float | None,
    typer.Option(min=0.0, help="R1's gamma.", show_default="0.0002 · resolution² / batch size"),
]
PathLengthOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Weight of path-length regularization (2 in StyleGAN2).",
        show_default="0, off",
    ),
]
StyleMixingOption = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Probability of mixing two latents.", show_default="0"),
]
EmaOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Half-life of the result's average, thousand images.",
        show_default="10, less at first",
    ),
]
DiscriminatorOption = Annotated[
    str | None,
    typer.Option(
        help="Discriminator to start from: ours, NVIDIA's .pkl, rosinality's .pt.",
        show_default="a fresh one",
    ),
]
FreezeDOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="First layers of that discriminator that stay (Freeze-D); 4 is usual.",
        show_default="0",
    ),
]
ProcessesOption = Annotated[
    int, typer.Option(min=1, help="Processes on this machine; on CUDA one a GPU.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
]
