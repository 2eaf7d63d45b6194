"""Layer swapping (Pinkney & Adler, arXiv 2010.05334), for either generator family.

A plain swap changes parents at one resolution; a blended one passes gradually from one to the
other, a logistic curve over the logarithm of the resolution.
"""

from __future__ import annotations

import copy
import math
from typing import Any, TypeVar

import torch
from torch import Tensor

from toonify.errors import ModelError, UsageError
from toonify.models.base import Generator
from toonify.models.generators.hybrid import JUNCTION

G = TypeVar("G", bound=Generator)


def tensor_resolutions(generator: Generator) -> dict[str, int]:
    """Every parameter and buffer → resolution of the layer it belongs to.

    The mapping network, the constant input and the average latent belong to none and get 0.
    """
    layers = {layer.name: layer.resolution for layer in generator.layers}
    layers["bridge"] = JUNCTION  # of a hybrid generator
    result = {}
    for name in generator.state_dict():
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


def toon_share(size: int, resolution: int, blend: float = 0.0) -> float:
    """How much of a layer at `size` pixels comes from the fine-tuned copy, 0 to 1.

    Args:
        resolution: of the swap: the middle of the change lies half an octave below it, between
            the last layer of the source's and the first of the copy's.
        blend: width of the change, in octaves (doublings of the resolution): one width away from
            its middle the share is 27 or 73 %, three widths away 5 or 95 %. 0 is a plain swap.
    """
    if not blend:
        return float(size >= resolution)
    octaves = math.log2(size) - (math.log2(resolution) - 0.5)
    return 1 / (1 + math.exp(-octaves / blend))


@torch.no_grad()
def compare_parents(source: Generator, toon: Generator) -> list[str]:
    """What is odd about two parents that do fit together, one phrase each.

    Differences that forbid a swap are `layer_swap`'s to tell.
    """
    ours = source.state_dict()
    theirs = toon.state_dict()
    sizes = tensor_resolutions(source)
    notes = []
    mapping = [n for n, size in sizes.items() if not size and n not in ("w_avg", "const")]
    if gap := max((_gap(ours[n], theirs[n]) for n in mapping), default=0.0):
        notes.append(f"the mapping networks differ by {gap:.0%}; the source's is taken")
    if gap := _gap(ours["w_avg"], theirs["w_avg"]):
        notes.append(f"the average latents differ by {gap:.0%}; the source's is taken")
    layers = [n for n, size in sizes.items() if size and ours[n].ndim > 1 and "noise" not in n]
    gaps = {n: _gap(ours[n], theirs[n]) for n in layers}
    if not any(gaps.values()):
        notes.append("all their layers are equal, so that the swap changes nothing")
    elif sum(gap > 1 for gap in gaps.values()) > len(gaps) / 2:
        notes.append("their weights have nothing in common: is one a fine-tuned copy of the other?")
    return notes


def _gap(a: Tensor, b: Tensor) -> float:
    """Length of the difference over the length of `a`."""
    return float((a.float() - b.float()).norm() / a.float().norm().clamp_min(1e-12))


def layer_swap(source: G, toon: G, *, resolution: int = 32, blend: float = 0.0) -> G:
    """Coarse layers of `source`, fine layers of `toon`, as a new generator.

    Args:
        source: the face generator; gives the layers below `resolution`, the mapping network,
            the constant input and the average latent.
        toon: its fine-tuned copy; gives the layers (and noise maps) from `resolution` up.
        resolution: the first one taken from `toon`, 32 in the design.
        blend: width of a gradual change in octaves, see `toon_share`; 0 changes at once.

    Raises:
        ModelError: the parents are not built alike; the message says what differs.
        UsageError: no layer works at `resolution`, or a negative width.
    """
    if differences := describe_difference(source.config(), toon.config()):
        raise ModelError(
            f"the two generators are not built alike ({'; '.join(differences)})",
            hint="Swap a generator with a fine-tuned copy of itself.",
        )
    sizes = sorted({layer.resolution for layer in source.layers})
    if resolution not in sizes:
        raise UsageError(
            f"no layer works at resolution {resolution}",
            hint=f"Choose one of {', '.join(map(str, sizes))}.",
        )
    if not 0 <= blend < math.inf:
        raise UsageError(f"the blend is {blend:g} octaves", hint="Choose 0 or more; 0.5 is soft.")
    swapped = copy.deepcopy(source)
    fine = toon.state_dict()
    with torch.no_grad():
        state = swapped.state_dict()
        for name, size in tensor_resolutions(swapped).items():
            share = toon_share(size, resolution, blend) if size else 0.0
            if share == 1.0:
                state[name].copy_(fine[name])
            elif share:
                state[name].lerp_(fine[name], share)
    return swapped
