"""`toonify evaluate`: what a bundle does to a folder of photos, in figures and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import examples, existing, note_others, settings_of
from toonify.cli.request import takes
from toonify.errors import UsageError

if TYPE_CHECKING:
    pass

EPILOG = examples(
    "toonify evaluate photos/ -o report/",
    "toonify evaluate photos/ --bundle mine/ --drawings drawings/ -o report/",
    "toonify evaluate photos/ --bundle old/ --bundle new/ --limit 24 -o old-new/",
    "toonify evaluate crops/ --aligned --style ink,soft -o report/ --json",
)


class StyleEngineName(StrEnum):
    """What draws styles: of `toonify.cli.engines.EngineName`."""

    auto = "auto"
    portrait = "portrait"
    unet = "unet"
    blend = "blend"


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """The command line, an option each."""

    photos: Annotated[list[str], typer.Argument(help="Photos and folders of photos.")]
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the report, made or replaced.")
    ]
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            help="A bundle's folder, or default. Give two to compare them on the same photos.",
            show_default="default",
        ),
    ] = None
    drawings: Annotated[
        list[Path] | None,
        typer.Option(
            help="One sub-folder of drawings a character: adds KID and FID to them. Give one for"
            " all bundles, or one for each."
        ),
    ] = None
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "--styles",
            help="Styles; repeat it, or separate with commas. Default: all, where no style and no"
            " character is named.",
        ),
    ] = None
    character: Annotated[
        list[str] | None,
        typer.Option(
            "--character",
            "--characters",
            help="Characters, likewise.",
        ),
    ] = None
    engine: Annotated[
        StyleEngineName,
        typer.Option(
            help="What draws styles: the program, a network, or people by the one before"
            " backgrounds by the other.",
            show_default="what draws photographs in them",
        ),
    ] = StyleEngineName.auto
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first N photos.")] = None
    level: Annotated[
        int, typer.Option(help="First layer taken from the character, as in stylize.")
    ] = 6
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Inputs are square FFHQ crops: look for no face.")
    ] = False
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders with their sub-folders.")
    ] = False


@takes(EvaluateRequest)
def evaluate(ctx: typer.Context, request: EvaluateRequest) -> None:
    """Measure a bundle, or two side by side, on photos of people.

    The report's folder gets report.json, index.html (every photo beside its drawings, sortable)
    and sheet.png. Measured are LPIPS and identity to the photo, whether it is found again from the
    drawing among all of them (by face and by color), how well the colors of skin and hair, hair,
    glasses and beard are kept and how flat heads are drawn, whether pose, mouth, eyes and gaze
    follow the photo, KID and FID to the character's drawings, and the time a photo takes. What
    needs weights that can't be reached is left out, and the report says why. One photo that fails
    never stops the others; Ctrl-C finishes the photo in hand and keeps what is done.
    """
    from toonify.evaluation import evaluate as measure
    from toonify.stylize.jobs import STREAM

    settings = settings_of(ctx)
    if STREAM in request.photos:
        raise UsageError("evaluate reads no photo from stdin", hint="Give a folder of photos.")
    for path in request.drawings or ():
        existing(path, "the folder of drawings")
    note_others(*(request.drawings or ()))
    found = measure(
        request.photos,
        request.output,
        bundles=request.bundle or ["default"],
        drawings=request.drawings or (),
        styles=request.style or (),
        characters=request.character or (),
        limit=request.limit,
        engine=request.engine.value,
        level=request.level,
        aligned=request.aligned,
        recursive=request.recursive,
        device=settings.device,
        dtype=settings.dtype,
        offline=settings.offline,
        progress=settings.progress,
    )
    for summary in found.report["bundles"]:
        settings.result(summary, _line(summary, found.feature_suffix))
    if not settings.json:
        settings.result({}, f"{found.drawn} of {found.given} photos toonified -> {request.output}")
    if found.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(1 if found.failed else 0)


def _line(summary: dict[str, Any], suffix: str) -> str:
    """label: figures of all characters together, as far as there are any."""
    overall = summary["overall"]
    shown = [f"{key} {overall[key]:.3f}" for key in ("lpips", "identity") if key in overall]
    lineup = {k: v for k, v in overall.get("lineup", {}).items() if v is not None}
    shown += [
        f"line-up by {key} {lineup[key]:.2f}" for key in ("descriptor", "color") if key in lineup
    ]
    shown += [
        f"{key} {value:.2f}"
        for key, value in overall.get("correlation", {}).items()
        if value is not None
    ]
    if overall.get("kid") is not None:
        shown.append(f"KID{suffix} {overall['kid']:.4f}")
    likeness = overall.get("likeness", {})
    for key, name in (("skin_error", "skin"), ("hair_error", "hair")):
        if likeness.get(key) is not None:
            shown.append(f"{name} off by {likeness[key]:.1f}")
    if likeness.get("flat") is not None:
        shown.append(f"flat {likeness['flat']:.2f}")
    if "photo" in summary["seconds"]:
        shown.append(f"{summary['seconds']['photo']:.2f} s a photo")
    return f"{summary['label']}: {', '.join(shown) or 'nothing measured'}"
