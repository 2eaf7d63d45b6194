"""`toonify train-encoder`: the encoder that finds a photograph's code in a face generator."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import Settings, examples, note_others, refuse_given, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.inverting import DomainName, TrainingDomainOption
from toonify.cli.live import KeepOption, steps_display
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.training.encoders.job import EncoderResult
    from toonify.training.encoders.variants import Variant

EPILOG = examples(
    "toonify train-encoder --generator prior.safetensors -o runs/encoder",
    "toonify train-encoder --generator prior.safetensors --photos people/ -o runs/encoder",
    "toonify train-encoder --generator prior.safetensors --start default --photos people/"
    " --lr 2e-4 -o runs/encoder",
    "toonify train-encoder --generator ffhq.pkl --variant restyle --size 50 --photos ffhq/"
    " --aligned --photo-share 1 --kimg 4000 --batch-size 8 -o runs/restyle",
    "toonify train-encoder --task inversion --generator runs/face/generator.safetensors"
    " --photos people/ -o runs/inversion",
    "toonify train-encoder --generator cars.pkl --domain any --photos cars/ -o runs/cars",
    "toonify train-encoder --task hfgi --generator default --codes-by default --faces ffhq-mobile"
    " --pairs runs/edits -o runs/hfgi",
    "toonify train-encoder --task sketch --generator face.safetensors --photos people/"
    " -o runs/sketch",
    "toonify train-encoder --task video-edit --generator face.safetensors --direction sefa-1"
    " -o runs/edit",
    "toonify train-encoder --task video-toonify --generator default --train-from 4 --toon mine"
    " --cutouts runs/cutouts -o runs/frames",
)


class TaskName(StrEnum):
    """What the encoder is for."""

    face = "face"
    inversion = "inversion"
    super_resolution = "super-resolution"
    sketch = "sketch"
    mask = "mask"
    hfgi = "hfgi"
    video_edit = "video-edit"
    video_toonify = "video-toonify"


class VariantName(StrEnum):
    """Architecture."""

    compact = "compact"
    psp = "psp"
    restyle = "restyle"


class SizeName(StrEnum):
    """Backbone: 10, 18, 50 of pSp and ReStyle; 12, 24, 50 of StyleGANEX."""

    ir10 = "10"
    ir12 = "12"
    ir18 = "18"
    ir24 = "24"
    ir50 = "50"


NOT_HFGI = (
    *("variant", "size", "steps", "code", "features", "l1", "w_norm", "adversarial", "flicker"),
    *("train_from", "drawings", "parser", "direction", "strength", "toon", "cutouts"),
    *("cutout_count", "table", "compiled"),
)  # options of other tasks


def _weight(term: str, default: str | None = None) -> Any:
    text = f"Weight of {term}; 0 leaves it out."
    return typer.Option(min=0.0, help=text, show_default=default or True)


def train_encoder(
    ctx: typer.Context,
    generator: Annotated[
        str,
        typer.Option(help="Face generator to invert: a checkpoint, a registry name, or a bundle."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    task: Annotated[
        TaskName,
        typer.Option(
            help="face: w+ of aligned faces. hfgi: what `invert` and `edit --method hfgi` keep"
            " details by. The others are StyleGANEX's, of whole frames; their generator is of"
            " StyleGAN2's layout."
        ),
    ] = TaskName.face,
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
            help="IR-SE backbone: 10, 18 or 50 of psp and restyle, 12, 24 or 50 of StyleGANEX's"
            " tasks; 50 is the published one, for a GPU.",
            show_default="18 and 12",
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
    domain: TrainingDomainOption = DomainName.faces,
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
        typer.Option(
            min=2, help="Faces a step.", show_default="32 compact, 4 StyleGANEX, 8 the others"
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Learning rate.",
            show_default="1e-3 small, 3e-4 size 18, 1e-4 size 50 and after --start",
        ),
    ] = None,
    snapshot: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces between snapshots and validations.")
    ] = 4.0,
    keep: KeepOption = 10,
    held_out: Annotated[
        int, typer.Option(min=1, help="Faces of either kind kept for validation.")
    ] = 32,
    code: Annotated[
        float | None, _weight("the difference in w+, generated faces", "1, frames 0.3")
    ] = None,
    features: Annotated[float, _weight("that in activations, generated faces")] = 1.0,
    l2: Annotated[float | None, _weight("the picture's squared error", "1, or the task's")] = None,
    l1: Annotated[float | None, _weight("its absolute error, frames", "0")] = None,
    lpips: Annotated[float | None, _weight("its LPIPS", "0.8")] = None,
    align: Annotated[float | None, _weight("the aligned map's error, hfgi", "0.5")] = None,
    identity: Annotated[
        float | None, _weight("its likeness as a person", "0.1, or the task's")
    ] = None,
    w_norm: Annotated[
        float | None,
        _weight("the distance of w+ to the average, photographs", "0.005, or the task's"),
    ] = None,
    adversarial: Annotated[float | None, _weight("a patch discriminator, frames", "0.1")] = None,
    flicker: Annotated[
        float | None, _weight("flicker in the second half, frames", "30 of video tasks")
    ] = None,
    train_from: Annotated[
        int | None,
        typer.Option(
            min=4, help="Generator layers of this resolution and above learn too, frames."
        ),
    ] = None,
    codes_by: Annotated[
        str | None,
        typer.Option(
            help="inversion: an encoder of faces, or a bundle's, gives w+; f alone is learnt."
            " hfgi: whose w+ is rendered."
        ),
    ] = None,
    drawings: Annotated[
        Path | None,
        typer.Option(
            help="Sketches or label maps, named as the photographs. Sketches are made of the"
            " photographs without it."
        ),
    ] = None,
    parser: Annotated[
        Path | None,
        typer.Option(help="What makes the label maps: `default` (what ships) or an ONNX network."),
    ] = None,
    direction: Annotated[
        str | None, typer.Option(help="Of video-edit, as `toonify edit --direction`.")
    ] = None,
    strength: Annotated[float, typer.Option(help="Of that direction, at most.")] = 1.0,
    faces: Annotated[
        str | None,
        typer.Option(
            help="Face generator whose frames video-toonify turns into the generator's own"
            " drawings of the same codes, or that cutouts are made of; of hfgi, whose faces are"
            " edited."
        ),
    ] = None,
    toon: Annotated[
        str | None, typer.Option(help="Bundle that draws the cutouts' heads, and whose codes.")
    ] = None,
    cutouts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of people cut out and drawings of them, which frames are put together"
            " from; filled when it is empty."
        ),
    ] = None,
    cutout_count: Annotated[int, typer.Option(min=16, help="How many to fill it with.")] = 3000,
    table: Annotated[
        str | None, typer.Option(help="Codes of the cutouts' characters.", show_default="--toon's")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Frames: through torch.compile, about twice as fast.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Train an encoder from aligned faces, or anything else, to w+, or one of StyleGANEX's.

    On photographs it learns from L2, LPIPS, identity and the length of w+; on generated faces
    from their codes and activations too. Snapshots, metrics.jsonl, previews (photograph beside
    reconstruction), report.html and encoder.safetensors go into the folder. Ctrl-C finishes the
    step and keeps a snapshot.
    """
    from toonify.training.encoders import job
    from toonify.training.encoders.faces import check_faces
    from toonify.training.encoders.losses import EncoderWeights
    from toonify.training.hfgi.job import HFGIJob, train_hfgi
    from toonify.training.styleganex.job import FrameJob, check_job, train_frame_encoder

    settings = settings_of(ctx)
    if settings.dtype == "float16":
        raise UsageError("float16 is too coarse to train in", hint="Use --dtype bfloat16.")
    chosen: Variant | None = variant.value if variant else None
    width = size.value if size else None
    if task is TaskName.face:
        job.check_architecture(start, chosen, width, steps)
    elif variant or steps:
        raise UsageError("--variant and --steps are of --task face", hint="Leave them out.")
    check_faces(photos, aligned, photo_share, pairs, pair_count, domain.value)
    image_weights = {"l2": l2, "lpips": lpips, "identity": identity, "w_norm": w_norm}
    networks: dict[str, Any] = {
        "device": settings.device,
        "dtype": settings.dtype,
        "display": partial(
            steps_display, settings, "encoder" if task is TaskName.face else task.value
        ),
        "progress": settings.progress,
    }
    shared: dict[str, Any] = {
        "generator": generator,
        "output": output,
        "start": start,
        "photos": photos,
        "aligned": aligned,
        "photo_share": photo_share,
        "pairs": pairs,
        "pair_count": pair_count,
        "held_out": held_out,
        "kimg": kimg,
        "lr": lr,
        "snapshot_kimg": snapshot,
        "keep": keep,
        "resume": resume,
        "seed": settings.seed,
    }
    if task is TaskName.hfgi:
        refuse_given(ctx, "is of --task face and inversion", "domain")
        refuse_given(ctx, "is of other tasks", *NOT_HFGI)
        weights = {"l2": l2, "lpips": lpips, "identity": identity, "align": align}
        hfgi = HFGIJob(
            **shared, codes_by=codes_by, faces=faces, batch_size=batch_size or 8, weights=weights
        )
        note_others(photos)
        _tell(settings, train_hfgi(hfgi, **networks), {"task": "hfgi"})
        return
    refuse_given(ctx, "is of --task hfgi", "align")
    frame_weights = {"code": code, "l1": l1, "adversarial": adversarial, "flicker": flicker}
    shared["domain"] = domain.value
    frames = FrameJob(
        **shared,
        task=task.value,
        size=width,
        batch_size=batch_size,
        weights=image_weights | frame_weights,
        train_from=train_from,
        compiled=compiled,
        drawings=drawings,
        parser=parser,
        direction=direction,
        strength=strength,
        faces=faces,
        toon=toon,
        codes_by=codes_by,
        cutouts=cutouts,
        cutout_count=cutout_count,
        table=table,
    )
    check_job(frames)
    note_others(photos, drawings)
    if task is not TaskName.face:
        done = train_frame_encoder(frames, offline=settings.offline, **networks)
        _tell(settings, done, {"task": task.value})
        return
    given = {name: value for name, value in image_weights.items() if value is not None}
    done = job.train_encoder(
        **shared,
        variant=chosen,
        size=width,
        residual_steps=steps,
        batch_size=batch_size,
        weights=EncoderWeights(code=1.0 if code is None else code, features=features, **given),
        **networks,
    )
    _tell(settings, done, {"variant": done.architecture})


def _tell(settings: Settings, done: EncoderResult, about: dict[str, str]) -> None:
    record = {"path": str(done.encoder), **about, "report": str(done.report)}
    settings.result(record, f"{done.encoder}, {done.report}")
