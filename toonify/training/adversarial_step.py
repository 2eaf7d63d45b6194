"""One step of adversarial fine-tuning and all the state it carries from step to step."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.models.discriminator import StyleGAN2Discriminator
from toonify.models.protocol import Generator, Noise
from toonify.models.stylegan2 import channel_table
from toonify.training.augment import AdaController, AugmentPipe
from toonify.training.losses import (
    PathLength,
    discriminator_logistic,
    generator_logistic,
    r1_gamma,
    r1_penalty,
)
from toonify.training.optim import rms_scaled_adam
from toonify.training.projection import to_float, to_uint8
from toonify.training.swap import describe_difference, tensor_resolutions

G = TypeVar("G", bound=Generator)

# These may change between a run and its resumption; everything else must stay.
_FREE = ("kimg", "snapshot_kimg", "log_every")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """How to fine-tune.

    Attributes:
        kimg: thousand images to show the discriminator.
        batch_size: drawings a step.
        freeze_below: layers of a lower resolution keep their weights; 4 trains them all.
        lr: Adam's rate for both networks; scaled by each tensor's RMS where the generator's
            weights are not equalised (the compact family).
        r1_weight: gamma of R1; None takes StyleGAN2-ADA's rule from resolution and batch size.
        r1_interval: steps between two R1 steps.
        path_weight: of path-length regularisation, 0 for none (2 in StyleGAN2).
        path_interval: steps between two path-length steps.
        style_mixing: probability of crossing two latents at a random layer.
        code_share: share of samples whose layers from `code_level` on take a character's code.
        code_level: first latent index taken from the code.
        flips: mirror half the drawings.
        augment: "ada" adapts the probability, "fixed" keeps `augment_p`, "none".
        augment_kinds: "b", "bg" or "bgc", see `AugmentPipe`.
        augment_p: fixed probability, or ADA's first.
        ada_target: of r_t.
        ada_interval: steps between two adjustments.
        ada_kimg: thousand images that p needs from 0 to 1.
        ema_kimg: half-life of the weight average.
        ema_rampup: the half-life is at most this share of the images shown so far.
        discriminator_base: its channels are min(base / resolution, discriminator_max).
        discriminator_max: see `discriminator_base`.
        snapshot_kimg: thousand images between snapshots (and previews).
        log_every: steps between two lines of metrics.
        seed: of weights, latents, augmentation and the order of drawings.
        bfloat16: run both networks under autocast; R1 and path length stay in float32.
    """

    kimg: float = 20.0
    batch_size: int = 8
    freeze_below: int = 32
    lr: float = 2e-3
    r1_weight: float | None = None
    r1_interval: int = 16
    path_weight: float = 0.0
    path_interval: int = 4
    style_mixing: float = 0.0
    code_share: float = 0.0
    code_level: int = 6
    flips: bool = True
    augment: Literal["ada", "fixed", "none"] = "ada"
    augment_kinds: str = "bgc"
    augment_p: float = 0.0
    ada_target: float = 0.6
    ada_interval: int = 4
    ada_kimg: float = 500.0
    ema_kimg: float = 10.0
    ema_rampup: float = 0.05
    discriminator_base: int = 8192
    discriminator_max: int = 256
    snapshot_kimg: float = 1.0
    log_every: int = 4
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.kimg <= 0 or self.lr <= 0 or self.snapshot_kimg <= 0:
            raise UsageError("kimg, batch size, rate and snapshot interval must be positive")
        if not 0 <= self.augment_p <= 1:
            raise UsageError(f"augmentation probability {self.augment_p} is not in 0 to 1")


class AdversarialTrainer(Generic[G]):
    """Both networks, their optimisers and the rest of a run; see `finetune_adversarial`."""

    def __init__(
        self,
        config: FinetuneConfig,
        generator: G,
        drawings: Tensor,
        discriminator: StyleGAN2Discriminator | None,
        codes: Tensor | None,
    ) -> None:
        self.config = config
        self.device = generator.w_avg.device
        torch.manual_seed(config.seed)
        self.random = torch.Generator().manual_seed(config.seed)
        self.drawings = drawings
        self.codes = None if codes is None else codes.to(self.device, torch.float32)
        self.generator = copy.deepcopy(generator)
        self.average = copy.deepcopy(generator)
        self.compact = generator.config()["architecture"] == "mobile"
        # The compact family was trained with its noise maps fixed.
        self.noise: Noise = "const" if self.compact else "random"
        module, average = cast(nn.Module, self.generator), cast(nn.Module, self.average)
        module.train().requires_grad_(False)
        average.eval().requires_grad_(False)
        resolutions = tensor_resolutions(self.generator)
        self.trained = {
            name: parameter
            for name, parameter in module.named_parameters()
            if resolutions[name] >= max(4, config.freeze_below)
        }
        averages = dict(average.named_parameters())
        self.averaged = [(averages[name], p) for name, p in self.trained.items()]
        for parameter in self.trained.values():
            parameter.requires_grad_(True)
        self.discriminator = (
            copy.deepcopy(discriminator)
            if discriminator is not None
            else StyleGAN2Discriminator(
                resolution=generator.resolution,
                channels=channel_table(
                    generator.resolution,
                    channel_base=config.discriminator_base,
                    channel_max=config.discriminator_max,
                ),
            )
        )
        self.discriminator.to(self.device).train().requires_grad_(True)
        self.g_optimizer = self._generator_optimizer()
        # Lazy regularisation: rate and momentum are spread over one more step an interval.
        share = config.r1_interval / (config.r1_interval + 1)
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=config.lr * share, betas=(0.0, 0.99**share)
        )
        self.pipe = AugmentPipe(config.augment_kinds, random=self.random)
        self.ada = AdaController(
            target=config.ada_target,
            interval=config.ada_interval,
            kimg=config.ada_kimg,
            p=config.augment_p if config.augment != "none" else 0.0,
        )
        self.path = PathLength()
        self.gamma = config.r1_weight
        if self.gamma is None:
            self.gamma = r1_gamma(generator.resolution, config.batch_size)
        self.preview_z = torch.randn(16, _z_dim(generator), generator=self.random).to(self.device)
        self.images = self.steps = 0
        self.r1 = 0.0

    def _generator_optimizer(self) -> torch.optim.Adam:
        parameters, share = list(self.trained.values()), 1.0
        if self.config.path_weight:
            share = self.config.path_interval / (self.config.path_interval + 1)
        lr, betas = self.config.lr * share, (0.0, 0.99**share)
        if self.compact:
            return rms_scaled_adam(parameters, lr=lr, betas=betas)
        return torch.optim.Adam(parameters, lr=lr, betas=betas)

    def step(self) -> dict[str, float]:
        """One discriminator and one generator step; returns their losses."""
        config = self.config
        p = self.ada.p
        # One batch of fakes serves both: the generator does not change in between.
        with self._autocast():
            fake = self._generate(self._latents())
            fake_logits = self._judge(self.pipe(fake.detach().float(), p))
            real_logits = self._judge(self.pipe(self._drawings(), p))
        loss_d = discriminator_logistic(real_logits, fake_logits)
        self._update(self.d_optimizer, loss_d)
        if self.steps % config.r1_interval == 0:
            real = self.pipe(self._drawings(), p).detach().requires_grad_()
            penalty = r1_penalty(self._judge(real), real)
            assert self.gamma is not None
            self._update(self.d_optimizer, penalty * (self.gamma / 2 * config.r1_interval))
            self.r1 = float(penalty.detach())
        if config.augment == "ada":
            self.ada.update(real_logits)
        self.discriminator.requires_grad_(False)
        with self._autocast():
            logits = self._judge(self.pipe(fake.float(), p))
        loss_g = generator_logistic(logits)
        self._update(self.g_optimizer, loss_g)
        if config.path_weight and self.steps % config.path_interval == 0:
            w_plus = self._latents()[: max(1, config.batch_size // 2)].requires_grad_()
            images = self._generate(w_plus)
            noise = torch.randn(images.shape, generator=self.random).to(images)
            penalty = self.path.penalty(images, w_plus, noise)
            self._update(self.g_optimizer, penalty * config.path_weight * config.path_interval)
        self.discriminator.requires_grad_(True)
        self.steps += 1
        self.images += config.batch_size
        self._update_average()
        return {
            "loss_g": float(loss_g.detach()),
            "loss_d": float(loss_d.detach()),
            "r1": self.r1,
            "r_t": self.ada.r_t,
            "p": self.ada.p,
        }

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _judge(self, images: Tensor) -> Tensor:
        return self.discriminator(images).float()

    def _generate(self, w_plus: Tensor) -> Tensor:
        return self.generator.synthesize(self.generator.styles(w_plus), noise=self.noise)

    def _drawings(self) -> Tensor:
        count = self.config.batch_size
        index = torch.randint(len(self.drawings), (count,), generator=self.random)
        images = to_float(self.drawings[index].to(self.device))
        if self.config.flips:
            mirrored = torch.rand(count, 1, 1, 1, generator=self.random) < 0.5
            images = torch.where(mirrored.to(self.device), images.flip(3), images)
        return images

    @torch.no_grad()
    def _latents(self) -> Tensor:
        """w+ (B, num_ws, w_dim) of a batch: fresh, mixed, and with characters' codes."""
        config, num_ws = self.config, self.generator.num_ws
        count = config.batch_size
        w_plus = self._fresh(count)[:, None].repeat(1, num_ws, 1)
        if config.style_mixing:
            other = self._fresh(count)
            for i in range(count):
                if float(torch.rand((), generator=self.random)) < config.style_mixing:
                    cross = int(torch.randint(1, num_ws, (), generator=self.random))
                    w_plus[i, cross:] = other[i]
        if config.code_share and self.codes is not None:
            chosen = torch.rand(count, generator=self.random) < config.code_share
            index = torch.randint(len(self.codes), (count,), generator=self.random)
            for i in chosen.nonzero()[:, 0].tolist():
                w_plus[i, config.code_level :] = self.codes[index[i], config.code_level :]
        return w_plus

    def _fresh(self, count: int) -> Tensor:
        z = torch.randn(count, _z_dim(self.generator), generator=self.random)
        return self.generator.mapping(z.to(self.device))

    @torch.no_grad()
    def _update_average(self) -> None:
        half_life = min(self.config.ema_kimg * 1000, max(1.0, self.images * self.config.ema_rampup))
        keep = 0.5 ** (self.config.batch_size / half_life)
        for average, current in self.averaged:
            average.lerp_(current.detach(), 1 - keep)

    def finite(self) -> bool:
        """Whether every trained weight is finite."""
        weights = [*self.trained.values(), *self.discriminator.parameters()]
        return all(bool(torch.isfinite(w).all()) for w in weights)

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Sixteen images (16, 3, R, R) uint8 of the average on fixed latents, truncation 0.7."""
        pictures = []
        for z in self.preview_z.split(4):
            w_plus = self.average.mapping(z, truncation_psi=0.7)[:, None]
            w_plus = w_plus.repeat(1, self.average.num_ws, 1)
            with self._autocast():
                pictures.append(to_uint8(self.average.synthesize(self.average.styles(w_plus))))
        return torch.cat(pictures)

    def state_dict(self) -> dict[str, Any]:
        state = {
            "config": asdict(self.config),
            "generator_config": self.generator.config(),
            "generator": cast(nn.Module, self.generator).state_dict(),
            "average": cast(nn.Module, self.average).state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "discriminator_config": self.discriminator.config(),
            "g_optimizer": self.g_optimizer.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
            "ada": self.ada.state_dict(),
            "path": self.path.state_dict(),
            "images": self.images,
            "steps": self.steps,
            "r1": self.r1,
            "random": self.random.get_state(),
            "torch_random": torch.get_rng_state(),
            "preview_z": self.preview_z,
        }
        if self.device.type == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        def settings(config: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in config.items() if key not in _FREE}

        differences = describe_difference(
            settings(state["config"]), settings(asdict(self.config))
        ) + describe_difference(state["generator_config"], self.generator.config())
        if differences:
            raise UsageError(
                f"the run to resume was started with other options ({'; '.join(differences)})",
                mend="Repeat its options, or start a new run elsewhere.",
            )
        cast(nn.Module, self.generator).load_state_dict(state["generator"])
        cast(nn.Module, self.average).load_state_dict(state["average"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.g_optimizer.load_state_dict(state["g_optimizer"])
        self.d_optimizer.load_state_dict(state["d_optimizer"])
        self.ada.load_state_dict(state["ada"])
        self.path.load_state_dict(state["path"])
        self.images, self.steps, self.r1 = state["images"], state["steps"], state["r1"]
        self.preview_z = state["preview_z"].to(self.device)
        self.random.set_state(state["random"])
        torch.set_rng_state(state["torch_random"])
        if self.device.type == "cuda" and "cuda_random" in state:
            torch.cuda.set_rng_state(state["cuda_random"], self.device)


def _z_dim(generator: Generator) -> int:
    return getattr(generator, "z_dim", generator.w_dim)
