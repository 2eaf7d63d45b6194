"""The table that training on pairs leaves: each character's style as the generator learnt it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from toonify.checkpoints import generator_hash
from toonify.lut import CharacterTable
from toonify.models.base import Generator
from toonify.training.characters.build import make_character

NAMELESS = "drawn"  # the character of drawings that lie in no sub-folder


def style_table(
    generator: Generator, styles: Mapping[str, Tensor], characters: Sequence[str]
) -> CharacterTable:
    """The characters of a generator trained on pairs, ready to be drawn with, without projection.

    Args:
        generator: the trained one; swapping in the base's frozen layers leaves it the same.
        styles: each character's latent (w_dim,) from the training.
        characters: each drawing's character, to count.
    """
    table = CharacterTable(generator_hash=generator_hash(generator))
    for character, style in styles.items():
        name = character_name(character)
        while name in table:
            name += "-2"
        count = sum(c == character for c in characters)
        latent = style[None].expand(generator.num_ws, -1)
        made = {"drawings": count, "started_from": "pairs"}
        table.add(make_character(name, latent, count, generator, made))
    return table


def character_name(folder: str) -> str:
    """A sub-folder's name as a character may be called: letters, digits, - and _."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder)[:60].strip("-_")
    return name or NAMELESS
