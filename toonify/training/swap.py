"""Layer swapping (Pinkney & Adler, arXiv 2010.05334), for either generator family."""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

import torch
from torch import nn

from toonify.errors import ModelError, UsageError
from toonify.models.protocol import Generator

G = TypeVar("G", bound=Generator)


def tensor_resolutions(generator: Generator) -> dict[str, int]:
    """Every parameter and buffer → resolution of the layer it belongs to.

    The mapping network, the constant input and the average latent belong to none and get 0.
    """
    layers = {layer.name: layer.resolution for layer in generator.layers}
    result = {}
    for name in cast(nn.Module, generator).state_dict():
        owner = name
        while owner and owner not in layers:
            owner = owner.rpartition(".")[0]
        result[name] = layers[owner] if owner else 0
    return result


def describe_difference(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Where two generator configs differ, as "key: A against B" phrases."""
    keys = [*a, *(key for key in b if key not in a)]
    return [
        f"{key}: {a.get(key, 'none')} against {b.get(key, 'none')}"
        for key in keys
        if a.get(key) != b.get(key)
    ]


def layer_swap(source: G, toon: G, *, resolution: int = 32) -> G:
    """Coarse layers of `source`, fine layers of `toon`, as a new generator.

    Args:
        source: the face generator; gives the layers below `resolution`, the mapping network,
            the constant input and the average latent.
        toon: its fine-tuned copy; gives the layers (and noise maps) from `resolution` up.
        resolution: the first one taken from `toon`, 32 in the design.

    Raises:
        ModelError: the parents are not built alike; the message says what differs.
        UsageError: no layer works at `resolution`.
    """
    if differences := describe_difference(source.config(), toon.config()):
        raise ModelError(
            f"the two generators are not built alike ({'; '.join(differences)})",
            mend="Swap a generator with a fine-tuned copy of itself.",
        )
    sizes = sorted({layer.resolution for layer in source.layers})
    if resolution not in sizes:
        raise UsageError(
            f"no layer works at resolution {resolution}",
            mend=f"Choose one of {', '.join(map(str, sizes))}.",
        )
    swapped = copy.deepcopy(source)
    fine = cast(nn.Module, toon).state_dict()
    with torch.no_grad():
        state = cast(nn.Module, swapped).state_dict()
        for name, size in tensor_resolutions(swapped).items():
            if size >= resolution:
                state[name].copy_(fine[name])
    return swapped
