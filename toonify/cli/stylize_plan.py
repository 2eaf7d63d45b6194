"""What the options of `stylize` may be together, and what they amount to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from toonify.cli.common import Settings, check_cluster, complain, refuse_given
from toonify.cli.engines import NETWORKS, PEOPLE, STYLES, check_engine, defaults_of
from toonify.cli.style_transfer import refuse_transfer_options
from toonify.cli.styles import choose_styles, document, refuse_character_options
from toonify.cli.stylize_options import STREAM, Faces, Format, StylizeRequest
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.stylize.naming import NameTemplate

if TYPE_CHECKING:
    from toonify.bundle import Defaults
    from toonify.stylize.jobs import Job

# options that are for one machine alone
ONE_MACHINE = (
    *("watch", "sheet", "fail_fast", "max_failures", "batch_size"),
    *("style_image", "style_weight", "alpha", "preserve_color", "region", "segment"),
)


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


def planned(ctx: typer.Context, settings: Settings, request: StylizeRequest) -> Plan:
    """What the options amount to, before photographs are looked for.

    Raises:
        UsageError: options that exclude each other, or change nothing in their company.
        ModelError: there is no such bundle.
    """
    from toonify.engines.registry import style_engine
    from toonify.portrait.catalog import style_name

    check_cluster(ctx, request.cluster, request.workers, ONE_MACHINE)
    if request.cluster is not None and (STREAM in request.inputs or request.output == STREAM):
        raise UsageError("--cluster reads and writes files", hint="Leave - out.")
    _check_alone(ctx, request)
    _check_places(settings, request)
    _check_pictures(request)
    pictures = bool(request.style_image)
    check_engine(
        request.engine,
        styles=bool(request.style),
        characters=bool(request.character),
        pictures=pictures,
    )
    other = request.engine in PEOPLE
    sources = choose_styles(
        request.style,
        request.character,
        request.bundle,
        other=other or pictures,
        engine=request.engine.value,
    )
    styles = tuple(map(style_name, sources))
    engine = request.engine.value if request.engine in STYLES else "auto"
    defaults = defaults_of(request.bundle)
    kind = _kind(request.format, request.output)
    prefer = "portrait" if document(kind) else defaults.photos  # networks draw no shapes
    styled_by = (
        style_engine(sources, request.bundle, engine=engine, prefer=prefer) if styles else ""
    )
    if styled_by not in NETWORKS:
        refuse_given(ctx, "is of styles that a network draws", "backend")
    people = request.engine.value if other else defaults.engine
    people = people if people in PEOPLE else "cdsm"
    framed = people == "styleganex" and not styles and not pictures
    if people == "styleganex" and styles and request.character:
        raise UsageError(
            "styles and whole frames are drawn apart", hint="Draw them in separate runs."
        )
    if framed and request.aligned:
        raise UsageError("styleganex draws whole photos", hint="Leave --aligned out.")
    # StyleGANEX draws people where they stand
    paste = framed if request.paste is None else request.paste
    # a style draws everybody where they stand anyway; --faces all asks for a file a face
    apart = request.paste is False or (request.paste is None and request.faces is Faces.all)
    whole = bool(styles or pictures) and not request.character and not apart
    drawn_over = (paste or (whole and not request.aligned)) and not document(kind)
    photos = drawn_over and request.background != "transparent"
    same = request.format is Format.same or (request.format is None and photos)
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


def check_written(request: StylizeRequest, plan: Plan, jobs: Sequence[Job]) -> None:
    """What is to be written against what is drawn.

    Raises:
        UsageError: a format or option that drawings of this kind don't have.
    """
    shapes = document(plan.kind)
    _check_format(request.format, jobs)
    _check_quality(request.quality, plan.kind, jobs)
    if request.strip and shapes:
        raise UsageError(f"{plan.kind} says nothing of the photo", hint="Leave --strip out.")
    if plan.styles:
        one = request.faces is Faces.largest or request.only is not None
        _check_styles(request, plan, one=one)
    elif request.max_size is not None and not request.style_image:
        raise UsageError("--max-size is of styles", hint="Leave it out, or name a --style.")
    elif request.background is not None and not (plan.paste and plan.people == "cdsm"):
        raise UsageError(
            "--background is of styles, and of characters in whole pictures",
            hint="Leave it out, add --paste, or name a --style.",
        )
    if request.background == "transparent" and _has_jpeg(plan.kind, jobs):
        raise UsageError("JPEG knows no transparency", hint="Write .png or .webp.")
    if shapes and (request.character or not plan.styles):
        raise UsageError(
            f"characters are pixels, no shapes for {plan.kind}", hint="Name a --style."
        )
    if shapes and plan.styled_by in ("unet", "blend"):
        raise UsageError(
            f"a network draws pixels, no shapes for {plan.kind}",
            hint="Take a style of --engine portrait.",
        )
    if shapes and request.sheet is not None:
        raise UsageError(
            f"a --sheet shows pixels, not {plan.kind}", hint="Make it in a run of its own."
        )
    if request.style_image and (not plan.whole or shapes):
        raise UsageError(
            "--style-image draws whole photos as pixels", hint="Leave --crop, svg and pdf out."
        )


def faces_drawn(request: StylizeRequest, plan: Plan) -> Literal["all", "largest"]:
    """Which faces of a photograph are drawn.

    Raises:
        UsageError: several drawings would go to stdout.
    """
    faces = request.faces or (Faces.all if plan.paste or plan.whole else Faces.largest)
    several = faces is Faces.all and plan.mode == "crop" and request.only is None
    if request.to_stdout and several:
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


def photos_of(request: StylizeRequest, plan: Plan) -> list[Job]:
    """A job a photograph that is there already.

    Raises:
        UsageError: outputs that can't be.
        InputError: a folder without pictures.
    """
    from toonify.stylize.jobs import plan as jobs_of

    more = listed(request.files_from, request.null)
    if not request.inputs and not more:
        return []
    return jobs_of(
        request.inputs,
        request.output,
        listed=more,
        recursive=request.recursive,
        suffix=plan.suffix,
        note=complain,
    )


def name_template(name: str | None) -> NameTemplate | None:
    """The pattern that --name gives.

    Raises:
        UsageError: it is none.
    """
    return None if name is None else NameTemplate(name)


def mixing_of(request: StylizeRequest, plan: Plan) -> dict[str, Any]:
    """level, trgb and color, as given or as the bundle says."""
    own = plan.defaults
    level = own.level_of(pasted=plan.paste and plan.people == "cdsm")
    return {
        "level": level if request.level is None else request.level,
        "trgb": own.trgb if request.trgb is None else request.trgb,
        "color": own.color if request.color is None else request.color,
    }


def _check_alone(ctx: typer.Context, request: StylizeRequest) -> None:
    """Options that exclude each other, whatever is drawn."""
    if request.skip_existing and request.overwrite:
        raise UsageError("--skip-existing and --overwrite exclude each other", hint="Take one.")
    if request.aligned and request.paste:
        raise UsageError("--aligned crops have no photo to --paste into", hint="Take one.")
    _check_only(request.only, aligned=request.aligned, faces=request.faces)
    if request.aligned:
        idle = ("min_face", "landmarks", "faces", "require_face")
        refuse_given(ctx, "has no effect: --aligned looks for no faces", *idle)
    if request.fail_fast and request.max_failures is not None:
        raise UsageError("--fail-fast is --max-failures 1", hint="Take one.")


def _check_places(settings: Settings, request: StylizeRequest) -> None:
    """Where photographs come from and drawings go."""
    from toonify.stylize.jobs import is_folder

    if not request.inputs and request.files_from is None and request.watch is None:
        raise UsageError("no photos", hint="Name some, or a folder, --files-from or --watch.")
    if request.null and request.files_from is None:
        raise UsageError("--null is of --files-from", hint="Leave it out.")
    if STREAM in request.inputs and (request.files_from is not None or request.watch is not None):
        raise UsageError("- (stdin) is one photo and goes alone", hint="Run it separately.")
    if request.output is not None and not request.output.strip():
        raise UsageError("-o is empty", hint="Name a file or a folder.")
    into_folder = request.output is not None and is_folder(request.output)
    if (request.watch is not None or request.name is not None) and not into_folder:
        option = "--name" if request.watch is None else "--watch"
        raise UsageError(f"{option} needs a folder for the drawings", hint="Give -o FOLDER.")
    if request.watch is not None and not request.watch.is_dir():
        raise UsageError(
            f"--watch {request.watch} is not a folder", hint="Make it, or name another."
        )
    name_template(request.name)
    if request.output is None and not request.to_stdout and request.sheet is None:
        raise UsageError("nowhere to put the drawings", hint="Give -o FILE, -o FOLDER or --sheet.")
    if request.sheet is not None and request.sheet.suffix.lower() != ".png":
        raise UsageError(f"the sheet {request.sheet} must be a .png file", hint="Rename it.")
    if request.to_stdout and settings.json:
        raise UsageError("stdout takes the picture or --json, not both", hint="Give -o FILE.")
    if request.to_stdout and sys.stdout.isatty():
        raise UsageError("a picture is not for a terminal", hint="Redirect stdout or give -o FILE.")


def _check_pictures(request: StylizeRequest) -> None:
    """Style pictures, and the options that are of them."""
    people = request.style or request.character or request.only or request.faces
    if request.style_image and (people or request.background is not None or request.aligned):
        raise UsageError(
            "--style-image draws whole photos, without styles, characters and faces",
            hint="Leave --style, --character, --background, --aligned, --only and --faces out.",
        )
    if not request.style_image:
        refuse_transfer_options(
            style_weight=request.style_weight,
            alpha=request.alpha < 1,
            preserve_color=request.preserve_color,
            region=request.region,
            segment=request.segment,
            style_network=request.style_network,
        )


def _check_only(only: str | None, *, aligned: bool, faces: Faces | None) -> None:
    if only is None:
        return
    if only not in ("left", "middle", "right") and not (only.isdecimal() and int(only) > 0):
        raise UsageError(f"--only {only!r} names nobody", hint="Give left, middle, right, 1, 2, …")
    if aligned or faces is not None:
        other = "--aligned" if aligned else "--faces"
        raise UsageError(f"--only picks a face, {other} too", hint="Take one of them.")


def _check_styles(request: StylizeRequest, plan: Plan, *, one: bool) -> None:
    if plan.paste and request.character:
        raise UsageError(
            "--paste puts characters into the photo, which a style draws as a whole",
            hint="Name a --style or a --character, not both (--background keep leaves what is"
            " around people).",
        )
    if plan.whole and one and not request.aligned:
        raise UsageError(
            "a style draws everybody in a photo",
            hint="Leave --faces and --only out, or add --crop.",
        )
    if not request.character:
        refuse_character_options(request.level, request.trgb, request.color)


def _kind(format: Format | None, output: str | None) -> str:
    """What is written where the output is no file of pixels."""
    if format is not None and format is not Format.same:
        return format.value
    suffix = Path(output or "").suffix.lower().lstrip(".")
    return suffix if document(suffix) and not Path(output or "").is_dir() else "png"


def _check_format(format: Format | None, jobs: Sequence[Job]) -> None:
    for job in jobs:
        if format in (None, Format.same) or not job.explicit or job.target is None:
            continue
        if job.target.suffix.lower().replace("jpeg", "jpg") != f".{format}":
            raise UsageError(
                f"{job.target} is no name for --format {format.value}", hint="Take one of both."
            )


def _check_quality(quality: int | None, kind: str, jobs: Sequence[Job]) -> None:
    written = {job.target.suffix.lower() for job in jobs if job.target is not None}
    written |= {f".{kind}" for job in jobs if job.to_stdout}
    if quality is not None and jobs and not written & {".jpg", ".jpeg", ".webp"}:
        raise UsageError("--quality is of JPEG and WebP", hint="Leave it out, or --format jpg.")


def _has_jpeg(kind: str, jobs: Sequence[Job]) -> bool:
    suffixes = {job.target.suffix.lower() for job in jobs if job.target is not None}
    return kind == "jpg" or bool(suffixes & {".jpg", ".jpeg"})
