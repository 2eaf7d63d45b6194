"""Starting a StyleGAN2 from a compact generator's weights, layer by layer, by least squares.

Both are chains of modulated convolutions driven by the same rows of w+, so the student's layers
are fitted in turn: some of the teacher's channels are chosen, their styles taken over (a product
of two affine styles becomes the nearest affine one), and the kernel is the one that best predicts
the teacher's values before activation from what the student has so far. No gradient steps; what is
left is for `distill`. The idea is that of reconstruction in network pruning (ThiNet, arXiv
1707.06342).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.generators.mobile import Block, MobileGenerator, ModulatedConv
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.layers import EqualConv2d, EqualLinear, StyledConv, ToRGB, blur, upsample2
from toonify.training.data.latent_samples import sample_w_plus
from toonify.training.distillation.least_squares import affine_fit, informative_columns

# Latents that layers of a resolution are fitted on: few pixels say much about few latents, and what
# tells latents apart is in the coarse layers
SAMPLES = {4: 768, 8: 768, 16: 512, 32: 320, 64: 128, 128: 64}
LEAST = 32
PICTURES = 128
AT_ONCE = 32
POSITIONS = 48  # of each sample's pixels, for a layer's fit
RIDGE = 3e-4
Progress = Callable[[str, float], None]


@dataclass
class Stream:
    """What runs through both networks at one point, for all sampled latents.

    Attributes:
        teacher: activations (N, C, h, w), float16.
        student: likewise; empty channels before the first layer.
        chosen: the teacher's channel that each of the student's stands for.
    """

    teacher: Tensor
    student: Tensor
    chosen: Tensor

    def first(self, count: int) -> Stream:
        """Of fewer latents."""
        return Stream(self.teacher[:count], self.student[:count], self.chosen)


@torch.no_grad()
def init_least_squares(
    teacher: MobileGenerator,
    student: StyleGAN2Layers,
    *,
    seed: int = 0,
    from_block: int = 0,
    progress: Progress | None = None,
) -> StyleGAN2Layers:
    """Fit the layers of `student`, in place.

    Args:
        teacher: of at least the student's resolution.
        student: `new_student`'s or `new_hybrid`'s: same mapping network.
        from_block: the first to fit; layers before it have learnt already and stay.
        progress: called with each layer's name and the share of the teacher's variance that its
            fit explains.

    Returns:
        the student.

    Raises:
        UsageError: the student has a layer wider than the teacher's, or one more.
    """
    _check_widths(teacher, student)
    device, teacher = student.w_avg.device, on_cpu(teacher)
    student.cpu()
    random = torch.Generator().manual_seed(seed)
    count = max(SAMPLES.values()) if not from_block else SAMPLES.get(8 * 2**from_block, LEAST)
    w_plus = sample_w_plus(teacher, count, random, mixed=0.5)
    styles = teacher.styles(w_plus)
    fitter = Fitter(student, w_plus, random, progress)
    image: Tensor | None = None
    images = w_plus[:0]
    if from_block:
        stream = _learnt(teacher, student, w_plus, 4 * 2**from_block)
    else:
        const = teacher.const.expand(count, -1, -1, -1).half()
        start = informative_columns(
            teacher.const[0].flatten(1).T * styles[0].std(0), student.channels[4]
        )
        own = teacher.const[:, start]
        student.const.copy_(own / own.square().mean().sqrt())  # it is what an encoder's f is like
        stream = Stream(const, student.const.expand(count, -1, -1, -1).half(), start)
        stream = fitter.conv("conv1", teacher.conv1, stream, styles[0], styles[1])
        images = teacher_images(teacher, w_plus[:PICTURES], student.resolution)
        image = fitter.to_rgb("to_rgb1", stream, None, images)
    # where the teacher has an image head instead of a block, what is fresh stays fresh
    blocks = teacher.blocks[: len(student.blocks)]
    for index, block in enumerate(blocks[from_block:], from_block):
        name = f"blocks.{index}"
        kept = SAMPLES.get(8 * 2**index, LEAST)
        stream = stream.first(kept)
        styles = [style[:kept] for style in styles]
        up, first, second = styles[1 + 3 * index : 4 + 3 * index]
        stream = fitter.up(f"{name}.up", block, stream, up, first, second)
        following = styles[4 + 3 * index] if 4 + 3 * index < len(styles) else None
        stream = fitter.conv(f"{name}.conv", block.conv2, stream, second, following)
        if image is not None:
            image = fitter.to_rgb(f"{name}.to_rgb", stream, image[:kept], images)
    if isinstance(student, HybridGenerator):
        fitter.bridge(student.bridge, stream)
    return student.to(device)


def on_cpu(teacher: MobileGenerator) -> MobileGenerator:
    """It, or a copy: the fits are the CPU's, wherever networks train."""
    return teacher if teacher.w_avg.device.type == "cpu" else copy.deepcopy(teacher).cpu()


def _learnt(
    teacher: MobileGenerator, student: StyleGAN2Layers, w_plus: Tensor, resolution: int
) -> Stream:
    """Both networks' features; a student's channel stands for the teacher's most like it."""

    def read(network: MobileGenerator | StyleGAN2Layers) -> Tensor:
        return torch.cat(
            [
                network.features(network.styles(part), resolution=resolution).half()
                for part in w_plus.split(AT_ONCE)
            ]
        )

    taught, own = read(teacher), read(student)
    rows = [x.float().permute(0, 2, 3, 1).flatten(0, 2) for x in (taught, own)]
    rows = [(x - x.mean(0)) / (x.std(0) + 1e-6) for x in rows]
    return Stream(taught, own, (rows[1].T @ rows[0]).argmax(1))


def _check_widths(teacher: MobileGenerator, student: StyleGAN2Layers) -> None:
    if student.resolution > teacher.resolution:
        raise UsageError(
            f"a teacher of {teacher.resolution}x{teacher.resolution} has no layers for"
            f" {student.resolution}x{student.resolution}",
            hint="Choose a smaller resolution.",
        )
    for (size, count), most in zip(student.channels.items(), teacher.channels, strict=False):
        if count > most:
            raise UsageError(
                f"the student has {count} channels at {size}x{size}, its teacher {most}",
                hint="Choose fewer channels.",
            )


class Fitter:
    """Fits layers of `student` for the latents `w_plus`."""

    def __init__(
        self,
        student: StyleGAN2Layers,
        w_plus: Tensor,
        random: torch.Generator,
        progress: Progress | None,
    ) -> None:
        self.student, self.w_plus, self.random = student, w_plus, random
        self.progress = progress
        self.rows = {info.name: info.latent_index for info in student.layers}

    def conv(
        self,
        name: str,
        layer: ModulatedConv,
        stream: Stream,
        style: Tensor,
        following: Tensor | None,
    ) -> Stream:
        """A convolution that keeps the size: styles are taken over as they are."""
        own = cast(StyledConv, self.student.get_submodule(name))
        modulation = layer.modulation
        affine = modulation.weight[stream.chosen], modulation.bias[stream.chosen]
        _set_affine(own.affine, *affine)
        raw = _in_parts(
            lambda part: _separable(layer, stream.teacher[part].float(), style[part]), len(style)
        )
        return self._fit(name, own, layer, stream, raw, following)

    def up(
        self,
        name: str,
        block: Block,
        stream: Stream,
        up: Tensor,
        first: Tensor,
        following: Tensor,
    ) -> Stream:
        """One that doubles it: the teacher's wavelet step and first convolution together."""
        own = cast(StyledConv, self.student.get_submodule(name))
        quarter = up.shape[1] // 4
        group = torch.arange(up.shape[1]) - quarter
        group = torch.where(group < 0, group + quarter, group // 3)
        product = (up * first[:, group])[:, stream.chosen]
        w = self.w_plus[: len(product), self.rows[name]]
        weight, bias = affine_fit(w, product)
        _set_affine(own.affine, weight, bias)

        def run(part: slice) -> Tensor:
            x = block.up(stream.teacher[part].float(), up[part])
            return _separable(block.conv1, x, first[part])

        raw = _in_parts(run, len(up))
        return self._fit(name, own, block.conv1, stream, raw, following)

    def _fit(
        self,
        name: str,
        own: StyledConv,
        layer: ModulatedConv,
        stream: Stream,
        raw: Tensor,
        following: Tensor | None,
    ) -> Stream:
        """Kernel and bias from `raw`, the teacher's values before bias; then the activations."""
        act = (raw.float() + layer.bias[:, None, None] + layer.noise).half()
        act = F.leaky_relu(act, 0.2)
        width = own.weight.shape[0]
        weighing = (
            torch.ones(act.shape[1])
            if following is None
            else following.std(0) + (following.mean(0).abs())
        )
        chosen = informative_columns(self._sample(act) * weighing[: act.shape[1]], width)
        q = own.affine(self.w_plus[: len(raw), self.rows[name]])
        kernel, explained = self._solve(own, stream.student, q, raw[:, chosen])
        own.weight.copy_(kernel / kernel.square().mean((1, 2, 3), keepdim=True).sqrt())
        energy = kernel.square().sum((2, 3))
        inverse = torch.rsqrt(F.linear(q.square(), energy) + 1e-12).mean(0)
        own.bias.copy_(layer.bias[chosen] * inverse)
        spread = layer.noise.std()
        if spread > 1e-6:
            own.noise_const.copy_(layer.noise / spread)
            own.noise_strength.fill_(float(spread * inverse.mean()))
        if self.progress:
            self.progress(name, explained)
        out = _in_parts(
            lambda part: own(stream.student[part].float(), q[part], own.noise_const), len(q)
        )
        return Stream(act, out, chosen)

    def _solve(
        self, own: StyledConv, x: Tensor, style: Tensor, wanted: Tensor
    ) -> tuple[Tensor, float]:
        """Least squares of `wanted` on the layer's nine taps: (O, I, 3, 3), share explained."""
        inputs, outputs = x.shape[1], wanted.shape[1]
        gram = torch.zeros(9 * inputs, 9 * inputs, dtype=torch.float64)
        cross = torch.zeros(9 * inputs, outputs, dtype=torch.float64)
        energy = 0.0
        for start in range(0, len(x), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            taps = _taps(own, x[part].float() * style[part][:, :, None, None])
            target = wanted[part].float().permute(0, 2, 3, 1).flatten(0, 2)
            pick = torch.randint(
                len(target), (min(len(target), AT_ONCE * POSITIONS),), generator=self.random
            )
            rows, target = taps[pick], target[pick]
            gram += (rows.T @ rows).double()
            cross += (rows.T @ target).double()
            energy += float(target.square().sum())
        ridge = RIDGE * gram.diagonal().mean()
        gram.diagonal().add_(ridge)
        solution = torch.linalg.solve(gram, cross)
        left = energy - 2 * float((solution * cross).sum())
        left += float((solution * (gram @ solution)).sum() - ridge * solution.square().sum())
        kernel = solution.float().view(9, inputs, outputs).permute(2, 1, 0)
        return kernel.reshape(outputs, inputs, 3, 3), 1 - left / max(energy, 1e-12)

    def bridge(self, own: EqualConv2d, stream: Stream) -> None:
        """Least squares of the teacher's values before its last activation."""
        x, wanted = (
            values.float().permute(0, 2, 3, 1).flatten(0, 2)
            for values in (stream.student, stream.teacher)
        )
        pick = torch.randint(len(x), (40_000,), generator=self.random)
        x = torch.cat([x[pick], torch.ones(len(pick), 1)], dim=1).double()
        wanted = wanted[pick].double()
        wanted = torch.where(wanted > 0, wanted, wanted / 0.2)
        gram = x.T @ x
        gram.diagonal().add_(RIDGE * gram.diagonal().mean())
        solution = torch.linalg.solve(gram, x.T @ wanted).float() / math.sqrt(2)  # leaky's gain
        own.weight.copy_(solution[:-1].T[:, :, None, None] / own.weight_gain)
        cast(Tensor, own.bias).copy_(solution[-1])

    def to_rgb(self, name: str, stream: Stream, image: Tensor | None, images: Tensor) -> Tensor:
        """Least squares of the teacher's picture at this size, beyond what is there already."""
        own = cast(ToRGB, self.student.get_submodule(name))
        own.affine.weight.zero_()
        own.affine.bias.fill_(1)
        size = stream.student.shape[-1]
        stream = stream.first(len(images))
        target = F.adaptive_avg_pool2d(images[: len(stream.student)], size)
        before = 0.0 if image is None else upsample2(image)
        missing = target - before
        width = stream.student.shape[1]
        gram = torch.zeros(width + 1, width + 1, dtype=torch.float64)
        cross = torch.zeros(width + 1, 3, dtype=torch.float64)
        for start in range(0, len(target), AT_ONCE):
            x = stream.student[start : start + AT_ONCE].float().permute(0, 2, 3, 1).flatten(0, 2)
            y = missing[start : start + AT_ONCE].permute(0, 2, 3, 1).flatten(0, 2)
            pick = torch.randint(
                len(y), (min(len(y), AT_ONCE * POSITIONS * 4),), generator=self.random
            )
            x = torch.cat([x[pick], torch.ones(len(pick), 1)], dim=1)
            gram += (x.T @ x).double()
            cross += (x.T @ y[pick]).double()
        gram.diagonal().add_(RIDGE * gram.diagonal().mean())
        solution = torch.linalg.solve(gram, cross).float()
        own.weight.copy_(solution[:-1].T / own.weight_gain)
        own.bias.copy_(solution[-1])
        style = torch.ones(len(target), width)
        added = _in_parts(
            lambda part: own(stream.student[part].float(), style[part], None), len(target)
        )
        result = added.float() + before
        if self.progress:
            self.progress(name, 1 - float((result - target).square().mean() / target.var()))
        return result

    def _sample(self, x: Tensor) -> Tensor:
        """Some of the pixels, (P, C)."""
        flat = x.permute(0, 2, 3, 1).flatten(0, 2)
        return flat[torch.randint(len(flat), (20000,), generator=self.random)].float()


def _in_parts(run: Callable[[slice], Tensor], count: int) -> Tensor:
    return torch.cat([run(slice(i, i + AT_ONCE)).half() for i in range(0, count, AT_ONCE)])


def teacher_images(teacher: MobileGenerator, w_plus: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, size, size) of w+ (N, num_ws, w_dim)."""
    parts = []
    for part in w_plus.split(8):
        with torch.autocast("cpu", torch.bfloat16):
            image = teacher(part).float()
        parts.append(F.adaptive_avg_pool2d(image, size))
    return torch.cat(parts)


def _separable(layer: ModulatedConv, x: Tensor, style: Tensor) -> Tensor:
    """The teacher's values before bias, noise and activation."""
    x = x * style[:, :, None, None]
    if not layer.separable:
        return F.conv2d(x, layer.weight, padding=1)
    return F.conv2d(F.conv2d(x, layer.depthwise, padding=1, groups=x.shape[1]), layer.pointwise)


def _taps(own: StyledConv, x: Tensor) -> Tensor:
    """What each of the nine taps of the kernel sees: (pixels, 9·C), tap by tap."""
    channels, seen = x.shape[1], []
    for tap in range(9):
        one = torch.zeros(1, 1, 3, 3)
        one.view(-1)[tap] = 1
        one = one.expand(channels, 1, 3, 3)
        if own.up:
            y = blur(F.conv_transpose2d(x, one, stride=2, groups=channels), pad=1, gain=4.0)
        else:
            y = F.conv2d(x, one, padding=1, groups=channels)
        seen.append(y.permute(0, 2, 3, 1).flatten(0, 2))
    return torch.cat(seen, dim=1)


def _set_affine(own: EqualLinear, weight: Tensor, bias: Tensor) -> None:
    own.weight.copy_(weight / own.weight_gain)
    own.bias.copy_(bias / own.lr_multiplier)
