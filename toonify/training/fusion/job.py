"""Training FusionNet from a generator's file: what keeps backgrounds behind large edits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from toonify.bundle import locate, model_files
from toonify.checkpoints import load_generator
from toonify.checkpoints.fusion import load_fusion_net
from toonify.device import pick_device, pick_dtype, refuse_float16
from toonify.editing.edits import layer_range
from toonify.editing.named import shipped_directions
from toonify.errors import UsageError
from toonify.models.base import Generator
from toonify.models.fusion_net import FUSED_TO, FusionNet
from toonify.models.generators.hybrid import HybridGenerator
from toonify.training.core.report import Display, no_display
from toonify.training.core.runs import RunFolder
from toonify.training.encoders.job import EncoderResult
from toonify.training.encoders.network_job import NetworkJob, run_job
from toonify.training.fusion.step import FusionConfig, FusionTrainer
from toonify.training.hfgi.pairs import Direction
from toonify.utils.outputs import InputFiles, check_run_folder

HIDDEN = 96  # channels within: with less than a hundredth of the published weights
# What an edit moves the outline of a head by, or puts before a face
TAUGHT = ("yaw", "pitch", "glasses", "hair-long")


@dataclass(frozen=True, kw_only=True)
class FusionJob(NetworkJob):
    """What FusionNet is trained for; the generator has FFHQ's W."""

    kimg: float = 8.0
    snapshot_kimg: float = 1.0


def train_fusion(
    options: FusionJob,
    *,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
) -> EncoderResult:
    """Train FusionNet; fusion.safetensors, previews and report.html go into the folder.

    Args:
        display: opens a display of the training.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> train_fusion(FusionJob(generator="default", output=Path("run"))).encoder
    """
    refuse_float16(dtype)
    check_run_folder(options.output, InputFiles(model_files(options.generator, options.start)))
    RunFolder(options.output).start(resume=options.resume)
    place = pick_device(device)
    config = FusionConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        lr=options.lr or (0.1 if options.start is None else 0.025),
        bfloat16=pick_dtype(dtype, place) != torch.float32,
        seed=options.seed,
    )
    part = locate(options.generator, "inversion_generator", "generator")
    generator = _compact(load_generator(part, device=place))
    parser, directions = _taught(generator)
    trainer = FusionTrainer(_network(options, generator), generator, parser, directions, config)
    return run_job(
        options,
        trainer,
        "fusion",
        config=vars(options) | asdict(config),
        facts={"network": trainer.average.config(), "device": place},
        display=display,
    )


def _compact(generator: Generator) -> HybridGenerator:
    if not isinstance(generator, HybridGenerator):
        raise UsageError(
            "fusion is trained for compact generators with StyleGAN2's layers up to 32x32",
            hint="Give such a one as the default bundle's.",
        )
    return generator


def _taught(generator: HybridGenerator) -> tuple[torch.Tensor, list[Direction]]:
    """What tells regions in the generator's activations, and the edits to learn from."""
    named = shipped_directions()
    if named is None or named.parser is None or not named.parses(generator):
        raise UsageError(
            "the shipped parser doesn't know this generator's activations",
            hint="Give the default bundle's generator, or one fine-tuned from it.",
        )
    named.check(generator)
    directions = [
        (named.vectors[name], layer_range(about.layers, generator.num_ws))
        for name, about in named.about.items()
        if name in TAUGHT
    ]
    return named.parser, directions


def _network(options: FusionJob, generator: HybridGenerator) -> FusionNet:
    device = generator.w_avg.device
    if options.start is not None:
        return load_fusion_net(Path(locate(options.start, "fusion")), device=device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        width = max(x.channels for x in generator.layers if x.resolution <= FUSED_TO)
        return FusionNet(width=width, hidden=HIDDEN, up_to=FUSED_TO).to(device)
