"""Levels above 6 of the default bundle: characters that let the person through.

The drawing generator goes on learning, now from mixed w+: the rows below a level are the person's,
the rest the character's, and the target is the character drawn with as much of the person as the
level lets through (`LEVELS`). The person's colors, glasses, beard and hair are measured in the
picture by the bundle's own parser.

The shipped generator has not learnt this yet: after 1,100 steps of 4 every skin came out the same
brown, level 6 unharmed. It wants several times as many, and an encoder that keeps skin color.

    python -m examples.default_bundle.levels --bundle default --run runs/levels
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor

from examples.characters.draw import NAMES, Likeness, draw
from examples.default_bundle.drawn_pairs import (
    ANCHORS,
    DrawnPairs,
    Measures,
    choose,
    measure_faces,
    pose_of,
    read_poses,
)
from toonify.checkpoints import load_encoder, load_generator, save_generator
from toonify.checkpoints.download import pull
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import LABELS, FaceParser
from toonify.lut import CharacterTable
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.data.latent_samples import sample_pairs
from toonify.training.data.photo_augment import augment_photos
from toonify.training.distillation.resolution_cut import cut
from toonify.training.encoders.pose_reader import PoseReader, fit_pose_reader
from toonify.training.finetune.paired import PairedConfig, finetune_paired

# Which level a pair is of: the characters as they were must not be forgotten
LEVELS = (6, 6, 6, 7, 8, 8, 8, 9, 10, 10, 11, 12, 12, 14)
SWAP = 16
JITTER = 0.1  # deviation of the noise on the character's rows, in deviations of w
SURE = 0.6  # probability from which on glasses, a beard or a moustache are drawn
FULL = {"faces": 4000, "drawn": 2400, "steps": 3000}
QUICK = {"faces": 600, "drawn": 240, "steps": 200}


def likeness_of(rgb: np.ndarray, parser: FaceParser) -> Likeness:
    """All that a drawing can take from an aligned face (H, W, 3) uint8."""
    seen = parser.parse(np.ascontiguousarray(rgb), mirrored=False)
    size = seen.labels.shape[:2]
    small = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)

    def color(label: str) -> tuple[int, int, int] | None:
        sure = seen.labels[..., LABELS.index(label)] > 0.7
        if sure.sum() < 60:
            return None
        red, green, blue = (round(float(v)) for v in np.median(small[sure], axis=0))
        return red, green, blue

    glasses = 1 - seen.glasses["none"]
    hair = seen.map() == LABELS.index("hair")
    height = len(hair)
    below, above = hair[int(0.69 * height) :].mean(), hair[: int(0.31 * height)].mean()
    beside = hair[int(0.39 * height) : int(0.62 * height)].mean()
    if seen.headwear > 0.5:
        hairdo = None
    elif below > 0.10:
        hairdo = "long"
    elif above < 0.16:
        hairdo = "receding"
    else:
        hairdo = "cloud" if beside > 0.30 else "curly" if beside > 0.20 else "short"
    return Likeness(
        skin=color("skin"),
        hair=color("hair"),
        glasses="none" if glasses < SURE else "sun" if seen.glasses["sun"] > SURE else "clear",
        beard=seen.beard > SURE,
        moustache=seen.moustache > SURE,
        hairdo=hairdo,
    )


def let_through(whole: Likeness, character_skin: Sequence[int], level: int) -> Likeness:
    """What of a person `level` rows of w+ let through: colors, glasses and beard, then hair."""
    out = Likeness()
    if level >= 7:
        out = replace(out, skin=whole.skin, hair=whole.hair)
    if level == 7 and whole.skin is not None:
        red, green, blue = (
            round((a + b) / 2) for a, b in zip(whole.skin, character_skin, strict=True)
        )
        out = replace(out, skin=(red, green, blue), hair=None)
    if level >= 9:
        out = replace(out, glasses=whole.glasses)
    if level >= 10:
        out = replace(out, beard=whole.beard, moustache=whole.moustache)
    if level >= 12:
        out = replace(out, hairdo=whole.hairdo)
    return out


def _likenesses(images: np.ndarray) -> list[Likeness]:
    cv2.setNumThreads(1)
    parser = FaceParser()
    return [likeness_of(image, parser) for image in images]


def _draw_one(job: tuple[str, str, Measures, dict[str, object]]) -> None:
    path, name, measures, likeness = job
    cv2.setNumThreads(1)
    if Path(path).exists():
        return
    anchors = np.array([measures[key] for key in ANCHORS]).reshape(3, 2)
    image = draw(
        name,
        pose_of(measures),
        size=512,
        anchors=anchors,
        likeness=Likeness(**likeness),  # type: ignore[arg-type]
    )
    temporary = f"{path}.tmp.png"
    cv2.imwrite(temporary, image[..., ::-1])
    Path(temporary).replace(path)


class MixedPairs(DrawnPairs):
    """Drawings and the mixed w+ that they belong to.

    Args:
        table: character → (num_ws, w_dim), its rows of the look-up table.
        deviation: (w_dim,) of W, for the jitter of the character's rows; none where it is None.
    """

    def __init__(self, folder: Path, table: dict[str, Tensor], deviation: Tensor) -> None:
        num_ws = len(next(iter(table.values())))
        super().__init__(folder, table, num_ws=num_ws, size=512)
        self._table, self._deviation = table, deviation

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = [self._rows[i] for i in index.tolist()]
        people = self._codes[index].float()
        mixed = torch.stack([self._table[row["character"]] for row in rows])
        for i, (number, row) in enumerate(zip(index.tolist(), rows, strict=True)):
            random = torch.Generator().manual_seed(number)
            noise = torch.randn(mixed[i].shape, generator=random)
            mixed[i] += JITTER * self._deviation * noise
            mixed[i, : row["level"]] = people[i, : row["level"]]
        images = np.stack([self._read(row["file"]) for row in rows])
        targets = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        return mixed, mixed, targets


@torch.inference_mode()
def draw_people(
    run: Path,
    prior: MobileGenerator,
    reader: PoseReader,
    encoder: CompactEncoder,
    codes: Tensor,
    images: np.ndarray,
    count: int,
    *,
    workers: int,
) -> Path:
    """Draw `count` pairs, half of sampled codes and half of what the encoder reads of spoilt ones.

    Args:
        codes: (N, w_dim) of the sampled faces.
        images: (N, 256, 256, 3) uint8, the faces.
    """
    folder = run / "drawn"
    if (folder / "pairs.json").exists():
        return folder
    random = torch.Generator().manual_seed(5)
    rows, pictures = [], []
    for number, start in enumerate(range(0, len(codes), 32)):
        faces = torch.from_numpy(np.array(images[start : start + 32])).permute(0, 3, 1, 2)
        # what a drawing takes is measured in the unspoilt picture: a color cast is nobody's skin
        pictures.append(np.asarray(images[start : start + 32]))
        faces = faces.float() / 127.5 - 1
        if number % 2:
            faces = augment_photos(faces, generator=random)
            rows.append(encoder.encode(encoder.resample(faces)).half())
        else:
            part = codes[start : start + 32]
            rows.append(part[:, None].expand(-1, prior.num_ws, -1).half())
    w_plus, seen = torch.cat(rows), np.concatenate(pictures)
    chosen = choose(read_poses(reader, prior, w_plus), min(count, len(w_plus)))
    w_plus, seen = w_plus[chosen], seen[chosen]
    measures = read_poses(reader, prior, w_plus)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = np.array_split(seen, max(1, len(seen) // 50))
        people = [one for part in pool.map(_likenesses, parts) for one in part]
        jobs, listed = [], []
        levels = np.random.default_rng(3).choice(LEVELS, len(people))
        for index, (person, row, level) in enumerate(zip(people, measures, levels, strict=True)):
            name = NAMES[index % len(NAMES)]
            (folder / name).mkdir(parents=True, exist_ok=True)
            from_person = let_through(person, _skin(name), int(level))
            file = f"{name}/{index:05d}.png"
            jobs.append((str(folder / file), name, row, asdict(from_person)))
            listed.append({"file": file, "character": name, "level": int(level)})
        list(pool.map(_draw_one, jobs, chunksize=8))
    torch.save(w_plus, folder / "codes.pt")
    (folder / "pairs.json").write_text(json.dumps(listed))
    return folder


def _skin(name: str) -> tuple[int, int, int]:
    from examples.characters.draw.cast import CAST

    return CAST[name].style.skin


def train(
    run: Path,
    generator: MobileGenerator,
    prior: MobileGenerator,
    encoder: CompactEncoder,
    mesh: FaceMesh,
    table: dict[str, Tensor],
    codes: Tensor,
    images: np.ndarray,
    sizes: dict[str, int],
    *,
    workers: int = 2,
) -> Path:
    """Teach the drawing generator the levels; returns its file. Every stage resumes.

    Args:
        generator: the layer-swapped one of the bundle, 512.
        prior: the face generator, whose layers below 16×16 it has.
        table: character → (num_ws, w_dim).
    """
    path = run / "generator.safetensors"
    if path.exists():
        return path
    reading = run / "reader.pt"
    if not reading.exists():
        say("measuring the faces, fitting the pose reader")
        names, values = measure_faces(mesh, images)
        reader, share = fit_pose_reader(prior, codes, values, names)
        say("  read on held-out faces: " + ", ".join(f"{k} {v:.2f}" for k, v in share.items()))
        reader.save(reading)
    say(f"drawing {sizes['drawn']} people in the characters' manner")
    folder = draw_people(
        run, prior, PoseReader.load(reading), encoder, codes, images, sizes["drawn"],
        workers=workers,
    )  # fmt: skip
    with torch.no_grad():
        z = torch.randn(512, generator.w_dim, generator=torch.Generator().manual_seed(0))
        deviation = generator.mapping(z).std(0)
    config = PairedConfig(
        steps=sizes["steps"],
        lr=6e-3,
        level=generator.num_ws,  # the pairs are mixed already
        freeze_below=SWAP,
        compiled=True,
        detail_crops=True,
        sharpen=0.1,
    )
    learnt = finetune_paired(
        generator,
        MixedPairs(folder, table, deviation),
        run / "learning",
        config,
        perceptual=PerceptualLoss("vgg", dtype=torch.bfloat16),
        resume=True,
        progress=report,
    )
    save_generator(learnt, path, metadata={"source": "ffhq-mobile, examples/characters"})
    return path


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(row: dict[str, float]) -> None:
    if row["step"] % 50 == 0:
        say("  " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--run", type=Path, default=Path("runs/levels"))
    parser.add_argument("--pairs", type=Path, help="sampled faces of an earlier run")
    parser.add_argument("--quick", action="store_true", help="a rough one in minutes")
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    if arguments.steps:
        sizes = {**sizes, "steps": arguments.steps}
    run: Path = arguments.run
    run.mkdir(parents=True, exist_ok=True)
    teacher = cast(MobileGenerator, load_generator(pull("ffhq-mobile")))
    generator = cast(MobileGenerator, load_generator(arguments.bundle / "generator.safetensors"))
    encoder = cast(CompactEncoder, load_encoder(arguments.bundle / "encoder.safetensors"))
    known = CharacterTable.load(arguments.bundle / "characters.safetensors")
    pairs = arguments.pairs or run / "pairs"
    if not (pairs / "images.npy").exists():
        say(f"sampling {sizes['faces']} faces")
        sample_pairs(teacher, pairs, sizes["faces"], mixed=0.0)
    codes = torch.from_numpy(np.load(pairs / "w.npy"))[:, 0].float()
    images = np.load(pairs / "images.npy", mmap_mode="r")
    prior = cut(teacher, generator.resolution)  # its head isn't fitted: no pictures are made of it
    table = {name: known[name].w_plus for name in NAMES}
    mesh = FaceMesh(arguments.bundle)
    train(run, generator, prior, encoder, mesh, table, codes, images, sizes)


if __name__ == "__main__":
    main()
