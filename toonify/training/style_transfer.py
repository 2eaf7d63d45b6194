"""Training of AdaIN's networks (arXiv 1703.06868, §6) on a folder of pictures and one of styles.

As published, the encoder stays as it is and the decoder learns, the encoder judging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import InputError
from toonify.faces.types import RGB
from toonify.media.images import iter_images, read_image
from toonify.models.style_transfer.adain import AdaINNetwork, StyleEncoder, adain_losses
from toonify.training.core.loop import require_positive, same_batches
from toonify.training.core.schedule import warmup_cosine

ITEMS = 4  # in a preview
VGG16_DEPTHS = (2, 2, 3)
TRIES = 50  # damaged pictures in a row before a folder is given up
# the normalisation of LPIPS, for pictures in [-1, 1]
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


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


class PictureFolder:
    """Random crops of a folder's pictures.

    Raises:
        InputError: no such folder, or no picture in it.
    """

    def __init__(self, folder: Path, *, crop: int) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder", hint="Name a folder of pictures.")
        self.folder, self.crop = folder, crop
        self.paths = sorted(iter_images(folder, recursive=True))
        if not self.paths:
            raise InputError(f"no image in {folder}", hint="Put PNG or JPEG pictures there.")

    def batch(self, count: int, random: np.random.Generator) -> Tensor:
        """(count, 3, crop, crop) in [0, 1]."""
        crops = [self._crop(random) for _ in range(count)]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255

    def _crop(self, random: np.random.Generator) -> RGB:
        for last in reversed(range(TRIES)):
            path = self.paths[int(random.integers(len(self.paths)))]
            try:
                return random_crop(read_image(path).rgb, self.crop, random)
            except InputError:  # damaged: another one
                if not last:
                    raise
        raise AssertionError("unreachable")


def random_crop(rgb: RGB, size: int, random: np.random.Generator) -> RGB:
    """(size, size, 3) out of (H, W, 3), shrunk at random to between one and two crops, flipped."""
    short = size * float(random.uniform(1, 2))
    scale = short / min(rgb.shape[:2])
    height, width = (max(size, round(side * scale)) for side in rgb.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(rgb, (width, height), interpolation=how)
    top, left = (int(random.integers(side - size + 1)) for side in (height, width))
    cut = small[top : top + size, left : left + size]
    return np.ascontiguousarray(cut[:, ::-1] if random.random() < 0.5 else cut)


def normalized_vgg16(
    convolutions: Sequence[tuple[Tensor, Tensor]], samples: Tensor, *, depths: Sequence[int]
) -> StyleEncoder:
    """ImageNet's VGG-16 as an encoder whose channels have the mean activation 1.

    That is how Gatys et al. (2016) normalised the VGG-19 of the published network. A channel's
    scale passes through its ReLU, so it is taken into the weights.

    Args:
        convolutions: (weight OIHW, bias) of VGG-16 in order, for pictures normalised as LPIPS's.
        samples: (N, 3, H, W) in [0, 1] whose mean activations are taken.
        depths: as `StyleEncoder`'s; VGG-16's are (2, 2, 3).
    """
    count = sum(depths) + 1
    widths = [convolutions[sum(depths[:level])][0].shape[0] for level in range(len(depths) + 1)]
    encoder = StyleEncoder(widths=widths, depths=depths).requires_grad_(False)
    places = [layer for layer in encoder if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        scale, shift = torch.tensor(LPIPS_SCALE), torch.tensor(LPIPS_SHIFT)
        places[0].weight.copy_(torch.diag(2 / scale)[..., None, None])
        assert places[0].bias is not None
        places[0].bias.copy_(-(1 + shift) / scale)
        for place, (weight, bias) in zip(places[1:], convolutions[:count], strict=True):
            place.weight.copy_(weight)
            assert place.bias is not None
            place.bias.copy_(bias)
        x, scales = samples, torch.ones(3)
        for layer in encoder:
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(scales[:, None, None])
                last = layer
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                mean = x.mean((0, 2, 3))
                scales = mean.clamp_min(0.1 * float(mean.mean()))
                last.weight.div_(scales[:, None, None, None])
                assert last.bias is not None
                last.bias.div_(scales)
                x = x / scales[:, None, None]
    return encoder


class StyleTrainer:
    """Trains the decoder of a network; see `toonify.training.core.loop.Trainer`."""

    def __init__(
        self,
        network: AdaINNetwork,
        contents: PictureFolder,
        styles: PictureFolder,
        settings: StyleTrainSettings,
    ) -> None:
        self.network, self.contents, self.styles = network, contents, styles
        self.settings = settings
        network.encoder.requires_grad_(False)
        self.trained = list(network.decoder.parameters())
        self.optimizer = torch.optim.Adam(self.trained, lr=settings.lr)
        self.device = self.trained[0].device
        self.random = np.random.default_rng(settings.seed)
        self.steps_done = 0
        shown = np.random.default_rng(settings.seed + 1)
        self._shown = contents.batch(ITEMS, shown), styles.batch(ITEMS, shown)

    @property
    def average(self) -> AdaINNetwork:
        """What is kept: the network itself."""
        return self.network

    @property
    def step_count(self) -> int:
        return self.steps_done

    @property
    def kimg(self) -> float:
        return self.steps_done * self.settings.batch_size / 1000

    def step(self) -> dict[str, Tensor]:
        settings = self.settings
        content = self.contents.batch(settings.batch_size, self.random).to(self.device)
        style = self.styles.batch(settings.batch_size, self.random).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * self._rate()
        losses = self._losses(content, style)
        total = losses["content"] + settings.style_weight * losses["style"]
        if settings.reconstruction:
            total = total + settings.reconstruction * losses["reconstruction"]
        self.steps_done += 1
        if total.isfinite():
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            nn.utils.clip_grad_norm_(self.trained, 10.0)
            self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _rate(self) -> float:
        return warmup_cosine(self.steps_done, self.settings.steps, warmup=100, floor=0.02)

    def _losses(self, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        content_loss, style_loss = adain_losses(self.network, content, style)
        losses = {"content": content_loss, "style": style_loss}
        if self.settings.reconstruction:
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

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.bit_generator.state,
            "steps": self.steps_done,
            "settings": asdict(self.settings),
            "config": self.network.config(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        same_batches(state["settings"], self.settings.batch_size)
        if state["config"] != self.network.config():
            raise ValueError("another architecture")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.bit_generator.state = state["random"]
        self.steps_done = int(state["steps"])


def style_samples(folders: Sequence[PictureFolder], count: int, seed: int) -> Tensor:
    """Crops (N, 3, crop, crop) in [0, 1] of several folders, for `normalised_vgg16`."""
    random = np.random.default_rng(seed)
    return torch.cat([folder.batch(count, random) for folder in folders])


def decoder_to_train(
    encoder: Path | None, folders: Sequence[PictureFolder], *, seed: int = 0
) -> AdaINNetwork:
    """A network with a known encoder and a fresh decoder.

    Args:
        encoder: folder with the published `vgg_normalised.pth`; None for LPIPS's VGG-16.
        folders: whose pictures VGG-16's activations are normalised on.

    Raises:
        ModelError: no such file, or not that network's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if encoder is None:
            from toonify.metrics.lpips import find_trunk, read_trunk

            trunk = read_trunk(find_trunk("vgg"), "vgg")
            samples = style_samples(folders, 16, seed)
            network = AdaINNetwork(depths=VGG16_DEPTHS)
            normalized = normalized_vgg16(trunk, samples, depths=VGG16_DEPTHS)
            network.encoder.load_state_dict(normalized.state_dict())
        else:
            from toonify.checkpoints.style_networks import load_vgg19

            network = AdaINNetwork()
            load_vgg19(network, encoder)
    return network
