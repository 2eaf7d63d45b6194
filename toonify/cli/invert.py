"""`toonify invert`: a photo into a generator's latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.bundle import model_files
from toonify.cli.common import (
    complain,
    examples,
    exit_status,
    refuse_given,
    settings_of,
)
from toonify.cli.hfgi import (
    HFGINetworkOption,
    InvertMethod,
    InvertMethodOption,
    inverted_framing,
)
from toonify.cli.inverting import (
    EncoderOption,
    Framing,
    FramingOption,
    GeneratorOption,
    load_model,
)
from toonify.errors import InputError, ModelError, ToonifyError, UsageError
from toonify.utils.atomic import write_text
from toonify.utils.links import real_path
from toonify.utils.outputs import LOSS_TABLE, InputFiles, check_output

if TYPE_CHECKING:
    from toonify.inversion.inverter import InvertedPhoto
    from toonify.metrics.lpips import PerceptualLoss
    from toonify.models.base import Generator

EPILOG = examples(
    "toonify invert me.jpg -o inverted/ --encoder styleganex-inversion",
    "toonify invert photos/ -o inverted/ --steps 100",
    "toonify invert crop.png -o inverted/ --frame aligned --generator ffhq-mobile --pti",
    "toonify invert photos/ -o inverted/ --method hfgi",
)


STAGES = ("encoded", "refined", "tuned", "hfgi")
ENDINGS = (".safetensors", ".png", "-loss.csv", "-loss.png", "-generator.safetensors")


def invert(
    ctx: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder of the latents and pictures."),
    ],
    encoder: EncoderOption = "default",
    generator: GeneratorOption = None,
    frame: FramingOption = Framing.whole,
    method: InvertMethodOption = InvertMethod.refine,
    hfgi_network: HFGINetworkOption = None,
    steps: Annotated[
        int, typer.Option(min=0, help="Steps that refine the encoder's answer; 0 for none.")
    ] = 500,
    pti: Annotated[
        bool, typer.Option("--pti", help="Tune a copy of the generator to each photo too.")
    ] = False,
    pti_steps: Annotated[int, typer.Option(min=1, help="Steps of that.")] = 350,
) -> None:
    """Find the latents that a generator renders a photo from.

    For NAME.jpg this writes NAME.safetensors (codes, first feature, noise maps), NAME.png (the
    reconstruction), NAME-loss.csv and NAME-loss.png, and with --pti NAME-generator.safetensors;
    with --method hfgi the first two alone, of the aligned face.
    A photo that fails is named, the others go on, and the exit status is 1.
    """
    from toonify.inversion.inverter import invert_detailed, invert_photo
    from toonify.inversion.reading import PhotoReader
    from toonify.stylize.jobs import photographs

    settings = settings_of(ctx)
    frame = inverted_framing(ctx, method, frame, hfgi_network)
    if method is InvertMethod.hfgi:
        steps = 0
    if not pti:
        refuse_given(ctx, "is of --pti", "pti_steps")
    paths = photographs(inputs, note=complain)
    targets = output_stems(paths, output)
    reads = InputFiles([*paths, hfgi_network, *model_files(encoder, generator)])
    for stem in targets:
        for ending in ENDINGS:
            check_output(stem.with_name(f"{stem.name}{ending}"), reads, folder=output)
    model = load_model(settings, encoder, generator, gradients=bool(steps) or pti)
    loss: PerceptualLoss | None = None
    try:
        loss = perceptual(model.dtype, model.device)
    except ModelError as error:
        if steps or pti:
            raise
        complain(f"LPIPS is not told: {error}")  # it is all that it would be for
    photos = PhotoReader(model, frame.value, offline=settings.offline)
    details = None
    if method is InvertMethod.hfgi:
        from toonify.inversion.hfgi import load_details

        details = load_details(model, encoder, hfgi_network)
    failed = 0
    for path, stem in zip(paths, targets, strict=True):
        try:
            if details is not None:
                found = invert_detailed(photos, details, path, loss=loss)
            else:
                found = invert_photo(
                    photos,
                    path,
                    loss=loss,
                    steps=steps,
                    pti_steps=pti_steps if pti else 0,
                    seed=settings.seed,
                    progress=settings.progress,
                )
            record = _saved(found, path, stem, model.generator)
        except ToonifyError as error:
            if exit_status(error) != 1:
                raise
            complain(str(error))
            failed += 1
            continue
        name = "mae" if loss is None else "lpips"
        stages = [str(record[k][name]) for k in STAGES if k in record]
        line = f"{path} -> {record['reconstruction']}, {name.upper()} {' -> '.join(stages)}"
        settings.result(record, line)
    raise typer.Exit(1 if failed else 0)


def _saved(found: InvertedPhoto, path: Path, stem: Path, network: Generator) -> dict[str, Any]:
    """Write NAME.safetensors and what else there is of one photo; what is told of it."""
    from toonify.checkpoints import generator_hash, save_generator
    from toonify.media.images import write_image

    written = stem.with_name(f"{stem.name}.safetensors")
    reconstruction = stem.with_name(f"{stem.name}.png")
    record: dict[str, Any] = {
        "source": str(path),
        "latents": str(written),
        "reconstruction": str(reconstruction),
        **found.likeness,
    }
    if found.generator is not None:
        tuned = stem.with_name(f"{stem.name}-generator.safetensors")
        save_generator(found.generator, tuned, metadata={"source": path.name})
        record["generator"] = str(tuned)
    about = {"source": path.name, "generator": generator_hash(found.generator or network)}
    found.latents.save(written, about)
    write_image(reconstruction, found.reconstruction)
    if found.curves:
        record["curve"] = _write_curves(stem, found.curves)
    return record


def _write_curves(stem: Path, curves: dict[str, list[float]]) -> str:
    from toonify.inversion.picture import loss_curve
    from toonify.media.images import write_image

    table = stem.with_name(f"{stem.name}-loss.csv")
    lines = [
        f"{kind},{step},{value:.6f}\n"
        for kind, values in curves.items()
        for step, value in enumerate(values, start=1)
    ]
    try:
        write_text(table, "".join([f"{LOSS_TABLE}\n", *lines]))
    except OSError as error:
        raise InputError(f"can't write {table}: {error.strerror or error}") from error
    joined = [value for values in curves.values() for value in values]
    title = " then ".join({"refine": "LPIPS", "tune": "LPIPS + L2 (generator)"}[k] for k in curves)
    picture = stem.with_name(f"{stem.name}-loss.png")
    write_image(picture, loss_curve(joined, f"{stem.name}: {title}"))
    return str(picture)


def output_stems(paths: list[Path], folder: Path) -> list[Path]:
    """Where each photo's files go, without suffix.

    Raises:
        UsageError: files would replace each other, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="Give -o FOLDER.")
    names = [path.stem for path in paths]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UsageError(
            f"two photos are called {double}", hint="Invert them into different folders."
        )
    written: dict[Path, str] = {}
    for name in names:
        for ending in ENDINGS:
            target = real_path(folder / f"{name}{ending}")
            if target in written:
                raise UsageError(
                    f"{name} and {written[target]} would both become {target.name}",
                    hint="Invert them into different folders.",
                )
            written[target] = name
    return [folder / name for name in names]


def perceptual(dtype: object, device: object) -> PerceptualLoss:
    """LPIPS, in the networks' arithmetic."""
    from toonify.metrics.lpips import PerceptualLoss

    return PerceptualLoss(dtype=dtype).to(device)  # type: ignore[arg-type,call-overload]
