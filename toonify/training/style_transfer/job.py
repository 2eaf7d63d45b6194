"""A network of style transfer from two folders of pictures, into the folder of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from toonify.checkpoints.loading import save_network
from toonify.device import pick_device, training_dtype
from toonify.errors import UsageError
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.training.core.loop import Progress, run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.style_transfer.decoder import (
    StyleTrainer,
    StyleTrainSettings,
    decoder_to_train,
)
from toonify.training.style_transfer.layerwise import (
    LayerwiseSettings,
    LayerwiseTrainer,
    vgg_features,
)
from toonify.training.style_transfer.pictures import PictureFolder
from toonify.utils.outputs import InputFiles, check_output, check_run_folder

MADE = "style.safetensors"


@dataclass(frozen=True, kw_only=True)
class StyleNetworkResult:
    """The network's file, and the steps that it has learnt."""

    network: Path
    steps: int


def train_style_network(
    contents: Path,
    styles: Path,
    output: Path,
    *,
    settings: StyleTrainSettings | None = None,
    encoder: Path | None = None,
    snapshot: int = 1000,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> StyleNetworkResult:
    """Train AdaIN's decoder (Huang and Belongie, 2017, §6), or a small network, on any pictures.

    Snapshots, metrics.jsonl and previews go into the folder; the network is its
    style.safetensors, written at every snapshot.

    Args:
        contents: folder of photographs.
        styles: folder of pictures whose manners are learnt.
        output: folder of the run.
        settings: of the training; the published ones when None. `LayerwiseSettings` train a small
            network with AdaIN at every layer.
        encoder: folder with the published `vgg_normalised.pth`; None for LPIPS's VGG-16, which
            alone compares a small one's pictures.
        snapshot: steps between snapshots.
        resume: go on from the last snapshot in the folder.
        progress: called after every step with the losses.

    Raises:
        UsageError: options that don't fit, or a run in the folder without `resume`.
        InputError: no pictures.
        ModelError: the encoder can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> done = train_style_network(Path("photos"), Path("paintings"), Path("runs/style"))
        >>> engine = load_engine("adain", images=["monet.jpg"], network=done.network)
    """
    settings = settings or StyleTrainSettings()
    if encoder is not None and isinstance(settings, LayerwiseSettings):
        raise UsageError("a small network is compared by VGG-16", hint="Leave out `encoder`.")
    made = output / MADE
    reads = InputFiles([contents, styles, *([encoder] if encoder else [])])
    check_run_folder(output, reads)
    begun = (output / "snapshot.pt").is_file()
    check_output(made, reads, named=begun, folder=output)
    photos, pictures = (PictureFolder(folder, crop=settings.crop) for folder in (contents, styles))
    place = pick_device(device)
    trainer: StyleTrainer | LayerwiseTrainer
    if isinstance(settings, LayerwiseSettings):
        dtype = training_dtype("auto", place)
        vgg = vgg_features(photos, pictures, dtype=dtype, seed=settings.seed).to(place)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            small = LayerwiseAdaIN().to(place)
        trainer = LayerwiseTrainer(small, vgg, photos, pictures, settings)
    else:
        network = decoder_to_train(encoder, [photos, pictures], seed=settings.seed)
        trainer = StyleTrainer(network.to(place), photos, pictures, settings)
    run_trainer(
        trainer,
        RunFolder(output),
        steps=settings.steps,
        snapshot=snapshot,
        resume=resume,
        progress=progress,
        kept=lambda: save_network(trainer.average, made),
    )
    return StyleNetworkResult(network=made, steps=trainer.step_count)
