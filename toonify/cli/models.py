"""`toonify models`: the registry of checkpoints, the cache, and the file formats."""

from __future__ import annotations

from typing import Annotated

import typer

from toonify.cli.common import complain, examples, settings_of

app = typer.Typer(
    name="models",
    help="Checkpoints: list, fetch, inspect, convert and verify them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str], typer.Argument(help="Names from `toonify models list`.")]


@app.command("list", epilog=examples("toonify models list", "toonify models list --json"))
def list_models(ctx: typer.Context) -> None:
    """List the known checkpoints and which of them are in the cache."""
    from toonify.checkpoints import cache, registry

    settings = settings_of(ctx)
    for entry in registry.entries():
        cached = cache.is_cached(entry)
        record = {
            "name": entry.name,
            "kind": entry.kind,
            "title": entry.title,
            "licence": entry.licence,
            "homepage": entry.homepage,
            "cached": cached,
            "path": str(cache.location(entry)),
            "sha256": {file.name: file.sha256 for file in entry.files},
        }
        mark = "*" if cached else " "
        settings.result(record, f"{mark} {entry.name:<28}{entry.kind:<12}{entry.title}")
    if not settings.json:
        settings.result({}, "* in the cache; fetch others with `toonify models pull NAME`")


@app.command(epilog=examples("toonify models pull ffhq-mobile", "toonify models pull psp-ffhq"))
def pull(ctx: typer.Context, names: Names) -> None:
    """Download checkpoints into the cache; what is there already stays."""
    from toonify.checkpoints.download import pull as pull_checkpoint

    settings = settings_of(ctx)
    for name in names:
        with settings.transfer() as progress:
            path = pull_checkpoint(name, offline=settings.offline, progress=progress)
        settings.result({"name": name, "path": str(path)}, str(path))


@app.command(epilog=examples("toonify models path ffhq-mobile"))
def path(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Checkpoint.")]) -> None:
    """Print where a cached checkpoint is."""
    from toonify.checkpoints import cache

    found = cache.resolve(name)
    settings_of(ctx).result({"name": name, "path": str(found)}, str(found))


@app.command(epilog=examples("toonify models verify", "toonify models verify ffhq-mobile"))
def verify(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Checkpoints; all cached ones when left out.")
    ] = None,
) -> None:
    """Hash cached checkpoints against the known SHA-256. Exit status 3 if one has changed."""
    from toonify.checkpoints import cache, registry

    settings = settings_of(ctx)
    chosen = [registry.get(name) for name in names or ()]
    failed = False
    for entry in chosen or [entry for entry in registry.entries() if cache.is_cached(entry)]:
        for check in cache.verify(entry):
            record = {
                "name": entry.name,
                "path": str(check.path),
                "status": check.status,
                "sha256": check.sha256,
                "detail": check.detail,
            }
            settings.result(record, f"{check.status:<11}{check.path} ({check.detail})")
            if check.status in ("changed", "missing"):
                failed = True
                mend = f"Delete it and run: toonify models pull {entry.name}"
                complain(f"{check.path} is {check.status}: {check.detail}. {mend}")
    raise typer.Exit(3 if failed else 0)
