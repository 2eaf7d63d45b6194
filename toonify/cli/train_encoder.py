"""`toonify train-encoder`: the encoder that finds a photograph's code in a face generator."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import Settings, complain, examples, settings_of
from toonify.cli.live import training_display

if TYPE_CHECKING:
    from toonify.models.protocol import Generator
    from toonify.training.encoder_data import EncoderData
    from toonify.training.encoder_losses import EncoderLoss, EncoderWeights
    from toonify.training.encoder_variants import TrainableEncoder

EPILOG = examples(
    "toonify train-encoder --generator prior.safetensors -o runs/encoder",
    "toonify train-encoder --generator prior.safetensors --photos people/ -o runs/encoder",
    "toonify train-encoder --generator prior.safetensors --start default --photos people/"
    " --lr 2e-4 -o runs/encoder",
    "toonify train-encoder --generator ffhq.pkl --variant restyle --size 50 --photos ffhq/"
    " --aligned --photo-share 1 --kimg 4000 --batch-size 8 -o runs/restyle",
)


class VariantName(StrEnum):
    """Architecture."""

    compact = "compact"
    psp = "psp"
    restyle = "restyle"


class SizeName(StrEnum):
    """Backbone of pSp and ReStyle."""

    ir10 = "10"
    ir18 = "18"
    ir50 = "50"


def _weight(term: str) -> Any:
    return typer.Option(min=0.0, help=f"Weight of {term}; 0 leaves it out.")


def train_encoder(
    ctx: typer.Context,
    generator: Annotated[
        str,
        typer.Option(help="Face generator to invert: a checkpoint, a registry name, or a bundle."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    variant: Annotated[
        VariantName | None,
        typer.Option(
            help="compact: small, one step; psp: one pass, W+ from a pyramid; restyle: residual"
            " steps, each seeing the last reconstruction.",
            show_default="compact",
        ),
    ] = None,
    size: Annotated[
        SizeName | None,
        typer.Option(
            help="IR-SE backbone of psp and restyle; 50 is the published one, for a GPU.",
            show_default="18",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=10, help="Residual steps of compact and restyle.", show_default="1 and 3"
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Go on from an encoder (a checkpoint or a bundle) instead of afresh."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photographs; the largest face of each is used.")
    ] = None,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="The photographs are FFHQ-aligned faces already.")
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of generated faces with their codes; filled when it is empty. Without it"
            " faces are rendered as they are needed."
        ),
    ] = None,
    pair_count: Annotated[
        int | None,
        typer.Option(
            min=100, help="Faces to render into an empty --pairs folder.", show_default="6000"
        ),
    ] = None,
    photo_share: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Of photographs in each batch; 1 leaves generated faces out.",
            show_default="0.5",
        ),
    ] = None,
    kimg: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces to show; the rate falls over them.")
    ] = 80.0,
    batch_size: Annotated[
        int | None,
        typer.Option(min=2, help="Faces a step.", show_default="32 compact, 8 the others"),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Learning rate.",
            show_default="1e-3 compact, 3e-4 size 18, 1e-4 after --start",
        ),
    ] = None,
    snapshot: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces between snapshots and validations.")
    ] = 4.0,
    held_out: Annotated[
        int, typer.Option(min=1, help="Faces of either kind kept for validation.")
    ] = 32,
    code: Annotated[float, _weight("the difference in w+, generated faces")] = 1.0,
    features: Annotated[float, _weight("that in activations, generated faces")] = 1.0,
    l2: Annotated[float, _weight("the reconstruction's squared error")] = 1.0,
    lpips: Annotated[float, _weight("its LPIPS")] = 0.8,
    identity: Annotated[float, _weight("its likeness as a person")] = 0.1,
    w_norm: Annotated[float, _weight("the distance of w+ to the average, photographs")] = 0.005,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
) -> None:
    """Train an encoder from aligned faces to w+.

    On photographs it learns from L2, LPIPS, identity and the length of w+; on generated faces
    from their codes and activations too. Snapshots, metrics.jsonl, previews (photograph beside
    reconstruction), report.html and encoder.safetensors go into the folder. Ctrl-C finishes the
    step and keeps a snapshot.
    """
    from toonify.bundle_writing import locate
    from toonify.checkpoints import load_generator
    from toonify.device import pick_device, pick_dtype
    from toonify.errors import UsageError
    from toonify.training import encoder_variants as variants
    from toonify.training.encoder import EncoderConfig
    from toonify.training.encoder import train_encoder as run
    from toonify.training.encoder_losses import EncoderWeights
    from toonify.training.report import reporting
    from toonify.training.runs import RunFolder

    settings = settings_of(ctx)
    device = pick_device(settings.device)
    if settings.dtype == "float16":
        raise UsageError("float16 is too coarse to train in", mend="Use --dtype bfloat16.")
    bfloat16 = str(pick_dtype(settings.dtype, device)) != "torch.float32"
    kind: variants.Variant = (variant or VariantName.compact).value
    _check(start, variant, size, steps, photos, aligned, photo_share, pairs, pair_count)
    RunFolder(output).start(resume=resume)  # before minutes of preparation: is it free?
    inverted = load_generator(locate(generator, "generator"), device=device)
    weights = EncoderWeights(
        code=code, features=features, l2=l2, lpips=lpips, identity=identity, w_norm=w_norm
    )
    if start is None:
        width = (size or SizeName.ir18).value
        encoder = variants.new_encoder(kind, inverted, size=width, steps=steps, seed=settings.seed)
        rate = variants.learning_rate(kind, width)
    else:
        encoder = _loaded(start, inverted)
        rate = variants.LEARNING_RATES["50"]  # gently: it knows something already
    small = encoder.config()["architecture"] == "compact"
    loss = _loss(settings, inverted, weights, bfloat16)
    data = _data(
        settings,
        inverted,
        output,
        photos=photos,
        aligned=aligned,
        pairs=pairs,
        pair_count=6000 if pair_count is None else pair_count,
        photo_share=0.5 if photo_share is None else photo_share,
        held_out=held_out,
        bfloat16=bfloat16,
    )
    config = EncoderConfig(
        kimg=kimg,
        batch_size=batch_size or (32 if small else 8),
        lr=rate if lr is None else lr,
        snapshot_kimg=snapshot,
        seed=settings.seed,
    )
    given = {"generator": generator, "start": start, "photos": photos, "pairs": pairs}
    options = {**given, **asdict(config), "weights": asdict(loss.weights)}
    title = f"train-encoder: {output.resolve().name}"
    facts = {"encoder": encoder.config()["architecture"], "device": device}
    with (
        reporting(output, title=title, config=options, facts=facts) as refresh,
        training_display(settings) as show,
    ):

        def report(row: dict[str, float]) -> None:
            show("encoder", int(row["step"]), config.steps, row)
            refresh()
            if settings.json:
                settings.result(row, "")

        run(encoder, data, output, config, loss=loss, resume=resume, progress=report)
    path, page = output / "encoder.safetensors", output / "report.html"
    record = {"path": str(path), "variant": encoder.config()["architecture"], "report": str(page)}
    settings.result(record, f"{path}, {page}")


def _check(
    start: str | None,
    variant: VariantName | None,
    size: SizeName | None,
    steps: int | None,
    photos: Path | None,
    aligned: bool,
    photo_share: float | None,
    pairs: Path | None,
    pair_count: int | None,
) -> None:
    from toonify.errors import UsageError

    if start is not None and (variant or size or steps):
        raise UsageError(
            "--start brings its own architecture", mend="Leave --variant, --size and --steps out."
        )
    if size is not None and variant in (None, VariantName.compact):
        raise UsageError("--size is of psp and restyle", mend="Add --variant restyle.")
    if photos is None and (aligned or photo_share):
        raise UsageError(
            f"{'--aligned' if aligned else '--photo-share'} needs photographs",
            mend="Name their folder with --photos.",
        )
    if pair_count is not None and pairs is None:
        raise UsageError("--pair-count is of --pairs", mend="Name their folder with --pairs.")
    if pairs is not None and photo_share == 1:
        raise UsageError(
            "--photo-share 1 leaves the pairs out", mend="Lower it, or leave --pairs out."
        )


def _loaded(start: str, generator: Generator) -> TrainableEncoder:
    from toonify.bundle_writing import locate
    from toonify.checkpoints import load_encoder
    from toonify.training.encoder_variants import check_fits

    encoder = load_encoder(locate(start, "encoder"), device=generator.w_avg.device)
    return check_fits(encoder, generator)  # type: ignore[arg-type]


def _loss(
    settings: Settings, generator: Generator, weights: EncoderWeights, bfloat16: bool
) -> EncoderLoss:
    """The losses' networks; without the face descriptor its term is left out."""
    import dataclasses

    import torch

    from toonify.checkpoints import load_identity
    from toonify.errors import ModelError
    from toonify.training.encoder_losses import EncoderLoss
    from toonify.training.perceptual import PerceptualLoss

    device, dtype = generator.w_avg.device, torch.bfloat16 if bfloat16 else torch.float32
    perceptual, descriptor = None, None
    if weights.lpips:
        perceptual = PerceptualLoss("alex", dtype=dtype).to(device)
    if weights.identity:
        try:
            descriptor = load_identity(device=device, dtype=dtype)
        except ModelError as error:
            complain(f"the identity term is left out: {error}")
            weights = dataclasses.replace(weights, identity=0.0)
    return EncoderLoss(
        generator, weights, perceptual=perceptual, identity=descriptor, bfloat16=bfloat16
    )


def _data(
    settings: Settings,
    generator: Generator,
    output: Path,
    *,
    photos: Path | None,
    aligned: bool,
    pairs: Path | None,
    pair_count: int,
    photo_share: float,
    held_out: int,
    bfloat16: bool,
) -> EncoderData:
    from toonify.training.encoder_data import EncoderData, FreshPairs, Pairs, StoredPairs
    from toonify.training.pairs import PairSet, sample_pairs
    from toonify.training.photos import load_photos

    people, generated = None, None
    if photos is not None:
        with settings.progress("photographs") as bar:
            people = load_photos(photos, output, aligned=aligned, progress=bar)
        for name, reason in people.skipped:
            complain(f"{name} is left out: {reason}")
    if photos is None or photo_share < 1:
        faces: Pairs
        if pairs is None:
            faces = FreshPairs(generator, held_out=held_out, bfloat16=bfloat16)
        else:
            if not any(pairs.glob("*")):
                with settings.progress("faces") as bar:
                    size = min(256, generator.resolution)
                    sample_pairs(
                        generator,
                        pairs,
                        pair_count,
                        size=size,
                        seed=settings.seed,
                        progress=lambda done: bar(done, pair_count),
                    )
            stored = PairSet.load(
                pairs, num_ws=generator.num_ws, w_dim=generator.w_dim, generator=generator
            )
            faces = StoredPairs(stored, held_out=held_out)
        generated = faces
    return EncoderData(
        photos=people,
        pairs=generated,
        photo_share=photo_share,
        held_out=held_out,
        seed=settings.seed,
    )
