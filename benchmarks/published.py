"""Full-width networks of the papers, beside another implementation, in one process.

    python -m benchmarks.published --compare MODULE:CALLABLE [--work NAME…] [--runs N]

CALLABLE(work) gives what is compared with, "styleganex", "stylegan2" or "encoder":

- its state dict, in the published layout, which toonify's loaders take; seeded weights serve;
- a function of the work's inputs, which are

  - styleganex: w+ (1, 18, 512) and a first feature (1, 512, 50, 45) → the frame, without noise;
  - stylegan2: w+ (1, 18, 512) → the image at 1024×1024, with the stored noise;
  - encoder: a frame (1, 3, 400, 360) → the first feature and the seven of the skip connections;
    the published code computes the frame's w+ with them, whether or not it is used.

Both take turns, so that a busy moment hits both; what is told are medians, their ratios, and the
largest difference. With --keep-memory both reuse freed memory, as toonify's programs do; without,
the system clears large arrays' pages anew, as it does in any other Python program.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from toonify.checkpoints.formats import Checkpoint, build
from toonify.checkpoints.layouts import rosinality_generator
from toonify.checkpoints.styleganex_layout import styleganex_encoder
from toonify.models.encoders.styleganex import StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.utils.memory import keep_freed_memory

WORKS = ("styleganex", "stylegan2", "encoder")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
W_DIM, NUM_WS = 512, 18
Draw = Callable[..., Any]


def inputs(work: str) -> tuple[Tensor, ...]:
    """What both get, the same on every machine."""
    random = torch.Generator().manual_seed(0)
    if work == "encoder":
        return (torch.rand(1, 3, 400, 360, generator=random) * 2 - 1,)
    w_plus = torch.randn(1, NUM_WS, W_DIM, generator=random)
    if work == "stylegan2":
        return (w_plus,)
    return w_plus, torch.randn(1, 512, 50, 45, generator=random)


def ours(work: str, state: Mapping[str, Tensor]) -> Draw:
    """Our network of these weights, as a function of the work's inputs."""
    mean = torch.zeros(W_DIM)
    if work == "encoder":
        read = {"encoder": lambda: styleganex_encoder(state, {}, mean, None)}
        encoder = build("encoder", Checkpoint("styleganex", read))
        assert isinstance(encoder, StyleGANEXEncoder)
        encoder.eval()

        def encode(frame: Tensor) -> tuple[Tensor, ...]:
            features = encoder.frame_features(frame)
            return features.feature, *features.skips

        return encode
    read = {"generator": lambda: rosinality_generator(state, mean)}
    base = build("generator", Checkpoint("rosinality", read))
    assert isinstance(base, StyleGAN2Generator)
    base.eval()
    if work == "stylegan2":
        return base
    network = StyleGANEXGenerator(base)
    return lambda w_plus, feature: network(w_plus, feature=feature, noise="zero")


def difference(one: Any, other: Any) -> float:
    """The largest, of two tensors or of sequences of them."""
    if isinstance(one, Tensor):
        return float((one.float() - other.float()).abs().max())
    return max(difference(a, b) for a, b in zip(one, other, strict=True))


def timed(draw: Draw, given: Sequence[Tensor]) -> tuple[float, float, Any]:
    """Seconds by the clock, and of the processor, and what was drawn."""
    clock, processor = time.perf_counter(), time.process_time()
    result = draw(*given)
    return time.perf_counter() - clock, time.process_time() - processor, result


@torch.no_grad()
def measure(
    work: str, published: tuple[Mapping[str, Tensor], Draw], *, dtypes: Sequence[str], runs: int
) -> list[dict[str, Any]]:
    """One record a dtype of ours; the other one always draws in float32."""
    state, theirs = published
    network, given = ours(work, state), inputs(work)
    seconds: dict[str, list[tuple[float, float]]] = {}
    errors: dict[str, float] = {}
    for run in range(runs + 1):  # the first one warms up
        *taken, expected = timed(theirs, given)
        turns = {"published": taken}
        for name in dtypes:
            with torch.autocast("cpu", DTYPES[name], enabled=name != "float32"):
                *turns[name], found = timed(network, given)
            errors[name] = difference(found, expected)
        print(f"{work}, run {run}: {turns}", file=sys.stderr, flush=True)
        if run:
            for name, (clock, processor) in turns.items():
                seconds.setdefault(name, []).append((clock, processor))
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in seconds.items()
    }
    return [
        {
            "work": work,
            "dtype": name,
            "threads": torch.get_num_threads(),
            "runs": runs,
            "published": medians["published"],
            "ours": medians[name],
            "times": [a / b for a, b in zip(medians["published"], medians[name], strict=True)],
            "error": errors[name],
        }
        for name in dtypes
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row a work and dtype: seconds by the clock / of the processor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compare", required=True, metavar="MODULE:CALLABLE")
    parser.add_argument("--work", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--runs", type=int, default=5, help="of which medians are taken (5)")
    parser.add_argument("--keep-memory", action="store_true", help="reuse freed memory")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    if chosen.keep_memory:
        keep_freed_memory()
    module, name = chosen.compare.split(":")
    make = getattr(import_module(module), name)
    for work in chosen.work:
        for record in measure(work, make(work), dtypes=chosen.dtype, runs=chosen.runs):
            print(json.dumps(record), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
