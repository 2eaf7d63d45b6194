"""Training of the encoder of sketches and masks from files."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import torch

from toonify.bundle import DRAWING, bundle_folder, locate, model_files, part_path, read_manifest
from toonify.checkpoints import load_generator
from toonify.checkpoints.loading import load_network, save_network
from toonify.device import pick_device, pick_dtype, refuse_float16
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import FaceParser
from toonify.inversion.translation import SAMPLED_FROM
from toonify.models.base import Generator
from toonify.models.encoders.drawing import DrawingEncoder, structure_features
from toonify.training.core.loop import run_trainer
from toonify.training.core.report import Display, no_display, reported
from toonify.training.core.runs import RunFolder
from toonify.training.drawings.metric import fit_labels_and_metric
from toonify.training.drawings.pairs import DrawnFaces, sample_drawn_faces
from toonify.training.drawings.train import DrawingSettings, DrawingTrainer
from toonify.training.encoders.job import EncoderResult
from toonify.utils.arguments import check_range
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress, no_progress

MADE = "drawing.safetensors"
FACES = 9600  # sampled into an empty folder
READ = 1600  # of them, for the metric
LEAST = 64


def train_drawing_encoder(
    generator: str,
    output: str | os.PathLike[str],
    pairs: str | os.PathLike[str],
    *,
    pair_count: int | None = None,
    start: str | None = None,
    kimg: float = 80.0,
    batch_size: int | None = None,
    lr: float | None = None,
    snapshot_kimg: float = 4.0,
    keep: int = 0,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
    progress: Progress = no_progress,
) -> EncoderResult:
    """Train what `translate --task sketch` and `mask` read drawings with.

    Sketches and masks are drawn by program over sampled faces, afresh at every step.

    Args:
        generator: of aligned faces: a file, registry name or bundle.
        output: folder of the run.
        pairs: folder of sampled faces with their labels, filled with `pair_count` (9600) where it
            is empty.
        start: encoder to go on from, a file or a bundle.
        kimg, batch_size, lr: thousand drawings, drawings a step (32), Adam's peak rate (1e-3).
        snapshot_kimg: thousand drawings between snapshots; `keep`: so many encoders stay.
        resume: go on from the last snapshot in the folder.

    Returns:
        where the encoder (drawing.safetensors) and the report are.

    Raises:
        UsageError: options out of range, or a run in the folder without `resume`.
        InputError: a folder that can't be read.
        ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> train_drawing_encoder("default", "runs/drawings", "runs/faces", kimg=100).encoder
    """
    refuse_float16(dtype)
    output, pairs = Path(output), Path(pairs)
    check_range("pair_count", pair_count, LEAST, 1_000_000, whole=True)
    check_run_folder(output, InputFiles([pairs, *model_files(generator, start)]))
    run = RunFolder(output)
    run.start(resume=resume)  # before minutes of preparation: is it free?
    place = pick_device(device)
    bfloat16 = pick_dtype(dtype, place) != torch.float32
    prior = load_generator(locate(generator, "inversion_generator", "generator"), device=place)
    prior.eval().requires_grad_(False)
    if not any(pairs.glob("*")):
        count = pair_count or FACES
        with progress("faces") as bar:
            sample_drawn_faces(
                prior, pairs, count, *_readers(), seed=seed, progress=lambda n: bar(n, 2 * count)
            )
    faces = DrawnFaces(pairs)
    faces.check(prior)
    batch = batch_size or DrawingSettings.batch_size
    settings = DrawingSettings(
        steps=max(1, round(kimg * 1000 / batch)),
        batch_size=batch,
        lr=lr or DrawingSettings.lr,
        bfloat16=bfloat16,
        seed=seed,
    )
    network = _network(prior, start, seed)
    with progress("what activations tell") as bar:
        count = min(READ, len(faces))
        labels, metric = fit_labels_and_metric(
            prior,
            faces,
            count,
            rows=SAMPLED_FROM,
            bfloat16=bfloat16,
            progress=lambda n: bar(n, count),
        )
    network.from_features.load_state_dict(labels.state_dict())
    trainer = DrawingTrainer(network, prior, faces, metric, settings)
    made = output / MADE
    with reported(
        output,
        command="train-encoder, drawing",
        steps=settings.steps,
        config={"generator": generator, "pairs": pairs, "start": start, **asdict(settings)},
        facts={"network": network.config(), "device": place},
        display=display,
    ) as report:
        run_trainer(
            trainer,
            run,
            steps=settings.steps,
            snapshot=max(1, round(snapshot_kimg * 1000 / batch)),
            resume=resume,
            progress=report,
            kept=lambda: save_network(
                trainer.average, made, metadata={"kimg": f"{trainer.kimg:g}"}
            ),
            keep=keep,
            model=MADE,
        )
    return EncoderResult(encoder=made, report=output / "report.html", architecture="drawing")


def _readers() -> tuple[FaceParser, FaceMesh]:
    """The default bundle's parser and face mesh, which label sampled faces."""
    folder = bundle_folder("default")
    manifest = read_manifest(folder)
    mesh = FaceMesh(part_path(folder, manifest, "face_mesh").parent)
    return FaceParser(part_path(folder, manifest, "parsing")), mesh


def _network(prior: Generator, start: str | None, seed: int) -> DrawingEncoder:
    if start is not None:
        network = load_network("drawing", Path(locate(start, DRAWING)), DrawingEncoder)
        network.check(prior)
    else:
        features = structure_features(prior, prior.w_avg.expand(1, prior.num_ws, -1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = DrawingEncoder(w_dim=prior.w_dim, features=features.shape[1])
        with torch.no_grad():  # begins with the average face
            network.to_w.weight.mul_(0.1)
            network.to_w.bias.copy_(prior.w_avg)
    network.train().requires_grad_(True)
    network.to(memory_format=torch.channels_last)
    return network.to(prior.w_avg.device)
