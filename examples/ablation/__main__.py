"""Cross-domain style mixing taken apart, in pictures and figures.

    python -m examples.ablation PHOTOS... -o OUT [--bundle B] [--drawings DIR] [--docs]

Draws the photos with the layer swap alone, with R (tRGB replacement) alone, SM (style mixing)
alone and both; from levels 4, 6, 8 and 10 on; and with latents averaged over 1, 5, 20 and 50
projections. OUT gets ablation.json, a sheet a character and ablation.jpg. With --against FIRST the
two bundles are compared on the same photos too (OUT/editions). --docs puts pictures and figures
into docs/evaluation.md; its pictures are drawn from --pictures, whose photos may be shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toonify.cli.main import main as toonify
from toonify.engine import Toonifier
from toonify.errors import ToonifyError
from toonify.evaluation import (
    Probes,
    Run,
    Subject,
    drawing_features,
    evaluate_photos,
    summarize,
)
from toonify.faces import align
from toonify.media import read_image, write_image
from toonify.reports.sheet import SheetWriter
from toonify.stylize.jobs import plan

from .pages import ROOT, figures_table, labeled_grid, update_page, write_small
from .variants import counts, levels, parts, projected


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sources(inputs: Sequence[str], limit: int) -> list[Path]:
    return [job.source for job in plan(inputs, None) if job.source][:limit]


def measure(
    photos: Sequence[Path], subjects: Sequence[Subject], engine: Toonifier, drawings: Path | None
) -> tuple[dict[str, Any], Run, str]:
    """Figures by variant, the run behind them, and what is added to KID's name."""
    probes = Probes(features=drawings is not None, device=engine.device)
    for what, why in probes.unavailable.items():
        log(f"not measured: {what}. {why}")
    names = list(dict.fromkeys(name for s in subjects for name in s.characters))
    own = {}
    if drawings is not None and probes.features is not None:
        log("looking at the drawings")
        own = drawing_features(drawings, names, probes.features, size=engine.generator.resolution)
    run = evaluate_photos(
        photos,
        subjects,
        probes=probes,
        finder=engine,
        on_failure=log,
        progress=lambda done, total: log(f"photo {done} of {total}"),
    )
    suffix = probes.features.suffix if probes.features else ""
    return {s.label: summarize(run, s, own) for s in subjects}, run, suffix


def pictures(
    photos: Sequence[Path], subjects: Sequence[Subject], engine: Toonifier
) -> list[tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]]:
    """(crop, variant → character → drawing) of each photo with a face."""
    found = []
    for path in photos:
        image = read_image(path).rgb
        for face in engine.detect(image)[:1]:
            crop = align(image, face, engine.generator.resolution).image
            drawn = {
                s.label: {name: s.draw(s.encode(crop), name) for name in s.characters}
                for s in subjects
            }
            found.append((crop, drawn))
    return found


def ablate(arguments: argparse.Namespace) -> None:
    """The ablation itself."""
    out: Path = arguments.output
    whole = Toonifier.from_bundle(arguments.bundle, dtype=arguments.dtype)
    engine = Toonifier(  # mixing as published, without the offsets of levels above 6
        generator=whole.generator, encoder=whole.encoder, table=whole.table, dtype=arguments.dtype
    )
    names = arguments.characters.split(",")
    for name in names:
        _ = engine.table[name]
    inversions = [*arguments.inversions, out / "inversions"]
    latents = projected(
        engine,
        names,
        drawings=arguments.drawings,
        inversions=inversions,
        steps=arguments.steps,
        k=arguments.k,
    )
    subjects = [*parts(engine, names), *levels(engine, names), *counts(engine, latents)]
    shown = pictures(sources([arguments.pictures], arguments.rows), subjects, engine)
    rows = []
    for index, (crop, drawn) in enumerate(shown):
        name = names[index % len(names)]
        rows.append([crop, *(drawn[s.label].get(name) for s in subjects)])
    grid = labeled_grid(["photo", *(s.label for s in subjects)], rows, tile=144)
    write_image(out / "ablation.jpg", grid)
    for name in names:
        own = [s for s in subjects if name in s.characters]
        with SheetWriter(out / f"{name}.png", ["photo", *(s.label for s in own)]) as sheet:
            for crop, drawn in shown:
                sheet.add([crop, *(drawn[s.label][name] for s in own)])
    photos = sources(arguments.photos, arguments.limit)
    figures, run, suffix = measure(
        photos, subjects, engine, None if arguments.no_kid else arguments.drawings
    )
    report = {
        "bundle": Path(arguments.bundle).name,
        "characters": names,
        "photos": len(run.rows),
        "failed": run.failed,
        "projections": {name: len(each) for name, each in latents.items()},
        "variants": figures,
    }
    text = json.dumps(report, ensure_ascii=False, indent=1)
    (out / "ablation.json").write_text(text + "\n", encoding="utf-8")
    if arguments.docs:
        write_small(ROOT / "docs" / "images" / "ablation.jpg", grid)
        table = figures_table({k: v["overall"] for k, v in figures.items()}, "variant", suffix)
        update_page("ablation", f"{len(run.rows)} photos, {' and '.join(names)}:\n\n{table}")


def compare(arguments: argparse.Namespace) -> None:
    """Two editions on the same photos, through `toonify evaluate`."""
    out: Path = arguments.output / "editions"
    command = [*arguments.photos, "--bundle", arguments.against, "--bundle", arguments.bundle]
    command += ["--limit", str(arguments.limit), "--dtype", arguments.dtype, "-o", str(out)]
    if arguments.drawings is not None and not arguments.no_kid:
        for folder in (arguments.first_drawings or arguments.drawings, arguments.drawings):
            command += ["--drawings", str(folder)]
    status = toonify(["evaluate", *command])
    if status not in (0, 1):
        raise SystemExit(status)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    if not arguments.docs:
        return
    suffix = "" if report["feature_network"] == "inception" else "-VGG"
    first, second = report["bundles"]
    rows = {}
    for name in second["characters"]:
        for edition, bundle in (("first", first), ("second", second)):
            if name in bundle["characters"]:
                rows[f"{name}, {edition}"] = bundle["characters"][name]
    rows |= {"**all, first**": first["overall"], "**all, second**": second["overall"]}
    photos = report["photos"]
    update_page(
        "editions",
        f"{photos['toonified']} of {photos['given']} photos toonified:\n\n"
        + figures_table(rows, "character, edition", suffix)
        + "\n\n![Photos, and every character in both editions](images/editions.jpg)",
    )
    editions_sheet(arguments)


def editions_sheet(arguments: argparse.Namespace) -> None:
    """docs/images/editions.jpg: both editions of every character, on photos that may be shown."""
    old, new = (Toonifier.from_bundle(b) for b in (arguments.against, arguments.bundle))
    names = [name for name in new.characters if name in old.characters]
    rows = []
    for path in sources([arguments.pictures], arguments.rows):
        image = read_image(path).rgb
        for face in new.detect(image)[:1]:
            row = [align(image, face, new.generator.resolution).image]
            for name in names:
                for engine in (old, new):
                    crop = align(image, face, engine.generator.resolution).image
                    row.append(engine.model.render(engine.model.encode([crop]), name)[0])
            rows.append(row)
    titles = ["photo", *(f"{name} {i}" for name in names for i in (1, 2))]
    grid = labeled_grid(titles, rows, tile=144)
    write_small(ROOT / "docs" / "images" / "editions.jpg", grid)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="+", help="photos and folders of photos, for the figures")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--against", help="the first edition's bundle, to be compared with")
    parser.add_argument("--drawings", type=Path, help="one sub-folder a character")
    parser.add_argument("--first-drawings", type=Path, help="the first edition's, if others")
    parser.add_argument(
        "--inversions",
        type=Path,
        action="append",
        default=[],
        help="folder of projections that build-lut kept (TABLE.inversions); else they are made",
    )
    parser.add_argument("--characters", default="mina,bram")
    parser.add_argument("--pictures", default=str(ROOT / "examples" / "faces"))
    parser.add_argument("--rows", type=int, default=6, help="pictures shown")
    parser.add_argument("--limit", type=int, default=40, help="photos measured")
    parser.add_argument("--k", type=int, default=50, help="projections made where none are found")
    parser.add_argument("--steps", type=int, default=12, help="of each projection")
    parser.add_argument("--no-kid", action="store_true", help="measure no distance to the drawings")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--docs", action="store_true", help="update docs/evaluation.md")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        ablate(arguments)
        if arguments.against:
            compare(arguments)
    except ToonifyError as error:
        log(str(error))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
