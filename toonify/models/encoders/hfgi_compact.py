"""A small HFGI (arXiv 2109.06590) for compact generators: alignment and consultation (ours).

As published, what a rendering lacks of the photograph, the distortion map, is aligned to the
rendering that is wanted (§3.3) and consulted (§3.2): scales and shifts of the generator's
activations between a block's two convolutions. Four things differ, so that two networks of 1.4
million numbers in all, serve after an hour of training:

- they work on 4×4 pixels at once (pixel unshuffle), without batch statistics;
- the map is first moved by the optical flow between the two renderings, measured without a network;
- the alignment network sees the rendering that the map lies on too, and answers with where each
  pixel comes from, how much of it stays and what is added, instead of painting the map anew;
- activations at 128×128 are fused beside those at 64×64, and the consultation sees the rendering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.base import Encoder, Generator
from toonify.models.encoders.hfgi import SIZE, at_size
from toonify.models.generators.hybrid import JUNCTION, HybridGenerator
from toonify.models.layers import fast_layout
from toonify.utils.optical_flow import optical_flow
from toonify.utils.tensors import to_arrays

FOLD = 4  # pixels of the picture on each side of one of the networks' points
REACH = 0.4  # longest way of the flow, in the coordinates of grid_sample (2 across)
LONGEST, SMOOTH = 0.15, 0.011  # of the flow that is measured, in sides
KEPT = 3.0  # logit of what stays of the map before anything is learnt


def conv(in_channels: int, channels: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, size, stride, size // 2)


class Unit(nn.Module):
    """Two 3×3 convolutions beside the input; nothing but the input before anything is learnt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(channels, channels), conv(channels, channels)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(_bias(self.conv2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


class CompactAligner(nn.Module):
    """Distortion map, the rendering that it lies on, and the one wanted → the map aligned (ADA).

    Args:
        widths: channels at 64×64, 32×32, 16×16 and 8×8.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 80, 96)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = conv(9 * FOLD**2, self.widths[0])
        self.down, self.units = nn.ModuleList(), nn.ModuleList([Unit(self.widths[0])])
        self.up, self.out_units = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in zip(self.widths, self.widths[1:], strict=False):
            self.down.append(conv(wide, narrow, stride=2))
            self.units.append(Unit(narrow))
            self.up.append(conv(wide + narrow, wide))
            self.out_units.append(Unit(wide))
        self.out = conv(self.widths[0], 3 + 3 * FOLD**2)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            _bias(self.out).zero_()[2] = KEPT

    def forward(self, distortion: Tensor, source: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Each (B, 3, S, S), S a multiple of 32 → the aligned map, and the flow (B, 2, S, S).

        The flow says how far each pixel lies from where it comes from, in sides of the picture.
        """
        seen = torch.cat((distortion, source, wanted), dim=1)
        skips = [self.units[0](self.stem(fast_layout(F.pixel_unshuffle(seen, FOLD))))]
        for down, unit in zip(self.down, list(self.units)[1:], strict=True):
            skips.append(unit(F.silu(down(skips[-1]))))
        x = skips.pop()
        for up, unit in reversed(list(zip(self.up, self.out_units, strict=True))):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = unit(F.silu(up(torch.cat((x, skips.pop()), dim=1))))
        answer = self.out(F.silu(x)).float()
        size = distortion.shape[2:]
        smooth = F.interpolate(answer[:, :3], size=size, mode="bilinear", align_corners=False)
        flow, kept = REACH * smooth[:, :2].tanh(), smooth[:, 2:].sigmoid()
        moved = warped(distortion.float(), flow)
        return kept * moved + F.pixel_shuffle(answer[:, 3:], FOLD), flow / 2


def warped(images: Tensor, flow: Tensor) -> Tensor:
    """Images (B, C, H, W) fetched from `flow` (B, 2, H, W) away, 2 being a whole side."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False)
    grid = grid + flow.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def moved_along(pictures: Tensor, source: Tensor, wanted: Tensor) -> Tensor:
    """`pictures` (B, C, S, S) moved as `source` has to move to become `wanted` (B, 3, S, S)."""
    fields = [
        optical_flow(before, after, longest=LONGEST, smooth=SMOOTH)
        for before, after in zip(to_arrays(source), to_arrays(wanted), strict=True)
    ]
    flow = torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2).to(pictures)
    return warped(pictures, flow * (2 / source.shape[-1]))


class CompactConsultation(nn.Module):
    """Aligned map and rendering → scales and shifts of the generator's activations (Ec).

    Args:
        channels: of those activations, at 64×64 and, where the generator goes on, at 128×128.
        width: channels within, at 64×64.
        fine: those at 128×128.
    """

    def __init__(self, channels: Sequence[int], *, width: int = 64, fine: int = 32) -> None:
        super().__init__()
        self.channels, self.width, self.fine = tuple(channels), width, fine
        self.stem = conv(6 * FOLD**2, width)
        self.units = nn.Sequential(*(Unit(width) for _ in range(3)))
        self.head = conv(width, 2 * self.channels[0], 1)
        heads = [self.head]
        if len(self.channels) > 1:
            self.fine_stem = conv(6 * (FOLD // 2) ** 2, fine)
            self.fine_in = conv(width, fine, 1)
            self.fine_unit = Unit(fine)
            self.fine_head = conv(fine, 2 * self.channels[1], 1)
            heads.append(self.fine_head)
        for head in heads:  # the rendering alone before anything is learnt
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(_bias(head))

    def forward(self, distortion: Tensor, rendering: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Both (B, 3, 256, 256) → resolution: (scale, shift), each (B, C, R, R)."""
        seen = fast_layout(torch.cat((distortion, rendering), dim=1))
        x = self.units(self.stem(F.pixel_unshuffle(seen, FOLD)))
        found = {SIZE // FOLD: _halves(self.head(F.silu(x)))}
        if len(self.channels) > 1:
            above = F.interpolate(self.fine_in(x), scale_factor=2.0, mode="nearest")
            y = self.fine_unit(self.fine_stem(F.pixel_unshuffle(seen, FOLD // 2)) + above)
            found[2 * SIZE // FOLD] = _halves(self.fine_head(F.silu(y)))
        return found


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    scale, shift = x.chunk(2, dim=1)
    return scale, shift


class CompactHFGI(nn.Module):
    """Alignment and consultation for one generator; what `toonify train-encoder --task hfgi` makes.

    Args:
        channels: of the generator's activations that are fused, by resolution.
        widths: of the alignment network.
        width, fine: of the consultation.
    """

    def __init__(
        self,
        *,
        channels: Mapping[Any, int],
        widths: Sequence[int] = (32, 64, 80, 96),
        width: int = 64,
        fine: int = 32,
    ) -> None:
        super().__init__()
        self.channels = dict(sorted((int(size), count) for size, count in channels.items()))
        if list(self.channels) not in ([64], [64, 128]):
            raise ValueError(f"activations at {list(self.channels)} can't be fused")
        self.align = CompactAligner(widths)
        self.consult = CompactConsultation(list(self.channels.values()), width=width, fine=fine)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "hfgi"."""
        return {
            "architecture": "hfgi",
            "channels": {str(size): count for size, count in self.channels.items()},
            "widths": list(self.align.widths),
            "width": self.consult.width,
            "fine": self.consult.fine,
        }

    def check(self, generator: Generator) -> HybridGenerator:
        """The generator, when it has the activations that these networks fuse into.

        Raises:
            ModelError: it hasn't.
        """
        if not isinstance(generator, HybridGenerator) or fused_channels(generator) != self.channels:
            raise ModelError(
                "these HFGI networks were trained for another generator",
                hint="Give the generator that they were trained for.",
            )
        return generator


def fused_channels(generator: HybridGenerator) -> dict[int, int]:
    """Resolution: channels of the activations between the convolutions of its compact blocks."""
    widths = generator.config()["deep"][:2]
    return {2 * JUNCTION * 2**i: count for i, count in enumerate(widths)}


class CompactInversion(nn.Module):
    """Photographs of aligned faces rendered with their details, at an edited latent too.

    Args:
        networks: trained for `generator`.
        generator: that renders.
        encoder: of w+; may be None where latents are given.

    Raises:
        ModelError: the networks are another generator's.
    """

    def __init__(
        self, networks: CompactHFGI, generator: Generator, encoder: Encoder | None
    ) -> None:
        super().__init__()
        self.networks, self.generator = networks, networks.check(generator)
        self.encoder = encoder

    def encode(self, photo: Tensor) -> Tensor:
        """Aligned photographs (B, 3, 256, 256) in [-1, 1] → w+ of the generator's length."""
        assert self.encoder is not None
        size = (self.encoder.input_size, self.encoder.input_size)
        small = F.interpolate(photo, size, mode="area")
        return self.encoder.encode(small, self.generator)[:, : self.generator.num_ws]

    def rendered(self, w_plus: Tensor) -> tuple[Tensor, Tensor]:
        """Features at 32×32, and the picture (B, 3, 256, 256) in [-1, 1] as the networks see it."""
        styles = self.generator.styles(w_plus)
        shallow = self.generator.features(styles, resolution=JUNCTION)
        return shallow, at_size(self.generator.finish(shallow, styles))

    def drawn(self, styles: list[Tensor]) -> Tensor:
        """Styles rendered as the networks see them, (B, 3, 256, 256) in [-1, 1]."""
        return at_size(self.generator.synthesize(styles))

    def aligned_map(self, distortion: Tensor, source: Tensor, wanted: Tensor) -> Tensor:
        """A distortion map of `source` where `wanted` has what it is of, (B, 3, 256, 256)."""
        return self.networks.align(distortion, source, wanted)[0]

    def consulted(self, styles: list[Tensor], aligned: Tensor, rendering: Tensor) -> Tensor:
        """Styles rendered (B, 3, R, R) with the aligned map consulted; not clamped."""
        shallow = self.generator.features(styles, resolution=JUNCTION)
        return self._finished(shallow, styles, aligned, rendering)

    def fused(self, w_plus: Tensor, shallow: Tensor, aligned: Tensor, rendering: Tensor) -> Tensor:
        """What `rendered` gave, with the aligned map consulted: (B, 3, R, R), not clamped."""
        return self._finished(shallow, self.generator.styles(w_plus), aligned, rendering)

    def _finished(
        self, shallow: Tensor, styles: list[Tensor], aligned: Tensor, rendering: Tensor
    ) -> Tensor:
        found = self.networks.consult(aligned, rendering)

        def fuse(size: int, x: Tensor) -> Tensor:
            if size not in found:
                return x
            scale, shift = found[size]
            return x * (1 + scale) + shift

        return self.generator.finish(shallow, styles, fuse=fuse)

    @torch.no_grad()
    def edited(self, photo: Tensor, w_plus: Tensor, edit: Tensor) -> Tensor:
        """The photograph's details on the rendering of an edited latent, (B, 3, R, R).

        Args:
            photo: (B, 3, 256, 256) in [-1, 1].
            w_plus: its latent; `edit` the edited one, the same for the inversion itself.
        """
        source = self.rendered(w_plus)[1].float()
        shallow, wanted = self.rendered(edit)
        wanted = wanted.float()
        both = torch.cat((photo - source, source), dim=1)
        distortion, source = moved_along(both, source, wanted).chunk(2, dim=1)
        aligned, _ = self.networks.align(distortion, source, wanted)
        return self.fused(edit, shallow, aligned, wanted)
