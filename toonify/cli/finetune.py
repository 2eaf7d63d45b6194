"""`toonify finetune`: a cartoon copy of a face generator from a few drawings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from toonify.cli import finetune_options as options
from toonify.cli.common import Settings, examples, note_others, refuse_given, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.inverting import DomainName, TrainingDomainOption
from toonify.cli.live import KeepOption, training_display
from toonify.cli.projecting import EncoderOption
from toonify.cli.request import takes
from toonify.device import pick_device, pick_dtype, refuse_float16, training_dtype
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.training.finetune.run import Objective, Progress

_SHARPEN = 0.1
_UNITS = {"inverting": "drawings", "pairs": "steps", "adversarial": "kimg"}
_LAST = {"paired": "pairs", "adversarial": "adversarial", "both": "adversarial"}  # stage
# of face generators alone: pix2pix trains a network from photographs to drawings
_OF_GENERATORS = (
    *(
        "domain",
        "encoder",
        "freeze_below",
        "compiled",
        "kimg",
        "augment",
        "augment_p",
        "ada_target",
    ),
    *("mirror", "r1", "path_length", "style_mixing", "ema", "discriminator", "freeze_d"),
    "processes",
)

EPILOG = examples(
    "toonify finetune --data drawings/ --base prior.safetensors --encoder default -o runs/cast",
    "toonify finetune --data drawings/ --base prior.safetensors -o runs/cast --steps 3000 --resume",
    "toonify finetune --data drawings/ --base ffhq-mobile -o runs/cast --objective both --kimg 40",
    "toonify finetune --data drawings/ --base ffhq.pkl --discriminator ffhq.pkl --freeze-d 4"
    " -o runs/cast --objective adversarial --augment bgc --processes 4",
    "toonify finetune --data toys/ --base cars.pkl --domain any -o runs/toys"
    " --objective adversarial --kimg 40",
    "toonify finetune --data studio/ --objective pix2pix -o runs/studio",
    "torchrun --nnodes 2 --nproc_per_node 8 … -m toonify finetune --data drawings/ …",
)


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest:
    """The command line, an option each."""

    data: options.DataOption
    output: options.OutputOption
    objective: options.ObjectiveOption = options.ObjectiveName.paired
    base: options.BaseOption = None
    steps: options.StepsOption = None
    kimg: options.KimgOption = None
    encoder: EncoderOption = None
    snapshot: options.SnapshotOption = 0.5
    keep: KeepOption = 10
    batch_size: options.BatchSizeOption = None
    lr: options.LrOption = None
    domain: TrainingDomainOption = DomainName.faces
    freeze_below: options.FreezeBelowOption = None
    sharpen: options.SharpenOption = None
    compiled: options.CompiledOption = False
    augment: options.AugmentOption = None
    augment_p: options.AugmentPOption = None
    ada_target: options.AdaTargetOption = None
    mirror: options.MirrorOption = None
    r1: options.R1Option = None
    path_length: options.PathLengthOption = None
    style_mixing: options.StyleMixingOption = None
    ema: options.EmaOption = None
    discriminator: options.DiscriminatorOption = None
    freeze_d: options.FreezeDOption = None
    processes: options.ProcessesOption = 1
    resume: options.ResumeOption = False
    config: ConfigOption = None


@takes(FinetuneRequest)
def finetune(ctx: typer.Context, request: FinetuneRequest) -> None:
    """Fine-tune a generator of faces, or of anything, on drawings; or teach a style from photos
    with their drawings.

    Snapshots, metrics.jsonl and previews go into the folder's pairs/ and adversarial/, the result
    is its generator.safetensors; report.html shows how it goes. Ctrl-C finishes the step and
    keeps a snapshot. To resume, repeat the options; --kimg, --steps, --lr, --r1 and the number of
    processes may change. What pix2pix learns is style.safetensors: `toonify stylize --style FILE`.
    """
    if request.objective is options.ObjectiveName.pix2pix:
        refuse_given(ctx, "is of face generators, not of --objective pix2pix", *_OF_GENERATORS)
        _learn_style(settings_of(ctx), request)
        return
    if request.base is None:
        raise UsageError("no face generator to start from", hint="Give --base ffhq-mobile, say.")
    _suggest_pix2pix(request.data)
    from toonify.training.finetune.adversarial import AdversarialConfig
    from toonify.training.finetune.job import LOWEST
    from toonify.training.finetune.job import finetune as run
    from toonify.training.finetune.paired import PairedConfig

    import torch  # isort: skip

    settings = settings_of(ctx)
    refuse_float16(settings.dtype)
    adversarial: dict[str, Any] = {  # of the adversarial stage alone
        "kimg": request.kimg,
        "augment": None if request.augment is None else request.augment.value,
        "augment_p": request.augment_p,
        "ada_target": request.ada_target,
        "mirror": request.mirror,
        "r1_weight": request.r1,
        "path_weight": request.path_length,
        "style_mixing": request.style_mixing,
        "ema_kimg": request.ema,
        "freeze_d": request.freeze_d,
    }
    of_pairs = {
        "steps": request.steps,
        "encoder": request.encoder,
        "sharpen": request.sharpen,
        "compile": request.compiled or None,
    }
    _refuse_idle(request.objective, of_pairs, options.ObjectiveName.adversarial)
    _refuse_idle(
        request.objective,
        {**adversarial, "discriminator": request.discriminator},
        options.ObjectiveName.paired,
    )
    if request.augment_p is not None and request.ada_target is not None:
        raise UsageError("a fixed --augment-p has no --ada-target", hint="Leave one out.")
    note_others(request.data)
    freeze_below = request.freeze_below
    if freeze_below is None and request.domain is DomainName.any:
        freeze_below = LOWEST
    shared = {"freeze_below": freeze_below, "seed": settings.seed, "lr": request.lr}
    device = pick_device(settings.device)
    pairs = request.batch_size or PairedConfig.batch_size
    done = run(
        request.data,
        request.base,
        request.output,
        objective=cast("Objective", request.objective.value),
        encoder=request.encoder,
        discriminator=request.discriminator,
        paired=PairedConfig(
            batch_size=pairs,
            snapshot=max(1, round(request.snapshot * 1000 / pairs)),
            keep=request.keep,
            sharpen=_SHARPEN if request.sharpen is None else request.sharpen,
            detail_crops=request.sharpen != 0,
            compiled=request.compiled,
            bfloat16=training_dtype(settings.dtype, device) == torch.bfloat16,
            **_given(steps=request.steps, **shared),
        ),
        adversarial=AdversarialConfig(
            snapshot_kimg=request.snapshot,
            keep=request.keep,
            bfloat16=pick_dtype(settings.dtype, device) != torch.float32,
            **_given(batch_size=request.batch_size, **adversarial, **shared),
        ),
        domain=request.domain.value,
        resume=request.resume,
        processes=request.processes,
        device=settings.device,
        display=partial(_display, settings, _LAST[request.objective.value]),
        progress=settings.progress,
    )
    page = str(done.report)
    record = {"path": str(done.generator), "objective": request.objective.value, "report": page}
    settings.result(record, f"{done.generator}, {page}")


def _learn_style(settings: Settings, request: FinetuneRequest) -> None:
    """`--objective pix2pix`."""
    from toonify.training.pix2pix.step import Pix2PixConfig
    from toonify.training.pix2pix.train import train_pix2pix

    import torch  # isort: skip

    together = request.batch_size or Pix2PixConfig.batch_size
    bfloat16 = training_dtype(settings.dtype, pick_device(settings.device)) == torch.bfloat16
    given = _given(
        steps=request.steps, batch_size=request.batch_size, lr=request.lr, sharpen=request.sharpen
    )
    config = Pix2PixConfig(
        snapshot=max(1, round(request.snapshot * 1000 / together)),
        keep=request.keep,
        bfloat16=bfloat16,
        seed=settings.seed,
        **given,
    )
    with training_display(settings, {"pix2pix": "steps"}) as show:

        def update(row: dict[str, float]) -> None:
            done = int(row["step"])
            show("pix2pix", done, config.steps, row)
            if settings.json and done % 10 == 0:
                record = {"stage": "pix2pix", "done": done, "total": config.steps, **row}
                settings.result(record, "")

        made = train_pix2pix(
            request.data,
            request.output,
            base=request.base,
            config=config,
            resume=request.resume,
            device=settings.device,
            progress=update,
        )
    record = {
        "path": str(made),
        "objective": "pix2pix",
        "report": str(request.output / "report.html"),
    }
    settings.result(record, f"{made}, {request.output / 'report.html'}")


def _suggest_pix2pix(data: Path) -> None:
    """Say what pairs of photographs and drawings are for, which the other objectives can't use."""
    if (data / "photos").is_dir() and (data / "drawings").is_dir():
        raise UsageError(
            f"{data} holds photos with their drawings", hint="Add --objective pix2pix."
        )


@contextmanager
def _display(settings: Settings, last: str, opening: str) -> Iterator[Progress]:
    """How the training goes, on stderr, and with --json on stdout."""
    with training_display(settings, _UNITS, opening=opening, last=last) as show:

        def update(stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
            show(stage, done, total, metrics)
            if settings.json and (stage != "pairs" or done % 10 == 0):
                settings.result({"stage": stage, "done": done, "total": total, **metrics}, "")

        yield update


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refuse_idle(
    objective: options.ObjectiveName, adversarial: dict[str, Any], without: options.ObjectiveName
) -> None:
    flags = {"r1_weight": "r1", "path_weight": "path-length", "ema_kimg": "ema"}
    if objective == without and (given := _given(**adversarial)):
        name = next(iter(given))
        flag = flags.get(name, name.replace("_", "-"))
        raise UsageError(
            f"--{flag} has no part in --objective {without}", hint="Choose --objective both."
        )
