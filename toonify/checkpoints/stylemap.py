"""StyleMapGAN from files: the published checkpoints, and ours of `toonify train-stylemap`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from toonify.checkpoints import formats
from toonify.checkpoints.loading import load_network
from toonify.errors import ModelError, ToonifyError
from toonify.models.generators.stylemap import STYLE_CHANNELS, StyleMapGAN

_HINT = "Give a checkpoint of StyleMapGAN, with g_ema and e_ema."


def load_stylemap(path: Path, *, device: str | torch.device = "cpu") -> StyleMapGAN:
    """Generator and encoder (their running averages), float32, evaluated and frozen.

    Args:
        path: of `toonify train-stylemap`, or a published .pt.

    Raises:
        ModelError: missing, damaged, or of another method.
    """
    with formats.naming(path):
        if not path.is_file():
            raise ModelError("there is no such file", hint="Check the name.")
        if path.suffix == ".safetensors":
            network = load_network("stylemap", path, StyleMapGAN)
        else:
            network = _published(path)
    return network.eval().requires_grad_(False).to(device)


def _published(path: Path) -> StyleMapGAN:
    contents = formats.read_torch(path)
    tensors = {}
    for role, name in (("generator", "g_ema"), ("encoder", "e_ema")):
        part = contents.get(name) if isinstance(contents, dict) else None
        if not isinstance(part, dict):
            raise ModelError(f"it holds no {name}", hint=_HINT)
        for key, value in part.items():
            if isinstance(value, Tensor):
                tensors[f"{role}.{str(key).removeprefix('module.')}"] = value.float()
    decoder = "generator.decoder"
    try:
        first = tensors[f"{decoder}.input.input"]
        map_size, widths = first.shape[2], {first.shape[2]: first.shape[1]}
        at = map_size
        while f"{decoder}.convs.{len(widths) - 1}.conv1.conv.weight" in tensors:
            weight = tensors[f"{decoder}.convs.{len(widths) - 1}.conv1.conv.weight"]
            at *= 2
            widths[at] = weight.shape[1]
        styles = tensors[f"{decoder}.conv1.conv.gamma.weight"].shape[1]
        small = at > map_size and styles == STYLE_CHANNELS and first.shape[1] != STYLE_CHANNELS
        network = StyleMapGAN(size=at, map_size=map_size, small=small, widths=widths)
        network.load_state_dict(tensors)
    except ToonifyError:
        raise
    except (KeyError, IndexError, RuntimeError) as error:
        line = (str(error).strip().splitlines() or ["?"])[-1].strip()
        raise ModelError(f"it is of another network ({line:.120})", hint=_HINT) from error
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise ModelError("it holds weights that are not finite", hint=_HINT)
    return network
