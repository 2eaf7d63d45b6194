"""One step of paired fine-tuning, and everything a resumption of it needs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.layer_swap import tensor_resolutions
from toonify.training.core.loop import require_positive
from toonify.training.core.optim import rms_scaled_adam
from toonify.training.core.patches import (
    PatchDiscriminator,
    new_patches,
    patch_losses,
)
from toonify.training.core.resumption import Parts, restore, states_of
from toonify.training.core.schedule import ema_decay, update_ema, warmup_cosine
from toonify.utils.arguments import check_range
from toonify.utils.tensors import to_uint8

Crop = tuple[slice, slice]  # rows and columns
G = TypeVar("G", bound=Generator)

# the discriminator learns alone this long, so that its first opinions don't steer the drawing
_PATCH_WARM_UP = 50
_KEPT = 1 << 29  # bytes of LPIPS's features of drawings: some 130 of them in bfloat16
_MATCHING = 4.0  # feature matching against the adversarial loss


class PairSource(Protocol):
    """Pairs to learn from."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """w+ of faces and of styles, both (B, num_ws, w_dim), and drawings (B, 3, R, R), which are
        the same whenever they are asked for."""
        ...


@dataclass(frozen=True, kw_only=True)
class PairedConfig:
    """Options of `finetune_paired`.

    Attributes:
        steps: optimizer steps of `batch_size` pairs.
        lr: learning rate; on the compact generator multiplied by each tensor's RMS.
        freeze_below: layers of a lower resolution keep their weights.
        level: rows of w+ from here on are the style's.
        style_jitter: deviation of the noise on the style's rows, in deviations of w.
        perceptual_size: side of the downsampled picture that LPIPS compares.
        detail_crops: compare a random crop of that side at full resolution too, for half of the
            batch instead of the whole picture; of a quarter nothing else is drawn.
        sharpen: weight of a patch discriminator on those crops (0.1, say); 0 is without.
        compiled: run the generator through `torch.compile`: about twice as fast after a minute,
            where the machine has a C++ compiler.
        bfloat16: render and compare under autocast: faster where the processor computes in it,
            slower where it only emulates it.
        snapshot: steps between snapshots.
        keep: so many snapshots are kept, beside their previews.
    """

    steps: int = 1500
    batch_size: int = 4
    lr: float = 3e-3
    freeze_below: int = 32
    level: int = 6
    style_jitter: float = 0.1
    perceptual_size: int = 128
    detail_crops: bool = False
    sharpen: float = 0.0
    compiled: bool = False
    bfloat16: bool = True
    ema: float = 0.995
    snapshot: int = 100
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr", "snapshot", "perceptual_size")
        for name in ("freeze_below", "level", "keep"):
            check_range(name, getattr(self, name), 0, whole=True)
        for name in ("style_jitter", "sharpen"):
            check_range(name, getattr(self, name), 0)
        check_range("ema", self.ema, 0, 1)
        check_range("seed", self.seed, whole=True)


class PairedTrainer(Generic[G]):
    """The copy in training, its running average, optimizers and random numbers.

    Attributes:
        trained, average: copies of the generator.
        free: the parameters that learn.
        step_count: steps done.
    """

    def __init__(
        self, config: PairedConfig, generator: G, source: PairSource, perceptual: PerceptualLoss
    ) -> None:
        self.config, self.source, self.perceptual = config, source, perceptual
        self.device = generator.w_avg.device
        self.trained = copy.deepcopy(generator)
        module = self.trained
        module.train().requires_grad_(False).to(memory_format=torch.channels_last)
        resolutions = tensor_resolutions(self.trained)
        self.free = {
            n: p for n, p in module.named_parameters() if resolutions[n] >= config.freeze_below
        }
        if not self.free:
            raise UsageError(
                f"freezing below {config.freeze_below} leaves no layer to train",
                hint=f"Choose at most {generator.resolution}.",
            )
        for parameter in self.free.values():
            parameter.requires_grad_(True)
        for name, buffer in module.named_buffers():
            if "noise" in name and resolutions[name] >= config.freeze_below:
                buffer.zero_()
        if isinstance(generator, StyleGAN2Layers):  # its weights are equalized
            self.optimizer = torch.optim.Adam(self.free.values(), lr=config.lr, betas=(0.5, 0.99))
        else:
            self.optimizer = rms_scaled_adam(self.free.values(), lr=config.lr, betas=(0.5, 0.99))
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.average = copy.deepcopy(self.trained)
        self._averages = dict(self.average.named_parameters())
        self.random = torch.Generator().manual_seed(config.seed)
        self.step_count = 0
        self.patches: PatchDiscriminator | None = None
        if config.sharpen > 0:
            self.patches, self.patch_optimizer = new_patches(config.seed, self.device)
        self._kept: dict[int, list[Tensor]] = {}
        self._render = self._synthesize
        if config.compiled:
            self._render = torch.compile(self._synthesize)
            self.perceptual = perceptual.compiled()
        self._deviation = _deviation(
            generator, torch.randn(512, generator.z_dim, generator=self.random)
        )

    @property
    def kimg(self) -> float:
        """Thousand drawings learnt from."""
        return self.step_count * self.config.batch_size / 1000

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def _synthesize(self, w_plus: Tensor) -> Tensor:
        return self.trained.synthesize(self.trained.styles(w_plus))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The source's pairs, on the generator's device."""
        faces, styles, targets = self.source.batch(index)
        return faces.to(self.device), styles.to(self.device), targets.to(self.device)

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; returns the losses, scalars.

        The weights are left alone when a loss is not finite.
        """
        config = self.config
        self._set_rates()
        index = torch.randint(len(self.source), (config.batch_size,), generator=self.random)
        faces, styles, targets = self.batch(index)
        styles = styles + config.style_jitter * self._deviation * torch.randn(
            styles.shape, generator=self.random
        ).to(styles)
        w_plus = _join(faces, styles, config.level)
        place = random_crop(targets.shape[-1], config.perceptual_size, self.random)
        detailed = config.detail_crops and targets.shape[-1] > config.perceptual_size
        cropped = len(targets) // 4 if detailed else 0
        images, part = self._draw(w_plus, cropped, place)
        generated, drawn = torch.cat((part, images[:, :, *place])), targets[:, :, *place]
        # half of a batch is compared whole, half by crops; a single picture both ways
        half = len(targets) // 2 if detailed else 0
        crops = max(half, 1) if detailed else 0
        losses = drawing_losses(
            images,
            targets[cropped:],
            self.perceptual,
            size=config.perceptual_size,
            wanted=self._wanted(index[half:].tolist(), targets[half:]),
            crops=(generated[:crops], drawn[:crops]) if detailed else None,
        )
        loss = losses["pixels"] + losses["edges"] + losses["lpips"]
        if self.patches is not None:
            losses |= patch_losses(
                self.patches, self.patch_optimizer, drawn, generated, bfloat16=config.bfloat16
            )
            if self.step_count >= _PATCH_WARM_UP:
                loss = loss + config.sharpen * (losses["patches"] + _MATCHING * losses["matching"])
        if not bool(torch.isfinite(loss)):
            return losses
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        update_ema(self._averages, self.free, ema_decay(self.step_count, config.ema))
        self.step_count += 1
        return losses

    def _draw(self, w_plus: Tensor, cropped: int, place: Crop) -> tuple[Tensor, Tensor]:
        """The pictures of w+, but of the first `cropped` ones their crop alone: whole ones, crops.

        Where less can't be drawn, or not sooner, that is cut from whole pictures.
        """
        with self._autocast():
            if self.config.compiled or self.device.type != "cpu":
                images = self._render(w_plus)
                images, part = images[cropped:], images[:cropped, :, *place]
            else:
                images = self._render(w_plus[cropped:])
                part = images[:0, :, *place]
                if cropped:
                    styles = self.trained.styles(w_plus[:cropped])
                    part = self.trained.synthesize_crop(styles, *place)
        return images.float(), part.float()

    def _wanted(self, index: Sequence[int], targets: Tensor) -> list[Tensor]:
        """LPIPS's features of whole drawings (B, 3, R, R), which are kept by their index.

        Each is computed for itself, so that it doesn't matter which were kept.
        """
        each = []
        for number, target in zip(index, targets.split(1), strict=True):
            found = self._kept.get(number)
            if found is None:
                with torch.no_grad():
                    found = self.perceptual.features(_shrunk(target, self.config.perceptual_size))
                if len(self._kept) * sum(level.nbytes for level in found) < _KEPT:
                    self._kept[number] = found
            each.append(found)
        return [torch.cat(levels) for levels in zip(*each, strict=True)]

    def _set_rates(self) -> None:
        """Twenty steps of warm-up, then a cosine down to a twentieth."""
        factor = warmup_cosine(self.step_count, self.config.steps, warmup=20, floor=0.05)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def finite(self) -> bool:
        """Whether every weight in training is."""
        return all(bool(torch.isfinite(p).all()) for p in self.free.values())

    @torch.no_grad()
    def preview(self, count: int = 12) -> Tensor:
        """Drawings beside what the average makes of their latents, (N, 3, R, 2R) uint8."""
        chosen = torch.linspace(0, len(self.source) - 1, min(count, len(self.source))).long()
        faces, styles, targets = self.batch(chosen)
        with self._autocast():
            w_plus = _join(faces, styles, self.config.level)
            drawn = self.average.synthesize(self.average.styles(w_plus))
        return to_uint8(torch.cat([targets, drawn.float()], dim=3))

    def _parts(self) -> Parts:
        own: Parts = {
            "generator": self.trained,
            "average": self.average,
            "optimizer": self.optimizer,
            "random": self.random,
        }
        if self.patches is None:
            return own
        return {**own, "patches": self.patches, "patch_optimizer": self.patch_optimizer}

    def state_dict(self) -> dict[str, Any]:
        return {
            **states_of(self._parts()),
            "deviation": self._deviation,
            "step": self.step_count,
            "config": asdict(self.config),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises KeyError, RuntimeError or ValueError when the state is of another run."""
        restore(self._parts(), state)
        self._deviation = state["deviation"].to(self.device)
        self.step_count = state["step"]


def random_crop(side: int, size: int, random: torch.Generator) -> Crop:
    """Rows and columns of a (size, size) part of a picture of that side; all where it is smaller.

    What is near the middle, where a portrait's detail is, comes up most often by itself.
    """
    if side <= size:
        return slice(0, side), slice(0, side)
    top, left = (int(torch.randint(side - size + 1, (), generator=random)) for _ in "yx")
    return slice(top, top + size), slice(left, left + size)


def drawing_losses(
    images: Tensor,
    targets: Tensor,
    perceptual: PerceptualLoss,
    *,
    size: int,
    wanted: list[Tensor] | None = None,
    crops: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Pixel, edge and perceptual distance of (B, 3, R, R) images in [-1, 1], each a scalar.

    LPIPS sees whole pictures at `size`.

    Args:
        wanted: its features of the last targets at that size, where they are known: the other
            images are not seen whole.
        crops: what it sees besides, as generated and as drawn, (B', 3, size, size) at full
            resolution: line quality at a fraction of full pictures' cost.
    """
    error = images - targets
    pixels = error.abs().mean() + F.avg_pool2d(error, 8).abs().mean()
    # gradients of the error: a line in the wrong place costs, a flat offset doesn't
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    with torch.no_grad():
        if wanted is None:
            wanted = perceptual.features(_shrunk(targets, size))
        whole = len(wanted[0])
        if crops is not None:
            levels = zip(wanted, perceptual.features(crops[1]), strict=True)
            wanted = [torch.cat(both) for both in levels]
    views = _shrunk(images[-whole:], size)
    if crops is not None:
        views = torch.cat((views, crops[0]))
    lpips = perceptual.distance_to(views, wanted).mean()
    return {"pixels": pixels, "edges": edges, "lpips": lpips}


def _shrunk(images: Tensor, size: int) -> Tensor:
    return F.interpolate(images, size=(size, size), mode="area")


def _join(faces: Tensor, styles: Tensor, level: int) -> Tensor:
    return torch.cat((faces[:, :level], styles[:, level:]), dim=1)


@torch.no_grad()
def _deviation(generator: Generator, z: Tensor) -> Tensor:
    return generator.mapping(z.to(generator.w_avg)).std(0)
