"""FusionNets from files: ours, of `toonify train-encoder --task fusion`, and StyleFusion's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from toonify.checkpoints import formats
from toonify.checkpoints.loading import load_network
from toonify.errors import ModelError
from toonify.models.fusion_net import FusionNet
from toonify.models.fusion_tree import FFHQ, Part, StyleFusion

_HINT = "Give a folder of StyleFusion's networks, such as all.pt and face.pt of its project."
_FIRST = "blender_common.disentangle_net.0.bias"
_LAST = "blender_common.disentangle_net.4.bias"


def load_fusion_net(path: Path, *, device: str | torch.device = "cpu") -> FusionNet:
    """The network, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    return load_network("fusion", path, FusionNet, device=device).requires_grad_(False)


def load_style_fusion(
    folder: Path, root: Part = FFHQ, *, device: str | torch.device = "cpu"
) -> StyleFusion:
    """StyleFusion's published networks: a file NAME.pt for a node of the tree.

    Raises:
        ModelError: none there, a damaged one, or one of a node that isn't in the tree.
    """
    files = sorted(folder.glob("*.pt")) if folder.is_dir() else []
    if not files:
        raise ModelError(f"no StyleFusion networks in {folder}", hint=_HINT)
    nets = {}
    for path in files:
        with formats.naming(path):
            nets[path.stem] = _published(formats.read_torch(path)).to(device)
    return StyleFusion(root, nets)


def _published(content: object) -> FusionNet:
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise ModelError("it holds no network", hint=_HINT)
    first, last = state.get(_FIRST), state.get(_LAST)
    if not isinstance(first, Tensor) or not isinstance(last, Tensor):
        raise ModelError("it is no FusionNet", hint=_HINT)
    network = FusionNet(width=last.numel(), hidden=first.numel())
    try:
        network.load_state_dict({str(name): value.float() for name, value in state.items()})
    except (AttributeError, RuntimeError) as error:
        line = (str(error).strip().splitlines() or ["?"])[-1].strip()
        raise ModelError(f"it is no FusionNet ({line:.120})", hint=_HINT) from error
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise ModelError("it holds weights that are not finite", hint=_HINT)
    return network.eval().requires_grad_(False)
