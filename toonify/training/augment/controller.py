"""The controller of the augmentations' probability."""

from __future__ import annotations

from typing import Any


class AdaController:
    """Moves p so that r_t, the mean sign of D on real images, stays at the target.

    Args:
        target: of r_t.
        interval: batches between two adjustments.
        kimg: thousand images that p needs from 0 to 1.
    """

    def __init__(self, *, target: float = 0.6, interval: int = 4, kimg: float = 500.0) -> None:
        self.target, self.interval, self.kimg = target, interval, kimg
        self.p = self.r_t = 0.0
        self._signs, self._images, self._batches = 0.0, 0, 0

    def update(self, sign: float, images: int) -> float:
        """Take one batch's mean sign of the real logits; returns the p to use next."""
        self._signs += sign * images
        self._images += images
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
