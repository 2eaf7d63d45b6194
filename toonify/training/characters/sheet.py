"""Sheets of a character table: PNG and HTML, with latents, projections and sample faces drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from toonify.cdsm import cross_domain_styles
from toonify.errors import ToonifyError
from toonify.lut import Character, CharacterTable
from toonify.models.base import Generator
from toonify.reports.page import Page, embedded
from toonify.reports.sheet import SheetWriter
from toonify.training.characters.store import THUMBNAIL, StoredInversion, StoreError
from toonify.utils.atomic import write_text
from toonify.utils.tensors import to_uint8

_LEVEL = 6  # the default of `stylize`
_PAIRS = 12  # of a character on the page
_TRUNCATION = 0.7  # of sampled faces: people, not oddities


@dataclass(frozen=True)
class SampleFace:
    """A person that each character is put on.

    Attributes:
        picture: (H, W, 3) uint8 RGB, the aligned photo or what stands for it.
        w_plus: (num_ws, w_dim) of the swapped generator.
    """

    name: str
    picture: np.ndarray
    w_plus: Tensor


@torch.no_grad()
def sampled_faces(generator: Generator, *, count: int = 3, seed: int = 0) -> list[SampleFace]:
    """People out of the generator's own prior, for a table without photos.

    The swapped generator draws them without a character: in the drawings' manner, but nobody's.
    """
    z_dim = generator.z_dim
    z = torch.randn(count, z_dim, generator=torch.Generator().manual_seed(seed))
    w = generator.mapping(z.to(generator.w_avg), truncation_psi=_TRUNCATION)
    latents = w[:, None].expand(-1, generator.num_ws, -1)
    return [
        SampleFace(f"sample {i + 1}", _render(generator, latent[None]), latent)
        for i, latent in enumerate(latents)
    ]


def write_sheets(
    table: CharacterTable,
    inversions: dict[str, StoredInversion],
    generator: Generator,
    path: Path,
    *,
    samples: Sequence[SampleFace] = (),
    notes: dict[str, list[str]] | None = None,
) -> None:
    """`path` as PNG, and the same with more drawings as HTML beside it.

    A row a character: its latent, then best, median and worst drawing with its projection, then
    each sample face as this character. Characters without an inversion lack the projections.

    Args:
        notes: lines to add to a character on the page.

    Raises:
        InputError: a file can't be written.
    """
    columns = ["average latent"]
    for rank in ("best", "median", "worst"):
        columns += [rank, "projected"]
    columns += [sample.name[:16] for sample in samples]
    page = Page(f"{path.stem}: {len(table)} characters").facts(
        {"generator": table.generator_hash[:12], "characters": table.names}
    )
    empty = np.full((THUMBNAIL, THUMBNAIL, 3), 255, np.uint8)
    if samples:
        page.pictures([(s.name, embedded(s.picture, width=256)) for s in samples], width=160)
    with SheetWriter(path, columns, tile=THUMBNAIL) as sheet:
        if samples:
            sheet.add([empty] * 7 + [sample.picture for sample in samples])
        for character in table:
            latent = character.w_plus[None].to(generator.w_avg)
            portrait = _render(generator, latent)
            drawn = [_draw(generator, sample, latent) for sample in samples]
            stored = inversions.get(character.name)
            cells = [_labeled(portrait, character.name)]
            for i in _ranks(stored, 3):
                assert stored is not None
                cells += [_picture(stored.drawings[i]), _picture(stored.reconstructions[i])]
            sheet.add(cells + [empty] * (7 - len(cells)) + drawn)
            extra = (notes or {}).get(character.name, [])
            _section(page, character, stored, portrait, drawn, samples, extra)
    page.write(path.with_suffix(".html"))


def write_reconstructions(name: str, stored: StoredInversion, folder: Path) -> None:
    """Each drawing beside its projection (NAME.png) and its loss (NAME.json).

    Raises:
        StoreError: they can't be written.
    """
    starts = stored.started_from or [""] * len(stored.names)
    losses = [round(float(loss), 5) for loss in stored.losses]
    listed = [
        {"drawing": file, "loss": loss, "started_from": start}
        for file, loss, start in zip(stored.names, losses, starts, strict=True)
    ]
    about = {
        "character": name,
        "mean_loss": round(sum(losses) / len(losses), 5),
        "drawings": listed,
    }
    target = folder / f"{name}.json"
    try:
        write_text(target, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        across = min(4, len(losses))
        with SheetWriter(
            folder / f"{name}.png", ["drawing", "projected"] * across, tile=THUMBNAIL
        ) as sheet:
            for first in range(0, len(losses), across):
                cells = []
                for i in range(first, min(first + across, len(losses))):
                    cells.append(_labeled(_picture(stored.drawings[i]), Path(stored.names[i]).name))
                    cells.append(_labeled(_picture(stored.reconstructions[i]), f"{losses[i]:.3f}"))
                sheet.add(cells)
    except ToonifyError:
        raise
    except OSError as error:
        raise StoreError(
            f"can't write {target.with_suffix('')}: {error.strerror or error}",
            hint="Make room and run again: finished characters are kept.",
        ) from error


def _section(
    page: Page,
    character: Character,
    stored: StoredInversion | None,
    portrait: np.ndarray,
    drawn: list[np.ndarray],
    samples: Sequence[SampleFace],
    notes: list[str],
) -> None:
    page.heading(character.name)
    page.facts({"drawings averaged": character.k, **character.provenance})
    for note in notes:
        page.paragraph(note, note=True)
    pictures = [("average latent", embedded(portrait, width=320))]
    for sample, picture in zip(samples, drawn, strict=True):
        pictures.append((sample.name, embedded(picture, width=320)))
    page.pictures(pictures, width=240)
    if stored is None:
        return
    pairs = []
    for i in _ranks(stored, _PAIRS):
        both = np.concatenate(
            [_picture(stored.drawings[i]), _picture(stored.reconstructions[i])], 1
        )
        caption = f"{Path(stored.names[i]).name}, loss {float(stored.losses[i]):.3f}"
        pairs.append((caption, embedded(both, width=2 * THUMBNAIL)))
    page.paragraph("Drawings and their projections, the nearest first.", note=True)
    page.pictures(pairs, width=2 * THUMBNAIL)


def _ranks(stored: StoredInversion | None, count: int) -> list[int]:
    """Up to `count` drawings, evenly from the smallest loss to the largest."""
    if stored is None:
        return []
    order = stored.losses.argsort().tolist()
    if count == 3:
        return [order[0], order[len(order) // 2], order[-1]]
    if len(order) <= count:
        return order
    return [order[round(i * (len(order) - 1) / (count - 1))] for i in range(count)]


@torch.no_grad()
def _render(generator: Generator, latent: Tensor) -> np.ndarray:
    return _picture(to_uint8(generator.synthesize(generator.styles(latent)))[0])


@torch.no_grad()
def _draw(generator: Generator, sample: SampleFace, character: Tensor) -> np.ndarray:
    level = min(_LEVEL, generator.num_ws)
    face = sample.w_plus[None].to(character)
    styles = cross_domain_styles(generator, face, character, level=level)
    return _picture(to_uint8(generator.synthesize(styles))[0])


def _picture(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).cpu().numpy()


def _labeled(picture: np.ndarray, text: str) -> np.ndarray:
    image = Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(image).text(
        (4, THUMBNAIL - 4), text, "white", font, "ls", stroke_width=2, stroke_fill="black"
    )
    return np.asarray(image)
