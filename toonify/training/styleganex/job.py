"""Training StyleGANEX's encoders of whole frames from files (arXiv 2303.06146)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from toonify.bundle import locate, model_files
from toonify.checkpoints import download, load_encoder, load_generator
from toonify.device import pick_device, refuse_float16, training_dtype
from toonify.editing.directions import find_direction
from toonify.engine import Toonifier
from toonify.errors import UsageError
from toonify.faces import get_detector, person
from toonify.faces.subject import Domain, LargestFace
from toonify.inversion.latents import fit_w_plus
from toonify.lut import CharacterTable
from toonify.models.encoders.styleganex import MATTE_AT, StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.training.core.report import Display, no_display, reported
from toonify.training.core.runs import RunFolder
from toonify.training.core.weights import chosen_weights
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.encoders.data import EncoderData
from toonify.training.encoders.faces import check_faces, face_data, face_reader, load_loss_networks
from toonify.training.encoders.job import EncoderResult
from toonify.training.styleganex import sources
from toonify.training.styleganex.batch import FrameConfig, FrameSource
from toonify.training.styleganex.compose import CROP, Scene
from toonify.training.styleganex.cutouts import INDEX, CutoutSet
from toonify.training.styleganex.drawn_faces import drawn_faces
from toonify.training.styleganex.making import make_cutouts
from toonify.training.styleganex.scenes import SceneFrames
from toonify.training.styleganex.tasks import SIZES, TASKS, FrameWeights, Task, new_frame_encoder
from toonify.training.styleganex.train import train_frames
from toonify.utils.arguments import check_choice
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress, no_progress

FACES = "ffhq-mobile"  # generator of the cutouts
SUPERVISED_SHARE = 0.3  # of the steps of an inversion, in which generated faces' latents are learnt
COARSE_SHARE = 0.4  # of the steps of cutouts, in which more of them can be seen


@dataclass(frozen=True, kw_only=True)
class FrameJob:
    """What an encoder of whole frames is trained for, and from; None is the task's own.

    Attributes:
        task: a name of `TASKS`.
        generator: whose frames it reads: a file, registry name or bundle, of StyleGAN2's layout.
        output: folder of the run.
        size: "12", "24" or "50", layers of the IR-SE body.
        start: an encoder to go on from.
        kimg, batch_size, lr: thousand frames, frames a step, AdamW's learning rate.
        snapshot_kimg: thousand frames between snapshots; `keep`: so many encoders stay.
        weights: loss term → weight; terms that are left out, or None, have the task's.
        train_from: resolution from which the generator's layers learn too.
        compiled: through torch.compile.
        photos, aligned, pairs, pair_count, photo_share, held_out: see `face_data`.
        domain: "any" for a generator of something else than faces, of "inversion": see
            `train_encoder`.
        scenes: folder of photographs of people and what is around them, for an inversion of which
            f alone is learnt.
        drawings: folder of sketches or label maps, named as the photographs.
        parser: what makes label maps: "default" or an ONNX network.
        direction, strength: of video-edit.
        faces: generator whose frames become the drawings of the same latents, or cutouts.
        toon: bundle that draws the cutouts' heads; `table`: another table of their characters.
        face_encoder: encoder of faces that gives w+, so that the first feature alone is learnt.
        cutouts: folder of people cut out; filled with `cutout_count` where it is empty.
        resume: go on from the last snapshot in the folder.
        seed: of everything random.
    """

    task: str
    generator: str
    output: Path
    size: str | None = None
    start: str | None = None
    kimg: float = 80.0
    batch_size: int | None = None
    lr: float | None = None
    snapshot_kimg: float = 4.0
    keep: int = 0
    weights: Mapping[str, float | None] = field(default_factory=dict)
    train_from: int | None = None
    compiled: bool = False
    resume: bool = False
    photos: Path | None = None
    aligned: bool = False
    domain: Domain = "faces"
    photo_share: float | None = None
    pairs: Path | None = None
    pair_count: int | None = None
    held_out: int = 32
    scenes: Path | None = None
    drawings: Path | None = None
    parser: Path | None = None
    direction: str | None = None
    strength: float = 1.0
    faces: str | None = None
    toon: str | None = None
    face_encoder: str | None = None
    cutouts: Path | None = None
    cutout_count: int = 3000
    table: str | None = None
    seed: int = 0

    def inputs(self) -> InputFiles:
        """The files that the training reads."""
        named = (self.generator, self.start, self.face_encoder, self.faces, self.toon, self.table)
        folders = (self.photos, self.pairs, self.scenes, self.drawings, self.parser, self.cutouts)
        return InputFiles([*folders, *model_files(*named)])


def check_job(options: FrameJob) -> None:
    """UsageError for options of other tasks, or missing ones."""
    task = options.task
    if task == "face":
        alone = ("l1", "adversarial", "flicker")
        given = [f"`{name}`" for name in alone if options.weights.get(name) is not None]
        given += ["`train_from`"] if options.train_from is not None else []
        given += ["`compiled`"] if options.compiled else []
        if given:
            raise UsageError(
                f"{given[0]} is of StyleGANEX's tasks", hint="Add `task`, or leave it out."
            )
    elif options.size is not None and options.size not in SIZES:
        raise UsageError(
            f"`size` {options.size} is of psp and restyle", hint="Choose 12, 24 or 50."
        )
    if options.domain == "any" and task not in ("face", "inversion"):
        raise UsageError(f"`task` {task} is of `domain` faces", hint="Take face or inversion.")
    if options.domain == "any" and options.weights.get("identity"):
        raise UsageError("`identity` is of `domain` faces", hint="Leave it out.")
    still = ("face", "inversion", "super-resolution", "sketch", "mask")
    belongs = {
        "`photos`": (options.photos, still),
        "`face_encoder`": (options.face_encoder, ("inversion",)),
        "`latent`": (options.weights.get("latent"), ("face", "inversion")),
        "`pairs`": (options.pairs, still),
        "`scenes`": (options.scenes, ("inversion",)),
        "`drawings`": (options.drawings, ("sketch", "mask")),
        "`parser`": (options.parser, ("mask",)),
        "`direction`": (options.direction, ("video-edit",)),
        "`faces`": (options.faces, ("video-toonify",)),
        "`toon`": (options.toon, ("video-toonify",)),
        "`cutouts`": (options.cutouts, ("video-toonify",)),
        "`table`": (options.table, ("video-toonify",)),
    }
    for name, (value, tasks) in belongs.items():
        if value is not None and task not in tasks:
            raise UsageError(f"{name} is of {' and '.join(tasks)}", hint="Leave it out.")
    if options.scenes is not None:
        if options.face_encoder is None:
            raise UsageError(
                "whose w+ are the scenes' faces rendered with?",
                hint="Add `face_encoder` ENCODER, default say.",
            )
        if options.photos is not None or options.pairs is not None:
            raise UsageError(
                "`scenes` take the place of `photos` and `pairs`", hint="Leave those out."
            )
        if options.domain == "any":
            raise UsageError("`scenes` are of `domain` faces", hint="Leave it out.")
    if options.strength != 1 and task != "video-edit":
        raise UsageError("`strength` is of video-edit", hint="Leave it out.")
    if options.cutouts is None and (options.toon or options.table):
        raise UsageError("`toon` and `table` go with `cutouts`", hint="Add `cutouts` FOLDER.")
    if options.drawings is not None and not options.aligned:
        raise UsageError(
            "photographs that are found and turned upright don't fit their drawings",
            hint="Give FFHQ crops and their drawings, and add `aligned`.",
        )
    if options.start is not None and options.size is not None:
        raise UsageError("`start` brings its own size", hint="Leave `size` out.")
    if task == "mask" and (options.drawings is None) == (options.parser is None):
        raise UsageError(
            "masks come from a folder or from a parsing network",
            hint="Give `drawings` FOLDER or `parser` default.",
        )
    if task == "video-edit" and options.direction is None:
        raise UsageError("an edit has a direction", hint="Add `direction`, sefa-1 say.")
    if task == "video-toonify":
        if options.cutouts is None and options.faces is None:
            raise UsageError(
                "frames are toonified by `cutouts` or, from latents alone, by `faces`",
                hint="Give `cutouts` FOLDER `toon` BUNDLE, or `faces` GENERATOR.",
            )
        if options.cutouts is not None and options.toon is None and options.table is None:
            raise UsageError("whose characters?", hint="Add `toon` BUNDLE or `table` TABLE.")


def train_frame_encoder(
    options: FrameJob,
    *,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    display: Display = no_display,
    progress: Progress = no_progress,
) -> EncoderResult:
    """Train an encoder of whole frames, and the generator's layers where it is wanted.

    Snapshots, metrics.jsonl, previews, report.html and encoder.safetensors go into the folder.

    Args:
        display: opens a display of the training.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        InputError: no photographs, or a drawing that is missing.
        ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> train_frame_encoder(FrameJob(task="inversion", generator="g.pt", output=Path("run")))
    """
    check_choice("task", options.task, list(TASKS))
    refuse_float16(dtype)
    check_job(options)
    check_faces(
        options.photos,
        options.aligned,
        options.photo_share,
        options.pairs,
        options.pair_count,
        options.domain,
    )
    check_run_folder(options.output, options.inputs())
    place = pick_device(device)
    task = TASKS[options.task]
    RunFolder(options.output).start(resume=options.resume)  # before minutes of preparation
    network = load_generator(locate(options.generator, f"{_kind(task)}_generator"), device=place)
    if not isinstance(network, StyleGAN2Layers):
        raise UsageError(
            "whole frames need a generator of StyleGAN2's layout",
            hint="Make one of it: toonify distill.",
        )
    encoder, rate = _encoder(options, task, network)
    # what is rendered to learn from must not move with the layers that learn
    teacher = network if options.train_from is None else copy.deepcopy(network)
    precision = training_dtype(dtype, place)
    bfloat16 = precision == torch.bfloat16
    source = _source(options, teacher, bfloat16, progress, device, dtype, offline)
    if task.has_direction:
        direction = find_direction(options.direction or "", network, None)
        encoder.direction.copy_(direction * options.strength)
    weights = chosen_weights(task.weights, options.weights)
    if options.domain == "any":
        weights = replace(weights, identity=0.0)
    perceptual, identity = load_loss_networks(
        network.w_avg.device,
        precision,
        trunk="vgg" if weights.lpips else None,
        identity=bool(weights.identity),
    )
    if identity is None:
        weights = replace(weights, identity=0.0)
    config = _config(options, source, weights, rate, bfloat16)
    listed = {k: v for k, v in vars(options).items() if k != "weights"} | asdict(config)
    with reported(
        options.output,
        command=f"train-encoder, {task.name}",
        steps=config.steps,
        config=listed,
        facts={"encoder": encoder.config()["channels"], "device": place},
        display=display,
    ) as report:
        train_frames(
            task,
            encoder,
            network,
            source,
            options.output,
            config,
            perceptual=perceptual,
            identity=identity,
            resume=options.resume,
            progress=report,
        )
    return EncoderResult(
        encoder=options.output / "encoder.safetensors",
        report=options.output / "report.html",
        architecture=str(encoder.config()["architecture"]),
    )


def _kind(task: Task) -> str:
    """Which of a bundle's pairs of networks for frames the task is about."""
    return "frame" if task.name == "video-toonify" else "inversion"


def _encoder(
    options: FrameJob, task: Task, network: StyleGAN2Layers
) -> tuple[StyleGANEXEncoder, float]:
    """The encoder to begin with, a fresh one or that of a file, and its own learning rate."""
    draws = options.cutouts is not None
    heads = not draws and options.face_encoder is None  # else w+ is a character's, or another's
    if options.start is not None:
        start = locate(options.start, f"{_kind(task)}_encoder")
        return _loaded(start, task, network, heads=heads), 1e-4
    size, crop = options.size or "12", CROP if draws else 256
    encoder = new_frame_encoder(task, network, size=size, heads=heads, crop=crop, seed=options.seed)
    return encoder, 1e-4 if size == "50" else 1e-3


def _config(
    options: FrameJob, source: FrameSource, weights: FrameWeights, rate: float, bfloat16: bool
) -> FrameConfig:
    batch = options.batch_size or 4
    supervised = _has_latents(options, source) and bool(weights.latent)
    return FrameConfig(
        steps=max(1, round(options.kimg * 1000 / batch)),
        batch_size=batch,
        lr=rate if options.lr is None else options.lr,
        weights=weights,
        train_from=options.train_from,
        compiled=options.compiled,
        coarse_share=0.0 if options.cutouts is None else COARSE_SHARE,
        supervised_share=SUPERVISED_SHARE if supervised else 0.0,
        bfloat16=bfloat16,
        snapshot=max(1, round(options.snapshot_kimg * 1000 / batch)),
        keep=options.keep,
        seed=options.seed,
    )


def _has_latents(options: FrameJob, source: FrameSource) -> bool:
    """Whether there is something to learn before pictures: not where an encoder goes on."""
    return options.start is None and isinstance(source, sources.FaceFrames) and source.has_latents


def _loaded(
    start: str, task: Task, generator: StyleGAN2Layers, *, heads: bool
) -> StyleGANEXEncoder:
    encoder = load_encoder(start, device=generator.w_avg.device)
    matte = bool(task.fusions) and not heads
    wanted = MATTE_AT + 1 if matte else task.fusions
    if (
        not isinstance(encoder, StyleGANEXEncoder)
        or encoder.label_channels != task.labels
        or encoder.has_direction != task.has_direction
        or len(encoder.net.fusion) != min(wanted, len(generator.fusion_channels))
        or encoder.heads != heads
        or encoder.has_matte != matte
        or encoder.num_ws != generator.num_ws
        or encoder.feature_channels != generator.channels[4]
    ):
        raise UsageError(
            f"{start} is no encoder of this generator for {task.name}", hint="Leave `start` out."
        )
    return encoder


def _source(
    options: FrameJob,
    generator: StyleGAN2Layers,
    bfloat16: bool,
    progress: Progress,
    device: str,
    dtype: str,
    offline: bool,
) -> FrameSource:
    """Where frames come from."""

    def data() -> EncoderData:
        return face_data(
            generator,
            options.output,
            photos=options.photos,
            aligned=options.aligned or options.domain == "any",
            pairs=options.pairs,
            pair_count=6000 if options.pair_count is None else options.pair_count,
            photo_share=0.5 if options.photo_share is None else options.photo_share,
            held_out=options.held_out,
            bfloat16=bfloat16,
            seed=options.seed,
            progress=progress,
        )

    if options.task == "inversion":
        reader = face_reader(options.face_encoder, generator)
        if options.scenes is not None and reader is not None:
            subject = LargestFace(get_detector(device=device, offline=offline))
            return SceneFrames(options.scenes, subject, reader, progress=progress)
        return sources.FaceFrames(data(), encode=reader)
    if options.task == "super-resolution":
        return sources.FaceFrames(data(), factors=(4, 64))
    if options.task in ("sketch", "mask"):
        return drawn_faces(
            data(), masks=options.task == "mask", drawings=options.drawings, parser=options.parser
        )
    if options.task == "video-edit":
        direction = find_direction(options.direction or "", generator, None)
        rows = direction if direction.ndim == 2 else direction.expand(generator.num_ws, -1)
        return sources.EditFrames(generator, rows, strength=options.strength)
    if options.cutouts is None:
        return sources.ToonPairs(_generated(options, generator))
    if not (options.cutouts / INDEX).is_file():
        _make_cutouts(options, progress, device, dtype, offline)
    cutouts = CutoutSet(options.cutouts)
    w_plus = character_w_plus(options.table or options.toon or "", cutouts.characters, generator)
    scene = Scene(scale=max(1, generator.resolution // 256))
    return sources.ComposedFrames(cutouts, w_plus, scene)


def character_w_plus(table: str, characters: tuple[str, ...], generator: StyleGAN2Layers) -> Tensor:
    """w+ (C, num_ws, w_dim) of characters in a table, a file's or a bundle's."""
    known = CharacterTable.load(locate(table, "characters"))
    w_plus = [fit_w_plus(known[name].w_plus[None].float(), generator.num_ws) for name in characters]
    return torch.cat(w_plus).to(generator.w_avg)


def _make_cutouts(
    options: FrameJob, progress: Progress, device: str, dtype: str, offline: bool
) -> None:
    if options.toon is None or options.cutouts is None:
        raise UsageError(
            f"{options.cutouts} holds no cutouts", hint="Add `toon` BUNDLE to make some."
        )
    toonifier = Toonifier.from_bundle(options.toon, device=device, dtype=dtype)
    faces = load_generator(locate(options.faces or FACES, "generator"), device=toonifier.device)
    matte = person.PersonMatte(download.obtain("person-matte", offline=offline))
    with progress("cutouts") as bar:
        make_cutouts(
            faces,
            toonifier,
            matte,
            options.cutouts,
            options.cutout_count,
            seed=options.seed,
            progress=bar,
        )


def _generated(options: FrameJob, generator: StyleGAN2Layers) -> sources.Sampler:
    """Faces of one generator and what another makes of the same latents, as published."""
    faces = load_generator(
        locate(options.faces or FACES, "generator"), device=generator.w_avg.device
    )

    @torch.no_grad()
    def sample(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        w_plus = sample_w_plus(faces, count, random, mixed=0.0)
        drawn = render(generator, fit_w_plus(w_plus, generator.num_ws), size=generator.resolution)
        return render(faces, w_plus, size=256), drawn

    return sample
