"""From drawings to a character table: project, average, render the preview, keep provenance."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toonify.checkpoints import generator_hash, load_encoder, load_generator
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.lut import Character, CharacterTable
from toonify.media.images import iter_images, read_image
from toonify.models.encoders import Encoder
from toonify.models.protocol import Generator
from toonify.training.data import Drawings, load_drawings, prepare
from toonify.training.perceptual import PerceptualLoss
from toonify.training.projection import (
    ProjectionSettings,
    invert_character,
    resize_for_loss,
    to_uint8,
)

PREVIEW = 128  # pixels

Progress = Callable[[int, int], None]
"""Called with (optimisation steps done, steps at most)."""


def build_character(
    name: str,
    drawings: Drawings,
    generator: Generator,
    *,
    loss: PerceptualLoss,
    k: int = 50,
    settings: ProjectionSettings | None = None,
    encoder: Encoder | None = None,
    progress: Progress | None = None,
) -> Character:
    """Project up to `k` drawings of one character and average them.

    Args:
        drawings: at the generator's resolution.
        encoder: where each projection starts; the average latent when None.

    Returns:
        the character, its preview rendered from the averaged code.
    """
    settings = settings or ProjectionSettings()
    used = min(k, len(drawings.names))
    chunks = -(-used // settings.batch_size)

    def report(done: int, step: int, steps: int, value: float) -> None:
        if progress:
            progress(done // settings.batch_size * steps + step, chunks * steps)

    inversion = invert_character(
        drawings.images,
        generator,
        loss=loss,
        k=k,
        settings=settings,
        encoder=None if encoder is None else partial(_encode, encoder, generator),
        progress=report,
    )
    return Character(
        name=name,
        w_plus=inversion.w_plus.float().cpu(),
        k=used,
        preview=render_preview(generator, inversion.w_plus),
        provenance=recipe(drawings, k=k, settings=settings, encoder=encoder)
        | {"loss_mean": round(float(inversion.losses.mean()), 4)},
    )


def recipe(
    drawings: Drawings, *, k: int, settings: ProjectionSettings, encoder: Encoder | None
) -> dict[str, Any]:
    """What a character's code follows from; a table whose provenance has it is up to date."""
    return {
        "drawings": len(drawings.names),
        "drawings_sha256": drawings_hash(drawings),
        "k": k,
        "steps": settings.steps,
        "seed": settings.seed,
        "start": "average" if encoder is None else "encoder",
    }


def is_current(table: CharacterTable, name: str, made_by: dict[str, Any]) -> bool:
    """True if the table's character of that name came from the same drawings and options."""
    return name in table and made_by.items() <= table[name].provenance.items()


def _encode(encoder: Encoder, generator: Generator, images: Tensor) -> Tensor:
    size = encoder.input_size
    if images.shape[-1] != size:
        images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return encoder.encode(images, generator)


@torch.no_grad()
def render_preview(generator: Generator, w_plus: Tensor, *, size: int = PREVIEW) -> np.ndarray:
    """One code (num_ws, w_dim) → (size, size, 3) uint8 at most."""
    code = w_plus[None].to(generator.w_avg.device)
    image = resize_for_loss(generator.synthesize(generator.styles(code)), size)
    return to_uint8(image)[0].permute(1, 2, 0).cpu().numpy()


def drawings_hash(drawings: Drawings) -> str:
    """SHA-256 over the drawings' pixels, in order."""
    return hashlib.sha256(drawings.images.numpy().tobytes()).hexdigest()


def character_folders(folder: Path) -> list[Path]:
    """Sub-folders with images, one a character, sorted by name.

    Raises:
        InputError: no such folder, or no sub-folder with images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", mend="Name a folder of folders of drawings.")
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".") and any(iter_images(path, True))
    ]
    if not found:
        raise InputError(
            f"{folder} has no sub-folder with drawings",
            mend="Make one sub-folder a character, or use `toonify invert-character`.",
        )
    return found


def open_table(path: Path, generator: Generator) -> CharacterTable:
    """The table at `path`, or a new one for this generator.

    Raises:
        ModelError: the table there is damaged or belongs to another generator.
    """
    own_hash = generator_hash(cast(nn.Module, generator))
    if not path.exists():
        return CharacterTable(generator_hash=own_hash)
    table = CharacterTable.load(path)
    table.check(own_hash)
    return table


def check_name(name: str) -> str:
    """`name` if a character may be called so.

    Raises:
        UsageError: it has other signs than letters, digits, "-" and "_".
    """
    if not name or not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in name):
        raise UsageError(
            f"{name!r} can't name a character", mend="Use letters, digits, '-' and '_' (--name)."
        )
    return name


def gather_drawings(inputs: Sequence[Path], size: int) -> Drawings:
    """One character's drawings from a folder, or from single files.

    Raises:
        InputError: a file that is no image, or a folder without usable ones.
    """
    if len(inputs) == 1 and inputs[0].is_dir():
        return load_drawings(inputs[0], size)
    images = []
    for path in inputs:
        image = read_image(path)
        array = prepare(image.rgb, image.alpha, size)
        images.append(torch.from_numpy(array.copy()).permute(2, 0, 1))
    names = [str(path) for path in inputs]
    return Drawings(torch.stack(images), names, [""] * len(names), [])


@dataclass(frozen=True, kw_only=True)
class Projector:
    """What projects drawings; picklable, so that every worker loads its own networks.

    Attributes:
        generator: file or registry name, for `load_generator`.
        settings: of each projection.
        encoder: where projections start, for `load_encoder`; None for the average latent.
        k: drawings a character at most.
        device: torch device.
        threads: torch's threads on the CPU, None for its default.
    """

    generator: str
    settings: ProjectionSettings
    encoder: str | None = None
    k: int = 50
    device: str = "cpu"
    threads: int | None = None

    def load(self) -> LoadedProjector:
        """Load the networks and the perceptual loss."""
        if self.threads:
            torch.set_num_threads(self.threads)
        generator = load_generator(self.generator, device=self.device)
        encoder = load_encoder(self.encoder, device=self.device) if self.encoder else None
        loss = PerceptualLoss(dtype=self.settings.dtype).to(self.device)
        return LoadedProjector(self, generator, encoder, loss)


@dataclass(frozen=True)
class LoadedProjector:
    """A `Projector` with its networks."""

    options: Projector
    generator: Generator
    encoder: Encoder | None
    loss: PerceptualLoss

    def recipe(self, drawings: Drawings) -> dict[str, Any]:
        """See `recipe`."""
        options = self.options
        return recipe(drawings, k=options.k, settings=options.settings, encoder=self.encoder)

    def character(
        self, name: str, drawings: Drawings, progress: Progress | None = None
    ) -> Character:
        """See `build_character`."""
        return build_character(
            name,
            drawings,
            self.generator,
            loss=self.loss,
            k=self.options.k,
            settings=self.options.settings,
            encoder=self.encoder,
            progress=progress,
        )


_worker: LoadedProjector | None = None


def _start_worker(projector: Projector) -> None:
    global _worker
    _worker = projector.load()


def _in_worker(name: str, drawings: Drawings) -> Character:
    assert _worker is not None
    return _worker.character(name, drawings)


def build_table(
    folders: Sequence[Path],
    table: CharacterTable,
    projector: LoadedProjector,
    *,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Iterator[tuple[Path, Character | ToonifyError | None]]:
    """Add a character a folder to `table`, replacing those whose drawings or options changed.

    Args:
        folders: named as their characters are to be.
        workers: processes that project beside each other.
        force: project again what is up to date, too.
        progress: steps of the running character, with one worker only.

    Yields:
        folder and its character (already in the table), or None where it was up to date, or
        the error that kept it out.
    """
    pending: list[tuple[Path, Drawings]] = []
    for folder in folders:
        try:
            check_name(folder.name)
            drawings = load_drawings(folder, projector.generator.resolution)
        except ToonifyError as error:
            yield folder, error
            continue
        if not force and is_current(table, folder.name, projector.recipe(drawings)):
            yield folder, None
        elif workers == 1:
            character = projector.character(folder.name, drawings, progress)
            table.add(character)
            yield folder, character
        else:
            pending.append((folder, drawings))
    if not pending:
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(
        min(workers, len(pending)),
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(replace(projector.options, threads=threads),),
    ) as pool:
        futures = {pool.submit(_in_worker, path.name, images): path for path, images in pending}
        for future in as_completed(futures):
            character = future.result()
            table.add(character)
            yield futures[future], character
