"""Training of AdaIN's networks (arXiv 1703.06868, §6) on a folder of pictures and one of styles.

As published, the encoder stays as it is and the decoder learns, the losses compare its features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.checkpoints.style_networks import load_vgg19
from toonify.models.style_transfer.adain import AdaINNetwork, adain_losses
from toonify.training.core.loop import require_positive
from toonify.training.core.resumption import Parts, ResumableTrainer
from toonify.training.core.schedule import set_rate, warmup_cosine
from toonify.training.style_transfer.pictures import PictureFolder, style_samples
from toonify.training.style_transfer.vgg import DEPTHS, lpips_vgg16

ITEMS = 4  # in a preview


@dataclass(frozen=True, kw_only=True)
class StyleTrainSettings:
    """How to train.

    Attributes:
        steps: planned; the rate falls towards the end.
        batch_size: pairs of content and style a step.
        crop: height and width of the random crops.
        lr: Adam's peak rate.
        style_weight: of the style loss beside the content loss.
        reconstruction: weight of |g(f(x)) − x|, so that alpha 0 gives the picture back.
        seed: of everything random.
    """

    steps: int = 160_000
    batch_size: int = 8
    crop: int = 256
    lr: float = 1e-4
    style_weight: float = 10.0
    reconstruction: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "crop", "lr", "style_weight")


class StyleTrainer(ResumableTrainer[StyleTrainSettings]):
    """Trains the decoder of a network; see `toonify.training.core.loop.Trainer`."""

    def __init__(
        self,
        network: AdaINNetwork,
        contents: PictureFolder,
        styles: PictureFolder,
        config: StyleTrainSettings,
    ) -> None:
        self.network, self.contents, self.styles = network, contents, styles
        self.config = config
        network.encoder.requires_grad_(False)
        self.trained = list(network.decoder.parameters())
        self.optimizer = torch.optim.Adam(self.trained, lr=config.lr)
        self.device = self.trained[0].device
        self.random = np.random.default_rng(config.seed)
        shown = np.random.default_rng(config.seed + 1)
        self._shown = contents.batch(ITEMS, shown), styles.batch(ITEMS, shown)

    @property
    def average(self) -> AdaINNetwork:
        """What is kept: the network itself."""
        return self.network

    def parts(self) -> Parts:
        return {"network": self.network, "optimizer": self.optimizer, "random": self.random}

    def must_match(self) -> dict[str, Any]:
        return {"architecture": self.network.config()}

    def step(self) -> dict[str, Tensor]:
        config = self.config
        content = self.contents.batch(config.batch_size, self.random).to(self.device)
        style = self.styles.batch(config.batch_size, self.random).to(self.device)
        rate = warmup_cosine(self.step_count, config.steps, warmup=100, floor=0.02)
        set_rate(self.optimizer, config.lr * rate)
        losses = self._losses(content, style)
        total = losses["content"] + config.style_weight * losses["style"]
        if config.reconstruction:
            total = total + config.reconstruction * losses["reconstruction"]
        self.step_count += 1
        if total.isfinite():
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            nn.utils.clip_grad_norm_(self.trained, 10.0)
            self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _losses(self, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        content_loss, style_loss = adain_losses(self.network, content, style)
        losses = {"content": content_loss, "style": style_loss}
        if self.config.reconstruction:
            part = content[: max(1, len(content) // 4)]
            with torch.no_grad():
                feature = self.network.encoder(part)
            losses["reconstruction"] = F.l1_loss(self.network.decoder(feature), part)
        return losses

    def finite(self) -> bool:
        return all(bool(p.isfinite().all()) for p in self.trained)

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Contents, styles and results, (3N, 3, crop, crop) uint8."""
        content, style = (x.to(self.device) for x in self._shown)
        made = self.network(content, style)[..., : content.shape[2], : content.shape[3]]
        return (torch.cat([content, style, made]).clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def decoder_to_train(
    encoder: Path | None, folders: Sequence[PictureFolder], *, seed: int = 0
) -> AdaINNetwork:
    """A network with a known encoder and a fresh decoder.

    Args:
        encoder: folder with the published `vgg_normalised.pth`; None for LPIPS's VGG-16.
        folders: whose pictures VGG-16's activations are normalized on.

    Raises:
        ModelError: no such file, or not that network's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if encoder is None:
            network = AdaINNetwork(depths=DEPTHS)
            trunk = lpips_vgg16(style_samples(folders, 16, seed))
            network.encoder.load_state_dict(trunk.state_dict())
        else:
            network = AdaINNetwork()
            load_vgg19(network, encoder)
    return network
