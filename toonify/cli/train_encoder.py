"""`toonify train-encoder`: the encoder that finds a photograph's latent in a face generator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from toonify.cli import encoder_options as options
from toonify.cli.common import Settings, examples, note_others, refuse_given, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.inverting import DomainName, TrainingDomainOption
from toonify.cli.live import KeepOption, steps_display
from toonify.cli.request import takes
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
    "toonify train-encoder --task inversion --generator default --start default"
    " --face-encoder default --scenes people/ --l1 1 --l2 0 -o runs/scenes",
    "toonify train-encoder --generator cars.pkl --domain any --photos cars/ -o runs/cars",
    "toonify train-encoder --task hfgi --generator default --face-encoder default"
    " --faces ffhq-mobile --pairs runs/edits -o runs/hfgi",
    "toonify train-encoder --task fusion --generator default --kimg 8 -o runs/fusion",
    "toonify train-encoder --task drawing --generator default --pairs runs/faces -o runs/drawings",
    "toonify train-encoder --task restoration --generator default --face-encoder default"
    " --photos people/ -o runs/restoration",
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
    *("cutout_count", "table", "compiled", "scenes"),
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


NOT_RESTORATION = (
    *(name for name in NOT_HFGI if name != "l1"),
    *("domain", "pairs", "pair_count", "photo_share", "held_out", "l2", "align", "faces"),
)
RESTORATION_OPTIONS = (*FUSION_OPTIONS, "photos", "aligned")


@dataclass(frozen=True, kw_only=True)
class EncoderRequest:
    """The command line, an option each."""

    generator: options.GeneratorOption
    output: options.OutputOption
    task: options.TaskOption = options.TaskName.face
    variant: options.VariantOption = None
    size: options.SizeOption = None
    steps: options.StepsOption = None
    start: options.StartOption = None
    photos: options.PhotosOption = None
    scenes: options.ScenesOption = None
    aligned: options.AlignedOption = False
    domain: TrainingDomainOption = DomainName.faces
    pairs: options.PairsOption = None
    pair_count: options.PairCountOption = None
    photo_share: options.PhotoShareOption = None
    kimg: options.KimgOption = 80.0
    batch_size: options.BatchSizeOption = None
    lr: options.LrOption = None
    snapshot: options.SnapshotOption = 4.0
    keep: KeepOption = 10
    held_out: options.HeldOutOption = 32
    latent: options.LatentOption = None
    features: options.FeaturesOption = 1.0
    l2: options.L2Option = None
    l1: options.L1Option = None
    lpips: options.LpipsOption = None
    align: options.AlignOption = None
    identity: options.IdentityOption = None
    w_norm: options.WNormOption = None
    adversarial: options.AdversarialOption = None
    flicker: options.FlickerOption = None
    train_from: options.TrainFromOption = None
    face_encoder: options.FaceEncoderOption = None
    drawings: options.DrawingsOption = None
    parser: options.ParserOption = None
    direction: options.DirectionOption = None
    strength: options.StrengthOption = 1.0
    faces: options.FacesOption = None
    toon: options.ToonOption = None
    cutouts: options.CutoutsOption = None
    cutout_count: options.CutoutCountOption = 3000
    table: options.TableOption = None
    compiled: options.CompiledOption = False
    resume: options.ResumeOption = False
    config: ConfigOption = None

    def check(self) -> None:
        """Refuse options that exclude each other, whatever the task.

        Raises:
            UsageError: there are such.
        """
        from toonify.training.encoders.faces import check_faces
        from toonify.training.encoders.job import check_architecture

        if self.task is options.TaskName.face:
            check_architecture(self.start, self.architecture, self.width, self.steps)
        elif self.variant or self.steps:
            raise UsageError("--variant and --steps are of --task face", hint="Leave them out.")
        check_faces(
            self.photos,
            self.aligned,
            self.photo_share,
            self.pairs,
            self.pair_count,
            self.domain.value,
        )

    @property
    def architecture(self) -> Variant | None:
        """Of an encoder of faces."""
        return self.variant.value if self.variant else None

    @property
    def width(self) -> str | None:
        """Of the encoder, a name."""
        return self.size.value if self.size else None

    def weights(self, *names: str) -> dict[str, float | None]:
        """Of these terms of the loss; None where none is given."""
        return {name: getattr(self, name) for name in names}

    def shared(self, settings: Settings) -> dict[str, Any]:
        """What the jobs of several tasks take."""
        return {
            "generator": self.generator,
            "output": self.output,
            "start": self.start,
            "photos": self.photos,
            "aligned": self.aligned,
            "photo_share": self.photo_share,
            "pairs": self.pairs,
            "pair_count": self.pair_count,
            "held_out": self.held_out,
            "kimg": self.kimg,
            "lr": self.lr,
            "snapshot_kimg": self.snapshot,
            "keep": self.keep,
            "resume": self.resume,
            "seed": settings.seed,
        }


@takes(EncoderRequest)
def train_encoder(ctx: typer.Context, request: EncoderRequest) -> None:
    """Train an encoder from aligned faces, or anything else, to w+, or one of StyleGANEX's.

    On photographs it learns from L2, LPIPS, identity and the length of w+; on generated faces
    from their latents and activations too. Snapshots, metrics.jsonl, previews (photograph beside
    reconstruction), report.html and encoder.safetensors go into the folder. Ctrl-C finishes the
    step and keeps a snapshot.
    """
    settings = settings_of(ctx)
    refuse_float16(settings.dtype)
    request.check()
    if request.task is options.TaskName.drawing:
        refuse_given(ctx, "is of other tasks", *NOT_DRAWING)
        done = _drawing(settings, request)
    elif request.task is options.TaskName.fusion:
        refuse_given(ctx, "is of other tasks", *NOT_FUSION)
        done = _fusion(settings, request)
    elif request.task is options.TaskName.restoration:
        refuse_given(ctx, "is of other tasks", *NOT_RESTORATION)
        done = _restoration(settings, request)
    elif request.task is options.TaskName.hfgi:
        refuse_given(ctx, "is of --task face and inversion", "domain")
        refuse_given(ctx, "is of other tasks", *NOT_HFGI)
        done = _hfgi(settings, request)
    else:
        refuse_given(ctx, "is of --task hfgi", "align")
        done = _frames_or_faces(settings, request)
    about = {"task": request.task.value}
    if request.task is options.TaskName.face:
        about = {"variant": done.architecture}
    record = {"path": str(done.encoder), **about, "report": str(done.report)}
    settings.result(record, f"{done.encoder}, {done.report}")


def _networks(settings: Settings, name: str) -> dict[str, Any]:
    """Where networks run, and what shows the steps of the training of `name`."""
    return {
        "device": settings.device,
        "dtype": settings.dtype,
        "display": partial(steps_display, settings, name),
    }


def _drawing(settings: Settings, request: EncoderRequest) -> EncoderResult:
    from toonify.training.drawings.job import train_drawing_encoder

    if request.pairs is None:
        raise UsageError("drawings are made of sampled faces", hint="Add --pairs FOLDER.")
    shared = request.shared(settings)
    return train_drawing_encoder(
        **{name: shared[name] for name in DRAWING_OPTIONS},
        batch_size=request.batch_size,
        progress=settings.progress,
        **_networks(settings, "drawing"),
    )


def _fusion(settings: Settings, request: EncoderRequest) -> EncoderResult:
    from toonify.training.fusion.job import FusionJob, train_fusion

    shared = request.shared(settings)
    job = FusionJob(
        **{name: shared[name] for name in FUSION_OPTIONS}, batch_size=request.batch_size or 8
    )
    return train_fusion(job, **_networks(settings, "fusion"))


def _restoration(settings: Settings, request: EncoderRequest) -> EncoderResult:
    from toonify.training.restoration.job import RestorationJob, train_restoration

    shared = request.shared(settings)
    job = RestorationJob(
        **{name: shared[name] for name in RESTORATION_OPTIONS},
        face_encoder=request.face_encoder,
        batch_size=request.batch_size or 6,
        weights=request.weights("l1", "lpips", "identity"),
    )
    note_others(request.photos)
    networks = _networks(settings, "restoration")
    return train_restoration(job, progress=settings.progress, **networks)


def _hfgi(settings: Settings, request: EncoderRequest) -> EncoderResult:
    from toonify.training.hfgi.job import HFGIJob, train_hfgi

    job = HFGIJob(
        **request.shared(settings),
        face_encoder=request.face_encoder,
        faces=request.faces,
        batch_size=request.batch_size or 8,
        weights=request.weights("l2", "lpips", "identity", "align"),
    )
    note_others(request.photos)
    return train_hfgi(job, progress=settings.progress, **_networks(settings, "hfgi"))


def _frames_or_faces(settings: Settings, request: EncoderRequest) -> EncoderResult:
    from toonify.training.encoders.job import train_encoder as train_face_encoder
    from toonify.training.encoders.losses import EncoderWeights
    from toonify.training.styleganex.job import FrameJob, check_job, train_frame_encoder

    shared = request.shared(settings) | {"domain": request.domain.value}
    terms = ("l2", "lpips", "identity", "w_norm", "latent", "l1", "adversarial", "flicker")
    frames = FrameJob(
        **shared,
        task=request.task.value,
        size=request.width,
        batch_size=request.batch_size,
        weights=request.weights(*terms),
        train_from=request.train_from,
        compiled=request.compiled,
        scenes=request.scenes,
        drawings=request.drawings,
        parser=request.parser,
        direction=request.direction,
        strength=request.strength,
        faces=request.faces,
        toon=request.toon,
        face_encoder=request.face_encoder,
        cutouts=request.cutouts,
        cutout_count=request.cutout_count,
        table=request.table,
    )
    check_job(frames)
    note_others(request.photos, request.drawings, request.scenes)
    if request.task is not options.TaskName.face:
        networks = _networks(settings, request.task.value)
        return train_frame_encoder(
            frames, offline=settings.offline, progress=settings.progress, **networks
        )
    weights = request.weights("l2", "lpips", "identity", "w_norm")
    given = {name: value for name, value in weights.items() if value is not None}
    latent = 1.0 if request.latent is None else request.latent
    return train_face_encoder(
        **shared,
        variant=request.architecture,
        size=request.width,
        residual_steps=request.steps,
        batch_size=request.batch_size,
        weights=EncoderWeights(latent=latent, features=request.features, **given),
        progress=settings.progress,
        **_networks(settings, "encoder"),
    )
