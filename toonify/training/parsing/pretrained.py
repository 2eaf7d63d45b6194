"""Weights of an exported parsing network, for a training to go on from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.parsing import ConvBlock, ParsingNetwork
from toonify.utils.onnx import read_convolutions


@torch.no_grad()
def load_exported(network: ParsingNetwork, path: Path, pictures: Tensor) -> None:
    """Fill a network with what `export_onnx` wrote.

    Norms are folded in that file. Here each one gets the statistics that `pictures` (B, 3, S, S in
    0..1) have, and what undoes them, so that the network gives what the file gives, and goes on
    learning with norms of its own.

    Raises:
        ModelError: the file is of another network.
    """
    try:
        found = read_convolutions(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path} is no parser ({error})", hint="Take a parser.") from error
    layers = network.convolutions()
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if shapes != [weight.shape for weight, _ in found]:
        raise ModelError(f"{path} is another network than this parser", hint="Take a parser.")
    norms = {block[0]: block[1] for block in network.modules() if isinstance(block, ConvBlock)}
    for layer, (weight, bias) in zip(layers, found, strict=True):
        layer.weight.copy_(torch.from_numpy(weight))
        offset = torch.from_numpy(bias)
        if layer.bias is not None:
            layer.bias.copy_(offset)
        else:
            _pass(norms[layer], offset)
    _use_statistics(network, norms, pictures)


def _pass(norm: nn.Module, offset: Tensor) -> None:
    """Let a norm do nothing but add an offset."""
    assert isinstance(norm, nn.BatchNorm2d)
    norm.weight.fill_(1)
    norm.bias.copy_(offset)
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]


def _use_statistics(
    network: ParsingNetwork, norms: dict[nn.Module, nn.Module], pictures: Tensor
) -> None:
    """Give each norm what its convolution yields of pictures, and weights that undo it."""
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(layer: nn.Module, _: object, out: Tensor) -> None:
        seen[layer] = (out.mean((0, 2, 3)), out.var((0, 2, 3), unbiased=False))

    hooks = [layer.register_forward_hook(note) for layer in norms]
    network.eval()(pictures)
    for hook in hooks:
        hook.remove()
    for layer, norm in norms.items():
        assert isinstance(norm, nn.BatchNorm2d)
        mean, variance = seen[layer]
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
