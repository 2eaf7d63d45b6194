"""Published state dicts on seeded weights, and what the published code answered on them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from seeded import seeded_array, seeded_weight
from torch import Tensor

from toonify.checkpoints.formats import Checkpoint, build
from toonify.checkpoints.layouts import rosinality_generator
from toonify.models.generators.stylegan2 import StyleGAN2Generator

ASSETS = Path(__file__).parent / "assets" / "parity"
TOLERANCE = 2e-4


@cache
def layout(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published state dict."""
    layouts = json.loads((ASSETS / "state_dict_layouts.json").read_text())
    return {key: tuple(shape) for key, shape in layouts[name].items()}


def published_state(name: str, prefix: str) -> dict[str, Tensor]:
    """Seeded weights under the published names; `prefix` belongs to the seed alone."""
    values = ((key, seeded_weight(prefix + key, shape)) for key, shape in layout(name).items())
    return {
        key: torch.from_numpy(np.asarray(value, dtype=np.float32))
        for key, value in values
        if value is not None
    }


def published_input(name: str, *shape: int) -> Tensor:
    """A recipe's seeded input."""
    return torch.from_numpy(seeded_array(name, shape))


def answers(name: str) -> dict[str, Tensor]:
    """What the published code answered."""
    with np.load(ASSETS / f"{name}.npz") as arrays:
        numbers = (key for key in arrays.files if arrays[key].dtype.kind == "f")
        return {key: torch.from_numpy(arrays[key]) for key in numbers}


def assert_close(ours: Tensor, published: Tensor) -> None:
    """Same shape, and nowhere further apart than the parity tolerance."""
    assert ours.shape == published.shape
    assert (ours - published).abs().max().item() <= TOLERANCE


@cache
def decoder_256() -> StyleGAN2Generator:
    """The 256×256 generator of the pSp family's fixtures."""
    state = published_state("decoder_256", "decoder.")
    convert = Checkpoint("psp", {"generator": lambda: rosinality_generator(state, None)})
    network = build("generator", convert)
    assert isinstance(network, StyleGAN2Generator)
    return network
