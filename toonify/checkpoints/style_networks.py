"""Networks of style transfer from files: ours, and the published pairs of encoder and decoder."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from toonify.checkpoints import formats
from toonify.errors import ModelError
from toonify.models.style_transfer.adain import AdaINNetwork
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.models.style_transfer.wct2 import WCT2

StyleNetwork = AdaINNetwork | LayerwiseAdaIN | WCT2
PARTS = {"adain": "style", "wct2": "style_photo"}  # of a bundle, by engine
_HINT = (
    "Give a .safetensors of ours, or a folder of the published files: vgg_normalised.pth and"
    " decoder.pth, or wave_encoder_*.pth and wave_decoder_*.pth."
)


def load_style_network(path: Path) -> StyleNetwork:
    """A network in evaluation mode, frozen, float32.

    Args:
        path: a file of ours, or a folder with the published AdaIN's `vgg_normalised.pth` and
            `decoder.pth`, or WCT2's `wave_encoder_cat5_l4.pth` and `wave_decoder_cat5_l4.pth` (or
            those of its sum).

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    if path.is_dir():
        network = _published(path)
    else:
        with formats.naming(path):
            checkpoint = formats.read_checkpoint(path)
            if "style" not in checkpoint.roles:
                raise ModelError("it holds no network of style transfer", hint=_HINT)
            network = cast(StyleNetwork, formats.build("style", checkpoint))
    return network.eval().requires_grad_(False)


def _published(folder: Path) -> StyleNetwork:
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".pth")
    if {"vgg_normalised.pth", "decoder.pth"} <= set(names):
        adain = AdaINNetwork()
        load_vgg19(adain, folder)
        _fill(adain.decoder, _read(folder / "decoder.pth"), folder)
        return adain
    pairs = {
        part: [n for n in names if n.startswith(f"wave_{part}")] for part in ("encoder", "decoder")
    }
    if len(pairs["encoder"]) != 1 or len(pairs["decoder"]) != 1:
        raise ModelError(f"{folder} holds no network of style transfer", hint=_HINT)
    decoder = _read(folder / pairs["decoder"][0])
    wct2 = WCT2(unpooling="cat5" if "conv3_4_2.weight" in decoder else "sum")
    _fill(wct2.encoder, _read(folder / pairs["encoder"][0]), folder)
    _fill(wct2.decoder, decoder, folder)
    return wct2


def load_vgg19(network: AdaINNetwork, folder: Path) -> None:
    """Fill the encoder from the published `vgg_normalised.pth`, which goes on to relu5_4.

    Raises:
        ModelError: it is not there, or not that network.
    """
    path = folder / "vgg_normalised.pth"
    kept = network.encoder.state_dict()
    _fill(network.encoder, {k: v for k, v in _read(path).items() if k in kept}, path)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = (str(error).strip().splitlines() or ["?"])[0]
        raise ModelError(f"{path} can't be read ({reason:.100})", hint=_HINT) from error
    if not isinstance(state, Mapping):
        raise ModelError(f"{path} holds no state dict", hint=_HINT)
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        line = (str(error).strip().splitlines() or ["?"])[-1].strip()
        raise ModelError(f"{path} is of another network ({line:.120})", hint=_HINT) from error
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise ModelError(f"{path} holds weights that are not finite", hint="Get it again.")
