"""HFGI's networks from files: the published ones, which hold everything, and ours.

The published `ckpt.pt` is encoder, generator, consultation and alignment; a file of
`toonify train-encoder --task hfgi` is the last two, for one generator.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from toonify.checkpoints import formats
from toonify.checkpoints.loading import load_network
from toonify.errors import ModelError
from toonify.models.base import Encoder
from toonify.models.encoders.hfgi import HFGI, AlignmentNetwork, ConsultationEncoder
from toonify.models.encoders.hfgi_compact import CompactHFGI
from toonify.models.generators.stylegan2 import StyleGAN2Generator

_HINT = "Give a checkpoint of HFGI, such as ckpt.pt of its project."


def load_hfgi(path: Path, *, device: str | torch.device = "cpu") -> HFGI:
    """The whole method from `ckpt.pt`, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, or of another method.
    """
    with formats.naming(path):
        checkpoint = formats.read_checkpoint(path)
        generator = formats.build("generator", checkpoint, StyleGAN2Generator)
        encoder = formats.build("encoder", checkpoint, Encoder)
        state = formats.read_torch(path).get("state_dict")
        head = state.get("residue.condition_scale3.0.weight") if isinstance(state, dict) else None
        if not isinstance(head, Tensor):
            raise ModelError("it has no consultation encoder", hint=_HINT)
        residue, grid_align = ConsultationEncoder(head.shape[0]), AlignmentNetwork()
        for prefix, part in (("residue.", residue), ("grid_align.", grid_align)):
            _fill(part, state, prefix)
        network = HFGI(generator, encoder, residue=residue, grid_align=grid_align)
    return network.eval().requires_grad_(False).to(device)


def load_compact_hfgi(path: Path, *, device: str | torch.device = "cpu") -> CompactHFGI:
    """Alignment and consultation of ours, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    network = load_network("hfgi", path, CompactHFGI, device=device)
    return network.requires_grad_(False).to(memory_format=torch.channels_last)


def _fill(network: nn.Module, state: object, prefix: str) -> None:
    named = state.items() if isinstance(state, dict) else ()
    own = {
        str(name).removeprefix("module.").removeprefix(prefix): value.float()
        for name, value in named
        if isinstance(value, Tensor) and str(name).removeprefix("module.").startswith(prefix)
    }
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):  # files of old PyTorch versions lack it
            own.setdefault(name, torch.zeros_like(value))
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        line = (str(error).strip().splitlines() or ["?"])[-1].strip()
        raise ModelError(f"its {prefix[:-1]} is not HFGI's ({line:.120})", hint=_HINT) from error
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise ModelError(f"its {prefix[:-1]} holds weights that are not finite", hint=_HINT)
