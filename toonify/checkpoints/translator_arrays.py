"""Networks that draw styles, from files of ours, without torch: see `translators.py` for that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toonify.checkpoints.arrays import Array, read_arrays
from toonify.errors import ModelError
from toonify.models.graph_runtimes import GraphRuntime
from toonify.models.unet_graph import GraphUNet, shapes

MOST_LEVELS, MOST_BLOCKS, MOST_CHANNELS = 12, 64, 1 << 13


def load_graph_unet(
    path: Path, *, style: str | None = None, runtime: GraphRuntime = "opencv"
) -> GraphUNet:
    """A network from `toonify finetune --objective pix2pix`.

    Args:
        style: which one, where the file's network draws several.
        runtime: what computes.

    Raises:
        UsageError: the runtime isn't available.
        ModelError: missing, damaged, or of another kind; a style has to be named, or is unknown.
    """
    if not path.is_file():
        raise ModelError(f"no checkpoint at {path}", hint="Give a network's file.")
    arrays, config = read_arrays(path)
    kind = config["architecture"]
    if kind not in ("unet", "styled_unet"):
        raise ModelError(f"{path} draws no style", hint="Give a file of `objective` pix2pix.")
    widths, depths = _sizes(path, config)
    if kind == "styled_unet":
        arrays = _of_one_style(path, arrays, config, style, shapes(widths, depths))
    try:
        return GraphUNet(arrays, widths=widths, depths=depths, runtime=runtime)
    except ModelError as error:
        raise ModelError(f"{path}: {error}", hint="Get the file again.") from error


def _sizes(path: Path, config: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Channels and blocks of each level."""
    widths, depths = config.get("widths"), config.get("depths")
    sound = (
        isinstance(widths, list)
        and isinstance(depths, list)
        and 0 < len(widths) == len(depths) <= MOST_LEVELS
        and all(type(width) is int and 0 < width <= MOST_CHANNELS for width in widths)
        and all(type(depth) is int and 0 <= depth <= MOST_BLOCKS for depth in depths)
    )
    if not sound:
        raise ModelError(f"{path}: its configuration is of no U-Net", hint="Get the file again.")
    return list(widths or ()), list(depths or ())


def _of_one_style(
    path: Path,
    arrays: Mapping[str, Array],
    config: Mapping[str, Any],
    style: str | None,
    wanted: Mapping[str, tuple[int, ...]],
) -> dict[str, Array]:
    """The weights that draw a style alone, as `StyledUNet.weights` folds them."""
    listed = config.get("styles")
    styles = [str(name) for name in listed] if isinstance(listed, list) else []
    if style is None or style not in styles:
        raise ModelError(
            f"{path} draws {', '.join(styles)}" + (f", not {style}" if style else ""),
            hint="Name one of these, or give the file of one, which training left beside it.",
        )
    row = styles.index(style)
    folded = {}
    for name in [name for name in wanted if name.endswith(".weight")]:
        layer = name.removesuffix(".weight")
        shape, key = wanted[name], f"modulation.{layer.replace('.', '_')}"
        into, out, bias = (arrays.get(f"{key}_{kind}") for kind in ("in", "out", "bias"))
        weight, plain = arrays.get(f"unet.{name}"), arrays.get(f"unet.{layer}.bias")
        if into is None or out is None or bias is None or weight is None or plain is None:
            raise ModelError(f"{path} lacks {layer}", hint="Get the file again.")
        rows = (len(styles),)
        fits = into.shape == rows + shape[1:2] and out.shape == bias.shape == rows + shape[:1]
        if not fits or weight.shape != shape or plain.shape != shape[:1]:
            raise ModelError(f"{path}: {layer} is of another shape", hint="Get the file again.")
        rest = (1,) * (len(shape) - 2)
        scales = out[row].reshape(-1, 1, *rest) * into[row].reshape(1, -1, *rest)
        folded[name] = weight * scales
        folded[f"{layer}.bias"] = plain * out[row] + bias[row]
    return folded
