"""Layer arithmetic shared by StyleGAN2's generator and discriminator, in plain torch.

Weights are equalized (arXiv 1710.10196): stored at unit variance and scaled by 1/sqrt(fan_in)
when used, so that one learning rate suits every layer. Resampling uses the separable low-pass
filter [1, 3, 3, 1] everywhere (arXiv 1912.04958). Every function is differentiable twice.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models import winograd
from toonify.models.cpu import infers, keep

SQRT2 = math.sqrt(2.0)
BLUR_TAPS = (1.0, 3.0, 3.0, 1.0)


def normal_weight(*size: int, std: float) -> Tensor:
    """Fresh weights of that deviation. Where a file's weights take their place, loading leaves
    `nn.init` out, and this memory untouched."""
    return nn.init.normal_(torch.empty(size), std=std)


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


def fast_layout(x: Tensor) -> Tensor:
    """x (B, C, H, W) with its channels last in memory, which convolutions are fastest in."""
    if x.device.type == "mps":  # whose kernels expect the plain layout
        return x
    return x.contiguous(memory_format=torch.channels_last)


def _taps(taps: tuple[float, ...], x: Tensor) -> Tensor:
    """Taps of a low-pass filter, their sum 1, beside x."""
    make = _kept_taps if x.device.type == "cuda" else _new_taps
    return make(taps, x.dtype, x.device)


def _new_taps(taps: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # so that they serve where gradients are wanted, too
        return torch.tensor(taps, dtype=dtype, device=device) / sum(taps)


# a graph recorded on a GPU (`models/replay.py`) has no place for copies to it
_kept_taps = cache(_new_taps)


def _filter(x: Tensor, gain: float) -> Tensor:
    taps = _taps(BLUR_TAPS, x)
    return (gain * torch.outer(taps, taps)).expand(x.shape[1], 1, 4, 4)


def blur(
    x: Tensor, *, pad: int, gain: float = 1.0, bias: Tensor | None = None, stride: int = 1
) -> Tensor:
    """x (B, C, H, W) filtered by the 4×4 low-pass filter.

    Args:
        pad: zeros around; the output is H + 2·pad - 3 high.
        gain: factor on the filtered values.
        bias: (C,) added to them.
        stride: every how many-th value is kept.
    """
    return F.conv2d(x, _filter(x, gain), bias, stride, padding=pad, groups=x.shape[1])


def upsample2(x: Tensor) -> Tensor:
    """x (B, C, H, W) → (B, C, 2H, 2W) by zero insertion and the low-pass filter."""
    return F.conv_transpose2d(x, _filter(x, 4.0), stride=2, padding=1, groups=x.shape[1])


def upsample2_planes(x: Tensor) -> Tensor:
    """What `upsample2` gives, of pictures whose channels are planes in memory: each result lies a
    quarter of the way from one value to another."""
    for dim in (2, 3):
        before, after = x.new_zeros(x.shape), x.new_zeros(x.shape)
        count = x.shape[dim] - 1
        before.narrow(dim, 1, count).copy_(x.narrow(dim, 0, count))
        after.narrow(dim, 0, count).copy_(x.narrow(dim, 1, count))
        pairs = torch.stack((x.lerp(before, 0.25), x.lerp(after, 0.25)), dim + 1)
        x = pairs.flatten(dim, dim + 1)
    return x


def sized_noise(stored: Tensor, size: tuple[int, int]) -> Tensor:
    """A stored noise map (1, 1, R, R), averaged or repeated to another height and width."""
    return stored if stored.shape[2:] == size else F.adaptive_avg_pool2d(stored, size)


def smooth(x: Tensor, *, dilation: int, pad: int) -> Tensor:
    """x (B, C, H, W) filtered by [1, 2, 1] in both directions, its taps `dilation` apart.

    On an image of pixels repeated 2·dilation times this is what `upsample2` does to the image
    before repetition (arXiv 2303.06146): [1, 3, 3, 1] after zero insertion is [1, 2, 1] after
    repetition.

    Args:
        pad: zeros around; the output is H + 2·pad - 2·dilation high.
    """
    taps = _taps((1.0, 2.0, 1.0), x)
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=pad, dilation=dilation, groups=x.shape[1])


class EqualLinear(nn.Module):
    """Linear layer with equalized learning rate.

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
        self.weight = nn.Parameter(normal_weight(out_features, in_features, std=1 / lr_multiplier))
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.lr_multiplier = lr_multiplier
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_features) → (B, out_features)."""
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.lr_multiplier)
        return F.leaky_relu(x, 0.2) * SQRT2 if self.activate else x


class EqualConv2d(nn.Module):
    """Convolution with equalized learning rate, optional halving, bias and activation.

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
        if self.down and self.kernel_size == 1:  # only what the stride keeps
            x = F.conv2d(blur(x, pad=1, stride=2), weight, bias)
        elif self.down:
            side = (self.kernel_size + 1) // 2
            x = F.conv2d(blur(x, pad=side), weight, bias, stride=2)
        else:
            x = F.conv2d(x, weight, bias, padding=self.kernel_size // 2)
        if self.activate:
            return leaky(x, clamp=self.clamp)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Conv3x3(nn.Conv2d):
    """3×3 convolution that keeps height and width, by `winograd` where that is faster."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, out_channels, H, W)."""
        if not winograd.suits(x, self.weight):
            return super().forward(x)
        kernels = keep(
            self, "kernels", (self.weight,), lambda: winograd.kernels_at_points(self.weight)
        )
        return winograd.convolve(x, kernels, winograd.Finish(bias=self.bias), padding=1)


def kernel_energy(weight: Tensor) -> Tensor:
    """A kernel (O, I, k, k) → sums of its squares (O, I), in float32."""
    return weight.float().square().sum(dim=(2, 3))


def demodulation(energy: Tensor, style: Tensor) -> Tensor:
    """Factors (B, O) that give each output channel unit variance, in float32.

    Args:
        energy: (O, I) of the kernel, see `kernel_energy`.
        style: (B, I), with the weight's gain already in it.
    """
    device = style.device.type
    halves = torch.amp.is_autocast_available(device)  # squares of float16 vanish
    with torch.autocast(device, enabled=False) if halves else nullcontext():
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

    def forward(
        self, x: Tensor, style: Tensor, noise: Tensor | None, *, dilation: int = 0
    ) -> Tensor:
        """x (B, I, H, W), style (B, I), noise (1 or B, 1, H', W') or None → (B, O, H', W').

        Args:
            dilation: above 0, x is at a higher resolution than the layer's own, so the kernel's
                taps are this far apart and `up` keeps the size (StyleGANEX's shallow layers).
        """
        if x.dtype == torch.float16:  # demodulation cancels any scale; keep the sums in range
            style = style / style.abs().amax(dim=1, keepdim=True).clamp_min(1e-4)
        style = style * self.weight_gain
        factor = demodulation(self._energy(x), style) * SQRT2
        bias = (self.bias * SQRT2).to(x.dtype)
        if winograd.suits(x, self.weight) and (dilation or not self.up):
            return self._infer(x, style, factor, bias, noise, dilation)
        if len(style) == 1 and self._pays_to_scale_kernel(x):
            scale = (factor[0, :, None] * style[0]).to(x.dtype)
            x = self._convolve(x, self.weight * scale[:, :, None, None], bias, dilation)
        else:
            x = x * style.to(x.dtype)[:, :, None, None]
            x = self._convolve(x, self.weight, None, dilation)
            factor, bias = factor.to(x.dtype)[:, :, None, None], bias[:, None, None]
            x = x * factor + bias if torch.is_grad_enabled() else x.mul_(factor).add_(bias)
        if noise is not None:
            noise = (noise * (self.noise_strength * SQRT2)).to(x.dtype)
            x = x + noise if torch.is_grad_enabled() else x.add_(noise)
        return leaky(x, clamp=self.clamp)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        if dilation and self.up:
            # A transposed convolution is one with the kernel turned round. What the filter
            # spreads beyond the border counts, so it is kept and nothing is padded after.
            x = smooth(x, dilation=dilation, pad=2 * dilation)
            return F.conv2d(x, weight.flip(2, 3), bias, dilation=dilation)
        if dilation:
            return F.conv2d(x, weight, bias, padding=dilation, dilation=dilation)
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            return blur(x, pad=1, gain=4.0, bias=bias)
        return F.conv2d(x, weight, bias, padding=1)

    def _energy(self, x: Tensor) -> Tensor:
        if not infers(x):
            return kernel_energy(self.weight)
        return keep(self, "energy", (self.weight,), lambda: kernel_energy(self.weight))

    def _pays_to_scale_kernel(self, x: Tensor) -> bool:
        """Whether scaling the kernel is cheaper than scaling one picture's activations."""
        return self.weight.numel() < x[0].numel()

    def _infer(
        self,
        x: Tensor,
        style: Tensor,
        factor: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        dilation: int,
    ) -> Tensor:
        """What `forward` gives, by `winograd`; without doubling the size."""
        kernels = keep(
            self,
            "kernels",
            (self.weight,),
            lambda: winograd.kernels_at_points(self.weight.flip(2, 3) if self.up else self.weight),
        )
        noise = None if noise is None else noise * (self.noise_strength * SQRT2)
        finish = winograd.Finish(factor, bias, noise, slope=0.2)
        if len(style) == 1 and self._pays_to_scale_kernel(x):
            scale = factor[0, :, None] * style[0]
            kernels, finish = kernels * scale[:, :, None, None], replace(finish, scale=None)
        else:
            x = x * style[:, :, None, None]
        padding = dilation = max(1, dilation)
        if self.up:
            x, padding = smooth(x, dilation=dilation, pad=2 * dilation), 0
        x = winograd.convolve(x, kernels, finish, padding=padding, dilation=dilation)
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)


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
        pixels = x.permute(0, 2, 3, 1)  # no copy where channels are last in memory
        if infers(x) and x.dtype == torch.bfloat16:  # planes are twice as fast, in float32 slower
            bias = self.bias.to(x.dtype)[:, None]
            rgb = torch.baddbmm(bias, kernel, pixels.flatten(1, 2).transpose(1, 2))
            rgb = rgb.view(len(x), 3, *x.shape[2:])
            if self.clamp is not None:
                rgb = rgb.clamp_(-self.clamp, self.clamp)
            return rgb if skip is None else rgb.add_(upsample2_planes(skip.contiguous()))
        rgb = torch.baddbmm(self.bias.to(x.dtype), pixels.flatten(1, 2), kernel.transpose(1, 2))
        rgb = rgb.view(*pixels.shape[:3], 3).permute(0, 3, 1, 2)
        if self.clamp is not None:
            rgb = rgb.clamp(-self.clamp, self.clamp)
        return rgb if skip is None else rgb + upsample2(skip)
