"""`toonify train-encoder`: the encoder that finds a photograph's latent in a face generator."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from toonify.cli import encoder_options as options
from toonify.cli.common import Settings, examples, note_others, refuse_given, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.inverting import DomainName, TrainingDomainOption
from toonify.cli.live import KeepOption, steps_display
from toonify.device import refuse_float16
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
    "toonify train-encoder --task hfgi --generator default --face-encoder default"
    " --faces ffhq-mobile --pairs runs/edits -o runs/hfgi",
    "toonify train-encoder --task fusion --generator default --kimg 8 -o runs/fusion",
    "toonify train-encoder --task drawing --generator default --pairs runs/faces -o runs/drawings",
    "toonify train-encoder --task sketch --generator face.safetensors --photos people/"
    " -o runs/sketch",
    "toonify train-encoder --task video-edit --generator face.safetensors --direction sefa-1"
    " -o runs/edit",
    "toonify train-encoder --task video-toonify --generator default --train-from 4 --toon mine"
    " --cutouts runs/cutouts -o runs/frames",
)


NOT_HFGI = (
    *("variant", "size", "steps", "latent", "features", "l1", "w_norm", "adversarial", "flicker"),
    *("train_from", "drawings", "parser", "direction", "strength", "toon", "cutouts"),
    *("cutout_count", "table", "compiled"),
)  # options of other tasks
DRAWING_OPTIONS = (
    *("generator", "output", "pairs", "pair_count", "start", "kimg", "lr", "snapshot_kimg"),
    *("keep", "resume", "seed"),
)
NOT_DRAWING = (
    *NOT_HFGI,
    *("photos", "aligned", "domain", "photo_share", "held_out", "lpips", "l2", "identity"),
    *("align", "face_encoder", "faces"),
)
FUSION_OPTIONS = tuple(name for name in DRAWING_OPTIONS if not name.startswith("pair"))
NOT_FUSION = (*NOT_DRAWING, "pairs", "pair_count")


def train_encoder(
    ctx: typer.Context,
    generator: options.GeneratorOption,
    output: options.OutputOption,
    task: options.TaskOption = options.TaskName.face,
    variant: options.VariantOption = None,
    size: options.SizeOption = None,
    steps: options.StepsOption = None,
    start: options.StartOption = None,
    photos: options.PhotosOption = None,
    aligned: options.AlignedOption = False,
    domain: TrainingDomainOption = DomainName.faces,
    pairs: options.PairsOption = None,
    pair_count: options.PairCountOption = None,
    photo_share: options.PhotoShareOption = None,
    kimg: options.KimgOption = 80.0,
    batch_size: options.BatchSizeOption = None,
    lr: options.LrOption = None,
    snapshot: options.SnapshotOption = 4.0,
    keep: KeepOption = 10,
    held_out: options.HeldOutOption = 32,
    latent: options.LatentOption = None,
    features: options.FeaturesOption = 1.0,
    l2: options.L2Option = None,
    l1: options.L1Option = None,
    lpips: options.LpipsOption = None,
    align: options.AlignOption = None,
    identity: options.IdentityOption = None,
    w_norm: options.WNormOption = None,
    adversarial: options.AdversarialOption = None,
    flicker: options.FlickerOption = None,
    train_from: options.TrainFromOption = None,
    face_encoder: options.FaceEncoderOption = None,
    drawings: options.DrawingsOption = None,
    parser: options.ParserOption = None,
    direction: options.DirectionOption = None,
    strength: options.StrengthOption = 1.0,
    faces: options.FacesOption = None,
    toon: options.ToonOption = None,
    cutouts: options.CutoutsOption = None,
    cutout_count: options.CutoutCountOption = 3000,
    table: options.TableOption = None,
    compiled: options.CompiledOption = False,
    resume: options.ResumeOption = False,
    config: ConfigOption = None,
) -> None:
    """Train an encoder from aligned faces, or anything else, to w+, or one of StyleGANEX's.

    On photographs it learns from L2, LPIPS, identity and the length of w+; on generated faces
    from their latents and activations too. Snapshots, metrics.jsonl, previews (photograph beside
    reconstruction), report.html and encoder.safetensors go into the folder. Ctrl-C finishes the
    step and keeps a snapshot.
    """
    from toonify.training.drawings.job import train_drawing_encoder
    from toonify.training.encoders import job
    from toonify.training.encoders.faces import check_faces
    from toonify.training.encoders.losses import EncoderWeights
    from toonify.training.fusion.job import FusionJob, train_fusion
    from toonify.training.hfgi.job import HFGIJob, train_hfgi
    from toonify.training.styleganex.job import FrameJob, check_job, train_frame_encoder

    settings = settings_of(ctx)
    refuse_float16(settings.dtype)
    chosen: Variant | None = variant.value if variant else None
    width = size.value if size else None
    if task is options.TaskName.face:
        job.check_architecture(start, chosen, width, steps)
    elif variant or steps:
        raise UsageError("--variant and --steps are of --task face", hint="Leave them out.")
    check_faces(photos, aligned, photo_share, pairs, pair_count, domain.value)
    image_weights = {"l2": l2, "lpips": lpips, "identity": identity, "w_norm": w_norm}
    networks: dict[str, Any] = {
        "device": settings.device,
        "dtype": settings.dtype,
        "display": partial(
            steps_display, settings, "encoder" if task is options.TaskName.face else task.value
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
    if task is options.TaskName.drawing:
        refuse_given(ctx, "is of other tasks", *NOT_DRAWING)
        if pairs is None:
            raise UsageError("drawings are made of sampled faces", hint="Add --pairs FOLDER.")
        wanted = {name: shared[name] for name in DRAWING_OPTIONS}
        done = train_drawing_encoder(**wanted, batch_size=batch_size, **networks)
        _tell(settings, done, {"task": "drawing"})
        return
    if task is options.TaskName.fusion:
        refuse_given(ctx, "is of other tasks", *NOT_FUSION)
        del networks["progress"]
        fusion = FusionJob(
            **{name: shared[name] for name in FUSION_OPTIONS},
            batch_size=batch_size or 8,
        )
        _tell(settings, train_fusion(fusion, **networks), {"task": "fusion"})
        return
    if task is options.TaskName.hfgi:
        refuse_given(ctx, "is of --task face and inversion", "domain")
        refuse_given(ctx, "is of other tasks", *NOT_HFGI)
        weights = {"l2": l2, "lpips": lpips, "identity": identity, "align": align}
        hfgi = HFGIJob(
            **shared,
            face_encoder=face_encoder,
            faces=faces,
            batch_size=batch_size or 8,
            weights=weights,
        )
        note_others(photos)
        _tell(settings, train_hfgi(hfgi, **networks), {"task": "hfgi"})
        return
    refuse_given(ctx, "is of --task hfgi", "align")
    frame_weights = {"latent": latent, "l1": l1, "adversarial": adversarial, "flicker": flicker}
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
        face_encoder=face_encoder,
        cutouts=cutouts,
        cutout_count=cutout_count,
        table=table,
    )
    check_job(frames)
    note_others(photos, drawings)
    if task is not options.TaskName.face:
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
        weights=EncoderWeights(
            latent=1.0 if latent is None else latent, features=features, **given
        ),
        **networks,
    )
    _tell(settings, done, {"variant": done.architecture})


def _tell(settings: Settings, done: EncoderResult, about: dict[str, str]) -> None:
    record = {"path": str(done.encoder), **about, "report": str(done.report)}
    settings.result(record, f"{done.encoder}, {done.report}")
