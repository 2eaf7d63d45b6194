"""The options of `stylize`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import (
    BatchSizeOption,
    BundleOption,
    ClusterOption,
    MinFaceOption,
    WorkersOption,
)
from toonify.cli.engines import (
    Backend,
    ColorOption,
    EngineName,
    EngineOption,
    LevelOption,
    TrgbOption,
)
from toonify.cli.style_transfer import (
    AlphaOption,
    PreserveColorOption,
    RegionOption,
    SegmentOption,
    StyleImageOption,
    StyleNetworkOption,
    StyleWeightOption,
)
from toonify.cli.styles import (
    BackgroundOption,
    StyleOption,
)

if TYPE_CHECKING:
    pass

STREAM = "-"


class Faces(StrEnum):
    """Which faces of a photograph are drawn."""

    all = "all"
    largest = "largest"


class Landmarks(StrEnum):
    """What finds faces."""

    auto = "auto"
    mtcnn = "mtcnn"
    face_alignment = "face-alignment"


class Format(StrEnum):
    """What drawings are written as: the photo's own kind, pixels, or shapes."""

    same = "same"
    png = "png"
    jpg = "jpg"
    webp = "webp"
    svg = "svg"
    pdf = "pdf"


@dataclass(frozen=True, kw_only=True)
class StylizeRequest:
    """The command line, an option each."""

    inputs: Annotated[
        list[str],
        typer.Argument(help="Photos, folders of photos, patterns such as 'in/**/*.jpg', or -."),
    ] = field(default_factory=list)
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="A file for one photo, a folder for several (trees are mirrored), - for stdout.",
        ),
    ] = None
    style: StyleOption = field(default_factory=list)
    character: Annotated[
        list[str],
        typer.Option(
            help="Character to turn people into; repeat it, or separate with commas, or say all."
            " left=mina,right=jun or 1=mina,2=jun: who is drawn as whom, as in `toonify video`."
        ),
    ] = field(default_factory=list)
    engine: EngineOption = EngineName.auto
    backend: Annotated[
        Backend,
        typer.Option(
            help="What computes styles' networks; auto takes the first of onnx, openvino and"
            " opencv that is installed, torch where --device or --dtype ask for it."
        ),
    ] = Backend.auto
    style_image: StyleImageOption = field(default_factory=list)
    style_weight: StyleWeightOption = None
    alpha: AlphaOption = 1.0
    preserve_color: PreserveColorOption = False
    region: RegionOption = None
    segment: SegmentOption = False
    style_network: StyleNetworkOption = None
    bundle: BundleOption = "default"
    level: LevelOption = None
    trgb: TrgbOption = None
    color: ColorOption = None
    faces: Annotated[
        Faces | None,
        typer.Option(
            help="Default: largest for portraits, all for whole photos; all without --paste gives"
            " a portrait of each.",
            show_default=False,
        ),
    ] = None
    only: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="The one to draw: left, middle, right, or a number counted from the left.",
        ),
    ] = None
    min_face: MinFaceOption = None
    landmarks: Annotated[
        Landmarks,
        typer.Option(
            help="Face detector; auto takes face-alignment (68 points) where its weights are"
            " cached, else mtcnn."
        ),
    ] = Landmarks.auto
    paste: Annotated[
        bool | None,
        typer.Option(
            "--paste/--crop",
            help="Put characters back into the photo, or give the portrait. Default: styles draw"
            " the whole photo, characters the portrait.",
            show_default=False,
        ),
    ] = None
    background: BackgroundOption = None
    max_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Longest side of a style's drawing, px; a portrait's side. Default: the photo's"
            " own size; 512 for portraits.",
            show_default=False,
        ),
    ] = None
    format: Annotated[
        Format | None,
        typer.Option(
            help="What is written into folders and to stdout; svg and pdf, of styles alone, hold"
            " shapes. Default: by the suffix of -o; in folders whole photos as they were stored"
            " (same: JPEG stays JPEG), portraits as png.",
            show_default=False,
        ),
    ] = None
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of JPEG and WebP.", show_default="95"),
    ] = None
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="Drawings say nothing of the photo: no date, no camera. Never a place."
        ),
    ] = False
    require_face: Annotated[
        bool,
        typer.Option("--require-face", help="A photo without a face fails, else it is a scene."),
    ] = False
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Inputs are square FFHQ crops: look for no face.")
    ] = False
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders with their sub-folders.")
    ] = False
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Draw only what is missing, or drawn with other options."
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Draw anew what is there; never replaces what toonify didn't draw."
        ),
    ] = False
    files_from: Annotated[
        str | None,
        typer.Option(help="A file that lists photos, a line each, or - for stdin."),
    ] = None
    null: Annotated[
        bool, typer.Option("-0", "--null", help="NUL ends each of them, as of find -print0.")
    ] = False
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Go on with photos as they come into this folder, till Ctrl-C."
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="How drawings in a folder are called: {stem}, {character} (or style), {face},"
            " {level}, {ext}; '{character}/{stem}{ext}' makes folders.",
        ),
    ] = None
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first photo that fails.")
    ] = False
    max_failures: Annotated[
        int | None, typer.Option(min=1, help="Stop once so many photos have failed.")
    ] = None
    manifest: Annotated[
        Path | None, typer.Option(help="Append a JSON line a photo to this file.")
    ] = None
    batch_size: BatchSizeOption = "auto"
    sheet: Annotated[
        Path | None,
        typer.Option(help="Contact sheet (PNG): a row a photo or face, a column a name."),
    ] = None
    cluster: ClusterOption = None
    workers: WorkersOption = None

    @property
    def to_stdout(self) -> bool:
        """Whether the one drawing goes to stdout."""
        return self.output == STREAM or (STREAM in self.inputs and self.output is None)
