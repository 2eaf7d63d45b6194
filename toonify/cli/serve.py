"""`toonify serve`: a page in the browser and an HTTP API."""

from __future__ import annotations

import os
import secrets
from importlib.util import find_spec
from typing import Annotated

import typer

from toonify.cli.common import BundleOption, examples, settings_of
from toonify.errors import UsageError
from toonify.web.limits import Limits

TOKEN = "TOONIFY_TOKEN"

EPILOG = examples(
    "toonify serve",
    "toonify serve --port 8000 --max-clip-seconds 10",
    "TOONIFY_TOKEN=... toonify serve --host 0.0.0.0",
    "curl -F file=@me.jpg -F look=mina http://127.0.0.1:7860/api/pictures -o toon.png",
)


def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 7860,
    bundle: BundleOption = "default",
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Offer the page, or the HTTP API alone.")
    ] = True,
    max_photo_mb: Annotated[float, typer.Option(min=0.1, help="Largest photo file, MB.")] = 20,
    max_clip_mb: Annotated[float, typer.Option(min=0.1, help="Largest clip file, MB.")] = 100,
    max_clip_seconds: Annotated[float, typer.Option(min=1, help="Longest clip.")] = 30,
    queue: Annotated[int, typer.Option(min=1, help="Orders in line, of all clients.")] = 16,
    share: Annotated[int, typer.Option(min=1, help="Orders in line, of one client.")] = 3,
    keep_minutes: Annotated[
        float, typer.Option(min=0.1, help="How long a visitor's files stay.")
    ] = 10,
) -> None:
    """Offer the drawings on a page in the browser, and by HTTP.

    Only this machine reaches it unless --host says otherwise; then everybody needs the token
    of the variable TOONIFY_TOKEN, or of the address that is printed. Uploads go through a private
    folder that is emptied, nothing is kept. Needs `pip install 'toonify-toolkit[web]'`.
    """
    settings = settings_of(ctx)
    for package in ("fastapi", "gradio", "uvicorn"):  # found, not imported: gradio takes seconds
        if find_spec(package) is None:
            raise UsageError(
                f"serve needs the package {package}",
                hint="Run: pip install 'toonify-toolkit[web]'.",
            )
    from toonify.web.server import Server, is_loopback, listen
    from toonify.web.studio import Studio

    token = os.environ.get(TOKEN) or None
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    listening = listen(host, port)
    limits = Limits(
        photo_bytes=round(max_photo_mb * 1e6),
        clip_bytes=round(max_clip_mb * 1e6),
        clip_seconds=max_clip_seconds,
        queue=queue,
        share=share,
        keep_seconds=60 * keep_minutes,
    )
    with listening:
        studio = Studio.open(bundle, device=settings.device, dtype=settings.dtype)
        server = Server(studio, limits=limits, token=token, page=page)
        address = _address(host, listening.getsockname()[1])
        shown = f"{address}/?token={token}" if token else f"{address}/"
        record = {"address": address, "token": token, "looks": [k.name for k in studio.looks]}
        settings.result(record, f"toonify serves {shown} (Ctrl-C ends it)")
        server.run(listening)


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
