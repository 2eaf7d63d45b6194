"""StyleGANEX's published networks on seeded weights, as the parity recipes make them."""

from __future__ import annotations

import torch
from parity import published_input, published_state
from torch import Tensor

from toonify.checkpoints.formats import Checkpoint, build
from toonify.checkpoints.styleganex_layout import styleganex_encoder
from toonify.models.encoders.styleganex import StyleGANEXEncoder


def base_state() -> dict[str, Tensor]:
    """The 256×256 encoder with seven plain fusions, under its published names."""
    return published_state("encoder_256_skip", "encoder.")


def encoder_256(base: dict[str, Tensor], variant: str = "") -> StyleGANEXEncoder:
    """The 256×256 encoder; `variant` is "att1", "in1" or "in19", else seven plain fusions."""
    state = dict(base)
    if variant:
        # the layout of a variant lists what differs: its fusion blocks and its network T
        state = {k: v for k, v in state.items() if not k.startswith("fusion.")}
        name = f"encoder_256_skip_{variant}" if variant == "att1" else f"encoder_256_{variant}"
        state |= published_state(name, "encoder.")
    average = torch.zeros(512)
    checkpoint = Checkpoint(
        "styleganex", {"encoder": lambda: styleganex_encoder(state, {}, average, None)}
    )
    network = build("encoder", checkpoint)
    assert isinstance(network, StyleGANEXEncoder)
    return network


def frame() -> Tensor:
    """The recipes' frame (1, 3, 192, 256)."""
    return torch.tanh(0.5 * published_input("in.x", 1, 3, 192, 256))
