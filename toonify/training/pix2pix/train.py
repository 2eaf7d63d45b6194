"""From a folder of pairs to a network that draws their style."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from toonify.checkpoints.loading import save_network
from toonify.checkpoints.translators import load_translator
from toonify.device import pick_device
from toonify.engines.unet import bundled_networks
from toonify.errors import UsageError
from toonify.models.styled_unet import StyledUNet
from toonify.models.unet import UNet
from toonify.names import unknown_name
from toonify.training.core.loop import Progress, run_trainer
from toonify.training.core.report import display_of, reported
from toonify.training.core.runs import RunFolder
from toonify.training.pix2pix.pairs import DRAWINGS, PHOTOS, PairFolder
from toonify.training.pix2pix.step import Pix2PixConfig, Pix2PixTrainer
from toonify.utils.outputs import InputFiles, check_output, check_run_folder

STYLE = "style.safetensors"


def train_pix2pix(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    config: Pix2PixConfig | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Path:
    """Train a network that draws photographs in the manner of a folder's drawings.

    Snapshots, metrics.jsonl, previews and report.html go into the output's folder, the network is
    its style.safetensors, written at every snapshot. A network of several styles is taken apart
    into a file each beside it, STYLE.safetensors.

    Args:
        data: holds `photos/` and `drawings/` of equal names; drawings lie exactly over their
            photographs. Folders in `drawings/` are styles, which one network learns.
        output: folder of the run.
        base: such a network's file to go on from, or a style of the default bundle that a network
            draws; a fresh one when None. Several styles begin as the one it draws.
        config: a `Pix2PixConfig` of `toonify.training.pix2pix.step`; the defaults when None.
        resume: go on from the last snapshot in the folder.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        progress: called after every step with the losses.

    Returns:
        The network's file.

    Raises:
        UsageError: options that don't fit, no such style, or a run in the folder without `resume`.
        InputError: no pairs.
        ModelError: `base` can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> made = train_pix2pix("studio/", "runs/studio", base="ink")
    """
    config = config or Pix2PixConfig()
    data, output = Path(data), Path(output)
    file = None if base is None else base_network(base)
    reads = InputFiles([data / PHOTOS, data / DRAWINGS, file])
    check_run_folder(output, reads)
    made = output / STYLE
    begun = (output / "snapshot.pt").is_file()
    check_output(made, reads, named=begun, folder=output)
    pairs = PairFolder(data, crop=config.crop)
    for style in pairs.styles:
        check_output(output / f"{style}.safetensors", reads, named=begun, folder=output)
    pairs.read(0)
    network = _start(file, base, config.seed, pairs.styles).to(pick_device(device))
    trainer = Pix2PixTrainer(config, network, pairs)
    with reported(
        output,
        command="finetune --objective pix2pix",
        steps=config.steps,
        config={"data": data, **asdict(config)},
        facts={"pairs": len(pairs)},
        display=display_of(progress),
    ) as report:
        run_trainer(
            trainer,
            RunFolder(output),
            steps=config.steps,
            snapshot=config.snapshot,
            resume=resume,
            progress=report,
            kept=lambda: _keep(trainer.average, made),
            keep=config.keep,
            model=STYLE,
        )
    return made


def base_network(name: str | os.PathLike[str]) -> Path:
    """The file of a network to start from: itself, or that of a style of the default bundle.

    Raises:
        UsageError: no such style.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = bundled_networks()
    if str(name) not in known:
        raise unknown_name("network to start from", str(name), list(known))
    return known[str(name)]


def _start(
    file: Path | None, base: str | os.PathLike[str] | None, seed: int, styles: Sequence[str]
) -> UNet | StyledUNet:
    """A fresh network, or one to go on from, for one style or for several."""
    if file is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return StyledUNet(styles=styles) if styles else UNet()
    known = load_translator(file)
    if isinstance(known, StyledUNet) and str(base) in known.styles:  # named, not its file
        known = known.network(str(base))
    if isinstance(known, UNet):
        return StyledUNet.from_unet(known, styles) if styles else known
    if tuple(styles) != known.styles:
        raise UsageError(
            f"{base} draws {', '.join(known.styles)}",
            hint="Give drawings of these styles, or the file of one of them.",
        )
    return known


def _keep(network: UNet | StyledUNet, made: Path) -> None:
    save_network(network, made)
    if isinstance(network, StyledUNet):
        for style in network.styles:
            save_network(network.network(style), made.with_name(f"{style}.safetensors"))
