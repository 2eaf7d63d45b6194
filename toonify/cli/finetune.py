"""`toonify finetune`: a cartoon copy of a face generator from a few drawings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from toonify.cli.common import Settings, examples, note_others, refuse_given, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.inverting import DomainName, TrainingDomainOption
from toonify.cli.live import KeepOption, training_display
from toonify.cli.projecting import EncoderOption
from toonify.device import pick_device, pick_dtype, training_dtype
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.training.finetune.run import Objective, Progress

_SHARPEN = 0.1
_UNITS = {"inverting": "drawings", "pairs": "steps", "adversarial": "kimg"}
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


class ObjectiveName(StrEnum):
    """How to learn from the drawings."""

    paired = "paired"
    adversarial = "adversarial"
    both = "both"
    pix2pix = "pix2pix"


class AugmentName(StrEnum):
    """What the discriminator sees the images through; the published code's names."""

    off = "off"
    blit = "blit"
    geom = "geom"
    color = "color"
    filter = "filter"
    noise = "noise"
    cutout = "cutout"
    bg = "bg"
    bgc = "bgc"
    bgcf = "bgcf"
    bgcfn = "bgcfn"
    bgcfnc = "bgcfnc"


def finetune(
    ctx: typer.Context,
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of drawings; each sub-folder is one character. For pix2pix photos/ and"
            " drawings/, of the same names."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    objective: Annotated[
        ObjectiveName,
        typer.Option(
            help="paired: each drawing with the face it could be of, minutes on a laptop;"
            " adversarial: StyleGAN2-ADA's recipe, for a GPU; both: one after the other; pix2pix: a"
            " style of your own, from photos with their drawings."
        ),
    ] = ObjectiveName.paired,
    base: Annotated[
        str | None,
        typer.Option(
            help="Face generator: a checkpoint, a registry name, or a bundle. For pix2pix a style's"
            " network to start from: a file, or a style of the default bundle.",
            show_default="of pix2pix a fresh network",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps on pairs.", show_default="1500, 6000 of pix2pix"),
    ] = None,
    kimg: Annotated[
        float | None,
        typer.Option(min=0.0, help="Thousand images of adversarial.", show_default="20"),
    ] = None,
    encoder: EncoderOption = None,
    snapshot: Annotated[
        float, typer.Option(min=0.001, help="Thousand images between snapshots and previews.")
    ] = 0.5,
    keep: KeepOption = 10,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Drawings a step.", show_default="4 on pairs, else 8"),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Learning rate.",
            show_default="0.003 on pairs, 0.002 adversarial, 0.0008 pix2pix",
        ),
    ] = None,
    domain: TrainingDomainOption = DomainName.faces,
    freeze_below: Annotated[
        int | None,
        typer.Option(
            help="Layers of a lower resolution stay: the swap replaces them. 16 suits many"
            " drawings of heads unlike a person's; swap at the same resolution then.",
            show_default="32, 4 with --domain any",
        ),
    ] = None,
    sharpen: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="On pairs: say of a discriminator that judges patches of line and texture.",
            show_default="0.1",
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="On pairs: torch.compile, twice as fast after a minute; needs a C++ compiler.",
        ),
    ] = False,
    augment: Annotated[
        AugmentName | None,
        typer.Option(
            help="Adversarial: blitting, geometry, color, filtering, noise, cutout: one of them,"
            " or initials for all up to one.",
            show_default="bgc",
        ),
    ] = None,
    augment_p: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Fixed probability of each.", show_default="adaptive (ADA)"
        ),
    ] = None,
    ada_target: Annotated[
        float | None,
        typer.Option(
            min=-1.0,
            max=1.0,
            help="r_t that the adaptive probability keeps; lower augments more.",
            show_default="0.6",
        ),
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option("--mirror/--no-mirror", help="Adversarial: also drawings flipped in x."),
    ] = None,
    r1: Annotated[
        float | None,
        typer.Option(min=0.0, help="R1's gamma.", show_default="0.0002 · resolution² / batch size"),
    ] = None,
    path_length: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Weight of path-length regularization (2 in StyleGAN2).",
            show_default="0, off",
        ),
    ] = None,
    style_mixing: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Probability of mixing two latents.", show_default="0"),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Half-life of the result's average, thousand images.",
            show_default="10, less at first",
        ),
    ] = None,
    discriminator: Annotated[
        str | None,
        typer.Option(
            help="Discriminator to start from: ours, NVIDIA's .pkl, rosinality's .pt.",
            show_default="a fresh one",
        ),
    ] = None,
    freeze_d: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="First layers of that discriminator that stay (Freeze-D); 4 is usual.",
            show_default="0",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes on this machine; on CUDA one a GPU.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Fine-tune a generator of faces, or of anything, on drawings; or teach a style from photos
    with their drawings.

    Snapshots, metrics.jsonl and previews go into the folder's pairs/ and adversarial/, the result
    is its generator.safetensors; report.html shows how it goes. Ctrl-C finishes the step and
    keeps a snapshot. To resume, repeat the options; --kimg, --steps, --lr, --r1 and the number of
    processes may change. What pix2pix learns is style.safetensors: `toonify stylize --style FILE`.
    """
    if objective is ObjectiveName.pix2pix:
        refuse_given(ctx, "is of face generators, not of --objective pix2pix", *_OF_GENERATORS)
        _learn_style(
            settings_of(ctx),
            data,
            base,
            output,
            steps,
            snapshot,
            keep,
            batch_size,
            lr,
            sharpen,
            resume,
        )
        return
    if base is None:
        raise UsageError("no face generator to start from", hint="Give --base ffhq-mobile, say.")
    _suggest_pix2pix(data)
    from toonify.training.finetune.adversarial import FinetuneConfig
    from toonify.training.finetune.job import LOWEST
    from toonify.training.finetune.job import finetune as run
    from toonify.training.finetune.paired import PairedConfig

    import torch  # isort: skip

    settings = settings_of(ctx)
    if settings.dtype == "float16":
        raise UsageError("float16 is too coarse to train in", hint="Use --dtype bfloat16.")
    asked: dict[str, Any] = {  # of the adversarial stage alone
        "kimg": kimg,
        "augment": None if augment is None else augment.value,
        "augment_p": augment_p,
        "ada_target": ada_target,
        "mirror": mirror,
        "r1_weight": r1,
        "path_weight": path_length,
        "style_mixing": style_mixing,
        "ema_kimg": ema,
        "freeze_d": freeze_d,
    }
    of_pairs = {"steps": steps, "encoder": encoder, "sharpen": sharpen, "compile": compiled or None}
    _refuse_idle(objective, of_pairs, ObjectiveName.adversarial)
    _refuse_idle(objective, {**asked, "discriminator": discriminator}, ObjectiveName.paired)
    if augment_p is not None and ada_target is not None:
        raise UsageError("a fixed --augment-p has no --ada-target", hint="Leave one out.")
    note_others(data)
    if freeze_below is None and domain is DomainName.any:
        freeze_below = LOWEST
    shared = {"freeze_below": freeze_below, "seed": settings.seed, "lr": lr}
    device = pick_device(settings.device)
    pairs = batch_size or PairedConfig.batch_size
    done = run(
        data,
        base,
        output,
        objective=cast("Objective", objective.value),
        encoder=encoder,
        discriminator=discriminator,
        paired=PairedConfig(
            batch_size=pairs,
            snapshot=max(1, round(snapshot * 1000 / pairs)),
            keep=keep,
            sharpen=_SHARPEN if sharpen is None else sharpen,
            detail_crops=sharpen != 0,
            compiled=compiled,
            bfloat16=training_dtype(settings.dtype, device) == torch.bfloat16,
            **_given(steps=steps, **shared),
        ),
        adversarial=FinetuneConfig(
            snapshot_kimg=snapshot,
            keep=keep,
            bfloat16=pick_dtype(settings.dtype, device) != torch.float32,
            **_given(batch_size=batch_size, **asked, **shared),
        ),
        domain=domain.value,
        resume=resume,
        processes=processes,
        device=settings.device,
        display=partial(_display, settings),
        progress=settings.progress,
    )
    page = str(done.report)
    record = {"path": str(done.generator), "objective": objective.value, "report": page}
    settings.result(record, f"{done.generator}, {page}")


def _learn_style(
    settings: Settings,
    data: Path,
    base: str | None,
    output: Path,
    steps: int | None,
    snapshot: float,
    keep: int,
    batch_size: int | None,
    lr: float | None,
    sharpen: float | None,
    resume: bool,
) -> None:
    """`--objective pix2pix`."""
    from toonify.training.pix2pix.step import Pix2PixConfig
    from toonify.training.pix2pix.train import base_network, train_pix2pix

    import torch  # isort: skip

    together = batch_size or Pix2PixConfig.batch_size
    bfloat16 = training_dtype(settings.dtype, pick_device(settings.device)) == torch.bfloat16
    given = _given(steps=steps, batch_size=batch_size, lr=lr, sharpen=sharpen)
    config = Pix2PixConfig(
        snapshot=max(1, round(snapshot * 1000 / together)),
        keep=keep,
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
            data,
            output,
            base=None if base is None else base_network(base),
            config=config,
            resume=resume,
            device=settings.device,
            progress=update,
        )
    record = {"path": str(made), "objective": "pix2pix", "report": str(output / "report.html")}
    settings.result(record, f"{made}, {output / 'report.html'}")


def _suggest_pix2pix(data: Path) -> None:
    """Say what pairs of photographs and drawings are for, which the other objectives can't use."""
    if (data / "photos").is_dir() and (data / "drawings").is_dir():
        raise UsageError(
            f"{data} holds photos with their drawings", hint="Add --objective pix2pix."
        )


@contextmanager
def _display(settings: Settings, opening: str) -> Iterator[Progress]:
    """How the training goes, on stderr, and with --json on stdout."""
    with training_display(settings, _UNITS, opening=opening) as show:

        def update(stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
            show(stage, done, total, metrics)
            if settings.json and (stage != "pairs" or done % 10 == 0):
                settings.result({"stage": stage, "done": done, "total": total, **metrics}, "")

        yield update


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _refuse_idle(objective: ObjectiveName, options: dict[str, Any], without: ObjectiveName) -> None:
    flags = {"r1_weight": "r1", "path_weight": "path-length", "ema_kimg": "ema"}
    if objective == without and (given := _given(**options)):
        name = next(iter(given))
        flag = flags.get(name, name.replace("_", "-"))
        raise UsageError(
            f"--{flag} has no part in --objective {without}", hint="Choose --objective both."
        )
