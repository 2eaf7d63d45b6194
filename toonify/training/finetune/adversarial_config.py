"""Options of adversarial fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from toonify.errors import UsageError
from toonify.training.augment.pipe import PRESETS
from toonify.training.core.loop import require_positive
from toonify.utils.arguments import check_positive, check_range


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Options of adversarial fine-tuning (`finetune_adversarial`).

    Attributes:
        kimg: thousand images to show the discriminator.
        batch_size: drawings a step, of all processes together.
        freeze_below: layers of a lower resolution keep their weights; 4 trains them all.
        freeze_d: first layers of the discriminator that keep their weights (Freeze-D,
            arXiv 2002.10964), counted from the image: 1 is from_rgb, 4 the first block too.
        lr: Adam's rate for both networks; scaled by each tensor's RMS where the generator's
            weights are not equalized (all families but StyleGAN2).
        r1_weight: gamma of R1; None takes StyleGAN2-ADA's rule from resolution and batch size.
        r1_interval: steps between two R1 steps.
        path_weight: of path-length regularization, 0 for none (2 in StyleGAN2).
        path_interval: steps between two path-length steps.
        style_mixing: probability of crossing two latents at a random layer.
        character_share: share of samples whose layers from `character_level` on take a
            character's latent.
        character_level: first row of w+ that is the character's.
        mirror: mirror half the drawings.
        augment: the discriminator's augmentations, see `AugmentPipe`; "off" for none.
        augment_p: fixed probability of each; None adapts it (ADA).
        ada_target: of r_t.
        ada_interval: steps between two adjustments.
        ada_kimg: thousand images that p needs from 0 to 1; published: 100 for fine-tuning, 500
            from scratch.
        ema_kimg: half-life of the weight average.
        ema_rampup: the half-life is at most this share of the images shown so far.
        discriminator_base: a fresh one's channels are min(base / resolution, discriminator_max);
            None takes those of a StyleGAN2 generator, and 8192 beside other families.
        discriminator_max: see `discriminator_base`.
        snapshot_kimg: thousand images between snapshots (and previews).
        keep: generators of so many previews are kept, as generator-KIMG.safetensors.
        log_every: steps between two lines of metrics.
        seed: of weights, latents, augmentation and the order of drawings.
        bfloat16: run both networks under autocast; path length stays in float32.
    """

    kimg: float = 20.0
    batch_size: int = 8
    freeze_below: int = 32
    freeze_d: int = 0
    lr: float = 2e-3
    r1_weight: float | None = None
    r1_interval: int = 16
    path_weight: float = 0.0
    path_interval: int = 4
    style_mixing: float = 0.0
    character_share: float = 0.0
    character_level: int = 6
    mirror: bool = True
    augment: str = "bgc"
    augment_p: float | None = None
    ada_target: float = 0.6
    ada_interval: int = 4
    ada_kimg: float = 100.0
    ema_kimg: float = 10.0
    ema_rampup: float = 0.05
    discriminator_base: int | None = None
    discriminator_max: int = 256
    snapshot_kimg: float = 1.0
    keep: int = 0
    log_every: int = 4
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        require_positive(self, "kimg", "batch_size", "lr", "snapshot_kimg", "log_every")
        require_positive(self, "r1_interval", "path_interval", "ada_interval")
        require_positive(self, "ada_kimg", "ema_kimg", "discriminator_max")
        check_positive("discriminator_base", self.discriminator_base, whole=True)
        for name in ("augment_p", "style_mixing", "character_share", "ema_rampup"):
            check_range(name, getattr(self, name), 0, 1)
        for name in ("r1_weight", "path_weight"):
            check_range(name, getattr(self, name), 0)
        for name in ("freeze_below", "freeze_d", "character_level", "keep"):
            check_range(name, getattr(self, name), 0, whole=True)
        check_range("seed", self.seed, whole=True)
        if self.augment not in ("off", *PRESETS):
            raise UsageError(
                f"unknown augmentation {self.augment!r}",
                hint=f"Choose `augment` off or one of {', '.join(PRESETS)}.",
            )


# These may change between a run and its resumption; everything else must stay.
FREE = ("kimg", "snapshot_kimg", "keep", "log_every", "lr", "r1_weight", "bfloat16")
