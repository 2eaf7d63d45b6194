"""`toonify stylize`: photographs in, drawings out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import (
    BatchSizeOption,
    BundleOption,
    ClusterOption,
    MinFaceOption,
    WorkersOption,
    batch_size_of,
    complain,
    examples,
    model_files,
    prepare_drawing,
    refuse_given,
    settings_of,
)
from toonify.cli.engines import (
    PEOPLE,
    ColorOption,
    EngineName,
    EngineOption,
    LevelOption,
    TrgbOption,
    check_engine,
    defaults_of,
    people_engine,
)
from toonify.cli.style_transfer import (
    AlphaOption,
    PreserveColorOption,
    RegionOption,
    SegmentOption,
    StyleImageOption,
    StyleNetworkOption,
    StyleWeightOption,
    refuse_transfer_options,
    transfer_engine,
)
from toonify.cli.styles import (
    BackgroundOption,
    StyleOption,
    choose_names,
    choose_styles,
    chosen_background,
    document,
    refuse_character_options,
)
from toonify.errors import InputError, ToonifyError, UsageError

if TYPE_CHECKING:
    from toonify.engines.base import Engine
    from toonify.stylize.jobs import Job
    from toonify.stylize.options import Result
    from toonify.utils.outputs import InputFiles


# options that are for one machine alone
ONE_MACHINE = (
    *("watch", "sheet", "fail_fast", "max_failures", "batch_size"),
    *("style_image", "style_weight", "alpha", "preserve_color", "region", "segment"),
)
SMALL = 24  # px of a face, below which it goes without saying that it is not looked for


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


EPILOG = examples(
    "toonify stylize me.jpg -o toon.png",
    "toonify stylize me.jpg -o sticker.webp --style comic --crop --background transparent",
    "toonify stylize me.jpg -o me.svg --style ink",
    "toonify stylize me.jpg -o toon.png --character mina",
    "toonify stylize me.jpg -o toons/ --style all --character all --sheet sheet.png",
    "toonify stylize party.jpg -o party-toon.jpg --character bram --paste",
    "toonify stylize me.jpg -o painted.png --style-image painting.jpg",
    "toonify stylize day.jpg -o dusk.jpg --engine wct2 --style-image dusk-elsewhere.jpg",
    "toonify stylize photos/ -o toons/ --recursive --skip-existing --manifest done.jsonl",
    "cat me.jpg | toonify stylize - > toon.png",
    "find . -name '*.jpg' -print0 | toonify stylize --files-from - -0 -o toons/",
    "toonify stylize photos/ -o toons/ --character all --name '{character}/{stem}{ext}'",
    "toonify stylize photos/ -o toons/ --cluster local --manifest done.jsonl",
    "toonify stylize --watch inbox/ -o toons/ --manifest done.jsonl",
)


def stylize(
    ctx: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Photos, folders of photos, patterns such as 'in/**/*.jpg', or -."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="A file for one photo, a folder for several (trees are mirrored), - for stdout.",
        ),
    ] = None,
    style: StyleOption = None,
    character: Annotated[
        list[str] | None,
        typer.Option(
            help="Character to turn people into; repeat it, or separate with commas, or say all."
            " left=mina,right=jun or 1=mina,2=jun: who is drawn as whom, as in `toonify video`."
        ),
    ] = None,
    engine: EngineOption = EngineName.auto,
    style_image: StyleImageOption = None,
    style_weight: StyleWeightOption = None,
    alpha: AlphaOption = 1.0,
    preserve_color: PreserveColorOption = False,
    region: RegionOption = None,
    segment: SegmentOption = False,
    style_network: StyleNetworkOption = None,
    bundle: BundleOption = "default",
    level: LevelOption = None,
    trgb: TrgbOption = None,
    color: ColorOption = None,
    faces: Annotated[
        Faces | None,
        typer.Option(
            help="Default: largest for portraits, all for whole photos; all without --paste gives"
            " a portrait of each.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="The one to draw: left, middle, right, or a number counted from the left.",
        ),
    ] = None,
    min_face: MinFaceOption = None,
    landmarks: Annotated[
        Landmarks,
        typer.Option(
            help="Face detector; auto takes face-alignment (68 points) where its weights are"
            " cached, else mtcnn."
        ),
    ] = Landmarks.auto,
    paste: Annotated[
        bool | None,
        typer.Option(
            "--paste/--crop",
            help="Put characters back into the photo, or give the portrait. Default: styles draw"
            " the whole photo, characters the portrait.",
            show_default=False,
        ),
    ] = None,
    background: BackgroundOption = None,
    max_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Longest side of a style's drawing, px; a portrait's side. Default: the photo's"
            " own size; 512 for portraits.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="What is written into folders and to stdout; svg and pdf, of styles alone, hold"
            " shapes. Default: by the suffix of -o; in folders whole photos as they were stored"
            " (same: JPEG stays JPEG), portraits as png.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of JPEG and WebP.", show_default="95"),
    ] = None,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="Drawings say nothing of the photo: no date, no camera. Never a place."
        ),
    ] = False,
    require_face: Annotated[
        bool,
        typer.Option("--require-face", help="A photo without a face fails, else it is a scene."),
    ] = False,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Inputs are square FFHQ crops: look for no face.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders with their sub-folders.")
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Draw only what is missing, or drawn with other options."
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Draw anew what is there; never replaces what toonify didn't draw."
        ),
    ] = False,
    files_from: Annotated[
        str | None,
        typer.Option(help="A file that lists photos, a line each, or - for stdin."),
    ] = None,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="NUL ends each of them, as of find -print0.")
    ] = False,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Go on with photos as they come into this folder, till Ctrl-C."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="How drawings in a folder are called: {stem}, {character} (or style), {face},"
            " {level}, {ext}; '{character}/{stem}{ext}' makes folders.",
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first photo that fails.")
    ] = False,
    max_failures: Annotated[
        int | None, typer.Option(min=1, help="Stop once so many photos have failed.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Append a JSON line a photo to this file.")
    ] = None,
    batch_size: BatchSizeOption = "auto",
    sheet: Annotated[
        Path | None,
        typer.Option(help="Contact sheet (PNG): a row a photo or face, a column a name."),
    ] = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Draw photos of people in a style that keeps them, or turn them into drawn characters.

    A style draws the whole photo, at its own size, with everybody in it; --crop gives the portrait
    of a face. Styles and characters together are drawn as portraits, from the same crop.

    Drawings that are there, of the same photo and options, stay as they are. What toonify did not
    draw is replaced only where -o names that very file, and photos never are.
    One photo that fails never stops the others: it is named on stderr and in the manifest, and
    the exit status is 1. Several styles and characters add their names (toon-mina.png), several
    faces with --crop --faces all their numbers (toon-face1.png).
    """
    from toonify.cluster.ray_pool import RayPool, check_address
    from toonify.cluster.schedule import draw_on
    from toonify.cluster.worker import Orders
    from toonify.reports.sheet import SheetWriter
    from toonify.stylize.batch import Batch
    from toonify.stylize.jobs import STREAM, is_folder, plan
    from toonify.stylize.manifest import Manifest
    from toonify.stylize.naming import NameTemplate
    from toonify.stylize.options import Options
    from toonify.stylize.watching import watch as watched
    from toonify.utils.outputs import InputFiles, check_output
    from toonify.utils.streams import write_binary

    settings = settings_of(ctx)
    if cluster is not None:
        refuse_given(ctx, "does not go with --cluster", *ONE_MACHINE)
        if STREAM in (inputs or []) or output == STREAM:
            raise UsageError("--cluster reads and writes files", hint="Leave - out.")
        check_address(cluster)
    elif workers is not None:
        raise UsageError("--workers is of --cluster", hint="Leave it out, or add --cluster local.")
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite exclude each other", hint="Take one.")
    if aligned and paste:
        raise UsageError("--aligned crops have no photo to --paste into", hint="Take one.")
    _check_only(only, aligned=aligned, faces=faces)
    if aligned:
        idle = ("min_face", "landmarks", "faces", "require_face")
        refuse_given(ctx, "has no effect: --aligned looks for no faces", *idle)
    if fail_fast and max_failures is not None:
        raise UsageError("--fail-fast is --max-failures 1", hint="Take one.")
    inputs = inputs or []
    if not inputs and files_from is None and watch is None:
        raise UsageError("no photos", hint="Name some, or a folder, --files-from or --watch.")
    if null and files_from is None:
        raise UsageError("--null is of --files-from", hint="Leave it out.")
    if STREAM in inputs and (files_from is not None or watch is not None):
        raise UsageError("- (stdin) is one photo and goes alone", hint="Run it separately.")
    if (watch is not None or name is not None) and (output is None or not is_folder(output)):
        option = "--name" if watch is None else "--watch"
        raise UsageError(f"{option} needs a folder for the drawings", hint="Give -o FOLDER.")
    if watch is not None and not watch.is_dir():
        raise UsageError(f"--watch {watch} is not a folder", hint="Make it, or name another.")
    template = None if name is None else NameTemplate(name)
    if output is not None and not output.strip():
        raise UsageError("-o is empty", hint="Name a file or a folder.")
    to_stdout = output == STREAM or (STREAM in inputs and output is None)
    if output is None and not to_stdout and sheet is None:
        raise UsageError("nowhere to put the drawings", hint="Give -o FILE, -o FOLDER or --sheet.")
    _check_suffix(sheet)
    if to_stdout and settings.json:
        raise UsageError("stdout takes the picture or --json, not both", hint="Give -o FILE.")
    if to_stdout and sys.stdout.isatty():
        raise UsageError("a picture is not for a terminal", hint="Redirect stdout or give -o FILE.")
    pictures = style_image or []
    if pictures and (style or character or background is not None or aligned or only or faces):
        raise UsageError(
            "--style-image draws whole photos, without styles, characters and faces",
            hint="Leave --style, --character, --background, --aligned, --only and --faces out.",
        )
    if not pictures:
        refuse_transfer_options(
            style_weight=style_weight,
            alpha=alpha < 1,
            preserve_color=preserve_color,
            region=region,
            segment=segment,
            style_network=style_network,
        )
    check_engine(engine, styles=bool(style), characters=bool(character), pictures=bool(pictures))
    other = engine in PEOPLE
    styles = () if pictures else choose_styles(style or (), character or (), bundle, other=other)
    defaults = defaults_of(bundle)
    people = engine.value if other else defaults.engine
    people = people if people in PEOPLE else "cdsm"
    framed = people == "styleganex" and not styles and not pictures
    if people == "styleganex" and styles and character:
        raise UsageError(
            "styles and whole frames are drawn apart", hint="Draw them in separate runs."
        )
    if framed and aligned:
        raise UsageError("styleganex draws whole photos", hint="Leave --aligned out.")
    if framed and paste is None:
        paste = True  # it draws people where they stand
    # a style draws everybody where they stand anyway; --faces all asks for a file a face
    apart = paste is False or (paste is None and faces is Faces.all)
    whole = bool(styles or pictures) and not character and not apart
    kind = _format(format, output)
    photos = (
        (paste or (whole and not aligned)) and not document(kind) and background != "transparent"
    )
    same = format is Format.same or (format is None and photos)
    suffix = "" if same else f".{kind}"
    listed = [] if files_from is None else _listed(files_from, null)
    jobs: list[Job] = []
    if inputs or listed:
        jobs = plan(
            inputs,
            output,
            listed=listed,
            recursive=recursive,
            suffix=suffix,
            note=complain,
        )
    _check_format(format, jobs)
    _check_quality(quality, kind, jobs)
    if strip and document(kind):
        raise UsageError(f"{kind} says nothing of the photo", hint="Leave --strip out.")
    if styles:
        one = faces is Faces.largest or only is not None
        _check_style_options(bool(paste and character), aligned, whole and one)
        if not character:
            refuse_character_options(level, trgb, color)
        if background == "transparent" and _has_jpeg(kind, jobs):
            raise UsageError("JPEG knows no transparency", hint="Write .png or .webp.")
    elif background is not None or (max_size is not None and not pictures):
        raise UsageError(
            "--background and --max-size are of styles",
            hint="Leave them out, or name a --style.",
        )
    if document(kind) and (character or not styles):
        raise UsageError(f"characters are pixels, no shapes for {kind}", hint="Name a --style.")
    if document(kind) and sheet is not None:
        raise UsageError(f"a --sheet shows pixels, not {kind}", hint="Make it in a run of its own.")
    if pictures and (not whole or document(kind)):
        raise UsageError(
            "--style-image draws whole photos as pixels", hint="Leave --crop, svg and pdf out."
        )
    reads = InputFiles(
        [
            *(job.source for job in jobs),
            *model_files(bundle, style_network),
            *(files_from, watch, region),
            *pictures,
        ]
    )
    if any(job.source is None for job in jobs):
        reads.add_stream(0, "standard input")
    if to_stdout and reads.find(1) is not None:
        raise UsageError("stdout is the input", hint="Redirect it into another file.")
    for path, option in ((sheet, "--sheet"), (manifest, "--manifest")):
        if path is not None:
            check_output(path, reads, option=option, named=True, streams=option == "--manifest")

    names, drawing, together = styles, None, 1  # styles are drawn, and written, one by one
    mixing: dict[str, Any] = {
        "level": defaults.level if level is None else level,
        "trgb": defaults.trgb if trgb is None else trgb,
        "color": defaults.color if color is None else color,
    }
    if pictures:
        drawing = transfer_engine(
            settings,
            bundle,
            engine=engine,
            images=pictures,
            weights=style_weight,
            alpha=alpha,
            preserve_color=preserve_color,
            region=region,
            segment=segment,
            network=style_network,
            max_size=max_size,
            landmarks=landmarks.value,
        )
        names = styles = drawing.characters
    make_people: Callable[[], Engine] | None = None
    add_styles: Callable[[Engine | None], Engine] | None = None
    if cluster is None and (batch_size != "auto" or character or not styles):
        together = batch_size_of(batch_size, settings, bundle)
    finding: dict[str, Any] = {"landmarks": landmarks.value, "min_face": min_face}
    if character or not styles:
        prepare_drawing(settings, bundle)
        given = (level, trgb, color) != (None, None, None)
        make_people = partial(
            people_engine, settings, people, bundle, given=given, **mixing, **finding
        )
        drawing = make_people()
        names = (*styles, *choose_characters(character or (), drawing.characters, rules=True))
        _refuse_idle_mixing(ctx, drawing, mixing)
        if len(set(names)) < len(names):
            raise UsageError("a style and a character have the same name", hint="Draw one at once.")
    if styles and not pictures:
        styling: dict[str, Any] = {
            "background": chosen_background(background),
            "max_size": max_size,
            "document": document(kind),
            "offline": settings.offline,
            **finding,
        }
        drawing = _with_styles(drawing, bundle, **styling)
        add_styles = partial(_with_styles, bundle=bundle, **styling)
    assert drawing is not None
    if to_stdout and len(names) > 1:
        raise UsageError("stdout takes one drawing", hint="Give -o FOLDER for several.")
    chosen_faces = faces.value if faces else ("all" if paste or whole else "largest")
    if to_stdout and chosen_faces == "all" and not paste and not whole and only is None:
        raise UsageError("stdout takes one face", hint="Leave --faces all out, or add --paste.")
    options = Options(
        characters=names,
        styles=styles,
        level=mixing["level"],
        trgb=mixing["trgb"],
        color=mixing["color"],
        mode="whole" if whole else "paste" if paste else "crop",
        require_face=require_face,
        faces=chosen_faces,  # type: ignore[arg-type]
        aligned=aligned,
        only=only,
        min_face=min_face,
        identity={name: _identity(drawing, name) for name in names},
        existing="overwrite" if overwrite else "skip" if skip_existing or watch else "error",
        format=kind,
        strip=strip,
        quality=quality,
        batch_size=1 if whole else together,
        name=template,
        fail_fast=fail_fast,
        max_failures=max_failures,
    )
    batch = Batch(drawing, options, inputs=reads, sheet_rows=sheet is not None)
    batch.check(jobs)
    arriving: Iterator[Job | None] = iter(())
    if watch is not None and output is not None:
        arriving = watched(watch, Path(output), recursive=recursive, suffix=suffix)
    failed, full = 0, ""
    with ExitStack() as stack:
        drawn = batch.run(chain(jobs, _noted(arriving, reads)))
        if cluster is not None:
            sources = [str(job.source) for job in jobs]
            orders = Orders(
                make=partial(_made, make_people, add_styles),
                identify=_identity,
                options=options,
                reads=(*sources, *map(str, filter(None, (*model_files(bundle), files_from)))),
                folder=os.getcwd(),
            )
            pool = stack.enter_context(RayPool(cluster, orders, workers=workers))
            drawn = draw_on(pool, jobs, fresh=batch.is_fresh)
        log = stack.enter_context(Manifest(manifest)) if manifest else None
        page = (
            stack.enter_context(SheetWriter(sheet, ("photo", *names), lenient=True))
            if sheet
            else None
        )
        progress = stack.enter_context(settings.progress("photos"))
        results = stack.enter_context(closing(drawn))
        for done, result in enumerate(results, start=1):
            progress(done, None if watch else len(jobs))
            if log and not full:
                try:
                    log.add(result.entry())
                except OSError as error:  # the drawings are worth more than the list of them
                    full = error.strerror or str(error)
                    complain(f"can't write {manifest}: {full}. The drawings go on without it.")
            for row in result.rows:
                if page:
                    page.add(row)
            failed += result.status == "failed"
            if result.error:
                complain(result.error)
            if result.note and not pictures:  # which looks for no faces
                complain(f"{result.source}: {result.note}")
            if result.picture is not None:
                try:
                    write_binary(result.picture)
                except OSError as error:
                    reason = error.strerror or str(error)
                    raise InputError(f"can't write to stdout: {reason}") from error
            elif result.status != "failed" or settings.json:
                settings.result(result.record(), _line(result))
    if page is not None and page.failure is not None:
        full = str(page.failure)
        complain(full)
    if failed and len(jobs) > 1:
        complain(f"{failed} of {len(jobs)} photos failed")
    raise typer.Exit(1 if failed or full else 0)


def _listed(source: str, null: bool) -> list[str]:
    from toonify.stylize.jobs import STREAM, read_list

    if source == STREAM:
        return read_list(sys.stdin.buffer, "standard input", null=null)
    try:
        with open(source, "rb") as file:
            return read_list(file, source, null=null)
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(
            f"can't read {source}: {error.strerror or error}", hint="Check the name."
        ) from error


def _noted(jobs: Iterator[Job | None], reads: InputFiles) -> Iterator[Job | None]:
    """Jobs that come later, whose photos are never replaced either."""
    for job in jobs:
        if job is not None and job.source is not None:
            reads.add(job.source)
        yield job


def choose_characters(
    asked: Sequence[str], known: Sequence[str], *, rules: bool = False
) -> tuple[str, ...]:
    """Names given on the command line against those of the bundle.

    Args:
        rules: those that cast a character per person may be given, and stay together as one.

    Raises:
        UsageError: an unknown name, or the bundle has no characters.
    """
    if not known:
        raise UsageError("the bundle has no characters", hint="Add some: toonify build-lut --help.")
    if rules and any("=" in item for item in asked):
        from toonify.video.assignment import CharacterAssignment

        CharacterAssignment(asked, known)
        return (",".join(asked),)
    return choose_names("character", asked, known)


def _refuse_idle_mixing(ctx: typer.Context, engine: Engine, mixing: dict[str, Any]) -> None:
    """Refuse options of color where they change nothing."""
    from toonify.engines.cdsm import CdsmEngine

    level = mixing["level"]
    if isinstance(engine, CdsmEngine) and not engine.model.mixes_colors(level):
        why = f"has no effect: all of this bundle's color layers lie above --level {level}"
        refuse_given(ctx, why, "trgb", "color")
    if not mixing["trgb"]:
        refuse_given(ctx, "has no effect with --no-trgb", "color")


def _identity(engine: Engine, name: str) -> Any:
    """What drawings under a name, or by rules, depend on."""
    from toonify.engines.combined import CombinedEngine
    from toonify.stylize.batch import is_rule

    if not is_rule(name):
        return engine.identity(name)
    people = engine.people if isinstance(engine, CombinedEngine) else engine
    names = {entry.partition("=")[2] or entry for entry in name.replace(" ", "").split(",")}
    names = (names | {people.characters[0]}) & set(people.characters)
    return {"cast": {name: people.identity(name) for name in sorted(names)}}


def _made(
    make_people: Callable[[], Engine] | None, add_styles: Callable[[Engine | None], Engine] | None
) -> Engine:
    """An engine as this run's, made once more by a worker of a cluster."""
    people = None if make_people is None else make_people()
    if add_styles is not None:
        return add_styles(people)
    assert people is not None
    return people


def _with_styles(people: Engine | None, bundle: str, **options: Any) -> Engine:
    """What draws styles, beside characters where there is something that draws those."""
    from toonify.engines.combined import CombinedEngine
    from toonify.engines.portrait import StyleEngine

    detector = None if people is None else people.detector
    engine = StyleEngine.from_bundle(bundle, detector=detector, **options)
    return engine if people is None else CombinedEngine(engine, people)


def _check_style_options(pasted_together: bool, aligned: bool, one_of_all: bool) -> None:
    if pasted_together:
        raise UsageError(
            "--paste puts characters into the photo, which a style draws as a whole",
            hint="Name a --style or a --character, not both (--background keep leaves what is"
            " around people).",
        )
    if one_of_all and not aligned:
        raise UsageError(
            "a style draws everybody in a photo",
            hint="Leave --faces and --only out, or add --crop.",
        )


def _format(asked: Format | None, output: str | None) -> str:
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


def _check_only(only: str | None, *, aligned: bool, faces: Faces | None) -> None:
    if only is None:
        return
    if only not in ("left", "middle", "right") and not (only.isdecimal() and int(only) > 0):
        raise UsageError(f"--only {only!r} names nobody", hint="Give left, middle, right, 1, 2, …")
    if aligned or faces is not None:
        other = "--aligned" if aligned else "--faces"
        raise UsageError(f"--only picks a face, {other} too", hint="Take one of them.")


def _check_suffix(sheet: Path | None) -> None:
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"the sheet {sheet} must be a .png file", hint="Rename it.")


def _line(result: Result) -> str:
    written = ", ".join(output["path"] for output in result.outputs)
    if result.status == "skipped":
        return f"{result.source}: there already ({written})"
    line = f"{result.source} -> {written}" if written else result.source
    if result.min_face is not None and result.min_face > SMALL:
        line += f" ({result.faces} faces; below {result.min_face:.0f} px none are looked for)"
    return line
