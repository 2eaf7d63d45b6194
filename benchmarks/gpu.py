"""The GPU path on the card that is here: how exact, how fast, how much memory. One command:

    python -m benchmarks.gpu -o gpu.json [--photos FOLDER] [--clip CLIP] [--device cuda:1]

Networks first: each in float32, bfloat16 and float16, one picture and eight, called kernel by
kernel and replayed from a CUDA graph, compared with the same network on the processor in float32.
Then whole commands on the GPU and on the processor, where photographs or a clip are given. A row
that fails says why, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toonify.benchmark import peak_gpu_memory
from toonify.bundle import Bundle
from toonify.checkpoints.translators import load_unet
from toonify.device import arithmetic, device_name, finish, pick_device
from toonify.engines.unet import bundled_networks
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.replay import WORTH_IT, Replayed
from toonify.tuning import machine

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
WIDTHS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}


@dataclass(frozen=True)
class Work:
    """A network, as a function of tensors.

    Attributes:
        networks: what is moved to the device.
        draw: inputs → pictures or w+.
        inputs: of one picture, on the CPU.
    """

    name: str
    networks: tuple[nn.Module, ...]
    draw: Callable[..., Tensor]
    inputs: tuple[Tensor, ...]


def works(widths: dict[int, int] = WIDTHS) -> Iterator[Work]:
    """The default bundle's networks, and full-width ones of random weights.

    Args:
        widths: of StyleGAN2, by resolution.
    """
    random = torch.Generator().manual_seed(0)
    bundle = Bundle.load("default")
    generator, encoder = bundle.generator, bundle.encoder
    faces = torch.rand(1, 3, encoder.input_size, encoder.input_size, generator=random) * 2 - 1
    yield Work("encoder", (encoder, generator), lambda x: encoder.encode(x, generator), (faces,))
    w = generator.mapping(torch.randn(1, generator.z_dim, generator=random), truncation_psi=0.7)
    styles = tuple(x.detach() for x in generator.styles(w[:, None].repeat(1, generator.num_ws, 1)))
    yield Work("generator 512", (generator,), lambda *s: generator.synthesize(s), styles)
    style = load_unet(bundled_networks()["ink"], style="ink")
    yield Work("ink 512", (style,), style, (torch.rand(1, 3, 512, 512, generator=random) * 2 - 1,))
    size = max(widths)
    base = StyleGAN2Generator(resolution=size, channels=widths).eval()
    wide = tuple(x.detach() for x in base.styles(torch.randn(1, base.num_ws, 512)))
    yield Work(f"StyleGAN2 {size}", (base,), lambda *s: base.synthesize(s), wide)
    frames = StyleGANEXGenerator(base)
    feature = torch.randn(1, widths[4], 50, 45, generator=random)
    yield Work(
        "StyleGANEX 50x45",
        (frames,),
        lambda f, *s: frames.synthesize(s, feature=f, noise="zero"),
        (feature, *wide),
    )


@torch.inference_mode()
def measure(
    work: Work, device: torch.device, *, batch_sizes: Sequence[int] = (1, 8), runs: int = 20
) -> Iterator[dict[str, Any]]:
    """One record a dtype and batch: milliseconds a picture, directly and replayed, and the
    difference to the CPU in float32, relative to its mean magnitude."""
    for network in work.networks:
        network.eval().requires_grad_(False).cpu()
    expected = work.draw(*work.inputs).float()
    for network in work.networks:
        network.to(device).to(memory_format=torch.channels_last)
    for dtype in DTYPES:
        if dtype == torch.float16 and device.type == "cpu":
            continue  # processors only emulate it

        def draw(*given: Tensor, dtype: torch.dtype = dtype) -> Tensor:
            with arithmetic(device, dtype):
                return work.draw(*given)

        replay: Replayed[Tensor] = Replayed(draw)
        for batch in batch_sizes:
            record = {"work": work.name, "dtype": str(dtype).split(".")[1], "batch": batch}
            given = [x.to(device).repeat(batch, *[1] * (x.ndim - 1)) for x in work.inputs]
            try:
                direct = _milliseconds(draw, given, device, runs)
                fast = _milliseconds(replay, given, device, runs)
                found = replay(*given)[:1].float().cpu()
            except RuntimeError as error:
                yield record | {"failed": str(error).splitlines()[0]}
                continue
            apart = (found - expected).abs()
            yield record | {
                "direct_ms": round(direct / batch, 3),
                "replayed_ms": round(fast / batch, 3),
                "mean_difference": float(f"{apart.mean() / expected.abs().mean():.2g}"),
                "largest_difference": float(f"{apart.max() / expected.abs().mean():.2g}"),
                "gpu_memory_mib": peak_gpu_memory(device),
            }


def _milliseconds(
    draw: Callable[..., Tensor], given: Sequence[Tensor], device: torch.device, runs: int
) -> float:
    for _ in range(WORTH_IT + 1):  # until a graph is replayed
        draw(*given)
    finish(device)
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        draw(*given)
        finish(device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


def commands(device: str, photos: Path | None, clip: Path | None) -> Iterator[dict[str, Any]]:
    """Seconds of whole commands, each on the device and on the processor."""
    lines = {}
    if photos is not None:
        lines["photos, ink"] = ["stylize", str(photos), "--style", "ink"]
        lines["photos, bram"] = ["stylize", str(photos), "--character", "bram"]
    if clip is not None:
        lines["clip, ink"] = ["video", str(clip), "--style", "ink"]
        lines["clip, bram"] = ["video", str(clip), "--character", "bram"]
    for name, line in lines.items():
        for place in (device, "cpu"):
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder, "drawn.mp4" if line[0] == "video" else "drawn")
                started = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-m", "toonify", *line, "-o", target, "--device", place],
                    capture_output=True,
                    text=True,
                )
                seconds = round(time.perf_counter() - started, 2)
            printed = (done.stdout.strip() or done.stderr.strip()).splitlines()
            yield {"command": name, "device": place, "seconds": seconds, "printed": printed[-1:]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row a measurement; keep all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--runs", type=int, default=20, help="of which medians are taken (20)")
    chosen = parser.parse_args(arguments)
    device = pick_device(chosen.device)
    rows: list[dict[str, Any]] = []
    about = {"machine": machine(), "device": device_name(device), "cuda": torch.version.cuda}
    print(about, flush=True)
    found = (row for work in works() for row in measure(work, device, runs=chosen.runs))
    for source in (found, commands(chosen.device, chosen.photos, chosen.clip)):
        for row in source:
            rows.append(row)
            print(row, flush=True)
            chosen.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
