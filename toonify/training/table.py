"""Building a character table: one sub-folder of drawings a character, projected and averaged."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from toonify.checkpoints import generator_hash
from toonify.errors import InputError, ToonifyError
from toonify.lut import Character, CharacterTable
from toonify.models.protocol import Generator
from toonify.sheet import SheetWriter
from toonify.training.data import load_drawings
from toonify.training.perceptual import PerceptualLoss
from toonify.training.projection import (
    Encode,
    Inversion,
    ProjectionSettings,
    invert_character,
    to_float,
    to_uint8,
)

THUMBNAIL = 128  # pixels, of previews and of the pictures kept beside the codes

# (character, images finished, images in all, step, steps, loss of the running batch)
TableProgress = Callable[[str, int, int, int, int, float], None]


@dataclass(frozen=True)
class StoredInversion:
    """An inversion as it lies on disk.

    Attributes:
        codes: (k, num_ws, w_dim) float32.
        losses: (k,).
        drawings: (k, 3, T, T) uint8 thumbnails of what was projected.
        reconstructions: (k, 3, T, T) uint8 thumbnails of the projections.
        names: file of each drawing.
        fingerprint: of everything the result depends on.
    """

    codes: Tensor
    losses: Tensor
    drawings: Tensor
    reconstructions: Tensor
    names: list[str]
    fingerprint: str

    def w_plus(self, k: int | None = None) -> Tensor:
        """Mean code (num_ws, w_dim) of the first `k` drawings, of all when None."""
        return self.codes[:k].mean(dim=0)


@dataclass(frozen=True)
class TableReport:
    """What `build_table` did.

    Attributes:
        table: as written.
        built: characters projected now.
        reused: characters whose finished inversion was found.
        failed: (character, reason) of the ones left out.
        sheet: PNG with a row a character: code, best, median and worst projection.
    """

    table: CharacterTable
    built: list[str]
    reused: list[str]
    failed: list[tuple[str, str]]
    sheet: Path


def thumbnails(images: Tensor) -> Tensor:
    """(N, 3, S, S) uint8 → (N, 3, T, T) uint8 of at most `THUMBNAIL` pixels."""
    size = min(THUMBNAIL, images.shape[-1])
    small = F.interpolate(to_float(images), size=(size, size), mode="area")
    return to_uint8(small).cpu()


def save_inversion(stored: StoredInversion, path: Path) -> None:
    """Write codes, losses and thumbnails as one safetensors file, whole or not at all.

    Raises:
        InputError: the file can't be written.
    """
    tensors = {
        "codes": stored.codes.float().cpu().contiguous(),
        "losses": stored.losses.float().cpu().contiguous(),
        "drawings": stored.drawings.contiguous(),
        "reconstructions": stored.reconstructions.contiguous(),
    }
    about = json.dumps({"names": stored.names, "fingerprint": stored.fingerprint})
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(tensors, {"toonify.inversion": about}))
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} can't be written ({error})", mend="Choose another -o.") from error
    finally:
        partial.unlink(missing_ok=True)


def load_inversion(path: Path) -> StoredInversion | None:
    """Read what `save_inversion` wrote; None when there is none, or a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["toonify.inversion"])
            return StoredInversion(
                codes=file.get_tensor("codes"),
                losses=file.get_tensor("losses"),
                drawings=file.get_tensor("drawings"),
                reconstructions=file.get_tensor("reconstructions"),
                names=about["names"],
                fingerprint=about["fingerprint"],
            )
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


@torch.no_grad()
def make_character(
    name: str, w_plus: Tensor, k: int, generator: Generator, provenance: dict[str, Any]
) -> Character:
    """Character with the code's own rendering as its preview."""
    code = w_plus[None].to(generator.w_avg)
    picture = thumbnails(to_uint8(generator.synthesize(generator.styles(code))))
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
    only: list[str] | None = None,
    progress: TableProgress | None = None,
) -> TableReport:
    """Project every character under `folder` into `generator` and write the table to `out`.

    Each finished character is kept as `OUT.inversions/NAME.safetensors`; a later run with the
    same drawings, generator and settings reuses it, so that a crash costs one character at most.
    An existing table at `out` is added to; equal names are replaced.

    Args:
        folder: one sub-folder of drawings a character; the sub-folder's name is the character's.
        generator: the layer-swapped one.
        encoder: see `invert_character`.
        encoder_hash: tells encoders apart when deciding whether an inversion can be reused.
        only: names to build; all sub-folders when None.

    Raises:
        InputError: no sub-folder, or `out` can't be written.
        ModelError: the table at `out` belongs to another generator.
        ToonifyError: no character could be built; the first one's reason.
    """
    folder, out = Path(folder), Path(out)
    settings = settings or ProjectionSettings()
    identity = generator_hash(cast(nn.Module, generator))
    names = _characters(folder, only)
    table = CharacterTable(generator_hash=identity)
    if out.exists():
        table = CharacterTable.load(out)
        table.check(identity)
    store = out.with_name(f"{out.stem}.inversions")
    built: list[str] = []
    reused: list[str] = []
    failed: list[tuple[str, str]] = []
    rows: list[tuple[Character, StoredInversion]] = []
    for name in names:
        try:
            drawings = load_drawings(folder / name, generator.resolution)
            options = {**asdict(settings), "dtype": str(settings.dtype), "k": k}
            text = json.dumps([identity, encoder_hash, options], sort_keys=True)
            digest = hashlib.sha256(text.encode())
            digest.update(drawings.images.numpy().tobytes())
            fingerprint = digest.hexdigest()
            path = store / f"{name}.safetensors"
            stored = load_inversion(path)
            if stored is None or stored.fingerprint != fingerprint:
                count = min(k, len(drawings.names))

                def report(
                    done: int, step: int, steps: int, value: float, n: str = name, of: int = count
                ) -> None:
                    if progress:
                        progress(n, done, of, step, steps, value)

                inversion = invert_character(
                    drawings.images,
                    generator,
                    loss=loss,
                    k=k,
                    settings=settings,
                    encoder=encoder,
                    progress=report,
                )
                stored = store_inversion(inversion, drawings.images, drawings.names, fingerprint)
                save_inversion(stored, path)
                built.append(name)
            else:
                reused.append(name)
            provenance = {
                "drawings": len(stored.names),
                "mean_loss": round(float(stored.losses.mean()), 4),
                "steps": settings.steps,
                "started_from": "encoder" if encoder is not None else "average",
                "skipped": len(drawings.skipped),
            }
            character = make_character(
                name, stored.w_plus(), len(stored.codes), generator, provenance
            )
            table.add(character)
            table.save(out)
            rows.append((character, stored))
        except ToonifyError as error:
            failed.append((name, str(error)))
    if not rows:
        raise InputError(f"no character could be built: {failed[0][0]}: {failed[0][1]}")
    sheet = out.with_suffix(".png")
    write_sheet(rows, sheet)
    return TableReport(table=table, built=built, reused=reused, failed=failed, sheet=sheet)


def store_inversion(
    inversion: Inversion, images: Tensor, names: list[str], fingerprint: str = ""
) -> StoredInversion:
    """An `Inversion` with thumbnails, ready for `save_inversion`; `images` (N, 3, S, S) uint8."""
    return StoredInversion(
        codes=inversion.codes.float().cpu(),
        losses=inversion.losses.float().cpu(),
        drawings=thumbnails(images[inversion.indices]),
        reconstructions=thumbnails(inversion.reconstructions),
        names=[names[i] for i in inversion.indices],
        fingerprint=fingerprint,
    )


def write_sheet(rows: list[tuple[Character, StoredInversion]], path: Path) -> None:
    """PNG with a row a character: its code, then best, median and worst drawing and projection."""
    columns = ["average code"]
    for rank in ("best", "median", "worst"):
        columns += [rank, "projected"]
    with SheetWriter(path, columns, tile=THUMBNAIL) as sheet:
        for character, stored in rows:
            assert character.preview is not None
            cells = [_named(character.preview, character.name)]
            order = stored.losses.argsort().tolist()
            for i in (order[0], order[len(order) // 2], order[-1]):
                cells.append(stored.drawings[i].permute(1, 2, 0).numpy())
                cells.append(stored.reconstructions[i].permute(1, 2, 0).numpy())
            sheet.add(cells)


def _named(picture: np.ndarray, name: str) -> np.ndarray:
    image = Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL))
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(image).text(
        (4, THUMBNAIL - 4), name, "white", font, "ls", stroke_width=2, stroke_fill="black"
    )
    return np.asarray(image)


def _characters(folder: Path, only: list[str] | None) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", mend="Name a folder of characters.")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if only is not None:
        for name in only:
            if name not in names:
                raise InputError(
                    f"{folder} has no sub-folder {name}", mend=f"It has: {', '.join(names)}."
                )
        names = [name for name in names if name in only]
    if not names:
        raise InputError(
            f"{folder} has no sub-folder", mend="Give each character a sub-folder of drawings."
        )
    return names
