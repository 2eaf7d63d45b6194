"""Joint training of StyleMapGAN's generator, encoder and discriminator (arXiv 2104.14754, §3.3)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.generators.stylemap import (
    LIGHT_WIDTHS,
    STYLE_CHANNELS,
    StyleMapGAN,
    stylemap_widths,
)
from toonify.training.core.loop import require_positive
from toonify.training.core.losses import generator_logistic, perceptual_loss, r1_penalty
from toonify.training.core.resumption import AveragingTrainer, Parts
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine
from toonify.training.data.photo_augment import other_camera
from toonify.training.data.photos import PhotoSet
from toonify.utils.tensors import to_uint8

Design = Literal["light", "small", "full"]
SHOWN = 6  # held-out faces of a preview
_WARM_UP = 50  # steps
_DECAY = 0.999  # of the running average


@dataclass(frozen=True, kw_only=True)
class StyleMapWeights:
    """Of the loss terms, all 1 as published; 0 leaves one out.

    Attributes:
        adversarial: of sampled pictures and of reconstructions ("domain-guided").
        latent: mean squared error of a sampled picture's stylemap, the encoder's alone.
        l2: mean squared error of reconstructions.
        lpips: their perceptual distance.
    """

    adversarial: float = 1.0
    latent: float = 1.0
    l2: float = 1.0
    lpips: float = 1.0


@dataclass(frozen=True, kw_only=True)
class StyleMapConfig:
    """Options of training.

    Attributes:
        steps: optimizer steps (published: 1,400,000 of 16).
        batch_size: faces a step.
        lr: Adam's peak rate of generator and encoder; falls to a fiftieth at the end, as does
            `discriminator_lr`.
        beta1: Adam's, of generator and encoder. Reconstruction learns faster with momentum.
        r1_gamma: weight of the discriminator's R1, applied every `r1_interval` steps.
        adversarial_from: step from which the discriminator and what hangs on it take part.
        augment: vary exposure and color, for faces whose cameras are all alike.
        bfloat16: where that is exact enough.
    """

    steps: int = 1_400_000
    batch_size: int = 16
    lr: float = 2e-3
    discriminator_lr: float = 2e-3
    beta1: float = 0.0
    weights: StyleMapWeights = StyleMapWeights()
    r1_gamma: float = 10.0
    r1_interval: int = 16
    adversarial_from: int = 0
    augment: bool = False
    bfloat16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr", "discriminator_lr", "r1_interval")


class StyleMapTrainer(AveragingTrainer[StyleMapConfig, StyleMapGAN, torch.Generator]):
    """The three networks in training; see `toonify.training.core.loop.Trainer`.

    One batch of reconstructions and one of sampled pictures serve all losses of a step. Sampled
    pictures are G(F(z)); for a generator without a mapping network they are rendered from
    stylemaps of two faces mixed by a random mask, what `local-edit` asks for.

    Args:
        network: what is trained; stays in training mode.
        photos: aligned faces of its size, an eighth of which (16 at most) are held out.
        perceptual: compares reconstructions; None leaves LPIPS out.

    Attributes:
        average: the running average, for use.

    Raises:
        UsageError: too few faces.
    """

    def __init__(
        self,
        network: StyleMapGAN,
        photos: PhotoSet,
        config: StyleMapConfig,
        *,
        perceptual: PerceptualLoss | None = None,
    ) -> None:
        self.photos, self.config, self.perceptual = photos, config, perceptual
        self.network = network.train().requires_grad_(True)
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.device = next(network.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.discriminator = _discriminator(network).to(self.device)
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=config.lr, betas=(config.beta1, 0.99)
        )
        # lazy regularization: rate and momentum are spread over one more step an interval
        share = config.r1_interval / (config.r1_interval + 1)
        self._d_rate = config.discriminator_lr * share
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=self._d_rate, betas=(0.0, 0.99**share)
        )
        self.random = torch.Generator().manual_seed(config.seed)
        order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(config.seed))
        kept = min(16, max(1, len(order) // 8))
        self._held_out, self._free = order[:kept], order[kept:]
        if not len(self._free):
            raise UsageError(f"{len(photos)} faces are too few", hint="Give more photographs.")

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        config = self.config
        factor = warmup_cosine(self.step_count, config.steps, warmup=_WARM_UP, floor=0.02)
        set_rate(self.optimizer, factor * config.lr)
        set_rate(self.d_optimizer, factor * self._d_rate)
        real = self._faces()
        adversarial = (
            bool(config.weights.adversarial) and self.step_count >= config.adversarial_from
        )
        losses, made = self._losses(real, adversarial=adversarial)
        loss = torch.stack([getattr(config.weights, _TERMS[k]) * v for k, v in losses.items()])
        metrics = {name: value.detach() for name, value in losses.items()}
        metrics["loss"] = loss.sum().detach()
        if adversarial:
            with self._arithmetic():
                d_real = self.discriminator(real)
                d_made = [self.discriminator(images.detach()) for images in made]
            d_loss = F.softplus(-d_real.float()).mean()
            for logits in d_made:
                d_loss = d_loss + F.softplus(logits.float()).mean()
            metrics["discriminator"] = d_loss.detach()
        if not all(bool(value.isfinite()) for value in metrics.values()):
            return metrics
        _update(self.optimizer, loss.sum())
        if adversarial:
            _update(self.d_optimizer, d_loss)
            if config.r1_gamma and self.step_count % config.r1_interval == 0:
                real.requires_grad_(True)
                with self._arithmetic():
                    penalty = r1_penalty(self.discriminator(real).float(), real)
                _update(self.d_optimizer, config.r1_gamma / 2 * config.r1_interval * penalty)
        self.step_count += 1
        update_ema(
            dict(self.average.named_parameters()),
            dict(self.network.named_parameters()),
            ema_decay(self.step_count, _DECAY),
        )
        return metrics

    def _losses(self, real: Tensor, *, adversarial: bool) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Terms for generator and encoder, and the pictures that the discriminator is to refuse."""
        weights = self.config.weights
        generator, encoder = self.network.generator, self.network.encoder
        with self._arithmetic():
            stylemap = encoder(real)
            rebuilt = generator(stylemap).float()
        losses = {"l2": F.mse_loss(rebuilt, real)}
        if self.perceptual is not None and weights.lpips:
            losses["lpips"] = perceptual_loss(self.perceptual, rebuilt, real)
        if not adversarial:
            return losses, []
        with self._arithmetic():
            sampled = self._sampled(stylemap)
            fake = generator(sampled).float()
            self.discriminator.requires_grad_(False)
            losses["adversarial"] = generator_logistic(self.discriminator(fake).float())
            losses["in_domain"] = generator_logistic(self.discriminator(rebuilt).float())
            self.discriminator.requires_grad_(True)
            if weights.latent:
                found = encoder(fake.detach()).float()
                losses["latent"] = F.mse_loss(found, sampled.detach().float())
        return losses, [fake, rebuilt]

    def _sampled(self, stylemap: Tensor) -> Tensor:
        """Stylemaps (B, 64, S, S) of pictures that nobody has seen."""
        count, generator = len(stylemap), self.network.generator
        if generator.mapping_z is not None:
            z = torch.randn(count, STYLE_CHANNELS, generator=self.random)
            return generator.mapping(z.to(self.device))
        side = stylemap.shape[2]
        mask = random_boxes(count, side, self.random).to(self.device)
        return torch.where(mask[:, None], stylemap.roll(1, 0), stylemap)

    def _faces(self) -> Tensor:
        count = self.config.batch_size
        index = self._free[torch.randint(len(self._free), (count,), generator=self.random)]
        faces = self.photos.batch(index)
        mirrored = torch.rand(count, 1, 1, 1, generator=self.random) < 0.5
        faces = torch.where(mirrored, faces.flip(3), faces)
        if self.config.augment:
            faces = other_camera(count, self.random)(faces)
        return faces.to(self.device).contiguous(memory_format=torch.channels_last)

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def finite(self) -> bool:
        """Whether every weight is."""
        networks = (self.network, self.discriminator)
        return all(bool(p.isfinite().all()) for n in networks for p in n.parameters())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Held-out faces, their reconstructions, and each with the next one's middle (N, 3, R, 3R)
        uint8."""
        real = self.photos.batch(self._held_out[:SHOWN]).to(self.device)
        stylemap = self.average.encoder(real)
        side = stylemap.shape[2]
        middle = torch.zeros(side, side, dtype=torch.bool, device=self.device)
        middle[side * 3 // 8 : side * 5 // 8, side // 4 : side * 3 // 4] = True
        mixed = torch.where(middle, stylemap.roll(1, 0), stylemap)
        shown = [real, self.average.generator(stylemap), self.average.generator(mixed)]
        return to_uint8(torch.cat(shown, dim=3))

    def parts(self) -> Parts:
        more: Parts = {"discriminator": self.discriminator, "d_optimizer": self.d_optimizer}
        return {**super().parts(), **more}

    def must_match(self) -> dict[str, Any]:
        return {"network_config": self.network.config()}


def new_stylemap(
    *, size: int, map_size: int, design: Design = "light", mapping: bool = False, seed: int = 0
) -> StyleMapGAN:
    """Networks to train, with fresh weights.

    Args:
        design: "light", or the published widths: "full", or "small" whose layers' stylemaps have
            64 channels.
        mapping: whether random faces are learnt too.
    """
    widths = LIGHT_WIDTHS if design == "light" else stylemap_widths(1 if design == "small" else 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StyleMapGAN(
            size=size, map_size=map_size, widths=widths, small=design == "small", mapping=mapping
        )


# losses → the weights that they are multiplied by
_TERMS = {
    "l2": "l2",
    "lpips": "lpips",
    "adversarial": "adversarial",
    "in_domain": "adversarial",
    "latent": "latent",
}


def random_boxes(count: int, side: int, random: torch.Generator) -> Tensor:
    """(count, side, side) bool, in each a box of an eighth to three quarters of the side."""
    least, most = max(1, side // 8), max(1, side * 3 // 4)
    mask = torch.zeros(count, side, side, dtype=torch.bool)
    for one in mask:
        height, width = torch.randint(least, most + 1, (2,), generator=random).tolist()
        top = int(torch.randint(side - height + 1, (), generator=random))
        left = int(torch.randint(side - width + 1, (), generator=random))
        one[top : top + height, left : left + width] = True
    return mask


def _discriminator(network: StyleMapGAN) -> StyleGAN2Discriminator:
    """As wide as the encoder; below the stylemap's resolution as wide as there."""
    widths = network.generator.widths
    widest = widths[network.generator.map_size]
    sizes = [2**k for k in range(2, network.size.bit_length())]
    return StyleGAN2Discriminator(
        resolution=network.size, channels={at: widths.get(at, widest) for at in sizes}
    )


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
