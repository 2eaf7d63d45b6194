"""`toonify evaluate`: what a bundle does to a folder of photos, in figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import complain, examples, existing, model_files, note_others, settings_of
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from toonify.cli.common import Settings
    from toonify.engine import Toonifier
    from toonify.evaluation import Subject
    from toonify.evaluation.metrics import Features
    from toonify.evaluation.run import Finder

EPILOG = examples(
    "toonify evaluate photos/ -o report/",
    "toonify evaluate photos/ --bundle mine/ --drawings drawings/ -o report/",
    "toonify evaluate photos/ --bundle old/ --bundle new/ --limit 24 -o old-new/",
    "toonify evaluate crops/ --aligned --style ink,soft -o report/ --json",
)


def evaluate(
    ctx: typer.Context,
    photos: Annotated[list[str], typer.Argument(help="Photos and folders of photos.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the report, made or replaced.")
    ],
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            help="A bundle's folder, or default. Give two to compare them on the same photos.",
            show_default="default",
        ),
    ] = None,
    drawings: Annotated[
        list[Path] | None,
        typer.Option(
            help="One sub-folder of drawings a character: adds KID and FID to them. Give one for"
            " all bundles, or one for each."
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "--styles",
            help="Styles; repeat it, or separate with commas. Default: all, where no style and no"
            " character is named.",
        ),
    ] = None,
    character: Annotated[
        list[str] | None,
        typer.Option(
            "--character",
            "--characters",
            help="Characters, likewise.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first N photos.")] = None,
    level: Annotated[
        int, typer.Option(help="First layer taken from the character, as in stylize.")
    ] = 6,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Inputs are square FFHQ crops: look for no face.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders with their sub-folders.")
    ] = False,
) -> None:
    """Measure a bundle, or two side by side, on photos of people.

    The report's folder gets report.json, index.html (every photo beside its drawings, sortable)
    and sheet.png. Measured are LPIPS and identity to the photo, whether it is found again from the
    drawing among all of them (by face and by color), how well the colors of skin and hair, hair,
    glasses and beard are kept and how flat heads are drawn, whether pose, mouth, eyes and gaze
    follow the photo, KID and FID to the character's drawings, and the time a photo takes. What
    needs weights that can't be reached is left out, and the report says why. One photo that fails
    never stops the others; Ctrl-C finishes the photo in hand and keeps what is done.
    """
    from toonify.stylize.jobs import STREAM, plan

    settings = settings_of(ctx)
    if STREAM in photos:
        raise UsageError("evaluate reads no photo from stdin", hint="Give a folder of photos.")
    bundles, folders = bundle or ["default"], drawings or []
    for path in folders:
        existing(path, "the folder of drawings")
    if len(folders) not in (0, 1, len(bundles)):
        raise UsageError(
            f"{len(folders)} folders of drawings for {len(bundles)} bundles",
            hint="Give one for all, or one for each.",
        )
    jobs = plan(photos, None, recursive=recursive, note=complain)
    note_others(*folders)
    paths = [job.source for job in jobs if job.source][:limit]
    reads = InputFiles([*paths, *folders, *model_files(*bundles)])
    for name in ("report.json", "index.html", "sheet.png"):
        check_output(output / name, reads, folder=output)

    from toonify.device import pick_device, pick_dtype
    from toonify.evaluation import (
        Probes,
        ReportFolder,
        describe,
        drawing_features,
        evaluate_photos,
        summarise,
    )

    device = pick_device(settings.device)
    finder, subjects = _subjects(settings, _labeled(bundles), style or (), character or (), level)
    probes = Probes(features=bool(folders), offline=settings.offline, device=device)
    for what, why in probes.unavailable.items():
        complain(f"not measured: {what}. {why}")
    own: list[dict[str, Features]] = [{} for _ in subjects]
    if probes.features is not None:
        with settings.progress("drawings") as progress:
            own = [
                drawing_features(
                    path,
                    subject.characters,
                    probes.features,
                    size=subject.resolution,
                    on_failure=complain,
                    progress=progress,
                )
                for path, subject in zip(
                    folders * (len(subjects) // len(folders)), subjects, strict=True
                )
            ]
    with (
        ReportFolder(output, subjects, photos=len(paths)) as folder,
        settings.progress("photos") as progress,
    ):
        run = evaluate_photos(
            paths,
            subjects,
            probes=probes,
            finder=finder,
            aligned=aligned,
            on_row=folder.add,
            on_failure=complain,
            progress=progress,
        )
        report = describe(
            run,
            [summarise(run, *pair) for pair in zip(subjects, own, strict=True)],
            probes=probes,
            device=str(device),
            dtype=str(pick_dtype(settings.dtype, device)),
            given=len(paths),
            level=level,
        )
        folder.finish(report, run)
    suffix = probes.features.suffix if probes.features else ""
    for summary in report["bundles"]:
        settings.result(summary, _line(summary, suffix))
    if not settings.json:
        settings.result({}, f"{len(run.rows)} of {len(paths)} photos toonified -> {output}")
    if run.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(1 if run.failed else 0)


def _labeled(bundles: Sequence[str]) -> list[tuple[str, str]]:
    """(label, bundle): the folder's name, or all of what was given where two have the same."""
    if len(set(bundles)) < len(bundles):
        raise UsageError("one bundle is given twice", hint="Give two different ones.")
    names = [real_path(name).name for name in bundles]
    return [
        (name if names.count(name) == 1 else given, given)
        for name, given in zip(names, bundles, strict=True)
    ]


def _subjects(
    settings: Settings,
    bundles: Sequence[tuple[str, str]],
    styles: Sequence[str],
    characters: Sequence[str],
    level: int,
) -> tuple[Finder, list[Subject]]:
    """What finds faces, and each bundle with those of its styles and characters that are asked
    for: all, where none is named."""
    from toonify.cli.styles import choose_names
    from toonify.engine import Toonifier
    from toonify.evaluation import BundleSubject, CombinedSubject, StyleSubject
    from toonify.portrait.catalog import bundle_styles
    from toonify.portrait.engine import PortraitEngine

    everything = not styles and not characters
    offered = {label: bundle_styles(name) for label, name in bundles}
    known = tuple(dict.fromkeys(name for names in offered.values() for name in names))
    if styles and not known:
        raise UsageError("there is no style in these bundles", hint="Name a --character.")
    chosen = known if everything else choose_names("style", styles, known) if styles else ()
    toonifiers: dict[str, Toonifier] = {}
    wanted: tuple[str, ...] = ()
    if everything or characters:
        toonifiers = {
            label: Toonifier.from_bundle(
                name, device=settings.device, dtype=settings.dtype, offline=settings.offline
            )
            for label, name in bundles
        }
        have = tuple(dict.fromkeys(n for one in toonifiers.values() for n in one.characters))
        if characters and not have:
            raise UsageError("there is no character in these bundles", hint="Name a --style.")
        wanted = have if everything else choose_names("character", characters, have)
    subjects: list[Subject] = []
    finder: Finder | None = None
    for label, name in bundles:
        parts: list[Subject] = []
        drawn = [one for one in chosen if one in offered[label]]
        if drawn:
            portraits = PortraitEngine.from_bundle(name, offline=settings.offline)
            parts.append(StyleSubject(label, portraits, drawn))
            finder = finder or portraits
        toonifier = toonifiers.get(label)
        if toonifier is not None:
            drawn = [one for one in wanted if one in toonifier.characters]
            finder = finder or toonifier
            if drawn:
                parts.append(BundleSubject(label, toonifier, drawn, level=level))
        if not parts:
            raise UsageError(
                f"bundle {label} has none of {', '.join((*chosen, *wanted)) or 'these'}",
                hint=f"It has: {', '.join((*offered[label], *_known(toonifier))) or 'nothing'}.",
            )
        subjects.append(parts[0] if len(parts) == 1 else CombinedSubject(label, parts))
    assert finder is not None
    return finder, subjects


def _known(toonifier: Toonifier | None) -> tuple[str, ...]:
    return () if toonifier is None else toonifier.characters


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
