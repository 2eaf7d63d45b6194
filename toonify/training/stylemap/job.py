"""StyleMapGAN on a folder of faces, into the folder of a run."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from toonify.checkpoints.loading import save_network
from toonify.device import pick_device, pick_dtype, refuse_float16
from toonify.errors import UsageError
from toonify.metrics import lpips
from toonify.training.core.loop import run_trainer
from toonify.training.core.report import REPORT, Display, no_display, reported
from toonify.training.core.runs import RunFolder
from toonify.training.data.photos import load_photos
from toonify.training.stylemap.step import Design, StyleMapConfig, StyleMapTrainer, new_stylemap
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)

MADE = "stylemap.safetensors"
SIZES, MAP_SIZES = (64, 128, 256, 512), (8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class StyleMapJob:
    """What StyleMapGAN is trained on, and of which shape.

    Attributes:
        photos, aligned: folder of photographs; whether they are FFHQ crops already.
        output: folder of the run.
        size: side of the pictures, px: 64, 128, 256 or 512.
        map_size: side of the stylemap: 8, 16 or 32.
        design: how wide the networks are, see `new_stylemap`.
        mapping: whether random faces are learnt too.
        lpips_net: what reconstructions are compared by; "vgg" as published.
        config: options of the training; its `bfloat16` follows `dtype`.
        snapshot: steps between snapshots; `keep`: so many networks stay.
        resume: go on from the last snapshot in the folder.
    """

    photos: Path
    output: Path
    aligned: bool = False
    size: int = 128
    map_size: int = 16
    design: Design = "light"
    mapping: bool = False
    lpips_net: Literal["alex", "vgg"] = "alex"
    config: StyleMapConfig = field(default_factory=StyleMapConfig)
    snapshot: int = 250
    keep: int = 0
    resume: bool = False

    def check(self) -> None:
        """UsageError for sizes that there are no networks of."""
        if self.size not in SIZES or self.map_size not in MAP_SIZES:
            raise UsageError(
                f"`size` {self.size} with `map_size` {self.map_size} is no StyleMapGAN",
                hint="Choose 64, 128, 256 or 512, and 8, 16 or 32.",
            )


@dataclass(frozen=True, kw_only=True)
class StyleMapResult:
    """What a run left in its folder, and the thousand faces it has learnt from."""

    network: Path
    report: Path
    kimg: float


def train_stylemap(
    options: StyleMapJob,
    *,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
    progress: Progress = no_progress,
) -> StyleMapResult:
    """Train StyleMapGAN's generator, encoder and discriminator (arXiv 2104.14754) together.

    Snapshots, metrics.jsonl, previews, report.html and stylemap.safetensors, the running average
    of generator and encoder, go into the folder.

    Args:
        display: opens a display of the training.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        InputError: no photographs.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> job = StyleMapJob(photos=Path("faces"), output=Path("runs/stylemap"))
        >>> train_stylemap(job).network
    """
    refuse_float16(dtype)
    options.check()
    place = pick_device(device)
    bfloat16 = pick_dtype(dtype, place) != torch.float32  # a GPU's float16 loses small gradients
    precision = torch.bfloat16 if bfloat16 else torch.float32
    config = replace(options.config, bfloat16=bfloat16)
    check_run_folder(options.output, InputFiles([options.photos]))
    run = RunFolder(options.output)
    run.start(resume=options.resume)  # before minutes of preparation: is it free?
    with progress("photographs") as bar:
        faces = load_photos(
            options.photos, options.output, size=options.size, aligned=options.aligned, progress=bar
        )
    for name, reason in faces.skipped:
        log.warning("%s is left out: %s", name, reason)
    network = new_stylemap(
        size=options.size,
        map_size=options.map_size,
        design=options.design,
        mapping=options.mapping,
        seed=config.seed,
    )
    perceptual = None
    if config.weights.lpips:
        perceptual = lpips.PerceptualLoss(options.lpips_net, dtype=precision).to(place)
    trainer = StyleMapTrainer(network.to(place), faces, config, perceptual=perceptual)
    made = options.output / MADE

    def write() -> None:
        save_network(trainer.average, made, metadata={"kimg": f"{trainer.kimg:g}"})

    with reported(
        options.output,
        command="train-stylemap",
        steps=config.steps,
        config=asdict(config),
        facts={"network": network.config(), "faces": len(faces), "device": place},
        display=display,
    ) as report:
        run_trainer(
            trainer,
            run,
            steps=config.steps,
            snapshot=options.snapshot,
            resume=options.resume,
            progress=report,
            kept=write,
            keep=options.keep,
            model=MADE,
        )
    return StyleMapResult(network=made, report=options.output / REPORT, kimg=trainer.kimg)
