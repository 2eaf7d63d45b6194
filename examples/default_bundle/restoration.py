"""The network that enlarges small faces for `translate --task super-resolution`.

`python -m examples.default_bundle.restoration runs/aligned -o runs/restoration`: learns from a
folder of aligned faces (`examples.default_bundle.aligned_faces` makes them, and sampled ones serve)
and from the same made small; `restoration.safetensors` is what `toonify bundle --restoration`
takes. Begun runs are gone on with.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from toonify.checkpoints.identity import load_identity
from toonify.checkpoints.loading import save_network
from toonify.inversion.reading import load_face_model
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.restoration import FaceRestoration, moved_channels
from toonify.models.generators.hybrid import HybridGenerator
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.data.photos import load_photos
from toonify.training.restoration.step import RestorationConfig, RestorationTrainer

MADE = "restoration.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path, help="FFHQ crops of 256 px")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=900)
    options = parser.parse_args()
    model = load_face_model("default", gradients=True, dtype="bfloat16")
    generator, encoder = model.generator, model.face_encoder
    assert isinstance(generator, HybridGenerator) and encoder is not None
    faces = load_photos(options.faces, options.output / "faces", aligned=True)
    torch.manual_seed(0)
    trainer = RestorationTrainer(
        FaceRestoration(channels=moved_channels(generator)),
        generator,
        encoder,
        faces,
        RestorationConfig(steps=options.steps),
        perceptual=PerceptualLoss("vgg", dtype=torch.bfloat16),
        identity=load_identity(),
    )
    run = RunFolder(options.output)
    run_trainer(
        trainer,
        run,
        steps=options.steps,
        snapshot=100,
        resume=run.snapshot.exists(),
        progress=lambda losses: print(losses, file=sys.stderr, flush=True),
        kept=lambda: save_network(trainer.average, options.output / MADE),
        model=MADE,
    )


if __name__ == "__main__":
    main()
