"""`toonify models`: the registry of checkpoints, the cache, and the file formats."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify import checkpoints
from toonify.bundle import model_files
from toonify.checkpoints import cache, registry
from toonify.cli.common import complain, examples, make_parent, settings_of
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from toonify.models.base import Generator

app = typer.Typer(
    name="models",
    help="Checkpoints: list, pull, convert, verify.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Role(StrEnum):
    """A network within a checkpoint."""

    generator = "generator"
    encoder = "encoder"
    discriminator = "discriminator"


class Store(StrEnum):
    """Precision of stored weights."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


Names = Annotated[list[str], typer.Argument(help="Names from `toonify models list`.")]


@app.command("list", epilog=examples("toonify models list", "toonify models list --json"))
def list_models(ctx: typer.Context) -> None:
    """List the known checkpoints and which of them are in the cache."""
    settings = settings_of(ctx)
    for entry in registry.entries():
        cached = cache.is_cached(entry)
        record = {
            "name": entry.name,
            "kind": entry.kind,
            "title": entry.title,
            "license": entry.license,
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
    """Download checkpoints into the cache; what is there already and undamaged stays."""
    from toonify.checkpoints.download import pull as pull_checkpoint

    settings = settings_of(ctx)
    for name in names:
        with settings.transfer() as progress:
            path = pull_checkpoint(name, offline=settings.offline, verify=True, progress=progress)
        settings.result({"name": name, "path": str(path)}, str(path))


@app.command(epilog=examples("toonify models path ffhq-mobile"))
def path(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Checkpoint.")]) -> None:
    """Print where a cached checkpoint is."""
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
                hint = f"Delete it and run: toonify models pull {entry.name}"
                complain(f"{check.path} is {check.status}: {check.detail}. {hint}")
    raise typer.Exit(3 if failed else 0)


@app.command(
    epilog=examples("toonify models info ffhq-mobile", "toonify models info generator.safetensors")
)
def info(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A checkpoint's file, or a name from the registry.")],
) -> None:
    """Say what a checkpoint is: its source, license, networks and sizes."""
    from toonify.checkpoints.inspection import describe

    settings = settings_of(ctx)
    record: dict[str, object] = {"name": name}
    path = Path(name)
    if not path.exists():
        entry = registry.get(name)
        path = cache.location(entry)
        sources = [source.page for file in entry.files for source in file.sources]
        record |= {
            "title": entry.title,
            "kind": entry.kind,
            "license": entry.license,
            "homepage": entry.homepage,
            "cached": cache.is_cached(entry),
            "path": str(path),
            "sources": sources,
            "sha256": {file.name: file.sha256 or "unknown" for file in entry.files},
        }
    if path.is_file() and record.get("kind") not in ("landmarks", "perceptual", "directions"):
        record |= describe(path)
    lines = [f"{key}: {_shown(value)}" for key, value in record.items()]
    settings.result(record, "\n".join(lines))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return "".join(f"\n  {item}" for item in value)
    return str(value)


@app.command(
    epilog=examples(
        "toonify models convert ffhq.pkl -o ffhq.safetensors",
        "toonify models convert ffhq-mobile -o prior.safetensors --store float16",
        "toonify models convert ffhq-mobile --resolution 512 -o prior512.safetensors",
        "toonify models convert psp_ffhq_encode.pt --role encoder -o encoder.safetensors",
    )
)
def convert(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A checkpoint's file, or a name from the registry.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write (.safetensors).")],
    role: Annotated[Role, typer.Option(help="Which of its networks.")] = Role.generator,
    store: Annotated[Store, typer.Option(help="Precision in the file.")] = Store.float32,
    resolution: Annotated[
        int | None,
        typer.Option(help="Cut a compact generator to 256 or 512 and fit a new head (minutes)."),
    ] = None,
) -> None:
    """Rewrite a checkpoint's network as our own safetensors, which load fast and run no code."""
    import torch

    if output.suffix != ".safetensors":
        raise UsageError(f"{output} must be a .safetensors file", hint="Rename it.")
    check_output(output, InputFiles(model_files(name)), named=True)
    make_parent(output)
    metadata = {"converted_from": Path(name).name}
    dtype = getattr(torch, store.value)
    if role is Role.generator:
        generator = checkpoints.load_generator(name)
        if resolution is not None:
            generator = _smaller(generator, resolution)
        checkpoints.save_generator(generator, output, metadata=metadata, dtype=dtype)
    elif role is Role.encoder:
        encoder = checkpoints.load_encoder(name)
        checkpoints.save_encoder(encoder, output, metadata=metadata, dtype=dtype)
    else:
        discriminator = checkpoints.load_discriminator(name)
        checkpoints.save_discriminator(discriminator, output, metadata=metadata, dtype=dtype)
    settings_of(ctx).result({"path": str(output), "role": role.value}, str(output))


def _smaller(generator: Generator, resolution: int) -> Generator:
    from toonify.models.generators.mobile import MobileGenerator
    from toonify.training.distillation.resolution_cut import cut, fit_head, teacher_sampler

    if not isinstance(generator, MobileGenerator):
        raise UsageError(
            "only a compact generator can be cut to another resolution",
            hint="Leave --resolution out.",
        )
    student = cut(generator, resolution)
    return fit_head(student, teacher_sampler(generator, resolution), steps=60, batch=2)
