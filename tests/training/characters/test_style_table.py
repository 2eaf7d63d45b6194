"""The table that paired training leaves: its characters are drawn with as they were learnt."""

from __future__ import annotations

import pytest
import torch

from tests.training.tiny_training import FAMILIES, tiny_generator
from toonify.checkpoints import generator_hash
from toonify.models.layer_swap import layer_swap, tensor_resolutions
from toonify.training.characters.style_table import NAMELESS, character_name, style_table


@pytest.mark.parametrize("family", FAMILIES)
def test_styles_become_characters_of_the_swapped_generator(family: str) -> None:
    base, toon = tiny_generator(family), tiny_generator(family)
    with torch.no_grad():  # as fine-tuning does: the layers that a swap takes from the base stay
        for name, tensor in toon.state_dict().items():
            if tensor_resolutions(toon)[name] >= 16:
                tensor.add_(0.1)
    styles = {"mina": torch.randn(16), "otto": torch.randn(16)}
    table = style_table(toon, styles, ["mina", "otto", "mina"])
    assert table.names == ("mina", "otto") and table["mina"].k == 2
    assert table["otto"].w_plus.shape == (toon.num_ws, 16)
    assert (table["otto"].w_plus == styles["otto"]).all()
    assert table["mina"].preview is not None
    swapped = layer_swap(base, toon, resolution=16)
    table.check(generator_hash(swapped))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("mina", "mina"),
        ("", NAMELESS),
        ("Frau Müller", "Frau-M-ller"),
        ("_x", "x"),
        ("漫画", NAMELESS),
    ],
)
def test_any_folder_names_a_character(folder: str, name: str) -> None:
    assert character_name(folder) == name


def test_folders_that_come_to_one_name_stay_apart() -> None:
    generator = tiny_generator("mobile")
    styles = {"漫画": torch.zeros(16), "": torch.ones(16)}
    assert style_table(generator, styles, ["漫画", ""]).names == (NAMELESS, f"{NAMELESS}-2")
