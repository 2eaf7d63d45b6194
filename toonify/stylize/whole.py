"""Photographs drawn as whole frames by what a bundle has for it: its styles or characters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toonify.bundle import bundle_defaults, preferred_engine
from toonify.engines.base import Engine
from toonify.engines.registry import load_engine, load_style_engine
from toonify.errors import InputError, UsageError
from toonify.inversion.frames import resize
from toonify.media.images import read_image, write_image
from toonify.media.metadata import Metadata
from toonify.portrait.catalog import bundle_styles
from toonify.utils.tensors import RGB
from toonify.video import CharacterAssignment


@dataclass(frozen=True, eq=False)
class WholeDrawing:
    """A drawn photograph.

    Attributes:
        rgb: (H, W, 3) uint8; H and W may be other than the photograph's.
        alpha: (H, W) uint8 opacity of a photograph that has one.
        metadata: what the photograph says about itself.
        faces: how many people were found.
        style: the bundle's style it is drawn in; None where people became characters.
    """

    rgb: RGB
    alpha: NDArray[np.uint8] | None
    metadata: Metadata
    faces: int
    style: str | None = None

    def write(self, path: Path, *, strip: bool = False) -> None:
        """Write the picture; `strip` leaves date and camera out."""
        metadata = self.metadata.stripped() if strip else self.metadata
        write_image(path, self.rgb, alpha=self.alpha, metadata=metadata)


def draw_whole(
    photo: Path,
    bundle: str = "default",
    *,
    character: str | None = None,
    style: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
) -> WholeDrawing:
    """Draw all of a photograph: in a style, or its people as characters.

    Args:
        bundle: its folder, or "default".
        character: everybody becomes it, by the engine that the bundle names: heads set into the
            photograph, or StyleGANEX (arXiv 2303.06146).
        style: of the bundle; without `character` its first where it has styles.

    Raises:
        UsageError: both, or unknown names.
        InputError: the photograph can't be read; with characters, nobody is in it.
        ModelError: a bundle without such networks.

    Examples:
        >>> draw_whole(Path("me.jpg"), style="ink").write(Path("ink.png"))
    """
    if character is not None and style is not None:
        raise UsageError("`style` and `character` exclude each other", hint="Take one.")
    if style is not None or (character is None and bundle_styles(bundle)):
        styles = load_style_engine(style, bundle, device=device, dtype=dtype, offline=offline)
        style = styles.characters[0]
        image = read_image(photo)
        faces = styles.detect(image.flat)
        (picture,) = styles.draw_image(image.flat, [style], faces=faces)
        drawn, count = np.asarray(picture), len(faces)
    else:
        own, name = bundle_defaults(bundle), preferred_engine(bundle)
        engine = load_engine(
            name,
            bundle,
            level=own.level_of(pasted=name == "cdsm"),
            trgb=own.trgb,
            color=own.color,
            device=device,
            dtype=dtype,
            offline=offline,
        )
        assignment = CharacterAssignment([character] if character else [], engine.characters)
        image = read_image(photo)
        drawn, count = _with_characters(image.flat, engine, assignment)
        if not count:
            raise InputError(f"{photo}: no face found", hint="Use a picture with a visible face.")
    alpha = None if image.alpha is None else resize(image.alpha, *drawn.shape[:2])
    return WholeDrawing(drawn, alpha, image.metadata, count, style)


def _with_characters(rgb: RGB, engine: Engine, assignment: CharacterAssignment) -> tuple[RGB, int]:
    """(H, W, 3) uint8 with its people as characters, and how many there are."""
    faces = engine.detect(rgb)
    if not faces:
        return rgb, 0
    names = assignment.cast([float(f.points5[:, 0].mean()) / rgb.shape[1] for f in faces])
    regions = [engine.region(rgb, face) for face in faces]
    drawings = engine.render(regions, engine.encode(regions), names)
    return engine.paste_all(rgb, regions, drawings), len(faces)
