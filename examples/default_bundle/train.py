"""Make the default bundle from nothing but the package registry: `make train-default`.

Every step leaves its result in the run folder and is skipped when that is there, so the command
can be stopped at any time and started again. On two cores it takes a night; `--quick` makes a
rough bundle in an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch

from toonify.bundle_writing import write_bundle
from toonify.checkpoints import load_encoder, load_generator, save_encoder, save_generator
from toonify.checkpoints.download import pull
from toonify.faces.mesh import FaceMesh
from toonify.models.mobile import MobileGenerator
from toonify.training.encoder import EncoderConfig, train_encoder
from toonify.training.encoder_data import EncoderData, StoredPairs
from toonify.training.encoder_losses import EncoderLoss, EncoderWeights
from toonify.training.encoder_variants import new_encoder
from toonify.training.inversion_pairs import invert_to_w
from toonify.training.paired import PairedConfig, finetune_paired
from toonify.training.pairs import PairSet, sample_pairs
from toonify.training.perceptual import PerceptualLoss
from toonify.training.prior import cut, fit_head, fit_head_linear, teacher_sampler
from toonify.training.projection import ProjectionSettings
from toonify.training.swap import layer_swap
from toonify.training.table import build_table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.characters.draw import NAMES, Pose, draw  # noqa: E402
from examples.default_bundle.card import LICENCE, finish  # noqa: E402
from examples.default_bundle.drawn_pairs import DrawnPairs, draw_pairs  # noqa: E402

# CLI sizes of the full recipe and of --quick
FULL = {"pairs": 6000, "encoder": 4000, "drawn": 280, "coarse": 4000, "fine": 2000, "k": 20}
QUICK = {"pairs": 2000, "encoder": 800, "drawn": 80, "coarse": 600, "fine": 200, "k": 4}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(every: int) -> Callable[[dict[str, float]], None]:
    def show(row: dict[str, float]) -> None:
        if row["step"] % every == 0:
            say("  " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    return show


def priors(run: Path) -> tuple[MobileGenerator, MobileGenerator]:
    """The prior with heads for 256 and 512."""
    found = []
    for resolution, steps in ((256, 200), (512, 60)):
        path = run / f"prior{resolution}.safetensors"
        if not path.exists():
            say(f"fitting a head for {resolution}")
            teacher = cast(MobileGenerator, load_generator(pull("ffhq-mobile")))
            student = cut(teacher, resolution)
            sampler = teacher_sampler(teacher, resolution)
            fit_head(
                student,
                sampler,
                steps=steps,
                progress=lambda s, e: say(f"  {s}: {e:.4f}") if s % 20 == 0 else None,
            )
            save_generator(student, path, metadata={"source": "ffhq-mobile"})
        network = cast(MobileGenerator, load_generator(path))
        network.requires_grad_(False).to(memory_format=torch.channels_last)
        found.append(network)
    return found[0], found[1]


def measured_pairs(run: Path, prior: MobileGenerator, count: int) -> list[dict[str, object]]:
    """Sample faces and measure their pose and expression."""
    folder = run / "pairs"
    if not (folder / "images.npy").exists():
        say(f"sampling {count} faces")
        sample_pairs(prior, folder, count, mixed=0.0)
    path = folder / "measures.json"
    if not path.exists():
        say("measuring them")
        mesh = FaceMesh(pull("face-mesh"))
        rows = []
        for image in np.load(folder / "images.npy", mmap_mode="r"):
            m = mesh.measure(np.asarray(image))
            points = (m.eye_centre_left, m.eye_centre_right, m.mouth_centre)
            anchors = [[float(v) / image.shape[0] for v in point] for point in points]
            rows.append({k: float(v) for k, v in m.scalars().items()} | {"anchors": anchors})
        path.write_text(json.dumps(rows))
    return cast(list[dict[str, object]], json.loads(path.read_text()))


def pair_arrays(run: Path) -> tuple[torch.Tensor, np.ndarray]:
    """The sampled faces: w (N, w_dim), every row of their w+, and images (N, H, W, 3)."""
    codes = torch.from_numpy(np.load(run / "pairs" / "w.npy"))[:, 0]
    return codes, np.load(run / "pairs" / "images.npy", mmap_mode="r")


def style_codes(
    run: Path, prior: MobileGenerator, perceptual: PerceptualLoss
) -> dict[str, torch.Tensor]:
    """One code a character: the face that its drawings could be of."""
    path = run / "styles.pt"
    if not path.exists():
        say("inverting two drawings a character")
        poses = (Pose(light=-0.5), Pose(smile=0.6, mouth_open=0.2, yaw=15, light=-0.5))
        images = np.stack([draw(name, pose, size=256) for name in NAMES for pose in poses])
        codes = invert_to_w(
            prior, torch.from_numpy(images).permute(0, 3, 1, 2), perceptual=perceptual, steps=50
        )
        torch.save(dict(zip(NAMES, codes.view(len(NAMES), 2, -1).mean(1), strict=True)), path)
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
def encoded(run: Path) -> torch.Tensor:
    """The encoder's code of every sampled face, (N, num_ws, w_dim)."""
    path = run / "pairs" / "encoded.pt"
    if not path.exists():
        say("encoding the sampled faces")
        encoder = load_encoder(run / "encoder.safetensors")
        images = np.load(run / "pairs" / "images.npy", mmap_mode="r")
        found = []
        for start in range(0, len(images), 32):
            batch = torch.from_numpy(np.array(images[start : start + 32])).permute(0, 3, 1, 2)
            found.append(encoder.encode(batch.float() / 127.5 - 1).half())
        torch.save(torch.cat(found), path)
    return cast(torch.Tensor, torch.load(path, weights_only=True))


def cartoon(
    run: Path,
    prior256: MobileGenerator,
    prior512: MobileGenerator,
    measures: list[dict[str, object]],
    sizes: dict[str, int],
) -> Path:
    """Fine-tune on drawings of the sampled faces, at 256 and then at 512."""
    path = run / "toon.safetensors"
    if path.exists():
        return path
    perceptual = PerceptualLoss("vgg", dtype=torch.bfloat16)
    styles = style_codes(run, prior256, perceptual)
    # half of the pairs come as the encoder sees the face, which is what photographs will be
    alternatives = [pair_arrays(run)[0], encoded(run)]
    generator = prior256
    for prior, stage, lr in ((prior256, "coarse", 1.2e-2), (prior512, "fine", 6e-3)):
        size = prior.resolution
        drawn = run / f"drawn{size}"
        if not (drawn / "pairs.json").exists():
            say(f"drawing {len(NAMES)} × {sizes['drawn']} pictures at {size}")
            draw_pairs(measures, NAMES, drawn, per_character=sizes["drawn"], size=size)
        say(f"fine-tuning at {size}")
        rows = [c[..., : prior.num_ws, :] if c.ndim == 3 else c for c in alternatives]
        source = DrawnPairs(drawn, rows, styles, num_ws=prior.num_ws, size=size)
        config = PairedConfig(steps=sizes[stage], lr=lr, detail_crops=stage == "fine")
        if stage == "fine":
            generator = grow(generator, prior512, source, config.level)
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
    """Project `k` drawings a character into the swapped generator and average their codes."""
    path = run / "characters.safetensors"
    say(f"projecting {k} drawings a character")
    generator = cast(MobileGenerator, load_generator(swapped))
    encoder = load_encoder(run / "encoder.safetensors")
    rows = json.loads((run / "drawn512" / "pairs.json").read_text())
    styles = cast(dict[str, torch.Tensor], torch.load(run / "styles.pt", weights_only=True))
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            (Path(scratch) / name).mkdir()
            files = [r["file"] for r in rows if r["character"] == name][:k]
            for file in files:
                (Path(scratch) / file).symlink_to(run.resolve() / "drawn512" / file)
        settings = ProjectionSettings(
            steps=60, optimise_noise=False, loss_size=128, dtype=torch.bfloat16, lr=0.05
        )
        for name in NAMES:

            def start(images: torch.Tensor, style: torch.Tensor = styles[name]) -> torch.Tensor:
                w_plus = encoder.encode(images, generator).clone()
                w_plus[:, 6:] = style  # the encoder knows faces: it gives the pose alone
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
    parser.add_argument("--quick", action="store_true", help="a rough bundle in an hour")
    arguments = parser.parse_args()
    run: Path = arguments.run
    sizes = QUICK if arguments.quick else FULL
    run.mkdir(parents=True, exist_ok=True)
    prior256, prior512 = priors(run)
    measures = measured_pairs(run, prior256, sizes["pairs"])
    encoder_path = run / "encoder.safetensors"
    if not encoder_path.exists():
        say("training the encoder")
        encoder = new_encoder("compact", prior512)
        pairs = PairSet(*pair_arrays(run), num_ws=prior512.num_ws)
        weights = EncoderWeights(l2=0.0, lpips=0.0, identity=0.0, w_norm=0.0)
        train_encoder(
            encoder,
            EncoderData(pairs=StoredPairs(pairs, held_out=128)),
            run / "encoder",
            EncoderConfig(kimg=sizes["encoder"] * EncoderConfig.batch_size / 1000),
            loss=EncoderLoss(prior512, weights),
            resume=True,
            progress=report(100),
        )
        save_encoder(encoder, encoder_path, metadata={"source": "ffhq-mobile"})
    toon = cartoon(run, prior256, prior512, measures, sizes)
    swapped = run / "swapped.safetensors"
    # the 512 prior was grown in place: read it anew
    source = load_generator(run / "prior512.safetensors")
    save_generator(layer_swap(source, load_generator(toon), resolution=32), swapped)
    characters = table(run, swapped, sizes["k"])
    write_bundle(
        arguments.output,
        generator=swapped,
        encoder=str(encoder_path),
        table=characters,
        licence=LICENCE,
    )
    finish(
        arguments.output,
        drawn=sizes["drawn"],
        fine_drawn=sizes["drawn"],
        encoder_steps=sizes["encoder"],
        coarse_steps=sizes["coarse"],
        fine_steps=sizes["fine"],
        k=sizes["k"],
    )
    say(f"the bundle is in {arguments.output}")


if __name__ == "__main__":
    main()
