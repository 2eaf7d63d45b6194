"""Translate the encoder of a published StyleGANEX checkpoint into ours.

Its generator is in rosinality's layout. Source: williamyang1991/StyleGANEX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from toonify.checkpoints.layouts import Converted, State, count_entries, irse_stages, take
from toonify.errors import ModelError

# published inference runs these data sets' networks in training mode, with random styles
_INPUT_STATISTICS = ("ffhq_sketch_to_face", "ffhq_seg_to_face")


def is_styleganex(state: State) -> bool:
    """Whether an encoder's state dict has what StyleGANEX adds to pSp's."""
    return any(name.split(".")[0] in {"fusion", "skiplayer", "featlayer"} for name in state)


def styleganex_encoder(
    state: State, options: Mapping[str, Any], latent_avg: Tensor | None, editing_w: object
) -> Converted:
    """The encoder of a StyleGANEX checkpoint → ours.

    Args:
        options: the `opts` it was trained with.
        latent_avg: (512,) or (num_ws, 512), the mean of w the latents are relative to.
        editing_w: (B, num_ws, 512), the editing vector of a video editing checkpoint, or None.
    """
    if options.get("max_pooling") or options.get("learn_in_w") or options.get("feat_ind"):
        raise ModelError(
            "its encoder was trained with max_pooling, learn_in_w or feat_ind",
            hint="Only StyleGANEX's default architecture is supported.",
        )
    num_ws = count_entries(state, r"styles\.\d+\.")
    w_dim = take(state, "styles.0.linear.weight").shape[0]
    units, channels = irse_stages(state)
    label, fusions = "input_label_layer.model.0.weight", count_entries(state, r"fusion\.\d+\.")
    config: dict[str, Any] = {
        "architecture": "styleganex",
        "num_ws": num_ws,
        "w_dim": w_dim,
        "label_channels": state[label].shape[1] if label in state else 0,
        "feature_channels": take(state, "featlayer.weight").shape[0],
        "fusion_channels": [
            take(state, f"fusion.{i}.transform.0.weight").shape[0] for i in range(fusions)
        ],
        "fuse_image": not fusions or "fusion.0.fusion_skip.weight" in state,
        "attention": max(0, count_entries(state, r"fusion\.0\.linear\.\d+\.") - 1),
        "translation_blocks": count_entries(state, r"input_label_layer\.model\.\d+\.conv_block"),
        "has_direction": isinstance(editing_w, Tensor),
        "input_statistics": options.get("dataset_type") in _INPUT_STATISTICS,
        "units": units,
        "channels": channels,
    }
    if not options.get("start_from_latent_avg", True):
        latent_avg = torch.zeros(w_dim)
    if latent_avg is None:
        raise ModelError(
            "the checkpoint lacks latent_avg, which its encoder's latents are relative to",
            hint="It may be incomplete: download it again.",
        )
    out = {f"net.{name}": value for name, value in state.items()}
    out["w_plus_mean"] = latent_avg.expand(num_ws, w_dim).clone()
    if isinstance(editing_w, Tensor):
        out["direction"] = editing_w.reshape(-1, num_ws, w_dim)[0].clone()
    return config, out
