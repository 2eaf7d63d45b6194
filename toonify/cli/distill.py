"""`toonify distill`: a generator's faces in StyleGAN2's layout, for whole frames."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.bundle import model_files
from toonify.cli.common import Settings, complain, examples, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.live import KeepOption, training_display
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_run_folder

if TYPE_CHECKING:
    from toonify.models.base import Generator
    from toonify.models.generators.hybrid import HybridGenerator
    from toonify.models.generators.stylegan2 import StyleGAN2Layers
    from toonify.training.encoders.data import Pairs

    Run = Callable[[Callable[[dict[str, float]], None]], StyleGAN2Layers]


class Layout(StrEnum):
    """Which layers are learnt."""

    hybrid = "hybrid"
    stylegan2 = "stylegan2"


EPILOG = examples(
    "toonify distill prior256.safetensors -o runs/face --compile",
    "toonify distill toon.safetensors -o runs/toon --start runs/face/generator.safetensors",
    "toonify distill ffhq-mobile -o runs/whole --layout stylegan2 --resolution 256 --steps 12000",
)


def distill(
    ctx: typer.Context,
    teacher: Annotated[
        str, typer.Argument(help="Generator to learn from: a checkpoint, registry name or bundle.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    layout: Annotated[
        Layout,
        typer.Option(
            help="hybrid: StyleGAN2's layers up to 32x32 are learnt, the compact teacher's own"
            " stay from there on; stylegan2: all are learnt."
        ),
    ] = Layout.hybrid,
    start: Annotated[
        str | None,
        typer.Option(help="Go on from a generator of the same layout and W, instead of afresh."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches to learn from: 4000; stylegan2: 8000.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Faces a step: 32; stylegan2: 8.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=1e-6, help="Adam's peak rate: 5e-3; stylegan2: 4e-3.")
    ] = None,
    coarse: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of the steps at up to 16x16 (stylegan2: 32x32) alone."
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=16, help="hybrid: channels of the new layers: 320.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(min=64, help="stylegan2: of the new generator: 256.")
    ] = None,
    channel_base: Annotated[
        int | None,
        typer.Option(
            min=512, help="stylegan2: channels at a resolution are this (8192) over it, at most"
        ),
    ] = None,
    channel_max: Annotated[
        int | None, typer.Option(min=16, help="this (256); the official one's: 512.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="stylegan2: folder of the teacher's faces; filled when it is empty. Without it"
            " faces are rendered as they are needed."
        ),
    ] = None,
    pair_count: Annotated[
        int | None,
        typer.Option(min=100, help="Faces to render into an empty --pairs folder: 10000."),
    ] = None,
    sharpen: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="stylegan2: say of a patch discriminator towards the end: 0.05."
        ),
    ] = None,
    snapshot: Annotated[int, typer.Option(min=1, help="Steps between snapshots.")] = 250,
    keep: KeepOption = 10,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile, where there is a compiler.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Teach StyleGAN2's layers what a compact generator computes, in the same W.

    StyleGANEX (invert, edit, video on whole frames) needs StyleGAN2's layout up to 32x32; the
    compact generator that toonify ships has another. By default only those layers are learnt, from
    the teacher's features, and its own layers go on from there: nearly as sharp as the teacher
    after an hour of two CPU cores. Codes, directions and character tables of the teacher serve the
    new one too. Snapshots, metrics.jsonl, previews (teacher beside student), report.html and
    generator.safetensors go into the folder. Ctrl-C finishes the step and keeps a snapshot.
    """
    from toonify.bundle import locate
    from toonify.checkpoints import load_generator, save_generator
    from toonify.device import pick_device
    from toonify.training.core.report import reporting
    from toonify.training.core.runs import RunFolder

    settings = settings_of(ctx)
    own = {
        "--resolution": resolution,
        "--channel-base": channel_base,
        "--channel-max": channel_max,
        "--pairs": pairs,
        "--pair-count": pair_count,
        "--sharpen": sharpen,
    }
    foreign = {"--width": width} if layout is Layout.stylegan2 else own
    for name, value in foreign.items():
        if value is not None:
            other = next(kind for kind in Layout if kind is not layout)
            raise UsageError(f"{name} is of --layout {other}", hint="Leave it out.")
    reads = InputFiles([pairs, *model_files(teacher, start)])
    check_run_folder(output, reads)
    RunFolder(output).start(resume=resume)  # before minutes of preparation: is it free?
    device = pick_device(settings.device)
    master = load_generator(locate(teacher, "generator"), device=device)
    found = None
    if start is not None:
        found = load_generator(locate(start, "inversion_generator"), device=device)
    numbers: dict[str, Any] = {
        "steps": steps, "batch_size": batch_size, "lr": lr, "coarse_share": coarse
    }  # fmt: skip
    if start is not None and coarse is None:
        numbers["coarse_share"] = 0.0
    job = _Job(
        settings=settings,
        master=master,
        start=found,
        output=output,
        numbers={name: value for name, value in numbers.items() if value is not None},
        compiled=compiled,
        snapshot=snapshot,
        keep=keep,
        resume=resume,
    )
    if layout is Layout.hybrid:
        chosen, learn = job.hybrid(width or 320)
    else:
        shape = {
            "resolution": resolution or 256,
            "channel_base": channel_base or 8192,
            "channel_max": channel_max or 256,
        }
        chosen, learn = job.stylegan2(shape, pairs, pair_count or 10000, sharpen)
    options = {"teacher": teacher, "layout": layout.value, "start": start, "pairs": pairs, **chosen}
    facts = {"device": device}
    title = f"distill: {real_path(output).name}"
    with (
        reporting(output, title=title, config=options, facts=facts) as refresh,
        training_display(settings) as show,
    ):

        def report(row: dict[str, float]) -> None:
            show("distill", int(row["step"]), int(chosen["steps"]), row)
            refresh()
            if settings.json:
                settings.result(row, "")

        average = learn(report)
    path, page = output / "generator.safetensors", output / "report.html"
    save_generator(average, path, metadata={"source": teacher})
    settings.result({"path": str(path), "report": str(page)}, f"{path}, {page}")


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What both layouts' trainings take; `numbers` are options given for their config."""

    settings: Settings
    master: Generator
    start: Generator | None
    output: Path
    numbers: dict[str, Any]
    compiled: bool
    snapshot: int
    keep: int
    resume: bool

    def _shared(self) -> dict[str, Any]:
        import torch

        from toonify.device import pick_device, training_dtype

        exact = (
            training_dtype(self.settings.dtype, pick_device(self.settings.device)) != torch.bfloat16
        )
        return {
            **self.numbers,
            "compiled": self.compiled,
            "bfloat16": not exact,
            "snapshot": self.snapshot,
            "keep": self.keep,
            "seed": self.settings.seed,
        }

    def hybrid(self, width: int) -> tuple[dict[str, Any], Run]:
        """Config and training of the layers up to 32×32."""
        from toonify.training.core.runs import RunFolder
        from toonify.training.distillation.feature_distillation import (
            ShallowConfig,
            check_hybrid,
            new_hybrid,
            teach_shallow,
        )

        config = ShallowConfig(**self._shared())
        student: HybridGenerator
        if self.start is None:
            student = new_hybrid(self.master, width=width, seed=self.settings.seed)
            if not self.resume:
                self._begun(student)
        else:
            student = check_hybrid(self.start, self.master)
        return asdict(config), lambda report: teach_shallow(
            student,
            self.master,
            RunFolder(self.output),
            config,
            resume=self.resume,
            progress=report,
        )

    def stylegan2(
        self, shape: dict[str, int], pairs: Path | None, pair_count: int, sharpen: float | None
    ) -> tuple[dict[str, Any], Run]:
        """Config and training of all layers."""
        from toonify.device import pick_device, training_dtype
        from toonify.metrics.lpips import PerceptualLoss
        from toonify.training.distillation.distill import DistillConfig, check_student, new_student
        from toonify.training.distillation.distill import distill as run

        shared = self._shared()
        if sharpen is not None:
            shared["sharpen"] = sharpen
        config = DistillConfig(**shared)
        if self.start is None:
            student = new_student(self.master, **shape, seed=self.settings.seed)
            if not self.resume:
                student = self._begun(student)
        else:
            student = check_student(self.start, self.master)
        faces = self._faces(student, pairs, pair_count)
        precision = training_dtype(self.settings.dtype, pick_device(self.settings.device))
        return asdict(config), lambda report: run(
            student,
            faces,
            self.output,
            config,
            perceptual=PerceptualLoss("vgg", dtype=precision).to(student.w_avg.device),
            resume=self.resume,
            progress=report,
        )

    def _faces(self, student: StyleGAN2Layers, folder: Path | None, count: int) -> Pairs:
        from toonify.training.data.latent_samples import PairSet, sample_pairs
        from toonify.training.encoders.data import FreshPairs, StoredPairs

        if folder is None:
            return FreshPairs(self.master, held_out=12, size=student.resolution)
        if not any(folder.glob("*")):
            with self.settings.progress("faces") as bar:
                sample_pairs(
                    self.master,
                    folder,
                    count,
                    size=student.resolution,
                    seed=self.settings.seed,
                    progress=lambda done: bar(done, count),
                )
        stored = PairSet.load(
            folder, num_ws=student.num_ws, w_dim=student.w_dim, generator=self.master
        )
        return StoredPairs(stored, held_out=12)

    def _begun(self, student: StyleGAN2Layers) -> StyleGAN2Layers:
        """The student with what can be had of a compact teacher's weights."""
        from toonify.models.generators.mobile import MobileGenerator
        from toonify.training.distillation.least_squares_init import transplant

        if not isinstance(self.master, MobileGenerator):
            complain("the teacher is no compact generator: the student begins from noise")
            return student
        layers = 3 * len(student.channels) - 2  # two convolutions and tRGB a block, the first one
        done = itertools.count(1)
        try:
            with self.settings.progress("layers") as bar:
                transplant(
                    self.master,
                    student,
                    seed=self.settings.seed,
                    progress=lambda *_: bar(next(done), layers),
                )
        except UsageError as error:
            complain(f"{error}: the student begins from noise")
        return student
