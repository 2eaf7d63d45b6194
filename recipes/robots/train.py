"""A StyleGAN2 of robots from nothing but the package registry: `python recipes/robots/train.py`.

What `--domain any` does is tried on it from end to end: `finetune` trains a fresh generator and
`train-encoder` its encoder; `invert` and `edit` meet robots that neither has seen. Every step
leaves its result in the run folder and is skipped when that is there.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from toonify.checkpoints import save_generator
from toonify.editing.edits import labeled, strip
from toonify.editing.job import EditJob, edited
from toonify.inversion.job import InvertJob, invert_photos
from toonify.media.images import read_image, write_image
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.training.encoders.job import train_encoder
from toonify.training.encoders.losses import EncoderWeights
from toonify.training.finetune.adversarial import AdversarialConfig
from toonify.training.finetune.job import finetune

SIDE = 128  # px of the pictures
CHANNELS = {4: 64, 8: 64, 16: 64, 32: 64, 64: 32}
LEARNT, UNSEEN = 4000, 6
SHOWN = 96  # px of a picture in the sheet
EDITS = (("sefa-1", 3.0), ("sefa-2", 3.0))


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def put_together(folder: Path, count: int, *, seed: int) -> Path:
    """Robots of robohash's set1: body, face, accessory, eyes and mouth of one color each."""
    if folder.is_dir():
        return folder
    found = importlib.util.find_spec("robohash")
    if found is None or not found.submodule_search_locations:
        sys.exit("the robots' parts are in the package robohash: pip install --no-deps robohash")
    root = Path(found.submodule_search_locations[0]) / "sets" / "set1"
    colors = [
        [
            [
                Image.open(part).convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                for part in sorted(kind.glob("*.png"))
            ]
            # "003#01Body": what follows # is the order
            for kind in sorted(color.iterdir(), key=lambda kind: kind.name.partition("#")[2])
        ]
        for color in sorted(root.iterdir())
        if color.is_dir()
    ]
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        robot = Image.new("RGBA", (SIDE, SIDE), "white")
        for kind in chance.choice(colors):
            robot.alpha_composite(chance.choice(kind))
        robot.convert("RGB").save(folder / f"{number:04d}.png")
    return folder


def fresh_generator(path: Path) -> Path:
    """Random weights; two mapping layers, for the mapping network doesn't learn."""
    if not path.exists():
        torch.manual_seed(0)
        generator = StyleGAN2Generator(
            resolution=64, channels=CHANNELS, w_dim=64, z_dim=64, mapping_layers=2
        )
        with torch.no_grad():
            generator.w_avg.copy_(generator.mapping(torch.randn(20_000, 64)).mean(dim=0))
        save_generator(generator, path, metadata={"source": "random weights"})
    return path


def sheet(robots: Path, generator: Path, encoder: Path, run: Path, steps: int) -> Path:
    """Unseen robots: picture, inversion and edits, a row each."""
    photos = sorted(robots.glob("*.png"))
    named = {"domain": "any", "generator": str(generator), "encoder": str(encoder)}
    job = InvertJob(photos=photos, output=run / "inverted", steps=steps, **named)
    rows = []
    for photo, done in zip(photos, invert_photos(job), strict=True):
        if done.error is not None or done.reconstruction is None:
            raise SystemExit(str(done.error))
        log(f"{photo.name}: {dict(done.likeness)}")
        row = {"picture": read_image(photo).flat, "inverted": read_image(done.reconstruction).flat}
        for name, strength in EDITS:
            wish = EditJob(source=photo, direction=name, strengths=(strength,), **named)
            row[f"{name}, {strength:g}"] = edited(wish).pictures[0]
        shown = {
            text: np.asarray(Image.fromarray(each).resize((SHOWN, SHOWN)))
            for text, each in row.items()
        }
        first = not rows
        rows.append(strip([labeled(p, text) if first else p for text, p in shown.items()]))
    write_image(run / "robots.jpg", np.concatenate(rows))
    return run / "robots.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/robots"))
    parser.add_argument("--kimg", type=float, default=100.0, help="thousand pictures of the GAN")
    parser.add_argument("--encoder-kimg", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=300, help="that refine an inversion")
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    run = options.output
    robots = put_together(run / "learnt", LEARNT, seed=1)
    unseen = put_together(run / "unseen", UNSEEN, seed=2)
    generator = run / "gan" / "generator.safetensors"
    if not generator.exists():
        log("training the generator")
        config = AdversarialConfig(
            kimg=options.kimg,
            batch_size=options.batch_size,
            freeze_below=4,
            lr=2.5e-3,
            mirror=False,
            augment="off",  # thousands of pictures need none
            style_mixing=0.5,
            snapshot_kimg=min(5.0, options.kimg),
            bfloat16=True,
        )
        finetune(
            robots,
            str(fresh_generator(run / "fresh.safetensors")),
            run / "gan",
            objective="adversarial",
            adversarial=config,
            domain="any",
            resume=(run / "gan").exists(),
        )
    encoder = run / "encoder" / "encoder.safetensors"
    if not encoder.exists():
        log("training its encoder")
        train_encoder(
            str(generator),
            run / "encoder",
            domain="any",
            photos=robots,
            kimg=options.encoder_kimg,
            batch_size=options.batch_size,
            snapshot_kimg=min(8.0, options.encoder_kimg),
            resume=(run / "encoder").exists(),
            weights=EncoderWeights(lpips=0.0, l2=5.0),  # LPIPS costs more than all the rest
        )
    log(f"{sheet(unseen, generator, encoder, run, options.steps)}")


if __name__ == "__main__":
    main()
