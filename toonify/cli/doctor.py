"""`toonify doctor`: what is there, what is missing, and how to get it."""

from __future__ import annotations

from typing import Any

import typer

from toonify.cli.common import complain, examples, settings_of
from toonify.diagnosis import diagnose

EPILOG = examples("toonify doctor", "toonify doctor --json")


def doctor(ctx: typer.Context) -> None:
    """Check the installation. Exit status 3 if the default bundle can't be used."""
    report = diagnose()
    settings_of(ctx).result(report, "\n".join(_lines(report)))
    if not report["ok"]:
        complain(f"the default bundle can't be used: {report['bundle']['error']}")
        raise typer.Exit(3)


def _lines(report: dict[str, Any]) -> list[str]:
    devices, bundle = report["devices"], report["bundle"]
    packages = ", ".join(f"{name} {found}" for name, found in report["packages"].items())
    gpus = ", ".join(devices["cuda"]) or ("Apple MPS" if devices["mps"] else "none")
    return [
        f"toonify   {report['toonify']} on Python {report['python']}, {report['platform']}",
        f"packages  {packages}",
        f"extras    {_extras(report['extras'])}",
        f"ffmpeg    {report['ffmpeg'] or 'missing'}",
        f"GPU       {gpus}",
        f"device    {devices['chosen']} in {devices['dtype']}, {devices['cpu_threads']} threads",
        f"cache     {report['cache']['folder']}",
        f"          {', '.join(report['cache']['checkpoints']) or 'empty'}",
        f"bundle    {bundle.get('folder', 'missing')}",
        *(f"          {part}: {state}" for part, state in bundle.get("files", {}).items()),
        f"          styles: {', '.join(bundle.get('styles', ())) or 'none'}",
        f"          characters: {', '.join(bundle.get('characters', ())) or 'none'}",
        *(f"missing   {item}" for item in report["missing"]),
    ]


def _extras(found: dict[str, bool]) -> str:
    """Those that are installed, and the line that adds the others."""
    here = ", ".join(name for name, there in found.items() if there) or "none"
    others = ",".join(name for name, there in found.items() if not there)
    return f"{here}; more: pip install 'toonify-toolkit[{others}]'" if others else here
