"""Photographs inverted one after another, each into its files in a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toonify.bundle import model_files
from toonify.checkpoints import generator_hash, save_generator
from toonify.errors import ModelError, ToonifyError, UsageError
from toonify.faces.subject import Domain, subject_of
from toonify.inversion.frames import Framing
from toonify.inversion.hfgi import load_details
from toonify.inversion.inverter import (
    STEPS,
    InvertedPhoto,
    Method,
    check_inversion,
    invert_detailed,
    invert_photo,
    load_inversion,
)
from toonify.inversion.picture import loss_curve
from toonify.inversion.reading import DEFAULT_ENCODER, PhotoReader, encoder_of
from toonify.media.images import write_image
from toonify.metrics import lpips
from toonify.models.base import Generator
from toonify.utils.atomic import write_text, writing
from toonify.utils.links import real_path
from toonify.utils.outputs import LOSS_TABLE, InputFiles, check_output
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)

ENDINGS = (".safetensors", ".png", "-loss.csv", "-loss.png", "-generator.safetensors")
_TITLES = {"refine": "LPIPS", "tune": "LPIPS + L2 (generator)"}


@dataclass(frozen=True, kw_only=True)
class InvertJob:
    """Which photographs are inverted, and how; see `invert` for the options of both.

    Attributes:
        photos: their files; no two of one name.
        output: folder of what is written.
    """

    photos: Sequence[Path]
    output: Path
    encoder: str | None = None
    generator: str | None = None
    domain: Domain = "faces"
    box: Sequence[int] | None = None
    frame: Framing = "whole"
    method: Method = "refine"
    hfgi_network: Path | None = None
    steps: int = STEPS
    pti_steps: int = 0
    keep_background: bool | None = None
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    offline: bool = True


@dataclass(frozen=True, kw_only=True)
class SavedInversion:
    """What has become of one photograph.

    Attributes:
        source: its file.
        latents: NAME.safetensors, see `toonify.inversion.latents.Latents`.
        reconstruction: NAME.png, see `InvertedPhoto`.
        likeness: figures against the photograph after each stage, see `InvertedPhoto`.
        generator: NAME-generator.safetensors, where one was tuned to it.
        curve: NAME-loss.png beside NAME-loss.csv, where anything was optimized.
        error: why there is nothing but the source, of a photograph that failed.
    """

    source: Path
    latents: Path | None = None
    reconstruction: Path | None = None
    likeness: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    generator: Path | None = None
    curve: Path | None = None
    error: ToonifyError | None = None


def invert_photos(job: InvertJob, progress: Progress = no_progress) -> Iterator[SavedInversion]:
    """Invert photographs and write each one's files; one that fails doesn't keep the others.

    Raises:
        UsageError: files would replace each other, or something that is read.
        InputError: a file can't be written.
        ModelError: networks that can't be loaded, or that don't fit each other.

    Examples:
        >>> job = InvertJob(photos=[Path("me.jpg")], output=Path("inverted"), steps=0)
        >>> [done.latents for done in invert_photos(job)]
        [PosixPath('inverted/me.safetensors')]
    """
    check_inversion(
        job.domain,
        job.box,
        job.frame,
        job.method,
        job.encoder,
        job.generator,
        job.keep_background,
    )
    stems = output_stems(job.photos, job.output)
    networks = model_files(encoder_of(job.domain, job.encoder), job.generator)
    reads = InputFiles([*job.photos, job.hfgi_network, *networks])
    for stem in stems:
        for ending in ENDINGS:
            check_output(stem.with_name(f"{stem.name}{ending}"), reads, folder=job.output)
    inverted, network = _loaded(job, progress)
    return _each(job.photos, stems, inverted, network)


def _each(
    photos: Sequence[Path],
    stems: Sequence[Path],
    inverted: Callable[[Path], InvertedPhoto],
    network: Generator,
) -> Iterator[SavedInversion]:
    for photo, stem in zip(photos, stems, strict=True):
        try:
            yield save_inverted(inverted(photo), stem, source=photo, network=network)
        except (UsageError, ModelError):
            raise
        except ToonifyError as error:
            yield SavedInversion(source=photo, error=error)


def _loaded(
    job: InvertJob, progress: Progress
) -> tuple[Callable[[Path], InvertedPhoto], Generator]:
    """What inverts a photograph, and the generator that renders it."""
    steps = 0 if job.method == "hfgi" else job.steps
    optimized = bool(steps or job.pti_steps)
    encoder = encoder_of(job.domain, job.encoder)
    model = load_inversion(
        encoder,
        job.generator,
        domain=job.domain,
        optimized=job.method == "refine",
        device=job.device,
        dtype=job.dtype,
    )
    loss: lpips.PerceptualLoss | None = None
    try:
        loss = lpips.PerceptualLoss(dtype=model.dtype).to(model.device)
    except ModelError as error:
        if optimized:
            raise
        log.warning("LPIPS is not measured: %s", error)  # it is all that it would be for
    subject = subject_of(job.domain, job.box)
    reader = PhotoReader(model, job.frame, subject=subject, offline=job.offline)
    if job.method == "hfgi":
        details = load_details(model, encoder or DEFAULT_ENCODER, job.hfgi_network)
        return lambda photo: invert_detailed(reader, details, photo, loss=loss), model.generator
    return lambda photo: invert_photo(
        reader,
        photo,
        loss=loss,
        steps=steps,
        pti_steps=job.pti_steps,
        keep_background=job.keep_background,
        seed=job.seed,
        progress=progress,
    ), model.generator


def save_inverted(
    found: InvertedPhoto, stem: Path, *, source: Path, network: Generator
) -> SavedInversion:
    """Write NAME.safetensors and what else there is of one photograph.

    Args:
        stem: FOLDER/NAME, without an ending.
        network: what rendered it, where none was tuned to it.

    Raises:
        InputError: a file can't be written.
    """
    latents, reconstruction, tuned = (
        stem.with_name(f"{stem.name}{ending}")
        for ending in (".safetensors", ".png", "-generator.safetensors")
    )
    if found.generator is not None:
        save_generator(found.generator, tuned, metadata={"source": source.name})
    about = {"source": source.name, "generator": generator_hash(found.generator or network)}
    found.latents.save(latents, about)
    write_image(reconstruction, found.reconstruction)
    return SavedInversion(
        source=source,
        latents=latents,
        reconstruction=reconstruction,
        likeness=found.likeness,
        generator=None if found.generator is None else tuned,
        curve=_write_curves(stem, found.curves) if found.curves else None,
    )


def _write_curves(stem: Path, curves: Mapping[str, Sequence[float]]) -> Path:
    """NAME-loss.csv and NAME-loss.png; the picture's path."""
    table = stem.with_name(f"{stem.name}-loss.csv")
    lines = [
        f"{kind},{step},{value:.6f}\n"
        for kind, values in curves.items()
        for step, value in enumerate(values, start=1)
    ]
    with writing(table):
        write_text(table, "".join([f"{LOSS_TABLE}\n", *lines]))
    joined = [value for values in curves.values() for value in values]
    title = " then ".join(_TITLES[kind] for kind in curves)
    picture = stem.with_name(f"{stem.name}-loss.png")
    write_image(picture, loss_curve(joined, f"{stem.name}: {title}"))
    return picture


def output_stems(photos: Sequence[Path], folder: Path) -> list[Path]:
    """Where each photograph's files go, without ending.

    Raises:
        UsageError: files would replace each other, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="Give `output` FOLDER.")
    names = [path.stem for path in photos]
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
