"""One step of training FusionNet, and everything a resumption of it needs.

The published training is unknown. Ours needs no picture: the generator's own activations say where
a latent renders background, hair, face and neck, and are what the fused latent's are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.editing.edits import moved
from toonify.editing.named import PARSED_AT
from toonify.models.fusion_net import FUSED_TO, FusionNet
from toonify.models.generators.hybrid import HybridGenerator
from toonify.training.core.loop import require_positive
from toonify.training.core.resumption import AveragingTrainer
from toonify.training.core.schedule import set_rate, warmup_cosine
from toonify.training.data.latent_samples import sample_w_plus
from toonify.training.hfgi.pairs import Direction
from toonify.utils.continuation import continued
from toonify.utils.tensors import to_uint8

SHOWN = 6  # pairs of a preview
MOST = 6.0  # strength of an edit
UNRELATED = 0.2  # share of the pairs that are two people
MIXED = 0.6  # of the latents, whose rows are of two latents, since an encoder's rows differ
_WARM_UP = 50  # steps
_DECAY = 0.99  # of the running average


@dataclass(frozen=True, kw_only=True)
class FusionWeights:
    """Of the loss terms; 0 leaves one out.

    Attributes:
        person: activations as the person's latent gives them, where it renders one.
        background: as the other latent gives them, where both render background.
        behind: as that background goes on, where the other latent's person stood.
        layout: what is person and what background, as in the person's rendering.
    """

    person: float = 1.0
    background: float = 1.0
    behind: float = 0.5
    layout: float = 1.0


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """Options of training.

    Attributes:
        steps: optimizer steps.
        batch_size: pairs of latents a step.
        lr: AdamW's peak rate, of weights that are multiplied by 0.01; falls to a fiftieth.
        bfloat16: where that is exact enough.
    """

    steps: int = 1000
    batch_size: int = 8
    lr: float = 0.1
    weights: FusionWeights = FusionWeights()
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr")


class FusionTrainer(AveragingTrainer[FusionConfig, FusionNet, torch.Generator]):
    """FusionNet in training; see `toonify.training.core.loop.Trainer`.

    Args:
        network: to be trained.
        generator: whose latents are fused.
        parser: (C + 1, regions), what activations at 64×64 say of regions, background first.
        directions: edits that make pairs of one latent.

    Attributes:
        average: the network's running average, for use.
    """

    def __init__(
        self,
        network: FusionNet,
        generator: HybridGenerator,
        parser: Tensor,
        directions: Sequence[Direction],
        config: FusionConfig,
    ) -> None:
        network.check(generator)
        self.generator = generator.eval().requires_grad_(False)
        self.device = generator.w_avg.device
        self.parser, self.directions, self.config = parser.to(self.device), directions, config
        self.begin(network, config.lr)
        self.random = torch.Generator().manual_seed(config.seed)

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        factor = warmup_cosine(self.step_count, self.config.steps, warmup=_WARM_UP, floor=0.02)
        set_rate(self.optimizer, self.config.lr * factor)
        person, background = self.draw(self.config.batch_size, self.random)
        losses = self.losses(self.network, person, background)
        return self.learn(losses, self.config.weights, decay=_DECAY)

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """w+ (B, L, D) of people and of backgrounds: mostly one latent, edited and not."""
        w_plus = sample_w_plus(self.generator, count, random, mixed=MIXED)
        edited = sample_w_plus(self.generator, count, random, mixed=MIXED)  # another person
        for i in range(count):
            if float(torch.rand((), generator=random)) < UNRELATED:
                continue
            vector, layers = self.directions[
                int(torch.randint(len(self.directions), (), generator=random))
            ]
            strength = float(torch.rand((), generator=random) * 2 - 1) * MOST
            edited[i : i + 1] = moved(w_plus[i : i + 1], vector, strength, layers)
        return edited, w_plus

    def losses(self, network: FusionNet, person: Tensor, background: Tensor) -> dict[str, Tensor]:
        """Of the fused latent's activations at 32×32, in deviations of the person's."""
        generator = self.generator
        with torch.no_grad(), self._arithmetic():
            mine, front = self._seen(generator.styles(person))
            theirs, other = self._seen(generator.styles(background))
        scale = mine.std(dim=(0, 2, 3), keepdim=True) + 1e-4
        with self._arithmetic():
            fused, layout = self._seen(network.fuse(generator, person, background))
        head, wall, gone = regions(front, other, fused.shape[-1])
        target = continued(theirs, 1 - _pooled(other, fused.shape[-1]))
        losses = {
            "person": _within(((fused - mine) / scale).square(), head),
            "background": _within(((fused - theirs) / scale).square(), wall),
            "behind": _within(((fused - target) / scale).square(), gone),
            "layout": (layout - front).abs().mean(),
        }
        return losses

    def _seen(self, styles: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Activations (B, C, 32, 32), and the probability of a person (B, 1, 64, 64)."""
        x = self.generator.features(styles, resolution=FUSED_TO)
        deep = self.generator.deep_features(x, styles, resolution=PARSED_AT).float()
        scores = torch.einsum("bchw,c->bhw", deep, self.parser[:-1, 0].float())
        wall = (scores + self.parser[-1, 0]).clamp(0, 1)
        return x.float(), (1 - wall)[:, None]

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Background's picture, person's, and the fused one (N, 3, S, 3S)."""
        person, background = self.draw(SHOWN, torch.Generator().manual_seed(self.config.seed + 1))
        rows = []
        for a, b in zip(person[:, None], background[:, None], strict=True):
            with self._arithmetic():
                styles = (
                    self.generator.styles(b),
                    self.generator.styles(a),
                    self.average.fuse(self.generator, a, b),
                )
                rows.append(torch.cat([self.generator.synthesize(x).float() for x in styles], 3))
        return to_uint8(torch.cat(rows))

    def must_match(self) -> dict[str, Any]:
        return {"network_config": self.network.config()}


def regions(front: Tensor, other: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where the person is, where both are background, and where the other's person was alone.

    Args:
        front, other: probabilities of a person (B, 1, S, S) in the two renderings.
        size: of the answers, (B, 1, size, size).
    """
    mine, theirs = _pooled(front, size), _pooled(other, size)
    wall = F.max_pool2d(torch.maximum(mine, theirs), 3, 1, 1)
    return mine, 1 - wall, theirs * (1 - F.max_pool2d(mine, 3, 1, 1))


def _pooled(x: Tensor, size: int) -> Tensor:
    return F.adaptive_max_pool2d(x, size)


def _within(x: Tensor, mask: Tensor) -> Tensor:
    return (x.mean(dim=1, keepdim=True) * mask).sum() / (mask.sum() + 1)
