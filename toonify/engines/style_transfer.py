"""Photographs in the manner of any picture: AdaIN for drawings, WCT2 for photographs' moods.

What `toonify.batch` draws with in place of a bundle's characters or styles; no face is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toonify.checkpoints.style_networks import StyleNetwork
from toonify.errors import InputError
from toonify.faces.types import RGB, Face, Points, f32
from toonify.models.adain import match_colors
from toonify.models.style_statistics import mixed_statistics
from toonify.models.wct2 import WCT2

Kind = Literal["adain", "wct2"]
# px, longer side that networks see; results are led back to the photograph's size
WORK = {"adain": 640, "wct2": 1024}
STYLE_SIDE = 512  # px, shorter side of styles, as published
SMALLEST = 16  # px of a style or photograph
ONE_COLOR = 0.004  # deviation in [0, 1] up to which a style shows nothing
GUIDE_RADIUS, GUIDE_EPSILON = 4, 1e-3  # of leading a photographic result back to full size

RegionMask = Callable[[RGB], Points]
LabelMap = Callable[[RGB], NDArray[np.uint8]]


class StyleTransferEngine:
    """One style, or a mixture, for any photographs.

    Args:
        network: of style transfer.
        styles: pictures (H, W, 3) uint8.
        shares: of each style; equal ones when None.
        alpha: how much of it, 0 to 1.
        preserve_color: the photograph's colours stay; styles are recoloured to them first.
        region: (H, W, 3) → (H, W) in 0..1, where the photograph changes; None for all of it.
        labels: (H, W, 3) → (H, W) parts of a picture; WCT2 then moves colours part by part.
        max_size: longer side of results, px at most.
        about: whatever else results depend on, JSON-able.

    Raises:
        InputError: a style that is too small or of one colour, or several for WCT2.
    """

    def __init__(
        self,
        network: StyleNetwork,
        styles: Sequence[RGB],
        *,
        shares: Sequence[float] | None = None,
        alpha: float = 1.0,
        preserve_color: bool = False,
        region: RegionMask | None = None,
        labels: LabelMap | None = None,
        max_size: int | None = None,
        device: torch.device | str = "cpu",
        about: Any = None,
    ) -> None:
        self.network = network.to(device)
        self.kind: Kind = "wct2" if isinstance(network, WCT2) else "adain"
        for style in styles:
            check_style(style)
        if self.kind == "wct2" and len(styles) != 1:
            raise InputError("wct2 takes one style picture", hint="Give one --style-image.")
        self.shares = list(shares) if shares else [1.0] * len(styles)
        self.alpha, self.preserve_color = alpha, preserve_color
        self.region, self.labels, self.max_size = region, labels, max_size
        self.device, self._about = torch.device(device), about
        side = STYLE_SIDE if self.kind == "adain" else WORK["wct2"]
        self._small = [_shrunk(style, shorter=side, stride=network.stride) for style in styles]
        self._styles = [self._tensor(style) for style in self._small]
        self._described: Any = None

    @property
    def characters(self) -> tuple[str, ...]:
        """The one name that results are drawn under."""
        return (self.kind,)

    def identity(self, name: str) -> Any:
        """All that results depend on, JSON-able."""
        return {
            "about": self._about,
            "shares": self.shares,
            "alpha": self.alpha,
            "preserve_color": self.preserve_color,
            "max_size": self.max_size,
            "labels": self.labels is not None,
        }

    def detect(self, rgb: RGB, *, largest: bool = False) -> list[Face]:
        """No face is looked for."""
        return []

    def smallest_face(self, rgb: RGB) -> float:
        """0: none is looked for."""
        return 0.0

    def stylize_crops(
        self,
        crops: Sequence[RGB],
        characters: Sequence[str],
        *,
        level: int,
        trgb: bool,
        color: float,
        batch_size: int,
    ) -> list[list[RGB]]:
        """Pictures (H, W, 3) uint8 → for each, its result; the options are of characters."""
        return [[self.stylize(crop)] * len(characters) for crop in crops]

    @torch.inference_mode()
    def stylize(self, rgb: RGB) -> RGB:
        """(H, W, 3) uint8 → the same size, or `max_size`.

        Raises:
            InputError: a picture of less than 16 px.
        """
        rgb = _limited(rgb, self.max_size)
        if min(rgb.shape[:2]) < SMALLEST:
            raise InputError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} px is too small")
        small = _shrunk(rgb, longer=WORK[self.kind], stride=self.network.stride)
        content = self._tensor(small)
        drawn = self._transfer(content, small)[:, :, : small.shape[0], : small.shape[1]]
        result = f32(drawn[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy())
        if self.kind == "wct2":
            out = result * 255 if self._exact(small, rgb) else led_back(small, result, rgb)
        else:
            large = cv2.resize(result, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            out = f32(large) * 255
        if self.region is not None:
            mask = self.region(rgb)[..., None]
            out = f32(out * mask + rgb * (1 - mask))
        return np.clip(np.rint(out), 0, 255).astype(np.uint8)

    def _exact(self, small: RGB, rgb: RGB) -> bool:
        """Whether the network's own answer is given; a shallow one's has fringes."""
        shallow = isinstance(self.network, WCT2) and self.network.colors
        return small.shape == rgb.shape and not shallow

    def _transfer(self, content: Tensor, small: RGB) -> Tensor:
        styles = self._styles
        if self.preserve_color:
            styles = [match_colors(style[0], content[0]).clamp(0, 1)[None] for style in styles]
        if isinstance(self.network, WCT2):
            labels = None
            if self.labels is not None:
                pair = (self.labels(small), self.labels(self._small[0]))
                labels = (torch.from_numpy(pair[0]).long(), torch.from_numpy(pair[1]).long())
            return self.network.transfer(content, styles[0], alpha=self.alpha, labels=labels)
        described = self._described
        if described is None or self.preserve_color:
            described = mixed_statistics(
                [self.network.describe(style) for style in styles], self.shares
            )
            self._described = described
        return self.network.render(content, described, self.alpha)

    def _tensor(self, rgb: RGB) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
        return (pixels.float() / 255).to(self.device)


def check_style(rgb: RGB) -> None:
    """InputError for pictures that are no style."""
    if min(rgb.shape[:2]) < SMALLEST:
        raise InputError(
            f"a style picture of {rgb.shape[1]}x{rgb.shape[0]} px is too small",
            hint=f"Give one of {SMALLEST} px and more; 256 and more do well.",
        )
    if float((rgb / 255).reshape(-1, 3).std(axis=0).max()) < ONE_COLOR:
        raise InputError("the style picture is of one color", hint="Give one that shows something.")


def led_back(small: RGB, result: Points, rgb: RGB) -> Points:
    """A photographic result (h, w, 3) in [0, 1] of `small` at the size of `rgb`, in levels.

    Locally the result is a linear function of the photograph, channel by channel; that function is
    found at the small size and applied at the large (fast guided filter, He & Sun, 2015), so edges
    stay the photograph's own.
    """
    size = (2 * GUIDE_RADIUS + 1,) * 2

    def mean(values: NDArray[np.floating]) -> Points:
        return f32(cv2.blur(f32(values), size, borderType=cv2.BORDER_REFLECT_101))

    guide = f32(small) / 255
    guide_mean, result_mean = mean(guide), mean(result)
    covariance = mean(guide * result) - guide_mean * result_mean
    variance = mean(guide * guide) - guide_mean * guide_mean
    slope = f32(covariance / (variance + GUIDE_EPSILON))
    offset = mean(result_mean - slope * guide_mean)
    slope = mean(slope)
    out = np.empty(rgb.shape, np.float32)
    for channel in range(3):  # one at a time: large pictures take memory
        a, b = (
            cv2.resize(
                np.ascontiguousarray(values[..., channel]),
                rgb.shape[1::-1],
                interpolation=cv2.INTER_LINEAR,
            )
            for values in (slope, offset)
        )
        out[..., channel] = a * rgb[..., channel] + 255 * b
    return out


def _limited(rgb: RGB, longer: int | None) -> RGB:
    if longer is None or max(rgb.shape[:2]) <= longer:
        return rgb
    scale = longer / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _shrunk(rgb: RGB, *, stride: int, longer: int = 0, shorter: int = 0) -> RGB:
    """At most that large, and sides multiples of `stride`."""
    height, width = rgb.shape[:2]
    scale = min(1.0, longer / max(height, width) if longer else shorter / min(height, width))
    height, width = (max(stride, round(side * scale / stride) * stride) for side in (height, width))
    if (height, width) == rgb.shape[:2]:
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
