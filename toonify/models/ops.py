"""Layer arithmetic shared by StyleGAN2's generator and discriminator, in plain torch.

Weights are equalised (arXiv 1710.10196): stored at unit variance and scaled by 1/sqrt(fan_in)
when used, so that one learning rate suits every layer. Resampling uses the separable low-pass
filter [1, 3, 3, 1] everywhere (arXiv 1912.04958). Every function is differentiable twice.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQRT2 = math.sqrt(2.0)
BLUR_TAPS = (1.0, 3.0, 3.0, 1.0)


def pixel_norm(x: Tensor) -> Tensor:
    """x (B, C) scaled to unit mean square along C."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def leaky(x: Tensor, *, clamp: float | None = None) -> Tensor:
    """Leaky ReLU 0.2, limited to ±`clamp` where given; gains are folded in before it."""
    if torch.is_grad_enabled():
        x = F.leaky_relu(x, 0.2)
        return x if clamp is None else x.clamp(-clamp, clamp)
    x = F.leaky_relu_(x, 0.2)
    return x if clamp is None else x.clamp_(-clamp, clamp)


def blur(x: Tensor, *, pad: tuple[int, int], gain: float = 1.0) -> Tensor:
    """x (B, C, H, W) filtered by the 4×4 low-pass filter.

    Args:
        pad: zeros before and after, the same on both axes; the output is H + sum(pad) - 3 high.
        gain: factor on the output.
    """
    channels = x.shape[1]
    taps = torch.tensor(BLUR_TAPS, dtype=x.dtype, device=x.device) / sum(BLUR_TAPS)
    kernel = (gain * torch.outer(taps, taps)).expand(channels, 1, 4, 4)
    if pad[0] != pad[1]:
        x = F.pad(x, (pad[0], pad[1], pad[0], pad[1]))
        return F.conv2d(x, kernel, groups=channels)
    return F.conv2d(x, kernel, padding=pad[0], groups=channels)


def upsample2(x: Tensor) -> Tensor:
    """x (B, C, H, W) → (B, C, 2H, 2W) by zero insertion and the low-pass filter."""
    channels = x.shape[1]
    taps = torch.tensor(BLUR_TAPS, dtype=x.dtype, device=x.device) / sum(BLUR_TAPS)
    kernel = (4.0 * torch.outer(taps, taps)).expand(channels, 1, 4, 4)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate.

    Args:
        lr_multiplier: further factor on weight and bias (0.01 in the mapping network).
        activate: follow by leaky ReLU 0.2 and a gain of sqrt(2).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        activate: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.lr_multiplier = lr_multiplier
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_features) → (B, out_features)."""
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.lr_multiplier)
        return F.leaky_relu(x, 0.2) * SQRT2 if self.activate else x


class EqualConv2d(nn.Module):
    """Convolution with equalised learning rate, optional halving, bias and activation.

    With `down`, the input is low-pass filtered and the convolution strides by 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        down: bool = False,
        bias: bool = True,
        activate: bool = True,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.kernel_size, self.down = kernel_size, down
        self.activate, self.clamp = activate, clamp

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, out_channels, H, W), half that size with `down`."""
        gain = SQRT2 if self.activate else 1.0
        weight = self.weight * (self.weight_gain * gain)
        bias = None if self.bias is None else self.bias * gain
        if self.down:
            side = (self.kernel_size + 1) // 2
            x = F.conv2d(blur(x, pad=(side, side)), weight, bias, stride=2)
        else:
            x = F.conv2d(x, weight, bias, padding=self.kernel_size // 2)
        if self.activate:
            return leaky(x, clamp=self.clamp)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """Factors (B, O) that give each output channel unit variance, in float32.

    Args:
        weight: (O, I, k, k).
        style: (B, I), with the weight's gain already in it.
    """
    energy = weight.float().square().sum(dim=(2, 3))
    return torch.rsqrt(F.linear(style.float().square(), energy) + 1e-8)


class StyledConv(nn.Module):
    """StyleGAN2's modulated 3×3 convolution, then noise, bias and activation.

    The style scales the input's channels and the demodulation the output's, which equals the
    published per-sample kernels (arXiv 1912.04958, section 2.2) with one shared kernel.

    Args:
        resolution: height and width of the output.
        up: double the size by a transposed convolution followed by the low-pass filter.
        clamp: limit on the output's magnitude; None for no limit.
    """

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        *,
        resolution: int,
        up: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(1, 1, resolution, resolution))
        self.weight_gain = 1 / math.sqrt(in_channels * 9)
        self.up, self.clamp = up, clamp

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """x (B, I, H, W), style (B, I), noise (1 or B, 1, H', W') or None → (B, O, H', W')."""
        style = style.to(x.dtype)
        if x.dtype == torch.float16:  # demodulation cancels any scale; keep the sums in range
            style = style / style.abs().amax(dim=1, keepdim=True).clamp_min(1e-4)
        style = style * self.weight_gain
        x = x * style[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = blur(x, pad=(1, 1), gain=4.0)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        factor = (demodulation(self.weight, style) * SQRT2).to(x.dtype)[:, :, None, None]
        offset = (self.bias * SQRT2).to(x.dtype)[None, :, None, None]
        x = torch.addcmul(offset, x, factor)
        if noise is not None:
            x = x + (noise * (self.noise_strength * SQRT2)).to(x.dtype)
        return leaky(x, clamp=self.clamp)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to three channels, without demodulation."""

    def __init__(self, in_channels: int, w_dim: int, *, clamp: float | None = None) -> None:
        super().__init__()
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, in_channels))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.clamp = clamp

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        """x (B, I, H, W), style (B, I), skip (B, 3, H/2, W/2) or None → (B, 3, H, W)."""
        kernel = self.weight * (style * self.weight_gain).to(x.dtype)[:, None, :]
        rgb = torch.einsum("boi,bihw->bohw", kernel, x) + self.bias.to(x.dtype)[:, None, None]
        if self.clamp is not None:
            rgb = rgb.clamp(-self.clamp, self.clamp)
        return rgb if skip is None else rgb + upsample2(skip)
