"""Measure bundles on photographs: what `toonify evaluate` does, as a function."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toonify.bundle import bundle_defaults, model_files
from toonify.device import pick_device, pick_dtype
from toonify.engine import Toonifier
from toonify.engines.registry import load_engine, style_engine
from toonify.errors import UsageError
from toonify.evaluation.metrics import Features
from toonify.evaluation.probes import Probes
from toonify.evaluation.report import ReportFolder, describe
from toonify.evaluation.run import (
    BundleSubject,
    CombinedSubject,
    EngineSubject,
    Finder,
    Subject,
    evaluate_photos,
)
from toonify.evaluation.summary import drawing_features, summarize
from toonify.names import choose_names
from toonify.portrait.catalog import bundle_styles, is_style_file, style_name
from toonify.stylize.jobs import plan
from toonify.utils.arguments import check_range
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_output
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured.

    Attributes:
        report: what report.json says, without its rows: "bundles" has one summary a bundle.
        rows: one record a photograph that was drawn.
        failed: `photo` and `error` of the others.
        given: how many photographs there were.
        interrupted: Ctrl-C ended it early.
    """

    report: dict[str, Any]
    rows: list[dict[str, Any]]
    failed: list[dict[str, str]]
    given: int
    interrupted: bool
    feature_suffix: str = ""

    @property
    def drawn(self) -> int:
        """How many photographs were drawn."""
        return len(self.rows)


def evaluate(
    photos: PathLike | Sequence[PathLike],
    output: PathLike | None = None,
    *,
    bundles: Sequence[PathLike] = ("default",),
    drawings: Sequence[PathLike] = (),
    styles: str | Sequence[str] = (),
    characters: str | Sequence[str] = (),
    limit: int | None = None,
    engine: str = "auto",
    level: int = 6,
    aligned: bool = False,
    recursive: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measure a bundle, or several side by side, on photographs of people.

    Measured are LPIPS and identity to the photograph, whether it is found again from the drawing
    among all of them (by face and by color), how well the colors of skin and hair, hair, glasses
    and beard are kept and how flat heads are drawn, whether pose, mouth, eyes and gaze follow the
    photograph, KID and FID to a character's drawings, and the time a photograph takes. What needs
    weights that can't be reached is left out, and the report says why. A photograph that fails is
    logged, and never stops the others.

    Args:
        photos: files, folders and patterns.
        output: folder for report.json, index.html and sheet.png; None writes nothing.
        bundles: shipped bundles' names, or bundles' folders.
        drawings: folders of a character's drawings, for KID and FID: one for all bundles, or one
            for each.
        styles: names, separated by commas or not, or "all", and files of networks; all of both
            kinds where neither styles nor characters are named.
        characters: likewise.
        limit: take the first so many photographs.
        engine: what draws styles, "portrait", "unet" or "blend"; "auto" takes what draws
            photographs in them where nothing is said.
        level: m of cross-domain style mixing, 0 (all character) to num_ws (all photograph).
        aligned: photographs are square FFHQ crops already.
        recursive: folders with their sub-folders.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: what they compute in: "auto", "float32", "bfloat16" or "float16".
        offline: never fetch weights that a measure needs.
        progress: opens a bar for what is named, and is given what is done of how much.

    Raises:
        UsageError: an unknown name, or an output that must not be written.
        InputError: no photographs.
        ModelError: a bundle can't be loaded.

    Examples:
        >>> found = evaluate("photos/", styles=["ink"])
        >>> (bundle,) = found.report["bundles"]
        >>> bundle["overall"].keys()
    """
    check_range("limit", limit, 1, whole=True)
    check_range("level", level, 0, whole=True)
    if not bundles:
        raise UsageError("there is nothing to evaluate", hint='Name `bundles`, "default" say.')
    styles, characters = ([x] if isinstance(x, str) else x for x in (styles, characters))
    given = [photos] if isinstance(photos, (str, os.PathLike)) else list(photos)
    names = [os.fspath(bundle) for bundle in bundles]
    folders = [Path(folder) for folder in drawings]
    if len(folders) not in (0, 1, len(names)):
        raise UsageError(
            f"{len(folders)} folders of `drawings` for {len(names)} bundles",
            hint="Give one for all, or one for each.",
        )
    jobs = plan([os.fspath(photo) for photo in given], None, recursive=recursive, note=log.warning)
    paths = [job.source for job in jobs if job.source][:limit]
    if output is not None:
        reads = InputFiles([*paths, *folders, *model_files(*names)])
        for name in ("report.json", "index.html", "sheet.png"):
            check_output(Path(output) / name, reads, folder=output)
    chosen = pick_device(device)
    finder, subjects = _subjects(
        _labeled(names),
        styles,
        characters,
        level,
        engine=engine,
        device=device,
        dtype=dtype,
        offline=offline,
    )
    probes = Probes(features=bool(folders), offline=offline, device=chosen)
    for what, why in probes.unavailable.items():
        log.warning("not measured: %s. %s", what, why)
    own: list[dict[str, Features]] = [{} for _ in subjects]
    if probes.features is not None:
        each = folders * (len(subjects) // len(folders))
        with progress("drawings") as update:
            own = [
                drawing_features(
                    path,
                    subject.characters,
                    probes.features,
                    size=subject.resolution,
                    on_failure=log.warning,
                    progress=update,
                )
                for path, subject in zip(each, subjects, strict=True)
            ]
    with ExitStack() as stack:
        folder = None
        if output is not None:
            folder = stack.enter_context(ReportFolder(Path(output), subjects, photos=len(paths)))
        update = stack.enter_context(progress("photos"))
        run = evaluate_photos(
            paths,
            subjects,
            probes=probes,
            finder=finder,
            aligned=aligned,
            on_row=folder.add if folder else None,
            on_failure=log.warning,
            progress=update,
        )
        report = describe(
            run,
            [summarize(run, *pair) for pair in zip(subjects, own, strict=True)],
            probes=probes,
            device=str(chosen),
            dtype=str(pick_dtype(dtype, chosen)),
            given=len(paths),
            level=level,
        )
        if folder:
            folder.finish(report, run)
    return Evaluation(
        report,
        run.rows,
        run.failed,
        given=len(paths),
        interrupted=run.interrupted,
        feature_suffix=probes.features.suffix if probes.features else "",
    )


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
    bundles: Sequence[tuple[str, str]],
    styles: Sequence[str],
    characters: Sequence[str],
    level: int,
    *,
    engine: str,
    device: str,
    dtype: str,
    offline: bool,
) -> tuple[Finder, list[Subject]]:
    """What finds faces, and each bundle with the named of its styles and characters:
    all, where none is named."""
    everything = not styles and not characters
    files = [style for style in styles if is_style_file(style)]
    styles = [style for style in styles if style not in files]
    offered = {label: bundle_styles(name) for label, name in bundles}
    known = tuple(dict.fromkeys(name for names in offered.values() for name in names))
    if styles and not known and not files:
        raise UsageError("there is no style in these bundles", hint="Name one of `characters`.")
    chosen = known if everything else choose_names("style", styles, known) if styles else ()
    toonifiers: dict[str, Toonifier] = {}
    wanted: tuple[str, ...] = ()
    if everything or characters:
        toonifiers = {
            label: Toonifier.from_bundle(name, device=device, dtype=dtype, offline=offline)
            for label, name in bundles
        }
        have = tuple(dict.fromkeys(n for one in toonifiers.values() for n in one.characters))
        if characters and not have:
            raise UsageError("there is no character in these bundles", hint="Name one of `styles`.")
        wanted = have if everything else choose_names("character", characters, have)
    subjects: list[Subject] = []
    finder: Finder | None = None
    for label, name in bundles:
        parts: list[Subject] = []
        prefer, drawn_by = bundle_defaults(name).photos, dict[str, list[str]]()
        for one in (*(one for one in chosen if one in offered[label]), *files):
            drawn_by.setdefault(style_engine([one], name, engine=engine, prefer=prefer), []).append(
                one
            )
        for kind, own in drawn_by.items():
            networks: dict[str, Any] = {"device": device, "dtype": dtype}
            options = {"portrait": {}, "unet": {**networks, "styles": own}}.get(kind, networks)
            detector = None if finder is None else finder.detector
            drawing = load_engine(
                kind, name, style=own[0], detector=detector, offline=offline, **options
            )
            parts.append(EngineSubject(label, drawing, [style_name(one) for one in own]))
            finder = finder or drawing
        toonifier = toonifiers.get(label)
        if toonifier is not None:
            drawn = [one for one in wanted if one in toonifier.characters]
            finder = finder or toonifier
            if drawn:
                check_range("level", level, 0, toonifier.generator.num_ws)
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
