"""Adaptive discriminator augmentation (Karras et al., arXiv 2006.06676, appendix B), plain torch.

Pixel blitting, geometric and colour transformations, each applied with probability p. Gradients
flow to the images; samples that no transformation hits pass through bit for bit.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.errors import UsageError
from toonify.models.ops import upsample2

KINDS = ("b", "bg", "bgc")


class AugmentPipe:
    """The pipeline; call it on images (B, 3, S, S) in [-1, 1].

    Args:
        kinds: "b" pixel blitting (x-flip, 90° rotations, integer translation), "bg" also
            geometric (scaling, rotation, anisotropic scaling, fractional translation), "bgc"
            also colour (brightness, contrast, luma flip, hue, saturation).
        random: source of every random number, on the CPU.
    """

    def __init__(self, kinds: str = "bgc", *, random: torch.Generator | None = None) -> None:
        if kinds not in KINDS:
            raise UsageError(
                f"unknown augmentation {kinds!r}", mend=f"Choose one of {', '.join(KINDS)}."
            )
        self.kinds = kinds
        self.random = random or torch.Generator()

    def __call__(self, images: Tensor, p: float) -> Tensor:
        """Transformed copies, each transformation with probability `p`."""
        if p <= 0:
            return images
        images = self._blit(images, p)
        if "g" in self.kinds:
            images = self._geometric(images, p)
        if "c" in self.kinds:
            images = self._colour(images, p)
        return images

    def _uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, generator=self.random) * (high - low) + low

    def _normal(self, count: int) -> Tensor:
        return torch.randn(count, generator=self.random)

    def _gate(self, values: Tensor, p: float, neutral: float) -> Tensor:
        """`values` with probability p, `neutral` otherwise, independently a sample."""
        hit = torch.rand(len(values), generator=self.random) < p
        return torch.where(hit, values, torch.full_like(values, neutral))

    def _blit(self, images: Tensor, p: float) -> Tensor:
        batch, _, size, _ = images.shape
        flip = self._gate(self._uniform(batch, 0, 2).floor(), p, 0.0)
        turns = self._gate(self._uniform(batch, 0, 4).floor(), p, 0.0)
        shift = torch.stack(
            [self._uniform(batch, -0.125, 0.125), self._uniform(batch, -0.125, 0.125)]
        )
        moved = self._gate(torch.ones(batch), p, 0.0)
        shift = (shift * moved * size).round().long()
        out = []
        for i, image in enumerate(images):
            if flip[i]:
                image = image.flip(2)
            if turns[i]:
                image = image.rot90(int(turns[i]), (1, 2))
            dx, dy = int(shift[0, i]), int(shift[1, i])
            if dx or dy:
                image = _translate(image, dx, dy)
            out.append(image)
        return torch.stack(out)

    def _geometric(self, images: Tensor, p: float) -> Tensor:
        batch = len(images)
        # Inverse transforms (output to input coordinates), so each new one goes to the right.
        matrix = torch.eye(3).repeat(batch, 1, 1)
        scale = self._gate(torch.exp2(0.2 * self._normal(batch)), p, 1.0)
        matrix = matrix @ _scaling(1 / scale, 1 / scale)
        # Rotating before and after the anisotropic scaling, together with probability p.
        p_rotate = 1 - math.sqrt(max(0.0, 1 - p))
        angle = self._gate(self._uniform(batch, -math.pi, math.pi), p_rotate, 0.0)
        matrix = matrix @ _rotation(angle)
        scale = self._gate(torch.exp2(0.2 * self._normal(batch)), p, 1.0)
        matrix = matrix @ _scaling(1 / scale, scale)
        angle = self._gate(self._uniform(batch, -math.pi, math.pi), p_rotate, 0.0)
        matrix = matrix @ _rotation(angle)
        moved = self._gate(torch.ones(batch), p, 0.0)
        # Coordinates run from -1 to 1, so a share of the width counts twice.
        matrix = matrix @ _translation(
            -0.25 * self._normal(batch) * moved, -0.25 * self._normal(batch) * moved
        )
        hit = (matrix - torch.eye(3)).abs().amax(dim=(1, 2)) > 0
        if not hit.any():
            return images
        warped = _warp(images[hit.to(images.device)], matrix[hit].to(images.device))
        return images.index_copy(0, hit.nonzero()[:, 0].to(images.device), warped)

    def _colour(self, images: Tensor, p: float) -> Tensor:
        batch = len(images)
        eye = torch.eye(4).repeat(batch, 1, 1)
        luma = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
        outer = torch.outer(luma, luma)
        brightness = self._gate(0.2 * self._normal(batch), p, 0.0)
        matrix = eye.clone()
        matrix[:, :3, 3] = brightness[:, None]
        contrast = self._gate(torch.exp2(0.5 * self._normal(batch)), p, 1.0)
        scaling = eye.clone()
        scaling[:, :3, :3] *= contrast[:, None, None]
        matrix = scaling @ matrix
        mirrored = self._gate(self._uniform(batch, 0, 2).floor(), p, 0.0)
        matrix = (eye - 2 * outer * mirrored[:, None, None]) @ matrix
        hue = self._gate(self._uniform(batch, -math.pi, math.pi), p, 0.0)
        matrix = _about_luma(hue) @ matrix
        saturation = self._gate(torch.exp2(self._normal(batch)), p, 1.0)
        keep = outer + torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0]))
        matrix = (keep + (eye - keep) * saturation[:, None, None]) @ matrix
        hit = (matrix - eye).abs().amax(dim=(1, 2)) > 0
        if not hit.any():
            return images
        matrix = matrix[hit].to(images)
        chosen = hit.to(images.device)
        flat = images[chosen].flatten(2)
        flat = matrix[:, :3, :3] @ flat + matrix[:, :3, 3:]
        index = hit.nonzero()[:, 0].to(images.device)
        return images.index_copy(0, index, flat.view(-1, *images.shape[1:]))


def _translate(image: Tensor, dx: int, dy: int) -> Tensor:
    """(3, S, S) moved right by dx and down by dy pixels, borders reflected."""
    size = image.shape[1]
    padded = F.pad(image[None], (abs(dx), abs(dx), abs(dy), abs(dy)), mode="reflect")[0]
    top, left = abs(dy) - dy, abs(dx) - dx
    return padded[:, top : top + size, left : left + size]


def _warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Resample (B, 3, S, S) by inverse transforms (B, 3, 3), at twice the resolution inside."""
    size = images.shape[-1]
    # Reflected a little beyond the edge, so that the low-pass filters see none.
    images = F.pad(images, (4, 4, 4, 4), mode="reflect")
    large = upsample2(images)[:, :, 8:-8, 8:-8]
    grid = F.affine_grid(matrix[:, :2], [len(images), 3, 2 * size, 2 * size], align_corners=False)
    warped = F.grid_sample(
        large, grid.to(large), mode="bilinear", padding_mode="reflection", align_corners=False
    )
    warped = F.pad(warped, (1, 1, 1, 1), mode="replicate")
    # Three averages of neighbours are the [1, 3, 3, 1] filter.
    warped = F.avg_pool2d(F.avg_pool2d(warped, 2, stride=1), 2, stride=1)
    return F.avg_pool2d(warped, 2)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [cos, sin, zero, -sin, cos, zero, zero, zero, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _translation(x: Tensor, y: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(x), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


def _about_luma(angle: Tensor) -> Tensor:
    """Rotations (B, 4, 4) of RGB about the grey axis (Rodrigues' formula)."""
    axis = 1 / math.sqrt(3)
    cross = axis * torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    matrix = torch.eye(4).repeat(len(angle), 1, 1)
    matrix[:, :3, :3] = torch.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
    return matrix


class AdaController:
    """Moves p so that r_t, the mean sign of D on real images, stays at the target.

    Args:
        target: of r_t.
        interval: batches between two adjustments.
        kimg: thousand images that p needs from 0 to 1.
        p: to start from.
    """

    def __init__(
        self, *, target: float = 0.6, interval: int = 4, kimg: float = 500.0, p: float = 0.0
    ) -> None:
        self.target, self.interval, self.kimg = target, interval, kimg
        self.p, self.r_t = p, 0.0
        self._signs, self._images, self._batches = 0.0, 0, 0

    def update(self, real: Tensor) -> float:
        """Take one batch's real logits (B, 1); returns the p to use next."""
        self._signs += float(real.detach().sign().sum())
        self._images += real.numel()
        self._batches += 1
        if self._batches == self.interval:
            self.r_t = self._signs / self._images
            direction = (self.r_t > self.target) - (self.r_t < self.target)
            self.p += direction * self._images / (self.kimg * 1000)
            self.p = min(1.0, max(0.0, self.p))
            self._signs, self._images, self._batches = 0.0, 0, 0
        return self.p

    def state_dict(self) -> dict[str, Any]:
        return {
            "p": self.p,
            "r_t": self.r_t,
            "signs": self._signs,
            "images": self._images,
            "batches": self._batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.p, self.r_t = state["p"], state["r_t"]
        self._signs, self._images = state["signs"], state["images"]
        self._batches = state["batches"]
