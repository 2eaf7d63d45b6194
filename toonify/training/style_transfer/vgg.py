"""ImageNet's VGG-16, that of LPIPS, as an encoder of style transfer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from toonify.metrics.lpips import find_trunk, read_trunk
from toonify.models.style_transfer.adain import StyleEncoder

DEPTHS = (2, 2, 3)
# the normalization of LPIPS, for pictures in [-1, 1]
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def normalized_vgg16(
    convolutions: Sequence[tuple[Tensor, Tensor]], samples: Tensor, *, depths: Sequence[int]
) -> StyleEncoder:
    """ImageNet's VGG-16 as an encoder whose channels have the mean activation 1.

    That is how Gatys et al. (2016) normalized the VGG-19 of the published network. A channel's
    scale passes through its ReLU, so it is taken into the weights.

    Args:
        convolutions: (weight OIHW, bias) of VGG-16 in order, for pictures normalized as LPIPS's.
        samples: (N, 3, H, W) in [0, 1] whose mean activations are taken.
        depths: as `StyleEncoder`'s; VGG-16's are (2, 2, 3).
    """
    count = sum(depths) + 1
    widths = [convolutions[sum(depths[:level])][0].shape[0] for level in range(len(depths) + 1)]
    encoder = StyleEncoder(widths=widths, depths=depths).requires_grad_(False)
    places = [layer for layer in encoder if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        scale, shift = torch.tensor(LPIPS_SCALE), torch.tensor(LPIPS_SHIFT)
        places[0].weight.copy_(torch.diag(2 / scale)[..., None, None])
        assert places[0].bias is not None
        places[0].bias.copy_(-(1 + shift) / scale)
        for place, (weight, bias) in zip(places[1:], convolutions[:count], strict=True):
            place.weight.copy_(weight)
            assert place.bias is not None
            place.bias.copy_(bias)
        x, scales = samples, torch.ones(3)
        for layer in encoder:
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(scales[:, None, None])
                last = layer
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                mean = x.mean((0, 2, 3))
                scales = mean.clamp_min(0.1 * float(mean.mean()))
                last.weight.div_(scales[:, None, None, None])
                assert last.bias is not None
                last.bias.div_(scales)
                x = x / scales[:, None, None]
    return encoder


def lpips_vgg16(samples: Tensor) -> StyleEncoder:
    """That of LPIPS, up to relu4_1; see `normalized_vgg16`.

    Raises:
        ModelError: its weights are nowhere (`toonify models pull lpips-vgg`).
    """
    return normalized_vgg16(read_trunk(find_trunk("vgg"), "vgg"), samples, depths=DEPTHS)
