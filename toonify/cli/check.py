"""`toonify check`: a look at drawings before hours are spent on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from toonify import __version__
from toonify.cli.align import existing_folder, write_text
from toonify.cli.common import complain, examples, settings_of
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import REPORT_TITLE, InputFiles, check_output

EPILOG = examples(
    "toonify check drawings/",
    "toonify check drawings/ -o report/ --size 256",
    "toonify --json check drawings/ > report.json",
)


def check(
    ctx: typer.Context,
    drawings: Annotated[
        Path, typer.Argument(help="Folder of drawings; each sub-folder is one character.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for the report: report.json, summary.txt, sheet.png, mean.png.",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=32, max=2048, help="Side that training will use, in px.")
    ] = 512,
    faces: Annotated[
        bool, typer.Option("--faces/--no-faces", help="Look for a face in each drawing.")
    ] = True,
) -> None:
    """Look through a folder of drawings as training would see them.

    Says what there is (count, sizes, modes, faces found), and names what can't be used or looks
    wrong: unreadable and too small files, copies, pictures unlike the others, drawings in another
    character's folder, faces that are not where FFHQ crops have them. The exit status is 1 when a
    file can't be used; everything else is a matter of opinion and leaves it 0.
    """
    from toonify.faces import MTCNNDetector
    from toonify.media.images import write_image
    from toonify.training.data.check import check_drawings
    from toonify.training.data.sheets import report_sheet

    settings = settings_of(ctx)
    folder = existing_folder(drawings)
    if output and real_path(output).is_relative_to(real_path(folder)):
        raise UsageError(
            f"the report in {output} would lie among the drawings", hint="Choose another -o."
        )
    if output:
        reads = InputFiles([folder])
        for name in ("sheet.png", "mean.png", "summary.txt", "report.json"):
            check_output(output / name, reads, folder=output)
    with settings.progress("checking") as bar:
        report = check_drawings(
            folder,
            size,
            detector=MTCNNDetector() if faces else None,
            most_faces=None,
            progress=bar,
        )
    if output:
        write_image(output / "sheet.png", report_sheet(report))
        write_image(output / "mean.png", report.mean())
        write_text(output / "summary.txt", f"{REPORT_TITLE}{report.text()}\n")
        about = {"toonify": __version__, **report.as_json()}
        listing = json.dumps(about, indent=1, ensure_ascii=False)
        write_text(output / "report.json", listing + "\n")
    errors = [f for f in report.findings if f.severity == "error"]
    for finding in errors:
        complain(finding.text)
    settings.result(report.as_json(), report.text("warning", "note"))
    raise typer.Exit(1 if errors else 0)
