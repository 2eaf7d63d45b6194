"""The variants of the ablation, each as a subject of `toonify.evaluation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toonify.cdsm import DEFAULT_LEVEL
from toonify.engine import Toonifier
from toonify.evaluation import BundleSubject
from toonify.inversion.projector import ProjectionSettings, invert_character
from toonify.lut import Character, CharacterTable
from toonify.metrics.lpips import PerceptualLoss
from toonify.training.characters.build import (
    StoredInversion,
    load_inversion,
    save_inversion,
    store_inversion,
)
from toonify.training.data.drawings import load_drawings

LEVELS = (4, 6, 8, 10)
COUNTS = (1, 5, 20, 50)


class Variant(BundleSubject):
    """One way of mixing. All variants share the photo's latent, which is computed once."""

    _last: tuple[np.ndarray, Any] | None = None

    def encode(self, crop: np.ndarray) -> Any:
        if Variant._last is None or Variant._last[0] is not crop:
            Variant._last = (crop, super().encode(crop))
        return Variant._last[1]


def parts(engine: Toonifier, characters: Sequence[str]) -> list[Variant]:
    """The method taken apart: R replaces the tRGB styles, SM mixes from the level on."""
    whole = engine.generator.num_ws
    return [
        Variant("layer swap", engine, characters, level=whole, trgb=False),
        Variant("R alone", engine, characters, level=whole),
        Variant("SM alone", engine, characters, trgb=False),
        Variant("SM + R", engine, characters),
    ]


def levels(engine: Toonifier, characters: Sequence[str]) -> list[Variant]:
    """The full method from different levels on; the default one is in `parts`."""
    chosen = [m for m in LEVELS if m != DEFAULT_LEVEL and m <= engine.generator.num_ws]
    return [Variant(f"m = {m}", engine, characters, level=m) for m in chosen]


def counts(engine: Toonifier, latents: Mapping[str, torch.Tensor]) -> list[Variant]:
    """The full method with latents averaged over the first k projections of each character."""
    most = min((len(each) for each in latents.values()), default=0)
    found = []
    for k in (k for k in COUNTS if k <= most):
        table = CharacterTable(generator_hash=engine.table.generator_hash)
        for name, each in latents.items():
            table.add(Character(name=name, w_plus=each[:k].mean(dim=0), k=k))
        toon = Toonifier(
            generator=engine.generator,
            encoder=engine.encoder,
            table=table,
            device=str(engine.device),
            dtype=str(engine.model.dtype).removeprefix("torch."),
        )
        found.append(Variant(f"k = {k}", toon, list(latents)))
    return found


def projected(
    engine: Toonifier,
    characters: Sequence[str],
    *,
    drawings: Path | None,
    inversions: Sequence[Path],
    steps: int,
    k: int,
) -> dict[str, torch.Tensor]:
    """Projections of single drawings, (k, num_ws, w_dim) a character.

    Args:
        drawings: one sub-folder a character, projected where no inversion is found; None leaves
            such characters out.
        inversions: folders of NAME.safetensors as `toonify build-lut` keeps them, tried in order;
            what is projected now goes to the last one.
    """
    result = {}
    for name in characters:
        stored = next(
            (s for f in inversions if (s := load_inversion(f / f"{name}.safetensors"))), None
        )
        if stored is None and drawings is not None and (drawings / name).is_dir():
            stored = _project(engine, name, drawings / name, steps, k)
            save_inversion(stored, inversions[-1] / f"{name}.safetensors")
        if stored is not None:
            result[name] = stored.latents
    return result


def _project(engine: Toonifier, name: str, folder: Path, steps: int, k: int) -> StoredInversion:
    """As the default bundle's recipe does it: the encoder gives the pose, the table the rest."""
    generator = engine.generator
    drawings = load_drawings(folder, generator.resolution)
    own = engine.table[name].w_plus.to(engine.device)

    def start(images: torch.Tensor) -> torch.Tensor:
        w_plus = engine.encoder.encode(images, generator).clone()
        w_plus[:, DEFAULT_LEVEL:] = own[DEFAULT_LEVEL:]
        return w_plus

    inversion = invert_character(
        drawings.images,
        generator,
        loss=PerceptualLoss("vgg", dtype=torch.bfloat16).to(engine.device),
        k=k,
        settings=ProjectionSettings(
            steps=steps,
            batch_size=4,
            optimize_noise=False,
            loss_size=128,
            dtype=torch.bfloat16,
            lr=0.05,
        ),
        encoder=start,
    )
    return store_inversion(inversion, drawings.images, drawings.names)
