"""Translate published state dicts into ours: name, shape, nothing else.

Every function takes a plain state dict (no "module." or "encoder." prefix) and returns the
architecture's config with tensors under our names. Sources: rosinality/stylegan2-pytorch,
NVlabs/stylegan2-ada-pytorch, eladrich/pixel2style2pixel, yuval-alaluf/restyle-encoder,
omertov/encoder4editing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toonify.errors import ModelError
from toonify.models.layers import BLUR_TAPS

State = Mapping[str, Tensor]
Converted = tuple[dict[str, Any], dict[str, Tensor]]


def take(state: State, name: str) -> Tensor:
    """The entry `name`, or ModelError saying that it is missing."""
    if name not in state:
        raise ModelError(
            f"the checkpoint lacks '{name}', which its kind of network needs",
            hint="It may be incomplete: download it again, or check which model it holds.",
        )
    return state[name]


def check_filters(state: State) -> None:
    """ModelError if a stored resampling filter is not [1, 3, 3, 1], the only one we compute."""
    taps = torch.tensor(BLUR_TAPS)
    expected = torch.outer(taps, taps) / taps.sum() ** 2
    for name, value in state.items():
        if not name.endswith((".kernel", ".resample_filter")) or value.ndim != 2:
            continue
        kernel = value.float() / value.float().sum()
        if kernel.shape != expected.shape or not torch.allclose(kernel, expected, atol=1e-3):
            raise ModelError(
                f"the checkpoint resamples with another filter than [1, 3, 3, 1] ('{name}')",
                hint="Only StyleGAN2's default filter is supported.",
            )


def count_entries(state: State, pattern: str) -> int:
    """How many different matches of `pattern` the names begin with."""
    return len({match[0] for name in state if (match := re.match(pattern, name))})


def rosinality_generator(state: State, latent_avg: Tensor | None) -> Converted:
    """rosinality's `g_ema` (also pSp's, ReStyle's and StyleGANEX's decoder) → ours.

    Args:
        latent_avg: (512,) or (num_ws, 512), the mean of w; None leaves `w_avg` out.
    """
    check_filters(state)
    blocks = count_entries(state, r"to_rgbs\.\d+\.")
    channels = {4: take(state, "input.input").shape[1]}
    out: dict[str, Tensor] = {"const": take(state, "input.input")}
    mapping_layers = count_entries(state, r"style\.\d+\.")
    for i in range(mapping_layers):
        for leaf in ("weight", "bias"):
            out[f"mapper.{i}.{leaf}"] = take(state, f"style.{i + 1}.{leaf}")

    def affine(source: str, target: str) -> None:
        for leaf in ("weight", "bias"):
            out[f"{target}.affine.{leaf}"] = take(state, f"{source}.conv.modulation.{leaf}")

    def conv(source: str, target: str, noise: int) -> None:
        affine(source, target)
        out[f"{target}.weight"] = take(state, f"{source}.conv.weight")[0]
        out[f"{target}.bias"] = take(state, f"{source}.activate.bias")
        out[f"{target}.noise_strength"] = take(state, f"{source}.noise.weight").reshape(())
        if f"noises.noise_{noise}" in state:  # pSp and older rosinality files may omit them
            out[f"{target}.noise_const"] = state[f"noises.noise_{noise}"]

    def to_rgb(source: str, target: str) -> None:
        affine(source, target)
        out[f"{target}.weight"] = take(state, f"{source}.conv.weight")[0, :, :, 0, 0]
        out[f"{target}.bias"] = take(state, f"{source}.bias").reshape(3)

    conv("conv1", "conv1", 0)
    to_rgb("to_rgb1", "to_rgb1")
    for b in range(blocks):
        conv(f"convs.{2 * b}", f"blocks.{b}.up", 2 * b + 1)
        conv(f"convs.{2 * b + 1}", f"blocks.{b}.conv", 2 * b + 2)
        to_rgb(f"to_rgbs.{b}", f"blocks.{b}.to_rgb")
        channels[8 * 2**b] = out[f"blocks.{b}.conv.weight"].shape[0]
    if latent_avg is not None:
        out["w_avg"] = latent_avg.reshape(-1, latent_avg.shape[-1]).mean(dim=0)
    return _generator_config(channels, out, mapping_layers, None), out


def nvidia_generator(state: State, *, conv_clamp: float | None) -> Converted:
    """NVIDIA stylegan2-ada-pytorch's `G_ema` → ours; `conv_clamp` is its constructor's."""
    check_filters(state)
    if any(name.startswith("mapping.embed.") for name in state):
        raise ModelError(
            "the generator is class-conditional",
            hint="Only unconditional StyleGAN2 generators are supported.",
        )
    const = take(state, "synthesis.b4.const")
    mapping_layers = count_entries(state, r"mapping\.fc\d+\.")
    sizes = [4 * 2**i for i in range(count_entries(state, r"synthesis\.b\d+\."))]
    channels = {4: const.shape[0]}
    out: dict[str, Tensor] = {"const": const[None], "w_avg": take(state, "mapping.w_avg")}
    for i in range(mapping_layers):
        for leaf in ("weight", "bias"):
            out[f"mapper.{i}.{leaf}"] = take(state, f"mapping.fc{i}.{leaf}")

    def common(source: str, target: str) -> None:
        for leaf in ("affine.weight", "affine.bias", "bias"):
            out[f"{target}.{leaf}"] = take(state, f"{source}.{leaf}")

    def conv(source: str, target: str) -> None:
        common(source, target)
        out[f"{target}.weight"] = take(state, f"{source}.weight")
        out[f"{target}.noise_strength"] = take(state, f"{source}.noise_strength").reshape(())
        out[f"{target}.noise_const"] = take(state, f"{source}.noise_const")[None, None]

    def to_rgb(source: str, target: str) -> None:
        common(source, target)
        out[f"{target}.weight"] = take(state, f"{source}.weight")[:, :, 0, 0]

    conv("synthesis.b4.conv1", "conv1")
    to_rgb("synthesis.b4.torgb", "to_rgb1")
    for b, size in enumerate(sizes[1:]):
        conv(f"synthesis.b{size}.conv0", f"blocks.{b}.up")
        conv(f"synthesis.b{size}.conv1", f"blocks.{b}.conv")
        to_rgb(f"synthesis.b{size}.torgb", f"blocks.{b}.to_rgb")
        channels[size] = out[f"blocks.{b}.conv.weight"].shape[0]
    return _generator_config(channels, out, mapping_layers, conv_clamp), out


def _generator_config(
    channels: dict[int, int],
    tensors: State,
    mapping_layers: int,
    conv_clamp: float | None,
) -> dict[str, Any]:
    w_dim = tensors["conv1.affine.weight"].shape[1]
    return {
        "architecture": "stylegan2",
        "resolution": max(channels),
        "channels": {str(size): count for size, count in channels.items()},
        "w_dim": w_dim,
        "z_dim": tensors["mapper.0.weight"].shape[1] if mapping_layers else w_dim,
        "mapping_layers": mapping_layers,
        "conv_clamp": conv_clamp,
    }


def rosinality_discriminator(state: State) -> Converted:
    """rosinality's `d` → ours."""
    check_filters(state)
    out: dict[str, Tensor] = {}
    for source, target in (
        ("convs.0.0.weight", "from_rgb.weight"),
        ("convs.0.1.bias", "from_rgb.bias"),
        ("final_conv.0.weight", "final_conv.weight"),
        ("final_conv.1.bias", "final_conv.bias"),
        ("final_linear.0.weight", "final_linear.weight"),
        ("final_linear.0.bias", "final_linear.bias"),
        ("final_linear.1.weight", "logit.weight"),
        ("final_linear.1.bias", "logit.bias"),
    ):
        out[target] = take(state, source)
    blocks = count_entries(state, r"convs\.[1-9]\d*\.")
    for i in range(blocks):
        for source, target in (
            ("conv1.0.weight", "conv1.weight"),
            ("conv1.1.bias", "conv1.bias"),
            ("conv2.1.weight", "conv2.weight"),
            ("conv2.2.bias", "conv2.bias"),
            ("skip.1.weight", "skip.weight"),
        ):
            out[f"blocks.{i}.{target}"] = take(state, f"convs.{i + 1}.{source}")
    return _discriminator_config(blocks, out, None), out


def nvidia_discriminator(state: State, *, conv_clamp: float | None) -> Converted:
    """NVIDIA stylegan2-ada-pytorch's `D` → ours."""
    check_filters(state)
    if any(name.startswith("mapping.") for name in state):
        raise ModelError(
            "the discriminator is class-conditional",
            hint="Only unconditional StyleGAN2 discriminators are supported.",
        )
    blocks = count_entries(state, r"b\d+\.") - 1
    out: dict[str, Tensor] = {}
    names = {"b4.conv": "final_conv", "b4.fc": "final_linear", "b4.out": "logit"}
    names[f"b{4 * 2**blocks}.fromrgb"] = "from_rgb"
    for source, target in names.items():
        for leaf in ("weight", "bias"):
            out[f"{target}.{leaf}"] = take(state, f"{source}.{leaf}")
    for i in range(blocks):
        size = 4 * 2 ** (blocks - i)
        for leaf in ("weight", "bias"):
            out[f"blocks.{i}.conv1.{leaf}"] = take(state, f"b{size}.conv0.{leaf}")
            out[f"blocks.{i}.conv2.{leaf}"] = take(state, f"b{size}.conv1.{leaf}")
        out[f"blocks.{i}.skip.weight"] = take(state, f"b{size}.skip.weight")
    return _discriminator_config(blocks, out, conv_clamp), out


def _discriminator_config(blocks: int, tensors: State, conv_clamp: float | None) -> dict[str, Any]:
    channels = {4 * 2**blocks: tensors["from_rgb.weight"].shape[0]}
    for i in range(blocks):
        channels[4 * 2 ** (blocks - i - 1)] = tensors[f"blocks.{i}.conv2.weight"].shape[0]
    return {
        "architecture": "stylegan2_discriminator",
        "resolution": max(channels),
        "channels": {str(size): count for size, count in channels.items()},
        "conv_clamp": conv_clamp,
    }


# published encoder class → (has the feature pyramid, gives differences from its first latent)
_PSP_NETWORKS = {
    "GradualStyleEncoder": (True, False),
    "Encoder4Editing": (True, True),
    "BackboneEncoder": (False, False),
    "ProgressiveBackboneEncoder": (False, True),
}


def psp_encoder(state: State, options: Mapping[str, Any], latent_avg: Tensor | None) -> Converted:
    """The encoder of a pSp, e4e or ReStyle checkpoint → ours.

    Args:
        options: the `opts` it was trained with; `encoder_type` says what its heads mean.
        latent_avg: (512,) or (num_ws, 512), the mean of w the latents are relative to.
    """
    kind = str(options.get("encoder_type", "none"))
    if kind not in _PSP_NETWORKS or options.get("learn_in_w"):
        raise ModelError(
            f"its encoder type is '{kind}'{' in W' if options.get('learn_in_w') else ''}, "
            f"expected one of {', '.join(_PSP_NETWORKS)}",
            hint="Give a pSp, e4e or ReStyle encoder for faces.",
        )
    pyramid, deltas = _PSP_NETWORKS[kind]
    if pyramid:
        take(state, "latlayer1.weight")
    num_ws = count_entries(state, r"styles\.\d+\.")
    w_dim = take(state, "styles.0.linear.weight").shape[0]
    in_channels = take(state, "input_layer.0.weight").shape[1]
    restyle = in_channels == 6 and "n_iters_per_batch" in options
    if not pyramid and not restyle:
        raise ModelError(
            f"a {kind} with {in_channels} input channels is not ReStyle's, which has 6",
            hint="Give a pSp, e4e or ReStyle encoder for faces.",
        )
    units, channels = irse_stages(state)
    config: dict[str, Any] = {
        "num_ws": num_ws,
        "w_dim": w_dim,
        "units": units,
        "channels": channels,
    }
    if restyle:
        steps = int(options["n_iters_per_batch"])
        config |= {"architecture": "restyle", "pyramid": pyramid, "deltas": deltas, "steps": steps}
    else:
        config |= {"architecture": "e4e" if deltas else "psp", "in_channels": in_channels}
    out = {f"net.{name}": value for name, value in state.items()}
    if not (restyle or options.get("start_from_latent_avg", True)):
        latent_avg = torch.zeros(w_dim)
    if latent_avg is None:
        raise ModelError(
            "the checkpoint lacks latent_avg, which its encoder's latents are relative to",
            hint="It may be incomplete: download it again.",
        )
    out["w_plus_mean"] = latent_avg.expand(num_ws, w_dim).clone()
    return config, out


def irse_stages(state: State) -> tuple[list[int], list[int]]:
    """Units and channels of each stage, from the residual units' convolutions."""
    units: list[int] = []
    channels: list[int] = []
    for i in range(count_entries(state, r"body\.\d+\.")):
        width = take(state, f"body.{i}.res_layer.1.weight").shape[0]
        if not channels or width != channels[-1]:
            channels.append(width)
            units.append(0)
        units[-1] += 1
    if len(units) != 4:
        raise ModelError(
            f"the encoder's body has {len(units)} stages, expected the 4 of IR-SE",
            hint="Give a pSp, e4e or ReStyle encoder for faces.",
        )
    return units, channels
