"""Make the default bundle from nothing but the package registry: `make train-default`.

Every step leaves its result in the run folder and is skipped when that is there, so the command
can be stopped at any time and started again. On two cores it takes a night; `--quick` makes a
rough bundle in an hour.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch

from toonify.bundle import write_bundle
from toonify.checkpoints import load_encoder, load_generator, save_encoder, save_generator
from toonify.checkpoints.download import pull
from toonify.faces.mesh import FaceMesh
from toonify.inversion.projector import ProjectionSettings
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.layer_swap import layer_swap
from toonify.training.characters.build import build_table
from toonify.training.data.latent_samples import LatentSamples, sample_w_plus, write_samples
from toonify.training.data.photo_augment import augment_photos
from toonify.training.distillation.resolution_cut import (
    cut,
    fit_head,
    fit_head_linear,
    teacher_sampler,
)
from toonify.training.encoders.data import EncoderData, StoredSamples
from toonify.training.encoders.losses import EncoderLoss, EncoderWeights
from toonify.training.encoders.pose_reader import PoseReader, fit_pose_reader
from toonify.training.encoders.train import EncoderConfig, train_encoder
from toonify.training.encoders.variants import new_encoder
from toonify.training.finetune.inversion_pairs import invert_to_w
from toonify.training.finetune.paired import PairedConfig, finetune_paired

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.characters.draw import NAMES, Pose, draw  # noqa: E402
from examples.default_bundle import frames  # noqa: E402
from examples.default_bundle.card import LICENSE, add_small_networks, finish, store_small  # noqa: E402
from examples.default_bundle.drawn_pairs import (  # noqa: E402
    DrawnPairs,
    choose,
    draw_pairs,
    measure_faces,
    read_poses,
)

# sizes of the full recipe and of --quick
FULL = {"pairs": 12000, "encoder": 4000, "drawn": 450, "coarse": 4000, "fine": 3000, "k": 20}
QUICK = {"pairs": 2000, "encoder": 800, "drawn": 80, "coarse": 600, "fine": 200, "k": 4}
LEVEL = 6  # rows of w+ that come from the photo
# Large hair, a bow, round spectacles: their place depends on more of the head than the layers from
# 32×32 on see at once, so those of 16×16 learn too
SWAP = 16


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(every: int) -> Callable[[dict[str, float]], None]:
    def show(row: dict[str, float]) -> None:
        if row["step"] % every == 0:
            log("  " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    return show


def priors(run: Path) -> tuple[MobileGenerator, MobileGenerator]:
    """The prior with heads for 256 and 512."""
    found = []
    for resolution, steps in ((256, 200), (512, 60)):
        path = run / f"prior{resolution}.safetensors"
        if not path.exists():
            log(f"fitting a head for {resolution}")
            teacher = load_generator(pull("ffhq-mobile"), MobileGenerator)
            student = cut(teacher, resolution)
            sampler = teacher_sampler(teacher, resolution)
            fit_head(
                student,
                sampler,
                steps=steps,
                progress=lambda s, e: log(f"  {s}: {e:.4f}") if s % 20 == 0 else None,
            )
            save_generator(student, path, metadata={"source": "ffhq-mobile"})
        network = load_generator(path, MobileGenerator)
        network.requires_grad_(False).to(memory_format=torch.channels_last)
        found.append(network)
    return found[0], found[1]


def sampled(run: Path, prior: MobileGenerator, count: int) -> tuple[torch.Tensor, np.ndarray]:
    """Faces of the prior: w (N, w_dim), every row of their w+, and images (N, H, W, 3)."""
    folder = run / "pairs"
    if not (folder / "images.npy").exists():
        log(f"sampling {count} faces")
        write_samples(prior, folder, count, mixed=0.0)
    latents = torch.from_numpy(np.load(folder / "w.npy"))[:, 0].float()
    return latents, np.load(folder / "images.npy", mmap_mode="r")


def pose_reader(
    run: Path, prior: MobileGenerator, latents: torch.Tensor, images: np.ndarray
) -> PoseReader:
    """What the prior's coarse layers know of pose and expression, learnt from measured faces."""
    path = run / "reader.pt"
    if not path.exists():
        log("measuring the faces")
        names, values = measure_faces(FaceMesh(pull("face-mesh")), images)
        log("fitting the pose reader")
        reader, share = fit_pose_reader(prior, latents, values, names)
        log("  read on held-out faces: " + ", ".join(f"{k} {v:.2f}" for k, v in share.items()))
        reader.save(path)
    return PoseReader.load(path)


def style_latents(
    run: Path, prior: MobileGenerator, perceptual: PerceptualLoss
) -> dict[str, torch.Tensor]:
    """One latent a character: the face that its drawings could be of."""
    path = run / "styles.pt"
    if not path.exists():
        log("inverting two drawings a character")
        poses = (Pose(light=-0.5), Pose(smile=0.6, mouth_open=0.2, yaw=15, light=-0.5))
        images = np.stack([draw(name, pose, size=256) for name in NAMES for pose in poses])
        latents = invert_to_w(
            prior, torch.from_numpy(images).permute(0, 3, 1, 2), perceptual=perceptual, steps=50
        )
        torch.save(dict(zip(NAMES, latents.view(len(NAMES), 2, -1).mean(1), strict=True)), path)
    return cast(dict[str, torch.Tensor], torch.load(path, weights_only=True))


def grow(
    coarse: MobileGenerator, prior: MobileGenerator, source: DrawnPairs, level: int
) -> MobileGenerator:
    """The 512 prior with the fine-tuned blocks of the 256 cartoon generator, its head fitted."""
    state = prior.state_dict()
    own = {
        k: v
        for k, v in coarse.state_dict().items()
        if not k.startswith("to_img.") and k in state and v.shape == state[k].shape
    }
    prior.load_state_dict({**state, **own})
    order = iter(torch.randperm(len(source), generator=torch.Generator().manual_seed(0)))

    def sample(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        faces, styles, drawings = source.batch(torch.stack([next(order) for _ in range(batch)]))
        return torch.cat((faces[:, :level], styles[:, level:]), dim=1), drawings

    fit_head_linear(prior, sample, images=min(36, len(source)))
    return prior


@torch.inference_mode()
def face_latents(
    prior: MobileGenerator, encoder: CompactEncoder, images: np.ndarray, count: int
) -> torch.Tensor:
    """2·count latents (·, num_ws, w_dim): fresh samples, and faces as the encoder reads them.

    The second kind is what photographs will be; half of those faces are spoilt as photographs are.
    """
    random = torch.Generator().manual_seed(11)
    read = []
    for number, start in enumerate(range(0, min(count, len(images)), 32)):
        faces = torch.from_numpy(np.array(images[start : start + 32])).permute(0, 3, 1, 2)
        faces = encoder.resample(faces.float() / 127.5 - 1)
        if number % 2:
            faces = augment_photos(faces, generator=random)
        read.append(encoder.encode(faces))
    return torch.cat([sample_w_plus(prior, count, random, mixed=0.0), *read])


def cartoon(
    run: Path,
    prior256: MobileGenerator,
    prior512: MobileGenerator,
    reader: PoseReader,
    images: np.ndarray,
    sizes: dict[str, int],
) -> Path:
    """Draw the characters in the poses that latents stand for; learn it at 256, then at 512."""
    path = run / "toon.safetensors"
    if path.exists():
        return path
    drawn = run / "drawn"
    if not (drawn / "pairs.json").exists():
        log(f"drawing {len(NAMES)} × {sizes['drawn']} pictures")
        encoder = load_encoder(run / "encoder.safetensors", CompactEncoder)
        wanted = len(NAMES) * sizes["drawn"]
        latents = face_latents(prior512, encoder, images, wanted)
        measures = read_poses(reader, prior512, latents)
        chosen = choose(measures, wanted)
        draw_pairs(latents[chosen], [measures[i] for i in chosen], NAMES, drawn, size=512)
    perceptual = PerceptualLoss("vgg", dtype=torch.bfloat16)
    styles = style_latents(run, prior256, perceptual)
    generator = prior256
    for prior, stage, lr in ((prior256, "coarse", 1.2e-2), (prior512, "fine", 1e-2)):
        fine = stage == "fine"
        log(f"fine-tuning at {prior.resolution}")
        source = DrawnPairs(drawn, styles, num_ws=prior.num_ws, size=prior.resolution)
        config = PairedConfig(
            steps=sizes[stage],
            lr=lr,
            level=LEVEL,
            freeze_below=SWAP,
            compiled=True,
            detail_crops=fine,
            sharpen=0.1 if fine else 0.0,
        )
        if fine:
            generator = grow(generator, prior512, source, LEVEL)
        generator = finetune_paired(
            generator,
            source,
            run / stage,
            config,
            perceptual=perceptual,
            resume=True,
            progress=report(50),
        )
    save_generator(generator, path, metadata={"source": "ffhq-mobile, examples/characters"})
    return path


def table(run: Path, swapped: Path, k: int) -> Path:
    """Project `k` drawings a character into the swapped generator and average their latents."""
    path = run / "characters.safetensors"
    log(f"projecting {k} drawings a character")
    generator = load_generator(swapped, MobileGenerator)
    encoder = load_encoder(run / "encoder.safetensors")
    rows = json.loads((run / "drawn" / "pairs.json").read_text())
    styles = cast(dict[str, torch.Tensor], torch.load(run / "styles.pt", weights_only=True))
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            (Path(scratch) / name).mkdir()
            files = [r["file"] for r in rows if r["character"] == name][:k]
            for file in files:
                (Path(scratch) / file).symlink_to(run.resolve() / "drawn" / file)
        settings = ProjectionSettings(
            steps=60, optimize_noise=False, loss_size=128, dtype=torch.bfloat16, lr=0.05
        )
        for name in NAMES:

            def start(images: torch.Tensor, style: torch.Tensor = styles[name]) -> torch.Tensor:
                w_plus = encoder.encode(images, generator).clone()
                w_plus[:, LEVEL:] = style  # the encoder knows faces: it gives the pose alone
                return w_plus

            build_table(
                scratch,
                generator,
                path,
                loss=PerceptualLoss("vgg", dtype=torch.bfloat16),
                k=k,
                settings=settings,
                encoder=start,
                only=[name],
            )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "default")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "default" / "bundle")
    parser.add_argument("--parsing", type=Path, help="parsing.onnx of recipes/parsing")
    parser.add_argument("--quick", action="store_true", help="a rough bundle in an hour")
    arguments = parser.parse_args()
    run: Path = arguments.run
    sizes = QUICK if arguments.quick else FULL
    run.mkdir(parents=True, exist_ok=True)
    prior256, prior512 = priors(run)
    latents, images = sampled(run, prior256, sizes["pairs"])
    reader = pose_reader(run, prior512, latents, images)
    encoder_path = run / "encoder.safetensors"
    if not encoder_path.exists():
        log("training the encoder")
        encoder = new_encoder("compact", prior512)
        pairs = LatentSamples(latents, images, num_ws=prior512.num_ws)
        weights = EncoderWeights(pose=1.5, l2=0.0, lpips=0.0, identity=0.0, w_norm=0.0)
        train_encoder(
            encoder,
            EncoderData(pairs=StoredSamples(pairs, held_out=128)),
            run / "encoder",
            EncoderConfig(kimg=sizes["encoder"] * EncoderConfig.batch_size / 1000),
            loss=EncoderLoss(prior512, weights, reader=reader),
            resume=True,
            progress=report(100),
        )
        save_encoder(encoder, encoder_path, metadata={"source": "ffhq-mobile"})
    toon = cartoon(run, prior256, prior512, reader, images, sizes)
    swapped = run / "swapped.safetensors"
    # the 512 prior was grown in place: read it anew
    source = load_generator(run / "prior512.safetensors")
    save_generator(layer_swap(source, load_generator(toon), resolution=SWAP), swapped)
    characters = table(run, swapped, sizes["k"])
    drawing = load_generator(swapped, MobileGenerator)
    extras = frames.train(
        run, prior256, reader, latents, images, characters, drawing, quick=arguments.quick
    )
    if (arguments.output / "manifest.json").exists():  # an earlier run's
        shutil.rmtree(arguments.output)
    write_bundle(
        arguments.output,
        generator=swapped,
        encoder=str(encoder_path),
        table=characters,
        license=LICENSE,
        extras=extras,
    )
    store_small(arguments.output)
    add_small_networks(arguments.output, parsing=arguments.parsing)
    finish(
        arguments.output,
        drawn=sizes["drawn"],
        encoder_steps=sizes["encoder"],
        coarse_steps=sizes["coarse"],
        fine_steps=sizes["fine"],
        k=sizes["k"],
        **frames.numbers(quick=arguments.quick),
    )
    log(f"the bundle is in {arguments.output}")


if __name__ == "__main__":
    main()
