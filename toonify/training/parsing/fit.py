"""Training of the parsing network on composed pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from toonify.faces.parsing import ATTRIBUTES, GLASSES, LABELS
from toonify.models.parsing import WIDTHS, ParsingNetwork
from toonify.training.core.loop import require_positive
from toonify.training.core.schedule import ema_decay, update_ema, warmup_cosine
from toonify.training.parsing.compose import SIDE, compose
from toonify.training.parsing.drawn import Drawer
from toonify.training.parsing.faces import LabeledFaces
from toonify.training.parsing.labels import IGNORED

# Small parts weigh more in the loss
WEIGHTS = {
    "ear": 2.0, "neck": 1.5, "brow": 2.5, "eye": 3.0, "lips": 2.5, "mouth": 2.5, "glasses": 3.0,
    "sunglasses": 2.0, "beard": 2.0, "hand": 1.3, "object": 1.3,
}  # fmt: skip
EMA = 0.998
POOL = 1024  # composed pictures kept, to be used again


@dataclass(frozen=True)
class ParsingConfig:
    """Options of the training.

    Attributes:
        steps: batches to learn from.
        batch_size: pictures a batch; half of them newly composed, half used before.
        lr: highest rate of AdamW, in a cosine with a short warm-up.
        sizes: sides of the pictures, and how often each is taken. Smaller ones cost less, and are
            what faces that fill less of the picture look like.
        drawn: share of pictures that are drawn by the bundle's network, labels unchanged.
        bfloat16: autocast, where the processor has it.
        seed: of everything.
    """

    steps: int = 6000
    batch_size: int = 16
    lr: float = 3e-3
    sizes: tuple[tuple[int, float], ...] = ((128, 0.6), (192, 0.2), (256, 0.2))
    drawn: float = 0.0
    bfloat16: bool = True
    seed: int = 0
    widths: tuple[int, int, int, int, int] = WIDTHS


class ComposedPictures(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless pictures (256, 256, 3), labels (256, 256), attributes (4,); the same for a seed."""

    def __init__(self, folder: Path, *, seed: int, start: int = 0, drawn: float = 0.0) -> None:
        self.folder, self.seed, self.start, self.drawn = folder, seed, start, drawn

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        cv2.setNumThreads(1)
        faces = LabeledFaces(self.folder)
        drawer = Drawer() if self.drawn else None
        number = self.start
        while True:
            rng = np.random.default_rng([self.seed, number])
            draws = drawer is not None and rng.random() < self.drawn
            made = compose(faces, rng, camera=not draws)
            if drawer is not None and draws:
                made = replace(made, rgb=drawer(made.rgb, rng))
            yield tuple(torch.from_numpy(a) for a in (made.rgb, made.labels, made.attributes))  # type: ignore[misc]
            number += 1


class ParsingTrainer:
    """Learns to label composed pictures; a `toonify.training.core.loop.Trainer`.

    Args:
        folder: of labeled faces.
        workers: 1 composes in a process of its own, 0 in this one.

    Raises:
        InputError: the folder holds none.
        UsageError: senseless options.
    """

    def __init__(self, folder: Path, config: ParsingConfig, *, workers: int = 1) -> None:
        require_positive(config, "steps", "batch_size", "lr")
        LabeledFaces(folder)
        self.config, self._folder, self._workers = config, folder, min(workers, 1)
        torch.manual_seed(config.seed)
        self.network = ParsingNetwork(
            labels=len(LABELS), attributes=len(ATTRIBUTES), widths=config.widths
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), config.lr, weight_decay=1e-4)
        self._weights = torch.tensor([WEIGHTS.get(name, 1.0) for name in LABELS])
        self._steps = 0
        self._pool: list[tuple[Tensor, ...]] = []
        self._stream: Iterator[list[Tensor]] | None = None

    @property
    def step_count(self) -> int:
        return self._steps

    @property
    def kimg(self) -> float:
        return self._steps * self.config.batch_size / 1000

    def step(self) -> dict[str, Tensor]:
        """One batch: mean loss of labels, of the kind of glasses, of the other attributes."""
        rng = np.random.default_rng([self.config.seed, 1, self._steps])
        rgb, labels, attributes = self._batch(rng)
        sizes, shares = zip(*self.config.sizes, strict=True)
        side = int(rng.choice(sizes, p=shares))
        x = rgb.permute(0, 3, 1, 2).float() / 255
        if side != SIDE:
            x = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        shift = rng.normal(0, 0.12, (len(x), 1, 1, 1)) + rng.normal(0, 0.03, (len(x), 3, 1, 1))
        x = (x * torch.from_numpy(np.exp(shift)).float()).clamp(0, 1)
        if rng.random() < 0.5:
            x, labels = x.flip(3), labels.flip(2)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * self._rate()
        self.network.train()
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.config.bfloat16):
            logits, numbers = self.network(x)
        losses = {
            "labels": label_loss(logits.float(), labels, self._weights),
            **attribute_losses(numbers.float(), attributes),
        }
        total = losses["labels"] + 0.15 * (losses["glasses"] + losses["worn"])
        self.optimizer.zero_grad()
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        if torch.isfinite(norm):
            self.optimizer.step()
            self._update_ema()
        self._steps += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def finite(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.network.parameters())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """(8, 3, 256, 512) uint8: composed pictures beside what the averaged network sees."""
        pictures = self.pictures()
        logits, _ = self.averaged().eval()(pictures)
        logits = F.interpolate(logits, size=pictures.shape[2:], mode="bilinear")
        shown = torch.from_numpy(label_colors())[logits.argmax(1)].permute(0, 3, 1, 2)
        rgb = (pictures * 255).round().to(torch.uint8)
        return torch.cat([rgb, ((rgb.int() + 2 * shown.int()) // 3).to(torch.uint8)], 3)

    def pictures(self, count: int = 8) -> Tensor:
        """(B, 3, 256, 256) in 0..1: composed pictures that the training does not see."""
        data = ComposedPictures(
            self._folder, seed=self.config.seed + 1_000_000, drawn=self.config.drawn
        )
        made = [rgb for rgb, _, _ in itertools.islice(data, count)]
        return torch.stack(made).permute(0, 3, 1, 2).float() / 255

    def averaged(self) -> ParsingNetwork:
        """The network with its averaged weights."""
        network = ParsingNetwork(
            labels=len(LABELS), attributes=len(ATTRIBUTES), widths=self.config.widths
        )
        network.load_state_dict(self.ema)
        return network

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of another training.

        Raises:
            RuntimeError: they are of another network.
        """
        self.network.load_state_dict(weights)
        self.ema = {k: v.clone() for k, v in self.network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "steps": self._steps,
            "config": asdict(self.config),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = {k: v.clone() for k, v in state["ema"].items()}
        self._steps = int(state["steps"])
        self._pool, self._stream = [], None

    def _batch(self, rng: np.random.Generator) -> list[Tensor]:
        fresh = max(1, self.config.batch_size // 2)
        if self._stream is None:  # after a resumption the pool is composed again
            start = max(0, self._steps - POOL // fresh) * fresh
            data = ComposedPictures(
                self._folder, seed=self.config.seed, start=start, drawn=self.config.drawn
            )
            ahead = {"prefetch_factor": 16} if self._workers else {}
            self._stream = iter(
                DataLoader(data, batch_size=fresh, num_workers=self._workers, **ahead)  # type: ignore[arg-type]
            )
            for _ in range(self._steps - start // fresh):
                self._take()
        new = self._take()
        older = rng.choice(len(self._pool), self.config.batch_size - len(new))
        chosen = [*new, *(self._pool[i] for i in older)]
        return [torch.stack(parts) for parts in zip(*chosen, strict=True)]

    def _take(self) -> list[tuple[Tensor, ...]]:
        assert self._stream is not None
        parts = next(self._stream)
        new = [tuple(part[i].clone() for part in parts) for i in range(len(parts[0]))]
        self._pool = (self._pool + new)[-POOL:]
        return new

    def _rate(self) -> float:
        return warmup_cosine(self._steps, self.config.steps, warmup=60, floor=0.02)

    def _update_ema(self) -> None:
        decay = ema_decay(self._steps, EMA, rampup=20)
        update_ema(self.ema, self.network.state_dict(), decay)


def label_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy of logits (B, C, h, w) with labels (B, H, W); of each of four pixels under one
    of the logits', so that borders are learnt as shares. `IGNORED` labels don't count."""
    size = (2 * logits.shape[2], 2 * logits.shape[3])
    if labels.shape[1:] != size:
        labels = F.interpolate(labels[:, None].float(), size=size, mode="nearest-exact")[:, 0]
    labels = torch.where(labels == IGNORED, -100, labels.long())
    log_p = logits.log_softmax(1)
    total, count = log_p.new_zeros(()), log_p.new_zeros(())
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part = labels[:, i::2, j::2]
        total = total + F.nll_loss(log_p, part, weight=weights, reduction="sum")
        count = count + weights[part[part >= 0]].sum()
    return total / count.clamp(min=1e-6)


def attribute_losses(logits: Tensor, attributes: Tensor) -> dict[str, Tensor]:
    """Of the kind of glasses, and of beard, moustache, headwear; unknown ones (-1) don't count.

    Args:
        logits: (B, 7) of `ATTRIBUTES`. attributes: (B, 4) as in `Sample`.
    """
    kinds = len(GLASSES)
    target = torch.where(attributes[:, 0] >= 0, attributes[:, 0], -100).long()
    glasses = F.cross_entropy(logits[:, :kinds], target, reduction="sum")
    known = attributes[:, 1:] >= 0
    worn = F.binary_cross_entropy_with_logits(
        logits[:, kinds:], attributes[:, 1:].clamp(0, 1), reduction="none"
    )
    return {
        "glasses": glasses / (target >= 0).sum().clamp(min=1),
        "worn": (worn * known).sum() / known.sum().clamp(min=1),
    }


def label_colors() -> np.ndarray:
    """(17, 3) uint8, to show labels in."""
    hues = (np.arange(len(LABELS)) * 67 % 180).astype(np.uint8)
    hsv = np.stack([hues, np.full_like(hues, 170), np.full_like(hues, 230)], 1)[None]
    colors = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0])
    colors[0] = 40
    return colors
