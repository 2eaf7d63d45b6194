"""One step of training a StyleGANEX encoder, and everything a resumption of it needs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.inversion.optimize import fit_size
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.styleganex import StyleGANEXEncoder, composite
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.identity import Identity
from toonify.models.latents import w_deviation
from toonify.models.layer_swap import tensor_resolutions
from toonify.training.core.losses import identity_loss, perceptual_loss
from toonify.training.core.patches import new_patches, patch_losses
from toonify.training.core.resumption import Parts, ResumableTrainer
from toonify.training.core.schedule import ema_decay, update_ema, warmup_cosine
from toonify.training.styleganex.batch import FrameBatch, FrameConfig, FrameSource, at_size
from toonify.training.styleganex.crops import informative_crops
from toonify.training.styleganex.latent_supervision import feature_loss, latent_loss
from toonify.training.styleganex.tasks import Task
from toonify.training.styleganex.warps import random_warp, unwarped, warped
from toonify.utils.tensors import to_uint8

_MATCHING = 4.0  # feature matching against the adversarial loss
_RIM = 0.03  # of a frame's side, around what is to be drawn, where the drawing is compared too
_WARM_UP = 200  # steps in which the patch discriminator gains its full weight


class FrameTrainer(ResumableTrainer[FrameConfig]):
    """Encoder and generator, their running averages, and the networks of their losses.

    Attributes:
        encoder, base: in training.
        average, base_average: their running averages; `base_average` is `base` where it is frozen.
    """

    def __init__(
        self,
        config: FrameConfig,
        task: Task,
        encoder: StyleGANEXEncoder,
        generator: StyleGAN2Layers,
        source: FrameSource,
        *,
        perceptual: PerceptualLoss | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.config, self.task, self.source = config, task, source
        self.perceptual, self.identity = perceptual, identity
        self.device = generator.w_avg.device
        layout = torch.channels_last
        self.encoder = encoder.train().requires_grad_(True).to(memory_format=layout)
        self.base = generator.eval().requires_grad_(False).to(memory_format=layout)
        self.base_average, moving = self.base, {}
        if config.train_from is not None:
            self.base_average = copy.deepcopy(generator)
            resolutions = tensor_resolutions(generator)
            # a hybrid's compact layers have their scales folded in: no rate of these suits them
            kept = generator.folded
            for name, parameter in generator.named_parameters():
                if resolutions[name] >= config.train_from and not name.startswith(kept):
                    parameter.requires_grad_(True)
                    moving[f"base.{name}"] = parameter
            if not moving:
                raise UsageError(
                    f"no generator layer works at {config.train_from} or more",
                    hint=f"Choose at most {generator.resolution}.",
                )
        if task.noise == "zero":
            for parameter in (p for n, p in moving.items() if n.endswith("noise_strength")):
                parameter.requires_grad_(False)  # there is no noise to scale
        self.network = StyleGANEXGenerator(self.base)
        self.average = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.free = {f"encoder.{n}": p for n, p in encoder.named_parameters()} | {
            n: p for n, p in moving.items() if p.requires_grad
        }
        # equalized weights want a larger rate than plain ones
        groups: list[dict[str, Any]] = [
            {"params": [p for n, p in self.free.items() if n.startswith("encoder.")]},
            {"params": [p for n, p in self.free.items() if n.startswith("base.")], "scale": 2.0},
        ]
        self.optimizer = torch.optim.Adam(
            [group for group in groups if group["params"]], lr=config.lr, betas=(0.9, 0.99)
        )
        self.random = torch.Generator().manual_seed(config.seed)
        self.patches, self.patch_optimizer = new_patches(config.seed, self.device)
        self._deviation = w_deviation(generator, samples=2000)
        self._supervised = self._latent_losses
        self._run: Callable[..., tuple[Tensor, Tensor | None]] = self._generate
        if config.compiled:
            self._run, self._supervised = (
                torch.compile(self._generate),
                torch.compile(self._latent_losses),
            )
            if perceptual is not None:
                self.perceptual = perceptual.compiled()

    def _w_plus(self, batch: FrameBatch, encoder: StyleGANEXEncoder) -> Tensor:
        """w+ (B, num_ws, w_dim) that the batch is rendered with, before any editing."""
        if batch.w_plus is not None:
            return batch.w_plus
        w_plus = encoder.encode(batch.frames if batch.faces is None else batch.faces).float()
        if self.task.free_from is None or batch.theta is None:
            return w_plus
        # what a drawing leaves open is the picture's own, so that it needn't be guessed
        own = encoder.encode(unwarped(batch.targets, batch.theta, 256)).float()
        return torch.cat([w_plus[:, : self.task.free_from], own[:, self.task.free_from :]], dim=1)

    def _generate(
        self, w_plus: Tensor, frames: Tensor, v: Tensor | None, coarse: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The picture, and the matte's logits where the encoder gives them."""
        return self._draw(self.encoder, self.network, w_plus, frames, v, coarse=coarse)

    def _draw(
        self,
        encoder: StyleGANEXEncoder,
        network: StyleGANEXGenerator,
        w_plus: Tensor,
        frames: Tensor,
        v: Tensor | None,
        *,
        coarse: bool,
    ) -> tuple[Tensor, Tensor | None]:
        styles = network.styles(w_plus if v is None else w_plus + v)
        side = min(256, network.resolution) if coarse else None
        return encoder.draw(network, frames, styles, v=v, noise=self.task.noise, resolution=side)

    def _latent_losses(self, batch: FrameBatch) -> dict[str, Tensor]:
        """What is learnt of generated faces without rendering them."""
        if batch.latents is None or batch.theta is None:
            raise UsageError("latents are known of generated faces alone", hint="Give `pairs`.")
        known, losses = len(batch.latents), {}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            feature = self.encoder.frame_features(batch.frames[-known:]).feature.float()
            if batch.w_plus is None and batch.faces is not None:
                w_plus = self.encoder.encode(batch.faces[-known:]).float()
                losses["latent"] = latent_loss(w_plus, batch.latents, self._deviation)
        first = self.network.first_feature()
        return losses | {"feature": feature_loss(feature, first, batch.theta[-known:])}

    @property
    def _coarse(self) -> bool:
        last = self.config.steps - 1  # a finished run is still of its last step's kind
        return min(self.step_count, last) < self.config.steps * self.config.coarse_share

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        self._set_rate()
        batch = self.source.draw(self.config.batch_size, self.random).to(self.device)
        supervised = self.step_count < self.config.steps * self.config.supervised_share
        loss, metrics = self._latent_loss(batch) if supervised else self._rendered_loss(batch)
        metrics["loss"] = loss.detach()
        if not bool(torch.isfinite(loss)):
            return metrics
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.free.values(), 1.0)
        self.optimizer.step()
        self.step_count += 1
        self._average()
        return metrics

    def _latent_loss(self, batch: FrameBatch) -> tuple[Tensor, dict[str, Tensor]]:
        losses = self._supervised(batch)
        metrics = {name: value.detach() for name, value in losses.items()}
        return torch.stack(list(losses.values())).sum(), metrics

    def _rendered_loss(self, batch: FrameBatch) -> tuple[Tensor, dict[str, Tensor]]:
        config, weights = self.config, self.config.weights
        if self._coarse:
            side = min(256, self.network.resolution) * batch.frames.shape[-1] // 256
            batch = at_size(batch, side)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            w_plus = self._w_plus(batch, self.encoder)
            images, matte = self._run(w_plus, batch.frames, batch.v, self._coarse)
        images = images.float()
        losses = self._losses(batch, images, w_plus)
        if matte is not None and batch.matte is not None:
            found = fit_size(matte.float(), batch.matte)
            wanted = F.interpolate(batch.matte, size=found.shape[-2:], mode="area")
            losses["matte"] = F.binary_cross_entropy_with_logits(found, wanted)
        suppressed = self.step_count >= config.steps * (1 - config.flicker_share)
        if weights.flicker and suppressed and self.step_count % 2 == 0:
            losses["flicker"] = self._flicker(batch, images, matte, w_plus)
        loss = images.new_zeros(())
        for name, value in losses.items():
            loss = loss + self._weight(name) * value
        metrics = {name: value.detach() for name, value in losses.items()}
        if weights.adversarial:
            part, more = self._adversarial(batch, images)
            loss, metrics = loss + weights.adversarial * part, metrics | more
        return loss, metrics

    def _weight(self, name: str) -> float:
        return float(getattr(self.config.weights, {"edges": "l1", "coarse": "l1"}.get(name, name)))

    def _losses(self, batch: FrameBatch, images: Tensor, w_plus: Tensor) -> dict[str, Tensor]:
        weights, size = self.config.weights, self.config.perceptual_size
        everywhere = fit_size(images, batch.targets)
        found = self._covered(batch, everywhere)
        losses, difference = {}, found - batch.targets
        if weights.l2:
            losses["l2"] = difference.square().mean()
        if weights.l1:
            losses["l1"] = difference.abs().mean()
            losses["coarse"] = F.avg_pool2d(everywhere - batch.targets, 8).abs().mean()
            losses["edges"] = (
                difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
            )
        if weights.lpips and self.perceptual is not None:
            views = found, batch.targets
            if found.shape[-1] > size:  # layout and detail in turn: LPIPS is what costs most
                if self.step_count % 2:
                    views = self._crops(batch, found)
                else:
                    smaller = (F.interpolate(x, size=(size, size), mode="area") for x in views)
                    views = next(smaller), next(smaller)
            losses["lpips"] = perceptual_loss(self.perceptual, *views)
        if weights.identity and self.identity is not None and batch.theta is not None:
            face, wanted = (unwarped(x, batch.theta, 256) for x in (found, batch.targets))
            losses["identity"] = identity_loss(self.identity, face, wanted)
        if weights.latent and batch.latents is not None and batch.w_plus is None:
            losses["latent"] = latent_loss(w_plus, batch.latents, self._deviation)
        if weights.w_norm and batch.w_plus is None:
            away = w_plus - self.encoder.w_plus_mean
            losses["w_norm"] = away.flatten(1).norm(dim=1).mean()
        return losses

    def _covered(self, batch: FrameBatch, images: Tensor) -> Tensor:
        """The drawing with what it leaves of the frame taken from the target: not its business."""
        if batch.matte is None or not self.encoder.has_matte:
            return images
        reach = 2 * round(_RIM * images.shape[-1] / 2) + 1
        near = F.max_pool2d(batch.matte, reach, stride=1, padding=reach // 2)
        return batch.targets + near * (images - batch.targets)

    def _crops(self, batch: FrameBatch, images: Tensor) -> tuple[Tensor, Tensor]:
        """Parts of the pictures and their targets at full size."""
        before = batch.frames if batch.frames.shape[1] == batch.targets.shape[1] else None
        size = self.config.perceptual_size
        return informative_crops(images, batch.targets, before, size, self.random)

    def _flicker(
        self, batch: FrameBatch, images: Tensor, matte: Tensor | None, w_plus: Tensor
    ) -> Tensor:
        """Warping what was generated against generating from the warped frame."""
        theta = random_warp(len(images), self.random, tilt=8.0, zoom=0.08, shift=0.08)
        theta = theta.to(self.device)
        frames = warped(batch.frames, theta)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            again, matte_again = self._run(w_plus, frames, batch.v, self._coarse)
        again = again.float()
        if matte is not None and matte_again is not None:
            images = composite(images, batch.frames, matte.float())
            again = composite(again, frames, matte_again.float())
        inside = warped(torch.ones_like(images[:, :1]), theta, padding="zeros") > 0.999
        return ((again - warped(images, theta)).square() * inside).mean()

    def _adversarial(self, batch: FrameBatch, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        found = self._covered(batch, fit_size(images, batch.targets))
        crops = self._crops(batch, found)
        losses = patch_losses(
            self.patches, self.patch_optimizer, *reversed(crops), bfloat16=self.config.bfloat16
        )
        warmup = min(1.0, self.step_count / _WARM_UP)
        loss = warmup * (losses["patches"] + _MATCHING * losses["matching"])
        return loss, {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def _average(self) -> None:
        decay = ema_decay(self.step_count, self.config.ema)
        pairs: list[tuple[nn.Module, nn.Module]] = [(self.average, self.encoder)]
        if self.base_average is not self.base:
            pairs.append((self.base_average, self.base))
        for average, module in pairs:
            update_ema(dict(average.named_parameters()), dict(module.named_parameters()), decay)
            own = dict(module.named_buffers())
            for name, buffer in average.named_buffers():
                buffer.copy_(own[name])

    def _set_rate(self) -> None:
        """A hundred steps of warm-up, then a cosine down to a fiftieth."""
        factor = warmup_cosine(self.step_count, self.config.steps, warmup=100, floor=0.02)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * factor * group.get("scale", 1.0)

    def finite(self) -> bool:
        """Whether every weight in training is."""
        return all(bool(torch.isfinite(p).all()) for p in self.free.values())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Held-out frames, what should come of them, and what does: (N, 3, H, 3W) uint8."""
        batch = self.source.held_out().to(self.device)
        network = StyleGANEXGenerator(self.base_average)
        rows = []
        for i in range(len(batch.frames)):
            one = replace(
                batch, **{k: v[i : i + 1] for k, v in vars(batch).items() if v is not None}
            )
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
                w_plus = self._w_plus(one, self.average)
                image, matte = self._draw(
                    self.average, network, w_plus, one.frames, one.v, coarse=self._coarse
                )
                if matte is not None:
                    image = composite(image, one.frames, matte)
            seen = one.frames
            if seen.shape[1] != 3:
                seen = (
                    seen.argmax(1, keepdim=True).expand(-1, 3, -1, -1) / 9 - 1
                    if (seen.shape[1] > 1)
                    else seen.expand(-1, 3, -1, -1) * 2 - 1
                )
            size = one.targets.shape[-2:]
            seen = F.interpolate(seen.float(), size=size, mode="bilinear")
            shown = [seen, one.targets, fit_size(image.float(), one.targets)]
            rows.append(torch.cat(shown, dim=3))
        return to_uint8(torch.cat(rows))

    def parts(self) -> Parts:
        return {
            "encoder": self.encoder,
            "average": self.average,
            "base": self.base,
            "base_average": self.base_average,
            "optimizer": self.optimizer,
            "patches": self.patches,
            "patch_optimizer": self.patch_optimizer,
            "random": self.random,
        }

    def must_match(self) -> dict[str, Any]:
        return {"task": self.task.name}
