"""What every generator and encoder offers, so that everything on top of them is written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from toonify.errors import UsageError

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


class Generator(nn.Module):
    """A generator of faces: z → w → w+ → styles → image.

    A family is a subclass and a line in `toonify.models.registry`. It gives `mapping`, `styles`,
    `synthesize` and `config`; `features` too where encoders are trained on it, and
    `mapping_weights` where it is distilled.

    Attributes:
        resolution: height and width of the image, px.
        z_dim: length of z.
        w_dim: length of w, a row of w+.
        num_ws: rows of w+.
        layers: the modulated layers, in the order of `styles`.
        w_avg: mean of w, (w_dim,), a buffer; estimated where a file lacks it.

    Examples:
        >>> w = generator.mapping(torch.randn(4, generator.z_dim), truncation_psi=0.7)
        >>> w_plus = w[:, None].expand(-1, generator.num_ws, -1)
        >>> images = generator(w_plus)  # (4, 3, R, R), about [-1, 1]
    """

    resolution: int
    z_dim: int
    w_dim: int
    num_ws: int
    layers: tuple[LayerInfo, ...]
    w_avg: Tensor

    def mapping(self, z: Tensor, *, truncation_psi: float = 1.0) -> Tensor:
        """z (B, z_dim) standard normal → w (B, w_dim), drawn to `w_avg` as psi goes to 0."""
        raise NotImplementedError

    def mapping_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each fully connected mapping layer, as they multiply.

        Raises:
            UsageError: the family has none.
        """
        raise UsageError(f"a {type(self).__name__} can't be distilled")

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        """w+ (B, num_ws, w_dim) → one (B, C_i) tensor a layer, in the order of `layers`."""
        raise NotImplementedError

    def synthesize(self, styles: Sequence[Tensor], *, noise: Noise = "const") -> Tensor:
        """Styles in the order of `layers` → image (B, 3, R, R), about [-1, 1], not clamped.

        Args:
            noise: "const" for the stored maps, "random" for fresh ones, "zero" for none.
        """
        raise NotImplementedError

    def synthesize_crop(
        self, styles: Sequence[Tensor], rows: slice, columns: slice, *, noise: Noise = "const"
    ) -> Tensor:
        """The same rows and columns of every image, (B, 3, h, w).

        Args:
            rows, columns: with start and stop, in pixels.
            noise: as of `synthesize`.

        Examples:
            >>> eyes = generator.synthesize_crop(styles, slice(100, 164), slice(64, 192))
        """
        return self.synthesize(styles, noise=noise)[:, :, rows, columns]

    def features(
        self, styles: Sequence[Tensor], *, resolution: int, noise: Noise = "const"
    ) -> Tensor:
        """Activations (B, C, resolution, resolution) after the block of that resolution.

        Raises:
            UsageError: the family doesn't show them.
        """
        raise UsageError(
            f"a {type(self).__name__} shows no activations, which this takes",
            hint="Choose a generator of another family.",
        )

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with an "architecture" key of the registry."""
        raise NotImplementedError

    def forward(self, w_plus: Tensor, *, noise: Noise = "const") -> Tensor:
        """w+ (B, num_ws, w_dim) → image (B, 3, R, R)."""
        return self.synthesize(self.styles(w_plus), noise=noise)


class Encoder(nn.Module):
    """Reads w+ from photographs; a family is a subclass and a line in `toonify.models.registry`.

    Attributes:
        num_ws: rows of the w+ that it gives.
        w_dim: length of each.
        input_size: side of the aligned faces that it takes, px.

    Examples:
        >>> w_plus = encoder.encode(faces, generator)  # (B, 3, S, S) in [-1, 1] → (B, num_ws, 512)
    """

    num_ws: int
    w_dim: int
    input_size: int

    def encode(
        self, images: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Tensor:
        """Aligned faces (B, 3, input_size, input_size) in [-1, 1] → w+ (B, num_ws, w_dim).

        Args:
            generator: renders the residual steps; encoders without such steps don't need it.
            steps: residual steps; None for the encoder's own number.
        """
        raise NotImplementedError

    def serves(self, num_ws: int) -> bool:
        """Whether its w+ is for a generator that takes so many rows."""
        return self.num_ws == num_ws

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with an "architecture" key of the registry."""
        raise NotImplementedError

    def forward(
        self, images: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Tensor:
        """The same as `encode`."""
        return self.encode(images, generator, steps)
