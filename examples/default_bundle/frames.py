"""The StyleGANEX parts of the default bundle: faces to invert, and characters in whole frames."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch

from examples.characters.draw import NAMES, draw
from examples.default_bundle.drawn_pairs import ANCHORS, Measures, pose_of, read_poses
from toonify.checkpoints import load_encoder, load_generator, load_identity, save_generator
from toonify.checkpoints.download import pull
from toonify.faces.person import PersonMatte, fill_behind, hair_matte
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.styleganex import StyleGANEXEncoder
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.training.core.runs import RunFolder
from toonify.training.data.latent_samples import LatentSamples, write_samples
from toonify.training.distillation.feature_distillation import (
    FeatureDistillConfig,
    distill_features,
    new_hybrid,
)
from toonify.training.distillation.least_squares_init import init_least_squares
from toonify.training.encoders.data import EncoderData, StoredSamples
from toonify.training.encoders.faces import face_reader
from toonify.training.encoders.pose_reader import PoseReader
from toonify.training.styleganex.batch import FrameConfig
from toonify.training.styleganex.compose import CROP, Scene
from toonify.training.styleganex.cutouts import INDEX, CutoutSet, write_faces, write_index
from toonify.training.styleganex.job import SUPERVISED_SHARE, character_w_plus
from toonify.training.styleganex.sources import ComposedFrames, FaceFrames
from toonify.training.styleganex.tasks import TASKS, new_frame_encoder
from toonify.training.styleganex.train import train_frames

MARGIN = 0.25  # of a head's drawing around the FFHQ crop, for hair and buns
DRAWING = 768  # px, of such a picture: as fine as 512 px a crop
CHIN = 0.165  # of the crop below the mouth's middle: from here on the body stays
FULL = {
    "mixed": 12000,
    "distill": 8000,
    "inversion": 10000,
    "people": 5000,
    "deep": 6000,
    "frames": 12000,
}
QUICK = {"mixed": 1000, "distill": 800, "inversion": 600, "people": 400, "deep": 600, "frames": 300}


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(row: dict[str, float]) -> None:
    if row["step"] % 100 == 0:
        log("  " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))


def hybrid(path: Path, teacher: MobileGenerator, steps: int, *, width: int) -> Path:
    """A compact generator with StyleGAN2's layers up to 32×32."""
    if path.exists():
        return path
    folder = path.with_suffix("")
    student = new_hybrid(teacher, width=width)
    if not (folder / "snapshot.pt").exists():
        log(f"starting {path.stem} from its teacher's weights")
        init_least_squares(
            teacher, student, progress=lambda name, share: log(f"  {name} {share:.3f}")
        )
    log("teaching StyleGAN2's layers the teacher's features")
    average = distill_features(
        student,
        teacher,
        RunFolder(folder),
        FeatureDistillConfig(steps=steps, compiled=True),
        resume=True,
        progress=report,
    )
    save_generator(average, path, metadata={"source": "ffhq-mobile"})
    return path


def inversion(run: Path, face: Path, sizes: dict[str, int]) -> Path:
    """The encoder of whole frames into `face`: f alone, w+ is the bundle's encoder's."""
    path = run / "inversion" / "encoder.safetensors"
    if (run / "inversion" / "done").exists():
        return path
    log("training the inversion encoder")
    generator = load_generator(face, StyleGAN2Generator)
    folder = run / "mixed"
    if not (folder / "images.npy").exists():
        log(f"sampling {sizes['mixed']} faces of two latents each")
        write_samples(generator, folder, sizes["mixed"], mixed=0.5, seed=5)
    pairs = StoredSamples(LatentSamples.load(folder, num_ws=generator.num_ws), held_out=12)
    task = TASKS["inversion"]
    encode = face_reader(str(run / "encoder.safetensors"), generator)
    train_frames(
        task,
        new_frame_encoder(task, generator, heads=False),
        generator,
        FaceFrames(EncoderData(pairs=pairs), encode=encode),
        run / "inversion",
        FrameConfig(
            steps=sizes["inversion"],
            batch_size=8,
            lr=1.5e-3,
            weights=replace(task.weights, adversarial=0.0),
            supervised_share=SUPERVISED_SHARE,
            compiled=True,
        ),
        perceptual=PerceptualLoss("vgg", dtype=torch.bfloat16),
        identity=load_identity(dtype=torch.bfloat16),
        resume=True,
        progress=report,
    )
    (run / "inversion" / "done").touch()
    return path


def _draw_head(job: tuple[str, str, Measures]) -> bool:
    """Draw a head and the hair that hangs behind the body; returns whether there is such hair."""
    path, name, measures = job
    cv2.setNumThreads(1)
    places = np.array([measures[key] for key in ANCHORS]).reshape(3, 2)
    anchors = (places + MARGIN) / (1 + 2 * MARGIN)
    back = path.replace(".png", "-back.png")
    if not Path(path).exists():
        pose = pose_of(measures)
        for part, file in (("back", back), ("head", path)):
            picture = draw(name, pose, size=DRAWING, anchors=anchors, with_alpha=True, part=part)
            if part == "head" or picture[..., 3].any():
                cv2.imwrite(f"{file}.tmp.png", cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA))
                Path(f"{file}.tmp.png").replace(file)
    return Path(back).exists()


def cutouts(
    run: Path, prior: MobileGenerator, reader: PoseReader, latents: torch.Tensor, images: np.ndarray
) -> CutoutSet:
    """Sampled faces cut out, and the characters' heads in the poses of their latents."""
    folder = run / "cutouts"
    if (folder / INDEX).exists():
        return CutoutSet(folder)
    folder.mkdir(exist_ok=True)
    log(f"cutting out {len(images)} people")
    matte = PersonMatte(pull("person-matte"))
    faces = np.array(images)
    mattes = np.stack([matte(face) for face in faces])
    hairs = np.stack([hair_matte(f, m) for f, m in zip(faces, mattes, strict=True)])
    fills = np.stack([fill_behind(f, m) for f, m in zip(faces, mattes, strict=True)])
    write_faces(folder, faces, mattes, hairs, fills)
    log("drawing their heads")
    w_plus = latents[:, None].expand(-1, prior.num_ws, -1)
    measures = read_poses(reader, prior, w_plus)
    jobs = []
    for name in NAMES:
        (folder / name).mkdir(exist_ok=True)
    for number, row in enumerate(measures):
        for turn in range(2):
            name = NAMES[(number + turn * (1 + number // 6 % 5)) % len(NAMES)]
            jobs.append((str(folder / name / f"{number:05d}.png"), name, row))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        backs = list(pool.map(_draw_head, jobs, chunksize=8))
    rows: list[dict[str, object]] = []
    for (path, name, row), back in zip(jobs, backs, strict=True):
        head = str(Path(path).relative_to(folder))
        rows.append(
            {
                "face": int(Path(path).stem),
                "character": NAMES.index(name),
                "head": head,
                "back": head.replace(".png", "-back.png") if back else None,
                "chin": row["mouth_y"] + CHIN,
            }
        )
    order = np.random.default_rng(0).permutation(len(rows))
    write_index(folder, NAMES, [rows[i] for i in order], margin=MARGIN)
    return CutoutSet(folder)


def frame_toonifier(
    run: Path, toon: MobileGenerator, people: CutoutSet, table: Path, sizes: dict[str, int]
) -> tuple[Path, Path]:
    """Generator and encoder that draw the characters into whole frames.

    First small frames, of which there can be more; then larger ones.

    Args:
        toon: what draws the characters' faces, 512×512; its layers from 64×64 on stay as they are.
    """
    begun = hybrid(run / "toon192.safetensors", toon, sizes["distill"], width=192)
    generator = load_generator(begun, StyleGAN2Generator)
    task = TASKS["video-toonify"]
    encoder = new_frame_encoder(task, generator, heads=False, crop=CROP)
    latents = character_w_plus(str(table), people.characters, generator)
    weights = replace(task.weights, l2=0.0, l1=1.0, lpips=1.0)
    near = Scene(scale=2, size=160, crop=(100.0, 230.0), crowd=0.08)
    stages = {
        "deep": (
            ComposedFrames(people, latents, near),
            FrameConfig(
                steps=sizes["deep"],
                batch_size=8,
                weights=replace(weights, adversarial=0.05, flicker=0.0),
                train_from=4,
                compiled=True,
            ),
        ),
        "frames": (
            ComposedFrames(people, latents, Scene(scale=2)),
            FrameConfig(
                steps=sizes["frames"],
                batch_size=5,
                weights=replace(weights, adversarial=0.05),
                train_from=4,
                flicker_share=0.35,
                compiled=True,
            ),
        ),
    }
    perceptual = PerceptualLoss("vgg", dtype=torch.bfloat16)
    for name, (source, config) in stages.items():
        folder = run / name
        if not (folder / "done").exists():
            log(f"training the frame toonifier: {name}")
            train_frames(
                task,
                encoder,
                generator,
                source,
                folder,
                config,
                perceptual=perceptual,
                resume=True,
                progress=report,
            )
            (folder / "done").touch()
        encoder = load_encoder(folder / "encoder.safetensors", StyleGANEXEncoder)
        generator = load_generator(folder / "generator.safetensors", StyleGAN2Generator)
    return folder / "generator.safetensors", folder / "encoder.safetensors"


def numbers(*, quick: bool) -> dict[str, int]:
    """Steps of each training, and how many faces for what."""
    return QUICK if quick else FULL


def train(
    run: Path,
    prior: MobileGenerator,
    reader: PoseReader,
    latents: torch.Tensor,
    images: np.ndarray,
    table: Path,
    toon: MobileGenerator,
    *,
    quick: bool,
) -> dict[str, Path]:
    """The parts for `write_bundle`.

    Args:
        prior: with its 256×256 head.
        toon: the bundle's generator.
        latents, images: w (N, w_dim) of sampled faces, and the faces (N, 256, 256, 3).
        table: the characters' latents.
        quick: a rough edition.
    """
    sizes = numbers(quick=quick)
    face = hybrid(run / "face256.safetensors", prior, sizes["distill"], width=320)
    few = min(sizes["people"], len(images))
    people = cutouts(run, prior, reader, latents[:few], images[:few])
    reads = inversion(run, face, sizes)
    generator, encoder = frame_toonifier(run, toon, people, table, sizes)
    return {
        "inversion_generator": face,
        "inversion_encoder": reads,
        "frame_generator": generator,
        "frame_encoder": encoder,
    }
