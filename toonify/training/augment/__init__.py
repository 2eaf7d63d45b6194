"""Adaptive discriminator augmentation (arXiv 2006.06676, appendix B), plain torch."""

from toonify.training.augment.controller import AdaController
from toonify.training.augment.pipe import PRESETS, AugmentPipe

__all__ = ["PRESETS", "AdaController", "AugmentPipe"]
