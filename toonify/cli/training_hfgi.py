"""`toonify train-encoder --task hfgi`: what keeps a photograph's details when it is edited."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toonify.bundle import model_files
from toonify.cli.common import Settings, complain, note_others
from toonify.cli.live import training_display
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_run_folder

if TYPE_CHECKING:
    from toonify.models.base import Generator
    from toonify.models.encoders.hfgi_compact import CompactInversion
    from toonify.training.hfgi.data import HFGIData

MADE = "hfgi.safetensors"
PAIRS = 1600  # rendered into an empty folder
OTHER_TASKS = (
    *("variant", "size", "steps", "code", "features", "l1", "w_norm", "adversarial", "flicker"),
    *("train_from", "drawings", "parser", "direction", "strength", "toon", "cutouts"),
    *("cutout_count", "table", "compiled"),
)  # options of `train-encoder`


@dataclass(frozen=True, kw_only=True)
class HFGIOptions:
    """The options of `train-encoder` that this task takes; None is its own default."""

    generator: str
    output: Path
    codes_by: str | None
    faces: str | None
    start: str | None
    photos: Path | None
    aligned: bool
    pairs: Path | None
    pair_count: int | None
    photo_share: float | None
    held_out: int
    kimg: float
    batch_size: int
    lr: float | None
    snapshot: float
    keep: int
    weights: dict[str, float | None]
    bfloat16: bool
    resume: bool


def train_hfgi(settings: Settings, options: HFGIOptions) -> None:
    """Train and tell."""
    import torch

    from toonify.checkpoints.hfgi import save_compact_hfgi
    from toonify.training.core.loop import run_trainer
    from toonify.training.core.report import reporting
    from toonify.training.core.runs import RunFolder
    from toonify.training.encoders.faces import load_judges
    from toonify.training.hfgi.step import HFGIConfig, HFGITrainer, HFGIWeights

    _check(options)
    named = (options.generator, options.codes_by, options.faces, options.start)
    reads = InputFiles([options.photos, options.pairs, *model_files(*named)])
    check_run_folder(options.output, reads)
    made = options.output / MADE
    note_others(options.photos)
    run = RunFolder(options.output)
    run.start(resume=options.resume)  # before minutes of preparation: is it free?
    model = _model(settings, options)
    weights = HFGIWeights(**{k: v for k, v in options.weights.items() if v is not None})
    device = model.generator.w_avg.device
    precision = torch.bfloat16 if options.bfloat16 else torch.float32
    perceptual, identity = load_judges(
        device,
        precision,
        trunk="alex" if weights.lpips else None,
        identity=bool(weights.identity),
    )
    config = HFGIConfig(
        steps=max(1, round(options.kimg * 1000 / options.batch_size)),
        batch_size=options.batch_size,
        lr=options.lr or (1e-3 if options.start is None else 3e-4),
        weights=weights,
        bfloat16=options.bfloat16,
        seed=settings.seed,
    )
    data = _data(settings, options, model.generator)
    trainer = HFGITrainer(model, data, config, perceptual=perceptual, identity=identity)

    def write(path: Path) -> None:
        save_compact_hfgi(trainer.average, path, metadata={"kimg": f"{trainer.kimg:g}"})

    listed = {k: v for k, v in vars(options).items() if k != "weights"} | asdict(config)
    facts = {"networks": trainer.average.config(), "device": device}
    title = f"train-encoder, hfgi: {real_path(options.output).name}"
    with (
        reporting(options.output, title=title, config=listed, facts=facts) as refresh,
        training_display(settings) as show,
    ):

        def report(row: dict[str, float]) -> None:
            show("hfgi", int(row["step"]), config.steps, row)
            refresh()
            if settings.json:
                settings.result(row, "")

        run_trainer(
            trainer,
            run,
            steps=config.steps,
            snapshot=max(1, round(options.snapshot * 1000 / options.batch_size)),
            resume=options.resume,
            progress=report,
            kept=lambda: write(made),
            keep=options.keep,
            model=MADE,
        )
    page = options.output / "report.html"
    record = {"path": str(made), "task": "hfgi", "report": str(page)}
    settings.result(record, f"{made}, {page}")


def _check(options: HFGIOptions) -> None:
    """UsageError for options that don't go together."""
    if options.codes_by is None:
        raise UsageError("whose w+ is rendered?", hint="Add --codes-by ENCODER, default say.")
    if options.pairs is None and options.photos is None:
        raise UsageError(
            "there is nothing to learn from",
            hint="Give --pairs FOLDER (filled when it is empty), --photos, or both.",
        )
    if options.pairs is None and options.faces is not None:
        raise UsageError("--faces are edited into --pairs", hint="Name their folder with --pairs.")


def _model(settings: Settings, options: HFGIOptions) -> CompactInversion:
    import torch

    from toonify.bundle import locate
    from toonify.checkpoints import load_encoder, load_generator
    from toonify.checkpoints.hfgi import load_compact_hfgi
    from toonify.device import pick_device
    from toonify.models.encoders.hfgi_compact import CompactHFGI, CompactInversion, fused_channels
    from toonify.models.generators.hybrid import HybridGenerator

    device = pick_device(settings.device)
    part = locate(options.generator, "inversion_generator", "generator")
    generator = load_generator(part, device=device)
    encoder = load_encoder(locate(options.codes_by or "", "encoder"), device=device)
    if not isinstance(generator, HybridGenerator):
        raise UsageError(
            "hfgi is trained for compact generators with StyleGAN2's layers up to 32x32",
            hint="Give such a one as the default bundle's; for StyleGAN2 take HFGI's own ckpt.pt.",
        )
    if options.start is not None:
        networks = load_compact_hfgi(Path(locate(options.start, "hfgi")), device=device)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            networks = CompactHFGI(channels=fused_channels(generator)).to(device)
    return CompactInversion(networks, generator, encoder)


def _data(settings: Settings, options: HFGIOptions, generator: Generator) -> HFGIData:
    from toonify.bundle import locate
    from toonify.checkpoints import load_generator
    from toonify.editing.named import shipped_directions
    from toonify.training.data.photos import load_photos
    from toonify.training.hfgi.data import HFGIData
    from toonify.training.hfgi.pairs import EditPairs, known_directions, sample_edit_pairs

    photos, pairs = None, None
    if options.photos is not None:
        with settings.progress("photographs") as bar:
            photos = load_photos(
                options.photos, options.output, aligned=options.aligned, progress=bar
            )
        for name, reason in photos.skipped:
            complain(f"{name} is left out: {reason}")
    if options.pairs is not None:
        if not any(options.pairs.glob("*")):
            faces = generator
            if options.faces is not None:
                part = locate(options.faces, "inversion_generator", "generator")
                faces = load_generator(part, device=generator.w_avg.device)
            with settings.progress("edits") as bar:
                sample_edit_pairs(
                    faces,
                    known_directions(faces, shipped_directions()),
                    options.pairs,
                    options.pair_count or PAIRS,
                    seed=settings.seed,
                    bfloat16=options.bfloat16,
                    progress=bar,
                )
        pairs = EditPairs.load(options.pairs, w_dim=generator.w_dim)
    return HFGIData(
        num_ws=generator.num_ws,
        w_dim=generator.w_dim,
        pairs=pairs,
        photos=photos,
        photo_share=0.25 if options.photo_share is None else options.photo_share,
        held_out=options.held_out,
        seed=settings.seed,
    )
