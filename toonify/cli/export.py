"""`toonify export`: a bundle's networks for another runtime."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import BundleOption, examples, settings_of
from toonify.errors import UsageError

EPILOG = examples(
    "toonify export -o onnx/ --character all",
    "toonify export -o web/ --style ink --no-networks",
    "toonify export -o ov/ --format openvino --bundle my-bundle",
)


class FormatName(StrEnum):
    """What is written."""

    onnx = "onnx"
    openvino = "openvino"
    torchscript = "torchscript"


def export(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the networks and export.json.")
    ],
    format: Annotated[
        FormatName,
        typer.Option(
            help="onnx and openvino need the extra packages of toonify-toolkit[onnx] and"
            " toonify-toolkit[openvino]."
        ),
    ] = FormatName.onnx,
    bundle: BundleOption = "default",
    character: Annotated[
        list[str] | None,
        typer.Option(
            help="Character to export as one network, from an aligned face to the drawing; repeat"
            " it, or separate with commas, or say all."
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            help="Style whose network to export, from whole pictures of any size to their"
            " drawings, or a network's file; as with --character."
        ),
    ] = None,
    networks: Annotated[
        bool,
        typer.Option("--networks/--no-networks", help="The generator and the encoder, too."),
    ] = True,
    level: Annotated[
        int | None,
        typer.Option(
            help="First layer taken from the character, as in stylize; what that lets through of"
            " people at levels above 6 is not in it.",
            show_default="the bundle's: 6",
        ),
    ] = None,
) -> None:
    """Write a bundle's networks for another runtime: ONNX, OpenVINO or TorchScript.

    Each is compared with what toonify itself computes; export.json tells shapes, value ranges,
    the largest difference, hashes, source and license.
    """
    from toonify.export import export_bundle

    settings = settings_of(ctx)
    if not networks and not character and not style:
        raise UsageError(
            "nothing to export",
            hint="Name a --character or a --style, or leave --no-networks out.",
        )
    if level is not None and not character:
        raise UsageError("--level is of a --character", hint="Name one.")
    written = export_bundle(
        output,
        bundle=bundle,
        format=format.value,
        characters=character or (),
        styles=style or (),
        networks=networks,
        level=level,
        progress=settings.progress,
    )
    for one in written:
        files = [str(path) for path in one.files]
        record = {"name": one.name, "files": files, "largest_difference": one.error}
        settings.result(record, f"{one.name} -> {', '.join(files)} (differs by {one.error:.1e})")
