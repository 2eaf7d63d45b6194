"""Photographs in the manner of any picture: AdaIN for drawings, WCT2 for photographs' moods.

Whole pictures are drawn; no face is looked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toonify.bundle import bundle_folder, check_part, read_manifest
from toonify.checkpoints.style_networks import PARTS, StyleNetwork, load_style_network
from toonify.device import pick_device
from toonify.engines.base import Drawing, Engine, FrameCompositor, Placed
from toonify.engines.regions import PersonLabels, region_mask
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Alignment, FaceDetector, align
from toonify.faces.no_faces import NoFaces
from toonify.faces.types import RGB, Face, Points, f32
from toonify.media.images import read_image
from toonify.models.style_transfer.adain import match_colors
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.models.style_transfer.statistics import mixed_statistics
from toonify.models.style_transfer.wct2 import WCT2
from toonify.tuning import GAIN, bfloat16_gain
from toonify.utils.hashing import file_sha256
from toonify.utils.links import real_path

Method = Literal["adain", "wct2"]
# px, longer side that networks see; results are led back to the photograph's size
WORK = {"adain": 640, "wct2": 1024}
STYLE_SIDE = 512  # px, shorter side of styles, as published
CROP = 512  # px, of a face that is drawn alone
SMALLEST = 16  # px of a style or photograph
ONE_COLOR = 0.004  # deviation in [0, 1] up to which a style shows nothing
GUIDE_RADIUS, GUIDE_EPSILON = 4, 1e-3  # of leading a photographic result back to full size

RegionMask = Callable[[RGB], Points]
LabelMap = Callable[[RGB], NDArray[np.uint8]]


class StyleTransferEngine(Engine):
    """One style, or a mixture, for any photographs.

    Args:
        network: of style transfer.
        styles: style pictures (H, W, 3) uint8.
        shares: of each style; equal ones when None.
        alpha: how much of it, 0 to 1.
        preserve_color: the photograph's colors stay; styles are recolored to them first.
        region: (H, W, 3) → (H, W) in 0..1, where the photograph changes; None for all of it.
        labels: (H, W, 3) → (H, W) parts of a picture; WCT2 then moves colors part by part.
        max_size: longer side of results, px at most.
        about: whatever else results depend on, JSON-able.

    Raises:
        InputError: a style that is too small or of one color, or several for WCT2.
    """

    kind = "style"
    whole_image = True
    keeps_latents = True
    clip_detector = NoFaces()

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
        self.method: Method = "wct2" if isinstance(network, WCT2) else "adain"
        for style in styles:
            check_style(style)
        if self.method == "wct2" and len(styles) != 1:
            raise InputError("wct2 takes one style picture", hint="Give one `style_image`.")
        self.shares = list(shares) if shares else [1.0] * len(styles)
        self.alpha, self.preserve_color = alpha, preserve_color
        self.region_mask, self.labels, self.max_size = region, labels, max_size
        self.device, self._about = torch.device(device), about
        self.dtype = _dtype(network, self.device)
        self.name = self.method  # type: ignore[misc]
        side = STYLE_SIDE if self.method == "adain" else WORK["wct2"]
        self._small = [_shrunk(style, shorter=side, stride=network.stride) for style in styles]
        self._styles = [self._tensor(style) for style in self._small]
        self._described: Any = None

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        method: Method = "adain",
        images: Sequence[str | os.PathLike[str]],
        weights: Sequence[float] | None = None,
        network: Path | None = None,
        region: str | None = None,
        segment: bool = False,
        landmarks: str = "auto",
        device: str | torch.device = "auto",
        **options: Any,
    ) -> StyleTransferEngine:
        """On a bundle's networks of style transfer; `options` as of the class.

        Args:
            images: files of style pictures.
            weights: share of each; equal ones when None.
            network: a file of ours or a folder of the published weights, instead of the bundle's.
            region: where pictures change: "person", "background", "face", or a mask's file.
            segment: of "wct2": person to person, background to background.

        Raises:
            UsageError: options that don't go together.
            InputError: an unusable picture or mask.
            ModelError: no such network.
        """
        if weights and len(weights) != len(images):
            raise UsageError(
                f"{len(weights)} weights for {len(images)} style pictures", hint="Give one each."
            )
        if weights and not sum(weights) > 0:
            raise UsageError("all weights are 0", hint="Give one that isn't.")
        if method == "wct2" and len(images) > 1:
            raise UsageError("wct2 takes one style picture", hint="Give one picture.")
        if segment and method != "wct2":
            raise UsageError("parts are moved apart by wct2 alone", hint="Name a region instead.")
        styles = [read_image(image).rgb for image in images]
        path = network or bundle_style_network(bundle, method)
        engine = cls(
            load_style_network(path),
            styles,
            shares=weights,
            region=region_mask(region, bundle, landmarks=landmarks) if region else None,
            labels=PersonLabels(bundle) if segment else None,
            device=pick_device(device),
            about={
                "network": file_sha256(path) if path.is_file() else str(real_path(path)),
                "styles": [file_sha256(Path(image)) for image in images],
                "region": region,
            },
            **options,
        )
        if engine.method != method:
            raise ModelError(
                f"{path} is a network for the engine {engine.method}", hint="Name that engine."
            )
        return engine

    @property
    def characters(self) -> tuple[str, ...]:
        """The one name that results are drawn under."""
        return (self.method,)

    def identity(self, character: str) -> dict[str, Any]:
        """The pictures, the network and the options."""
        return {
            "about": self._about,
            "shares": self.shares,
            "alpha": self.alpha,
            "preserve_color": self.preserve_color,
            "max_size": self.max_size,
            "labels": self.labels is not None,
            "dtype": str(self.dtype),
        }

    @property
    def detector(self) -> FaceDetector:
        """One that looks for no faces."""
        return self.clip_detector

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The FFHQ crop of a face, to draw it alone."""
        return align(rgb, face, CROP)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """(N, 1) of nothing."""
        return f32(np.zeros((len(regions), 1)))

    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """The crops in the style."""
        return [self.stylize(region.image) for region in regions]

    def draw_image(
        self, rgb: RGB, characters: Sequence[str], *, faces: Sequence[Face] = ()
    ) -> list[Drawing]:
        """The whole picture, whoever is in it."""
        return [self.stylize(rgb)] * len(characters)

    def compositor(self, smooth: float) -> FrameCompositor:
        """Draws each frame for itself."""
        return _WholeFrames(self)

    @torch.inference_mode()
    def stylize(self, rgb: RGB) -> RGB:
        """(H, W, 3) uint8 → the same size, or `max_size`.

        Raises:
            InputError: a picture of less than 16 px.
        """
        rgb = _limited(rgb, self.max_size)
        if min(rgb.shape[:2]) < SMALLEST:
            raise InputError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} px is too small")
        small = _shrunk(rgb, longer=WORK[self.method], stride=self.network.stride)
        content = self._tensor(small)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            drawn = self._transfer(content, small)[:, :, : small.shape[0], : small.shape[1]]
        result = f32(drawn[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy())
        if self.method == "wct2":
            out = result * 255 if self._exact(small, rgb) else led_back(small, result, rgb)
        else:
            large = cv2.resize(result, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            out = f32(large) * 255
        if self.region_mask is not None:
            mask = self.region_mask(rgb)[..., None]
            out = f32(out * mask + rgb * (1 - mask))
        return np.clip(np.rint(out), 0, 255).astype(np.uint8)

    def _exact(self, small: RGB, rgb: RGB) -> bool:
        """Whether the network's own answer is given; a shallow one's has fringes."""
        fringed = isinstance(self.network, WCT2) and self.network.colors
        return small.shape == rgb.shape and not fringed

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
        pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None]  # frames are read-only
        return (pixels.float() / 255).to(self.device)


class AdaINEngine(StyleTransferEngine):
    """In the manner of any picture, or of several mixed."""

    name = "adain"

    @classmethod
    def from_bundle(
        cls, bundle: str | os.PathLike[str] = "default", **options: Any
    ) -> StyleTransferEngine:
        """As `StyleTransferEngine.from_bundle`."""
        return super().from_bundle(bundle, method="adain", **options)


class WCT2Engine(StyleTransferEngine):
    """The colors and light of one photograph."""

    name = "wct2"

    @classmethod
    def from_bundle(
        cls, bundle: str | os.PathLike[str] = "default", **options: Any
    ) -> StyleTransferEngine:
        """As `StyleTransferEngine.from_bundle`."""
        return super().from_bundle(bundle, method="wct2", **options)


class _WholeFrames:
    """Frames of a clip, one by one."""

    scenes = True

    def __init__(self, engine: StyleTransferEngine) -> None:
        self._engine = engine

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        drawn = self._engine.stylize(rgb)
        if drawn.shape == rgb.shape:
            return drawn
        size = rgb.shape[1::-1]
        return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_CUBIC), np.uint8)

    def forget(self, keep: set[int]) -> None:
        """Nothing is remembered."""

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Nothing is remembered."""


def _dtype(network: StyleNetwork, device: torch.device) -> torch.dtype:
    """bfloat16 where the processor has it, of networks trained in it; float32 of all others."""
    layerwise = isinstance(network, LayerwiseAdaIN)
    half = layerwise and device.type == "cpu" and bfloat16_gain() >= GAIN
    return torch.bfloat16 if half else torch.float32


def bundle_style_network(bundle: str | os.PathLike[str], method: Method) -> Path:
    """The file of a bundle's network of style transfer.

    Raises:
        ModelError: it has none, or it is damaged.
    """
    folder, part = bundle_folder(bundle), PARTS[method]
    manifest = read_manifest(folder)
    if part not in (manifest.get("files") or {}):
        raise ModelError(
            f"the bundle {bundle} has no network for style pictures",
            hint="Use the default bundle, or name a network.",
        )
    return check_part(folder, manifest, part)


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
