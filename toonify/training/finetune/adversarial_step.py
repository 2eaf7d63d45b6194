"""One step of adversarial fine-tuning and all the state it carries from step to step."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from toonify.errors import UsageError
from toonify.models.base import Generator
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.generators.stylegan2 import StyleGAN2Layers, channel_table
from toonify.models.layer_swap import describe_difference, tensor_resolutions
from toonify.training.augment import AdaController, AugmentPipe
from toonify.training.core.distributed import World
from toonify.training.core.losses import (
    PathLength,
    discriminator_logistic,
    generator_logistic,
    r1_gamma,
    r1_penalty,
)
from toonify.training.core.optim import rms_scaled_adam
from toonify.training.finetune.adversarial_config import FREE, AdversarialConfig
from toonify.utils.tensors import to_float, to_uint8

G = TypeVar("G", bound=Generator)


class AdversarialTrainer(Generic[G]):
    """Both networks, their optimizers and the rest of a run; see `finetune_adversarial`."""

    def __init__(
        self,
        config: AdversarialConfig,
        generator: G,
        drawings: Tensor,
        discriminator: StyleGAN2Discriminator | None,
        latents: Tensor | None,
        world: World | None = None,
    ) -> None:
        self.config, self.world = config, world or World()
        self.count = config.batch_size // self.world.size  # samples a step in this process
        self.device = generator.w_avg.device
        self.random = torch.Generator().manual_seed(config.seed)
        # Noise maps are drawn where they are used: they are many numbers.
        self.noise_rng = torch.Generator(self.device).manual_seed(config.seed)
        self.drawings = drawings
        self.latents = None if latents is None else latents.to(self.device, torch.float32)
        self.generator = copy.deepcopy(generator)
        self.average = copy.deepcopy(generator)
        # whose weights are equalized, and whose noise maps are drawn anew each time
        self.stylegan2 = isinstance(generator, StyleGAN2Layers)
        module, average = self.generator, self.average
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
            self._fresh_discriminator() if discriminator is None else copy.deepcopy(discriminator)
        )
        self.discriminator.to(self.device).train().requires_grad_(False)
        layers = self.discriminator.layers()[config.freeze_d :]
        self.d_parameters = [p for layer in layers for p in layer.parameters()]
        self.g_optimizer = self._generator_optimizer()
        # Lazy regularization: rate and momentum are spread over one more step an interval.
        share = config.r1_interval / (config.r1_interval + 1)
        self.d_optimizer = torch.optim.Adam(
            self.d_parameters, lr=config.lr * share, betas=(0.0, 0.99**share)
        )
        self.pipe: AugmentPipe | None = None
        if config.augment != "off":
            self.pipe = AugmentPipe(
                config.augment, random=self.random, noise_rng=self.noise_rng, world=self.world
            )
        self.ada = AdaController(
            target=config.ada_target,
            interval=config.ada_interval,
            kimg=config.ada_kimg,
        )
        self.path = PathLength(world=self.world)
        self.gamma = (
            r1_gamma(generator.resolution, config.batch_size)
            if config.r1_weight is None
            else config.r1_weight
        )
        self.preview_z = torch.randn(16, generator.z_dim, generator=self.random).to(self.device)
        self.images = self.steps = 0
        self.r1 = 0.0

    def _generator_optimizer(self) -> torch.optim.Adam:
        parameters, share = list(self.trained.values()), 1.0
        if self.config.path_weight:
            share = self.config.path_interval / (self.config.path_interval + 1)
        lr, betas = self.config.lr * share, (0.0, 0.99**share)
        if self.stylegan2:
            return torch.optim.Adam(parameters, lr=lr, betas=betas)
        return rms_scaled_adam(parameters, lr=lr, betas=betas)

    def _fresh_discriminator(self) -> StyleGAN2Discriminator:
        config, generator = self.config, self.generator
        if config.discriminator_base is None and isinstance(generator, StyleGAN2Layers):
            channels = generator.channels
        else:
            channels = channel_table(
                generator.resolution,
                channel_base=config.discriminator_base or 8192,
                channel_max=config.discriminator_max,
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return StyleGAN2Discriminator(resolution=generator.resolution, channels=channels)

    @property
    def p(self) -> float:
        """Probability of each augmentation."""
        fixed = self.config.augment_p
        return self.ada.p if fixed is None else fixed

    def step(self) -> dict[str, float]:
        """One discriminator and one generator step; returns their losses."""
        config = self.config
        # One batch of fakes serves both: the generator does not change in between.
        with self._autocast():
            fake = self._generate(self._latents())
        self._learn_discriminator(True)
        with self._autocast():
            fake_logits = self._run_discriminator(self._augmented(fake.detach()))
            real_logits = self._run_discriminator(self._augmented(self._drawings()))
        loss_d = discriminator_logistic(real_logits, fake_logits)
        self._update(self.d_optimizer, loss_d, self.d_parameters)
        if self.gamma and self.steps % config.r1_interval == 0:
            self.r1 = self._penalize_slope()
        self._learn_discriminator(False)
        with self._autocast():
            loss_g = generator_logistic(self._run_discriminator(self._augmented(fake)))
        self._update(self.g_optimizer, loss_g, self.trained.values())
        if config.path_weight and self.steps % config.path_interval == 0:
            self._penalize_path()
        self.steps += 1
        self.images += config.batch_size
        self._update_average()
        sums = torch.stack([loss_g.detach(), loss_d.detach(), real_logits.detach().sign().mean()])
        shown_g, shown_d, sign = self.world.mean(sums).tolist()
        if self.pipe is not None and config.augment_p is None:
            self.ada.update(sign, config.batch_size)
        return {
            "loss_g": shown_g,
            "loss_d": shown_d,
            "r1": self.r1,
            "r_t": self.ada.r_t,
            "p": 0.0 if self.pipe is None else self.p,
        }

    def _penalize_slope(self) -> float:
        """R1 at the drawings themselves, through their augmentation as published."""
        real = self._drawings().requires_grad_()
        with self._autocast():
            penalty = r1_penalty(self._run_discriminator(self._augmented(real)), real)
        weight = self.gamma / 2 * self.config.r1_interval
        self._update(self.d_optimizer, penalty * weight, self.d_parameters)
        return float(self.world.mean(penalty))

    def _penalize_path(self) -> None:
        w_plus = self._latents()[: max(1, self.count // 2)].requires_grad_()
        images = self._generate(w_plus)
        penalty = self.path.penalty(images, w_plus, self._field(len(images), *images.shape[1:]))
        weight = self.config.path_weight * self.config.path_interval
        self._update(self.g_optimizer, penalty * weight, self.trained.values())

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def _update(
        self, optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter]
    ) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.world.mean_gradients(parameters)
        optimizer.step()

    def _learn_discriminator(self, learn: bool) -> None:
        for parameter in self.d_parameters:
            parameter.requires_grad_(learn)

    def _run_discriminator(self, images: Tensor) -> Tensor:
        return self.discriminator(images).float()

    def _augmented(self, images: Tensor) -> Tensor:
        return images.float() if self.pipe is None else self.pipe(images.float(), self.p)

    def _field(self, count: int, *shape: int) -> Tensor:
        """(count, *shape) standard normal."""
        whole = (count * self.world.size, *shape)
        drawn = torch.randn(whole, generator=self.noise_rng, device=self.device)
        return self.world.share(drawn)

    def _generate(self, w_plus: Tensor) -> Tensor:
        if not self.stylegan2:  # the compact one was trained with its noise maps fixed
            return self.generator.synthesize(self.generator.styles(w_plus), noise="const")
        noise = {
            f"{layer.name}.noise_const": self._field(
                len(w_plus), 1, layer.resolution, layer.resolution
            )
            for layer in self.generator.layers
            if layer.kind == "conv"
        }
        module = self.generator
        return functional_call(module, noise, (w_plus,), {"noise": "const"})

    def _drawings(self) -> Tensor:
        whole = self.config.batch_size
        index = torch.randint(len(self.drawings), (whole,), generator=self.random)
        images = to_float(self.drawings[self.world.share(index)].to(self.device))
        if self.config.mirror:
            mirrored = torch.rand(whole, 1, 1, 1, generator=self.random) < 0.5
            mirrored = self.world.share(mirrored).to(self.device)
            images = torch.where(mirrored, images.flip(3), images)
        return images

    @torch.no_grad()
    def _latents(self) -> Tensor:
        """w+ (B, num_ws, w_dim) of this process: fresh, mixed, and with characters' latents."""
        config, num_ws, whole = self.config, self.generator.num_ws, self.config.batch_size
        w_plus = self._fresh(whole)[:, None].repeat(1, num_ws, 1)
        if config.style_mixing:
            other = self._fresh(whole)[:, None]
            crossed = torch.rand(whole, generator=self.random) < config.style_mixing
            first = torch.randint(1, num_ws, (whole,), generator=self.random)
            from_other = crossed[:, None] & (torch.arange(num_ws) >= first[:, None])
            from_other = self.world.share(from_other).to(self.device)[..., None]
            w_plus = torch.where(from_other, other, w_plus)
        if config.character_share and self.latents is not None:
            chosen = torch.rand(whole, generator=self.random) < config.character_share
            index = torch.randint(len(self.latents), (whole,), generator=self.random)
            from_character = chosen[:, None] & (torch.arange(num_ws) >= config.character_level)
            from_character = self.world.share(from_character).to(self.device)[..., None]
            latents = self.latents[self.world.share(index).to(self.device)]
            w_plus = torch.where(from_character, latents, w_plus)
        return w_plus

    def _fresh(self, whole: int) -> Tensor:
        z = torch.randn(whole, self.generator.z_dim, generator=self.random)
        return self.generator.mapping(self.world.share(z).to(self.device))

    @torch.no_grad()
    def _update_average(self) -> None:
        half_life = min(self.config.ema_kimg * 1000, max(1.0, self.images * self.config.ema_rampup))
        keep = 0.5 ** (self.config.batch_size / half_life)
        for average, current in self.averaged:
            average.lerp_(current.detach(), 1 - keep)

    def finite(self) -> bool:
        """Whether every trained weight is finite."""
        weights = [*self.trained.values(), *self.d_parameters]
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
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
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
            "noise_rng": self.noise_rng.get_state(),
            "device": self.device.type,
            "preview_z": self.preview_z,
        }
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        def settings(config: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in config.items() if key not in FREE}

        differences = describe_difference(
            settings(state["config"]), settings(asdict(self.config))
        ) + describe_difference(state["generator_config"], self.generator.config())
        if differences:
            raise UsageError(
                f"the run to resume was started with other options ({'; '.join(differences)})",
                hint="Repeat its options, or start a new run elsewhere.",
            )
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.discriminator.load_state_dict(state["discriminator"])
        _load_moments(self.g_optimizer, state["g_optimizer"])
        _load_moments(self.d_optimizer, state["d_optimizer"])
        self.ada.load_state_dict(state["ada"])
        self.path.load_state_dict(state["path"])
        self.images, self.steps, self.r1 = state["images"], state["steps"], state["r1"]
        self.preview_z = state["preview_z"].to(self.device)
        self.random.set_state(state["random"])
        if state["device"] == self.device.type:
            self.noise_rng.set_state(state["noise_rng"])
        else:  # another kind of device has random numbers of its own
            self.noise_rng.manual_seed(self.config.seed + self.images)


def _load_moments(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Go on from a snapshot, with the rates of this run's options."""
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
