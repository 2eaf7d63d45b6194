"""A decoder of style transfer from two folders of pictures, into the folder of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toonify.checkpoints.loading import save_network
from toonify.device import pick_device
from toonify.training.core.loop import Progress, run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.style_transfer import (
    PictureFolder,
    StyleTrainer,
    StyleTrainSettings,
    decoder_to_train,
)
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
    """Train AdaIN's decoder (Huang and Belongie, 2017, §6) on any photographs and pictures.

    Snapshots, metrics.jsonl and previews go into the folder; the network is its
    style.safetensors, written at every snapshot.

    Args:
        contents: folder of photographs.
        styles: folder of pictures whose manners are learnt.
        output: folder of the run.
        settings: of the training; the published ones when None.
        encoder: folder with the published `vgg_normalised.pth`; None for LPIPS's VGG-16.
        snapshot: steps between snapshots.
        resume: go on from the last snapshot in the folder.
        progress: called after every step with the losses.

    Raises:
        UsageError: options that don't fit, or a run in the folder without `resume`.
        InputError: no pictures. ModelError: the encoder can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Example:
        >>> done = train_style_network(Path("photos"), Path("paintings"), Path("runs/style"))
        >>> engine = load_engine("adain", images=["monet.jpg"], network=done.network)
    """
    settings = settings or StyleTrainSettings()
    made = output / MADE
    reads = InputFiles([contents, styles, *([encoder] if encoder else [])])
    check_run_folder(output, reads)
    begun = (output / "snapshot.pt").is_file()
    check_output(made, reads, named=begun, folder=output)
    photos, pictures = (PictureFolder(folder, crop=settings.crop) for folder in (contents, styles))
    network = decoder_to_train(encoder, [photos, pictures], seed=settings.seed)
    trainer = StyleTrainer(network.to(pick_device(device)), photos, pictures, settings)
    run_trainer(
        trainer,
        RunFolder(output),
        steps=settings.steps,
        snapshot=snapshot,
        resume=resume,
        progress=progress,
        kept=lambda: save_network(network, made),
    )
    return StyleNetworkResult(network=made, steps=trainer.step_count)
