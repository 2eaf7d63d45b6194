"""What the options of `stylize` may be together, and what they amount to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from toonify.cli.common import Settings, check_cluster, complain, refuse_given
from toonify.cli.engines import PEOPLE, STYLES, EngineName, check_engine, defaults_of
from toonify.cli.style_transfer import refuse_transfer_options
from toonify.cli.styles import choose_styles, document, refuse_character_options
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.stylize.naming import NameTemplate

if TYPE_CHECKING:
    from toonify.bundle import Defaults
    from toonify.stylize.jobs import Job
    from toonify.stylize.naming import NameTemplate

STREAM = "-"
# options that are for one machine alone
ONE_MACHINE = (
    *("watch", "sheet", "fail_fast", "max_failures", "batch_size"),
    *("style_image", "style_weight", "alpha", "preserve_color", "region", "segment"),
)


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
class Asked:
    """The command line: an option each, as `stylize` declares them."""

    inputs: list[str]
    output: str | None
    style: list[str]
    character: list[str]
    engine: EngineName
    style_image: list[Path]
    style_weight: list[float] | None
    alpha: float
    preserve_color: bool
    region: str | None
    segment: bool
    style_network: Path | None
    bundle: str
    level: int | None
    trgb: bool | None
    color: float | None
    faces: Faces | None
    only: str | None
    min_face: float | None
    landmarks: Landmarks
    paste: bool | None
    background: str | None
    max_size: int | None
    format: Format | None
    quality: int | None
    strip: bool
    require_face: bool
    aligned: bool
    recursive: bool
    skip_existing: bool
    overwrite: bool
    files_from: str | None
    null: bool
    watch: Path | None
    name: str | None
    fail_fast: bool
    max_failures: int | None
    manifest: Path | None
    batch_size: str
    sheet: Path | None
    cluster: str | None
    workers: int | None

    @property
    def to_stdout(self) -> bool:
        """Whether the one drawing goes to stdout."""
        return self.output == STREAM or (STREAM in self.inputs and self.output is None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is drawn, and as what it is written.

    Attributes:
        styles: names of the styles; none with style pictures.
        style_sources: the same, files for those that a network's file draws.
        styled_by: name of the engine of styles.
        people: name of the engine of characters.
        defaults: of the bundle.
        whole: photographs are drawn as they are.
        paste: characters are put back into the photograph.
        kind: format where the output is no file of pixels.
        suffix: of files in folders; "" keeps each photograph's own.
    """

    styles: tuple[str, ...]
    style_sources: tuple[str, ...]
    styled_by: str
    people: str
    defaults: Defaults
    whole: bool
    paste: bool
    kind: str
    suffix: str

    @property
    def mode(self) -> Literal["crop", "paste", "whole"]:
        """As of the batch's options."""
        return "whole" if self.whole else "paste" if self.paste else "crop"


def planned(ctx: typer.Context, settings: Settings, asked: Asked) -> Plan:
    """What the options amount to, before photographs are looked for.

    Raises:
        UsageError: options that exclude each other, or change nothing in their company.
        ModelError: there is no such bundle.
    """
    from toonify.engines.registry import style_engine
    from toonify.portrait.catalog import style_name

    check_cluster(ctx, asked.cluster, asked.workers, ONE_MACHINE)
    if asked.cluster is not None and (STREAM in asked.inputs or asked.output == STREAM):
        raise UsageError("--cluster reads and writes files", hint="Leave - out.")
    _check_alone(ctx, asked)
    _check_places(settings, asked)
    _check_pictures(asked)
    pictures = bool(asked.style_image)
    check_engine(
        asked.engine,
        styles=bool(asked.style),
        characters=bool(asked.character),
        pictures=pictures,
    )
    other = asked.engine in PEOPLE
    sources = choose_styles(
        asked.style,
        asked.character,
        asked.bundle,
        other=other or pictures,
        engine=asked.engine.value,
    )
    styles = tuple(map(style_name, sources))
    engine = asked.engine.value if asked.engine in STYLES else "auto"
    styled_by = style_engine(sources, asked.bundle, engine=engine) if styles else ""
    defaults = defaults_of(asked.bundle)
    people = asked.engine.value if other else defaults.engine
    people = people if people in PEOPLE else "cdsm"
    framed = people == "styleganex" and not styles and not pictures
    if people == "styleganex" and styles and asked.character:
        raise UsageError(
            "styles and whole frames are drawn apart", hint="Draw them in separate runs."
        )
    if framed and asked.aligned:
        raise UsageError("styleganex draws whole photos", hint="Leave --aligned out.")
    # StyleGANEX draws people where they stand
    paste = framed if asked.paste is None else asked.paste
    # a style draws everybody where they stand anyway; --faces all asks for a file a face
    apart = asked.paste is False or (asked.paste is None and asked.faces is Faces.all)
    whole = bool(styles or pictures) and not asked.character and not apart
    kind = _kind(asked.format, asked.output)
    drawn_over = (paste or (whole and not asked.aligned)) and not document(kind)
    photos = drawn_over and asked.background != "transparent"
    same = asked.format is Format.same or (asked.format is None and photos)
    return Plan(
        styles=styles,
        style_sources=sources,
        styled_by=styled_by,
        people=people,
        defaults=defaults,
        whole=whole,
        paste=paste,
        kind=kind,
        suffix="" if same else f".{kind}",
    )


def check_written(asked: Asked, plan: Plan, jobs: Sequence[Job]) -> None:
    """What is to be written against what is drawn.

    Raises:
        UsageError: a format or option that drawings of this kind don't have.
    """
    shapes = document(plan.kind)
    _check_format(asked.format, jobs)
    _check_quality(asked.quality, plan.kind, jobs)
    if asked.strip and shapes:
        raise UsageError(f"{plan.kind} says nothing of the photo", hint="Leave --strip out.")
    if plan.styles:
        one = asked.faces is Faces.largest or asked.only is not None
        _check_styles(asked, plan, one=one)
        if asked.background == "transparent" and _has_jpeg(plan.kind, jobs):
            raise UsageError("JPEG knows no transparency", hint="Write .png or .webp.")
    elif asked.background is not None or (asked.max_size is not None and not asked.style_image):
        raise UsageError(
            "--background and --max-size are of styles",
            hint="Leave them out, or name a --style.",
        )
    if shapes and (asked.character or not plan.styles):
        raise UsageError(
            f"characters are pixels, no shapes for {plan.kind}", hint="Name a --style."
        )
    if shapes and plan.styled_by in ("unet", "blend"):
        raise UsageError(
            f"a network draws pixels, no shapes for {plan.kind}",
            hint="Take a style of --engine portrait.",
        )
    if shapes and asked.sheet is not None:
        raise UsageError(
            f"a --sheet shows pixels, not {plan.kind}", hint="Make it in a run of its own."
        )
    if asked.style_image and (not plan.whole or shapes):
        raise UsageError(
            "--style-image draws whole photos as pixels", hint="Leave --crop, svg and pdf out."
        )


def faces_drawn(asked: Asked, plan: Plan) -> Literal["all", "largest"]:
    """Which faces of a photograph are drawn.

    Raises:
        UsageError: several drawings would go to stdout.
    """
    faces = asked.faces or (Faces.all if plan.paste or plan.whole else Faces.largest)
    several = faces is Faces.all and plan.mode == "crop" and asked.only is None
    if asked.to_stdout and several:
        raise UsageError("stdout takes one face", hint="Leave --faces all out, or add --paste.")
    return "all" if faces is Faces.all else "largest"


def listed(source: str | None, null: bool) -> list[str]:
    """Photographs that --files-from names.

    Raises:
        InputError: the list can't be read.
    """
    from toonify.stylize.jobs import read_list

    if source is None:
        return []
    if source == STREAM:
        return read_list(sys.stdin.buffer, "standard input", null=null)
    try:
        with open(source, "rb") as file:
            return read_list(file, source, null=null)
    except ToonifyError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't read {source}: {reason}", hint="Check the name.") from error


def photos_of(asked: Asked, plan: Plan) -> list[Job]:
    """A job a photograph that is there already.

    Raises:
        UsageError: outputs that can't be. InputError: a folder without pictures.
    """
    from toonify.stylize.jobs import plan as jobs_of

    more = listed(asked.files_from, asked.null)
    if not asked.inputs and not more:
        return []
    return jobs_of(
        asked.inputs,
        asked.output,
        listed=more,
        recursive=asked.recursive,
        suffix=plan.suffix,
        note=complain,
    )


def name_template(name: str | None) -> NameTemplate | None:
    """The pattern that --name gives.

    Raises:
        UsageError: it is none.
    """
    return None if name is None else NameTemplate(name)


def mixing_of(asked: Asked, plan: Plan) -> dict[str, Any]:
    """level, trgb and color, as given or as the bundle says."""
    own = plan.defaults
    level = own.level_of(pasted=plan.paste and plan.people == "cdsm")
    return {
        "level": level if asked.level is None else asked.level,
        "trgb": own.trgb if asked.trgb is None else asked.trgb,
        "color": own.color if asked.color is None else asked.color,
    }


def _check_alone(ctx: typer.Context, asked: Asked) -> None:
    """Options that exclude each other, whatever is drawn."""
    if asked.skip_existing and asked.overwrite:
        raise UsageError("--skip-existing and --overwrite exclude each other", hint="Take one.")
    if asked.aligned and asked.paste:
        raise UsageError("--aligned crops have no photo to --paste into", hint="Take one.")
    _check_only(asked.only, aligned=asked.aligned, faces=asked.faces)
    if asked.aligned:
        idle = ("min_face", "landmarks", "faces", "require_face")
        refuse_given(ctx, "has no effect: --aligned looks for no faces", *idle)
    if asked.fail_fast and asked.max_failures is not None:
        raise UsageError("--fail-fast is --max-failures 1", hint="Take one.")


def _check_places(settings: Settings, asked: Asked) -> None:
    """Where photographs come from and drawings go."""
    from toonify.stylize.jobs import is_folder

    if not asked.inputs and asked.files_from is None and asked.watch is None:
        raise UsageError("no photos", hint="Name some, or a folder, --files-from or --watch.")
    if asked.null and asked.files_from is None:
        raise UsageError("--null is of --files-from", hint="Leave it out.")
    if STREAM in asked.inputs and (asked.files_from is not None or asked.watch is not None):
        raise UsageError("- (stdin) is one photo and goes alone", hint="Run it separately.")
    if asked.output is not None and not asked.output.strip():
        raise UsageError("-o is empty", hint="Name a file or a folder.")
    into_folder = asked.output is not None and is_folder(asked.output)
    if (asked.watch is not None or asked.name is not None) and not into_folder:
        option = "--name" if asked.watch is None else "--watch"
        raise UsageError(f"{option} needs a folder for the drawings", hint="Give -o FOLDER.")
    if asked.watch is not None and not asked.watch.is_dir():
        raise UsageError(f"--watch {asked.watch} is not a folder", hint="Make it, or name another.")
    name_template(asked.name)
    if asked.output is None and not asked.to_stdout and asked.sheet is None:
        raise UsageError("nowhere to put the drawings", hint="Give -o FILE, -o FOLDER or --sheet.")
    if asked.sheet is not None and asked.sheet.suffix.lower() != ".png":
        raise UsageError(f"the sheet {asked.sheet} must be a .png file", hint="Rename it.")
    if asked.to_stdout and settings.json:
        raise UsageError("stdout takes the picture or --json, not both", hint="Give -o FILE.")
    if asked.to_stdout and sys.stdout.isatty():
        raise UsageError("a picture is not for a terminal", hint="Redirect stdout or give -o FILE.")


def _check_pictures(asked: Asked) -> None:
    """Style pictures, and the options that are of them."""
    people = asked.style or asked.character or asked.only or asked.faces
    if asked.style_image and (people or asked.background is not None or asked.aligned):
        raise UsageError(
            "--style-image draws whole photos, without styles, characters and faces",
            hint="Leave --style, --character, --background, --aligned, --only and --faces out.",
        )
    if not asked.style_image:
        refuse_transfer_options(
            style_weight=asked.style_weight,
            alpha=asked.alpha < 1,
            preserve_color=asked.preserve_color,
            region=asked.region,
            segment=asked.segment,
            style_network=asked.style_network,
        )


def _check_only(only: str | None, *, aligned: bool, faces: Faces | None) -> None:
    if only is None:
        return
    if only not in ("left", "middle", "right") and not (only.isdecimal() and int(only) > 0):
        raise UsageError(f"--only {only!r} names nobody", hint="Give left, middle, right, 1, 2, …")
    if aligned or faces is not None:
        other = "--aligned" if aligned else "--faces"
        raise UsageError(f"--only picks a face, {other} too", hint="Take one of them.")


def _check_styles(asked: Asked, plan: Plan, *, one: bool) -> None:
    if plan.paste and asked.character:
        raise UsageError(
            "--paste puts characters into the photo, which a style draws as a whole",
            hint="Name a --style or a --character, not both (--background keep leaves what is"
            " around people).",
        )
    if plan.whole and one and not asked.aligned:
        raise UsageError(
            "a style draws everybody in a photo",
            hint="Leave --faces and --only out, or add --crop.",
        )
    if not asked.character:
        refuse_character_options(asked.level, asked.trgb, asked.color)


def _kind(asked: Format | None, output: str | None) -> str:
    """What is written where the output is no file of pixels."""
    if asked is not None and asked is not Format.same:
        return asked.value
    suffix = Path(output or "").suffix.lower().lstrip(".")
    return suffix if document(suffix) and not Path(output or "").is_dir() else "png"


def _check_format(asked: Format | None, jobs: Sequence[Job]) -> None:
    for job in jobs:
        if asked in (None, Format.same) or not job.explicit or job.target is None:
            continue
        if job.target.suffix.lower().replace("jpeg", "jpg") != f".{asked}":
            raise UsageError(
                f"{job.target} is no name for --format {asked.value}", hint="Take one of both."
            )


def _check_quality(quality: int | None, kind: str, jobs: Sequence[Job]) -> None:
    written = {job.target.suffix.lower() for job in jobs if job.target is not None}
    written |= {f".{kind}" for job in jobs if job.to_stdout}
    if quality is not None and jobs and not written & {".jpg", ".jpeg", ".webp"}:
        raise UsageError("--quality is of JPEG and WebP", hint="Leave it out, or --format jpg.")


def _has_jpeg(kind: str, jobs: Sequence[Job]) -> bool:
    suffixes = {job.target.suffix.lower() for job in jobs if job.target is not None}
    return kind == "jpg" or bool(suffixes & {".jpg", ".jpeg"})
