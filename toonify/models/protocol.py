"""What every generator family offers, so that CDSM, swap and projection are written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

Noise = Literal["const", "random", "zero"]


@dataclass(frozen=True)
class LayerInfo:
    """One modulated layer.

    Attributes:
        name: module path within the generator.
        resolution: height and width of the layer's output, in pixels.
        latent_index: which of the `num_ws` entries of w+ drives it.
        kind: "conv" for a convolution, "rgb" for a tRGB (image) layer.
        channels: length of its style vector.
    """

    name: str
    resolution: int
    latent_index: int
    kind: Literal["conv", "rgb"]
    channels: int


@runtime_checkable
class Generator(Protocol):
    """A face generator of either family (StyleGAN2 layout or compact)."""

    resolution: int
    w_dim: int
    num_ws: int
    w_avg: Tensor
    layers: tuple[LayerInfo, ...]

    def mapping(self, z: Tensor, *, truncation_psi: float = 1.0) -> Tensor:
        """z (B, 512) standard normal → w (B, w_dim)."""
        ...

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        """w+ (B, num_ws, w_dim) → one (B, C_i) tensor a layer, in the order of `layers`."""
        ...

    def synthesize(self, styles: Sequence[Tensor], *, noise: Noise = "const") -> Tensor:
        """Styles → image (B, 3, R, R), about [-1, 1], not clamped."""
        ...

    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments with an "architecture" key."""
        ...
