"""The losses of encoders: pSp's and ReStyle's on images, and latent losses where latents are known.

Published weights (pSp's and ReStyle's FFHQ configurations): L2 1, LPIPS 0.8, identity 0.1;
w-regularization 0 for plain inversion and 0.005 for translation tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.models.identity import Identity
from toonify.training.data.latent_samples import sample_w_plus
from toonify.training.encoders.data import SIZE, Batch, resized
from toonify.training.encoders.pose_reader import PoseReader
from toonify.utils.arguments import check_range

FEATURES = 16  # resolution of the activations that cross-domain style mixing hands on


@dataclass(frozen=True, kw_only=True)
class EncoderWeights:
    """Weights of the loss terms; 0 leaves one out.

    Attributes:
        latent: smooth L1 on w+ in units of w's deviation; generated faces only.
        features: smooth L1 on the generator's 16×16 activations; generated faces only.
        pose: smooth L1 on what a pose reader reads, in deviations; generated faces only.
        l2: mean squared error of the reconstruction, as the next two.
        lpips: perceptual distance.
        identity: one minus the similarity of face descriptors.
        w_norm: length of w+ − w̄ over all rows; photographs only.
    """

    latent: float = 1.0
    features: float = 1.0
    pose: float = 0.0
    l2: float = 1.0
    lpips: float = 0.8
    identity: float = 0.1
    w_norm: float = 0.005

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            check_range(name, weight, 0)

    @property
    def images(self) -> bool:
        """Whether any term needs the reconstruction."""
        return bool(self.l2 or self.lpips or self.identity)


@dataclass(frozen=True)
class Targets:
    """What a batch's reconstructions are compared with, computed once."""

    batch: Batch
    images: Tensor
    perceptual: list[Tensor] | None
    identity: Tensor | None
    features: Tensor | None
    pose: Tensor | None


class EncoderLoss:
    """Loss of predicted w+ against a batch.

    Args:
        generator: frozen.
        perceptual: LPIPS; AlexNet's, as published. Needed where its weight isn't 0.
        identity: the face descriptor, likewise.
        reader: of pose and expression, likewise; of this generator.
        bfloat16: render and compare in bfloat16.
    """

    def __init__(
        self,
        generator: Generator,
        weights: EncoderWeights,
        *,
        perceptual: PerceptualLoss | None = None,
        identity: Identity | None = None,
        reader: PoseReader | None = None,
        bfloat16: bool = True,
    ) -> None:
        if weights.lpips and perceptual is None:
            raise ValueError("the LPIPS term needs its network")
        if weights.identity and identity is None:
            raise ValueError("the identity term needs its network")
        if weights.pose and reader is None:
            raise ValueError("the pose term needs its reader")
        self.generator, self.weights, self.bfloat16 = generator, weights, bfloat16
        self.perceptual, self.identity, self.reader = perceptual, identity, reader
        self.size = min(SIZE, generator.resolution)
        w_plus = sample_w_plus(generator, 64, torch.Generator().manual_seed(0))
        self._w_std = w_plus[:, 0].std(0)
        self._scale = torch.ones(())
        if weights.features or weights.pose:
            with torch.no_grad():
                deviation = self._features(w_plus).std((0, 2, 3), keepdim=True)
            self._scale = deviation.clamp_min(1e-3)

    def render(self, w_plus: Tensor) -> Tensor:
        """w+ → images (B, 3, s, s), s being the generator's resolution or 256 if that is less."""
        with torch.autocast(w_plus.device.type, torch.bfloat16, enabled=self.bfloat16):
            images = self.generator.synthesize(self.generator.styles(w_plus))
        return resized(images.float(), self.size)

    @torch.no_grad()
    def targets(self, batch: Batch, *, every_term: bool = False) -> Targets:
        """Everything about a batch that doesn't depend on the prediction.

        Args:
            every_term: those of weight 0 too, where their network is there; for validation.
        """
        images = resized(batch.images, self.size)
        weights = self.weights
        lpips, identity = weights.lpips or every_term, weights.identity or every_term
        inner = bool(weights.features or weights.pose) and len(batch.w_plus) > 0
        features = self._features(batch.w_plus) if inner else None
        return Targets(
            batch,
            images,
            self.perceptual.features(images) if self.perceptual and lpips else None,
            self.identity(images) if self.identity and identity else None,
            features,
            self._pose(features, batch.w_plus) if features is not None and weights.pose else None,
        )

    def __call__(
        self, w_plus: Tensor, targets: Targets
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """Total, its terms before weighting (means over the faces they apply to), and images.

        Args:
            w_plus: predicted (B, num_ws, w_dim).

        Returns:
            images are None where no term needed them.
        """
        terms, image = self.latent_terms(w_plus, targets), None
        if self.weights.images:
            image = self.render(w_plus)
            terms |= self.image_terms(image, targets)
        weighted = [getattr(self.weights, name) * value for name, value in terms.items()]
        return torch.stack(weighted).sum(), terms, image

    def latent_terms(self, w_plus: Tensor, targets: Targets) -> dict[str, Tensor]:
        """The terms that need no reconstruction, each a mean over the faces it applies to."""
        batch, weights = targets.batch, self.weights
        terms = {}
        if len(batch.w_plus):
            generated = w_plus[batch.photos :]
            if weights.latent:
                difference = (generated - batch.w_plus) / self._w_std
                terms["latent"] = F.smooth_l1_loss(difference, torch.zeros_like(difference))
            if targets.features is not None:
                features = self._features(generated)
                if weights.features:
                    terms["features"] = F.smooth_l1_loss(features, targets.features)
                if targets.pose is not None:
                    terms["pose"] = F.smooth_l1_loss(self._pose(features, generated), targets.pose)
        if batch.photos and weights.w_norm:
            away = w_plus[: batch.photos] - self.generator.w_avg
            terms["w_norm"] = away.flatten(1).norm(dim=1).mean()
        return terms

    def image_terms(self, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        """L2, LPIPS and identity of reconstructions (B, 3, s, s), each a mean."""
        terms = {"l2": F.mse_loss(images, targets.images)}
        if self.perceptual is not None and targets.perceptual is not None:
            terms["lpips"] = self.perceptual.distance_to(images, targets.perceptual).mean()
        if self.identity is not None and targets.identity is not None:
            alike = self.identity.similarity(self.identity(images), targets.identity)
            terms["identity"] = 1 - alike.mean()
        return terms

    def _pose(self, features: Tensor, w_plus: Tensor) -> Tensor:
        assert self.reader is not None
        return self.reader(features * self._scale, w_plus)

    def _features(self, w_plus: Tensor) -> Tensor:
        """16×16 activations in units of each channel's deviation."""
        generator = self.generator
        with torch.autocast(w_plus.device.type, torch.bfloat16, enabled=self.bfloat16):
            x = generator.features(generator.styles(w_plus), resolution=FEATURES)
        return x.float() / self._scale
