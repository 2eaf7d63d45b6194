"""Building a character table: one sub-folder of drawings a character, projected and averaged."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toonify.checkpoints import generator_hash
from toonify.errors import InputError, ToonifyError
from toonify.inversion.projector import Encode, ProjectionSettings, Start
from toonify.lut import Character, CharacterTable
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.training.characters.jobs import Projected, Projector, TableProgress, project_folders
from toonify.training.characters.sheet import SampleFace, write_sheets
from toonify.training.characters.store import (
    StoredInversion,
    load_inversion,
    save_inversion,
    store_inversion,
    thumbnails,
)
from toonify.utils.tensors import to_uint8

__all__ = [
    "StoredInversion",
    "TableProgress",
    "TableReport",
    "build_table",
    "load_inversion",
    "make_character",
    "provenance_of",
    "save_inversion",
    "store_inversion",
    "store_of",
]


@dataclass(frozen=True)
class TableReport:
    """What `build_table` did.

    Attributes:
        table: as written.
        built: characters projected now.
        reused: characters whose finished inversion was found.
        failed: (character, reason) of the ones left out.
        skipped: (character/drawing, reason) of the drawings left out.
        sheet: PNG of the whole table, see `write_sheets`; an HTML page lies beside it.
    """

    table: CharacterTable
    built: list[str]
    reused: list[str]
    failed: list[tuple[str, str]]
    skipped: list[tuple[str, str]]
    sheet: Path


def store_of(table: Path) -> Path:
    """Folder of the finished inversions of a table's characters."""
    return table.with_name(f"{table.stem}.inversions")


def provenance_of(stored: StoredInversion, *, steps: int, skipped: int = 0) -> dict[str, Any]:
    """What a table tells of a character's making."""
    starts = Counter(stored.started_from)
    several = ", ".join(f"{name} ({count})" for name, count in starts.most_common())
    return {
        "drawings": len(stored.names),
        "mean_loss": round(float(stored.losses.mean()), 4),
        "steps": steps,
        "started_from": several if len(starts) > 1 else next(iter(starts), ""),
        "skipped": skipped,
    }


@torch.no_grad()
def make_character(
    name: str, w_plus: Tensor, k: int, generator: Generator, provenance: dict[str, Any]
) -> Character:
    """Character with the latent's own rendering as its preview."""
    latent = w_plus[None].to(generator.w_avg)
    picture = thumbnails(to_uint8(generator.synthesize(generator.styles(latent))))
    preview = picture[0].permute(1, 2, 0).numpy()
    return Character(
        name=name, w_plus=w_plus.float().cpu(), k=k, preview=preview, provenance=provenance
    )


def build_table(
    folder: str | os.PathLike[str],
    generator: Generator,
    out: str | os.PathLike[str],
    *,
    loss: PerceptualLoss,
    k: int = 50,
    settings: ProjectionSettings | None = None,
    encoder: Encode | None = None,
    encoder_hash: str = "",
    start: Start | None = None,
    only: list[str] | None = None,
    samples: Sequence[SampleFace] = (),
    workers: int = 1,
    load: Callable[[], Projector] | None = None,
    progress: TableProgress | None = None,
) -> TableReport:
    """Project every character under `folder` into `generator` and write the table to `out`.

    Each finished character is kept as `OUT.inversions/NAME.safetensors`, with its losses and
    reconstructions; a later run with the same drawings, generator and settings reuses it, so that
    a crash costs one character at most. An existing table at `out` is added to; equal names are
    replaced. The sheets show the whole table.

    Args:
        folder: one sub-folder of drawings a character; the sub-folder's name is the character's.
        generator: the layer-swapped one.
        encoder: see `invert_character`.
        encoder_hash: tells encoders apart when deciding whether an inversion can be reused.
        start: see `invert_character`.
        only: names to build; all sub-folders when None.
        samples: faces that the sheets show as each character.
        workers: processes that project different characters at the same time.
        load: gives each of them the same networks and options as are given here.

    Raises:
        InputError: no sub-folder, or `out` or an inversion can't be written.
        ModelError: the table at `out` belongs to another generator.
        ToonifyError: no character could be built; the first one's reason.
    """
    folder, out = Path(folder), Path(out)
    settings = settings or ProjectionSettings()
    identity = generator_hash(generator)
    names = _characters(folder, only)
    table = CharacterTable(generator_hash=identity)
    if out.exists():
        table = CharacterTable.load(out)
        table.check(identity)
    projector = Projector(
        generator=generator,
        loss=loss,
        settings=settings,
        encoder=encoder,
        encoder_hash=encoder_hash,
        start=start,
        k=k,
    )
    store = store_of(out)
    done: dict[str, Projected] = {}
    failed: list[tuple[str, str]] = []
    results = project_folders(
        projector, folder, names, store, workers=workers, load=load, progress=progress
    )
    for result in results:
        if result.error:
            failed.append((result.name, result.error))
            continue
        try:
            stored = load_inversion(store / f"{result.name}.safetensors")
            if stored is None:
                raise InputError("its inversion is gone", hint="Run again.")
            about = provenance_of(stored, steps=settings.steps, skipped=len(result.skipped))
            latent = stored.w_plus()
            table.add(make_character(result.name, latent, len(stored.latents), generator, about))
        except ToonifyError as error:
            failed.append((result.name, str(error)))
        else:
            table.save(out)
            done[result.name] = result
    failed.sort()
    if not done:
        raise InputError(f"no character could be built: {failed[0][0]}: {failed[0][1]}")
    left_out = [(f"{n}/{f}", why) for n in names if n in done for f, why in done[n].skipped]
    inversions = {n: s for n in table.names if (s := load_inversion(store / f"{n}.safetensors"))}
    notes: dict[str, list[str]] = {}
    for file, why in left_out:
        notes.setdefault(file.partition("/")[0], []).append(f"{file} is left out: {why}")
    sheet = out.with_suffix(".png")
    write_sheets(table, inversions, generator, sheet, samples=samples, notes=notes)
    return TableReport(
        table=table,
        built=[n for n in names if n in done and done[n].fresh],
        reused=[n for n in names if n in done and not done[n].fresh],
        failed=failed,
        skipped=left_out,
        sheet=sheet,
    )


def _characters(folder: Path, only: list[str] | None) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Name a folder of characters.")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if only is not None:
        for name in only:
            if name not in names:
                raise InputError(
                    f"{folder} has no sub-folder {name}", hint=f"It has: {', '.join(names)}."
                )
        names = [name for name in names if name in only]
    if not names:
        raise InputError(
            f"{folder} has no sub-folder", hint="Give each character a sub-folder of drawings."
        )
    return names
