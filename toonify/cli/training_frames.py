"""`toonify train-encoder --task …`: StyleGANEX's encoders of whole frames."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toonify.cli.common import Settings
from toonify.cli.live import training_display
from toonify.cli.training_drawings import drawn_faces
from toonify.errors import UsageError
from toonify.utils.links import real_path

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from toonify.models.encoders.styleganex import StyleGANEXEncoder
    from toonify.models.generators.stylegan2 import StyleGAN2Layers
    from toonify.training.encoders.data import EncoderData
    from toonify.training.styleganex.batch import FrameSource
    from toonify.training.styleganex.tasks import Task

    FaceData = Callable[[StyleGAN2Layers], EncoderData]

FACES = "ffhq-mobile"  # whom cutouts are made of
HINT_SHARE = 0.3  # of the steps of an inversion, in which generated faces' latents are learnt
COARSE_SHARE = 0.4  # of the steps of cutouts, in which more of them can be seen


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """The options of `train-encoder` that its StyleGANEX tasks share; None is the task's own."""

    task: str
    generator: str
    output: Path
    size: str | None
    start: str | None
    kimg: float
    batch_size: int | None
    lr: float | None
    snapshot: float
    keep: int
    weights: dict[str, float | None]
    train_from: int | None
    compiled: bool
    resume: bool
    drawings: Path | None
    photos: Path | None
    pairs: Path | None
    aligned: bool
    parser: Path | None
    direction: str | None
    strength: float
    faces: str | None
    toon: str | None
    codes_by: str | None
    cutouts: Path | None
    cutout_count: int
    table: str | None


def check(options: FrameOptions) -> None:
    """UsageError for options of other tasks, or missing ones."""
    from toonify.training.styleganex.tasks import SIZES

    task = options.task
    alone = {"--l1": "l1", "--adversarial": "adversarial", "--flicker": "flicker"}
    if task == "face":
        given = [name for name, key in alone.items() if options.weights[key] is not None]
        given += ["--train-from"] if options.train_from is not None else []
        given += ["--compile"] if options.compiled else []
        if given:
            raise UsageError(
                f"{given[0]} is of StyleGANEX's tasks", hint="Add --task, or leave it out."
            )
    elif options.size is not None and options.size not in SIZES:
        raise UsageError(
            f"--size {options.size} is of psp and restyle", hint="Choose 12, 24 or 50."
        )
    still = ("face", "inversion", "super-resolution", "sketch", "mask")
    belongs = {
        "--photos": (options.photos, still),
        "--codes-by": (options.codes_by, ("inversion",)),
        "--code": (options.weights["code"], ("face", "inversion")),
        "--pairs": (options.pairs, still),
        "--drawings": (options.drawings, ("sketch", "mask")),
        "--parser": (options.parser, ("mask",)),
        "--direction": (options.direction, ("video-edit",)),
        "--faces": (options.faces, ("video-toonify",)),
        "--toon": (options.toon, ("video-toonify",)),
        "--cutouts": (options.cutouts, ("video-toonify",)),
        "--table": (options.table, ("video-toonify",)),
    }
    for name, (value, tasks) in belongs.items():
        if value is not None and task not in tasks:
            raise UsageError(f"{name} is of {' and '.join(tasks)}", hint="Leave it out.")
    if options.strength != 1 and task != "video-edit":
        raise UsageError("--strength is of video-edit", hint="Leave it out.")
    if options.cutouts is None and (options.toon or options.table):
        raise UsageError("--toon and --table go with --cutouts", hint="Add --cutouts FOLDER.")
    if options.drawings is not None and not options.aligned:
        raise UsageError(
            "photographs that are found and turned upright don't fit their drawings",
            hint="Give FFHQ crops and their drawings, and add --aligned.",
        )
    if options.start is not None and options.size is not None:
        raise UsageError("--start brings its own size", hint="Leave --size out.")
    if task == "mask" and (options.drawings is None) == (options.parser is None):
        raise UsageError(
            "masks come from a folder or from a parsing network",
            hint="Give --drawings FOLDER or --parser default.",
        )
    if task == "video-edit" and options.direction is None:
        raise UsageError("an edit has a direction", hint="Add --direction, sefa-1 say.")
    if task == "video-toonify":
        if options.cutouts is None and options.faces is None:
            raise UsageError(
                "frames are toonified by --cutouts or, from codes alone, by --faces",
                hint="Give --cutouts FOLDER --toon BUNDLE, or --faces GENERATOR.",
            )
        if options.cutouts is not None and options.toon is None and options.table is None:
            raise UsageError("whose characters?", hint="Add --toon BUNDLE or --table TABLE.")


def train(
    settings: Settings, options: FrameOptions, data: Callable[[StyleGAN2Layers], EncoderData]
) -> None:
    """Train and tell.

    Args:
        data: makes the `EncoderData` of photographs and pairs, where the task wants it.
    """
    import torch

    from toonify.bundle import locate
    from toonify.checkpoints import load_generator
    from toonify.device import pick_device, training_dtype
    from toonify.models.generators.stylegan2 import StyleGAN2Layers
    from toonify.training.core.report import reporting
    from toonify.training.core.runs import RunFolder
    from toonify.training.encoders.faces import load_judges
    from toonify.training.styleganex.batch import FrameConfig
    from toonify.training.styleganex.compose import CROP
    from toonify.training.styleganex.tasks import TASKS, new_frame_encoder
    from toonify.training.styleganex.train import train_frames

    device = pick_device(settings.device)
    task = TASKS[options.task]
    kind = "frame" if task.name == "video-toonify" else "inversion"
    draws = options.cutouts is not None
    heads = not draws and options.codes_by is None  # else w+ is a character's, or another's
    RunFolder(options.output).start(resume=options.resume)  # before minutes of preparation
    network = load_generator(locate(options.generator, f"{kind}_generator"), device=device)
    if not isinstance(network, StyleGAN2Layers):
        raise UsageError(
            "whole frames need a generator of StyleGAN2's layout",
            hint="Make one of it: toonify distill.",
        )
    if options.start is None:
        size = options.size or "12"
        encoder = new_frame_encoder(
            task,
            network,
            size=size,
            heads=heads,
            crop=CROP if draws else 256,
            seed=settings.seed,
        )
        rate = 1e-4 if size == "50" else 1e-3
    else:
        start = locate(options.start, f"{kind}_encoder")
        encoder, rate = _loaded(start, task, network, heads=heads), 1e-4
    # what is rendered to learn from must not move with the layers that learn
    teacher = network if options.train_from is None else copy.deepcopy(network)
    source = _source(options, teacher, settings, data)
    if task.has_direction:
        from toonify.editing.directions import find_direction

        direction = find_direction(options.direction or "", network, None)
        encoder.direction.copy_(direction * options.strength)
    chosen = {name: value for name, value in options.weights.items() if value is not None}
    weights = replace(task.weights, **chosen)
    precision = training_dtype(settings.dtype, device)
    perceptual, identity = load_judges(
        network.w_avg.device,
        precision,
        trunk="vgg" if weights.lpips else None,
        identity=bool(weights.identity),
    )
    if identity is None:
        weights = replace(weights, identity=0.0)
    batch = options.batch_size or 4
    config = FrameConfig(
        steps=max(1, round(options.kimg * 1000 / batch)),
        batch_size=batch,
        lr=rate if options.lr is None else options.lr,
        weights=weights,
        train_from=options.train_from,
        compiled=options.compiled,
        coarse_share=COARSE_SHARE if draws else 0.0,
        hint_share=HINT_SHARE if _hinted(options, source) and weights.code else 0.0,
        bfloat16=precision == torch.bfloat16,
        snapshot=max(1, round(options.snapshot * 1000 / batch)),
        keep=options.keep,
        seed=settings.seed,
    )
    listed = {k: v for k, v in vars(options).items() if k != "weights"} | asdict(config)
    facts = {"encoder": encoder.config()["channels"], "device": device}
    title = f"train-encoder, {task.name}: {real_path(options.output).name}"
    with (
        reporting(options.output, title=title, config=listed, facts=facts) as refresh,
        training_display(settings) as show,
    ):

        def report(row: dict[str, float]) -> None:
            show(task.name, int(row["step"]), config.steps, row)
            refresh()
            if settings.json:
                settings.result(row, "")

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
    path, page = options.output / "encoder.safetensors", options.output / "report.html"
    record = {"path": str(path), "task": task.name, "report": str(page)}
    settings.result(record, f"{path}, {page}")


def _hinted(options: FrameOptions, source: FrameSource) -> bool:
    """Whether there is something to learn before pictures: not where an encoder goes on."""
    from toonify.training.styleganex.sources import FaceFrames

    return options.start is None and isinstance(source, FaceFrames) and source.has_latents


def _loaded(
    start: str, task: Task, generator: StyleGAN2Layers, *, heads: bool
) -> StyleGANEXEncoder:
    from toonify.checkpoints import load_encoder
    from toonify.models.encoders.styleganex import MATTE_AT, StyleGANEXEncoder

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
            f"{start} is no encoder of this generator for {task.name}", hint="Leave --start out."
        )
    return encoder


def _source(
    options: FrameOptions,
    generator: StyleGAN2Layers,
    settings: Settings,
    data: Callable[[StyleGAN2Layers], EncoderData],
) -> FrameSource:
    """Where frames come from."""
    from toonify.training.styleganex import sources

    if options.task == "inversion":
        from toonify.training.encoders.faces import face_reader

        reader = face_reader(options.codes_by, generator)
        return sources.FaceFrames(data(generator), codes=reader)
    if options.task == "super-resolution":
        return sources.FaceFrames(data(generator), factors=(4, 64))
    if options.task in ("sketch", "mask"):
        return drawn_faces(options, data(generator))
    if options.task == "video-edit":
        from toonify.editing.directions import find_direction

        direction = find_direction(options.direction or "", generator, None)
        rows = direction if direction.ndim == 2 else direction.expand(generator.num_ws, -1)
        return sources.EditFrames(generator, rows, strength=options.strength)
    if options.cutouts is None:
        return sources.ToonPairs(_generated(options, generator))
    from toonify.training.styleganex.compose import Scene
    from toonify.training.styleganex.cutouts import INDEX, CutoutSet

    if not (options.cutouts / INDEX).is_file():
        _make_cutouts(options, settings)
    cutouts = CutoutSet(options.cutouts)
    codes = character_codes(options.table or options.toon or "", cutouts.characters, generator)
    scene = Scene(scale=max(1, generator.resolution // 256))
    return sources.ComposedFrames(cutouts, codes, scene)


def character_codes(table: str, characters: tuple[str, ...], generator: StyleGAN2Layers) -> Tensor:
    """w+ (C, num_ws, w_dim) of characters in a table, a file's or a bundle's."""
    import torch

    from toonify.bundle import locate
    from toonify.inversion.latents import fit_codes
    from toonify.lut import CharacterTable

    known = CharacterTable.load(locate(table, "characters"))
    codes = [fit_codes(known[name].w_plus[None].float(), generator.num_ws) for name in characters]
    return torch.cat(codes).to(generator.w_avg)


def _make_cutouts(options: FrameOptions, settings: Settings) -> None:
    from toonify.bundle import locate
    from toonify.checkpoints import load_generator
    from toonify.checkpoints.download import obtain
    from toonify.engine import Toonifier
    from toonify.faces.person import PersonMatte
    from toonify.training.styleganex.making import make_cutouts

    if options.toon is None or options.cutouts is None:
        raise UsageError(
            f"{options.cutouts} holds no cutouts", hint="Add --toon BUNDLE to make some."
        )
    toonifier = Toonifier.from_bundle(options.toon, device=settings.device, dtype=settings.dtype)
    faces = load_generator(locate(options.faces or FACES, "generator"), device=toonifier.device)
    matte = PersonMatte(obtain("person-matte", offline=settings.offline))
    with settings.progress("cutouts") as bar:
        make_cutouts(
            faces,
            toonifier,
            matte,
            options.cutouts,
            options.cutout_count,
            seed=settings.seed,
            progress=bar,
        )


def _generated(options: FrameOptions, generator: StyleGAN2Layers) -> Any:
    """Faces of one generator and what another makes of the same codes, as published."""
    import torch

    from toonify.bundle import locate
    from toonify.checkpoints import load_generator
    from toonify.inversion.latents import fit_codes
    from toonify.training.data.latent_samples import draw_codes, render

    faces = load_generator(
        locate(options.faces or FACES, "generator"), device=generator.w_avg.device
    )

    @torch.no_grad()
    def sample(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        codes = draw_codes(faces, count, random, mixed=0.0)
        drawn = render(generator, fit_codes(codes, generator.num_ws), size=generator.resolution)
        return render(faces, codes, size=256), drawn

    return sample
