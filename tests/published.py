"""Tiny checkpoints in the published layouts, written as the original programs write them."""

from __future__ import annotations

import pickle
import re
import sys
import types
from pathlib import Path

import pytest
import torch
from parity import layout
from torch import Tensor, nn

BLUR = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
# published widths → tiny ones; the encoder's squeezes (÷16) keep their ratio
GENERATOR_WIDTHS = {512: 8}
ENCODER_WIDTHS = {512: 64, 32: 4, 256: 48, 16: 3, 128: 32, 8: 2, 64: 16, 4: 1}


def shrink(name: str, widths: dict[int, int], drop: str = r"$^") -> dict[str, Tensor]:
    """Random tensors for a published layout with other widths, less the names matching `drop`."""
    state = {}
    for key, shape in layout(name).items():
        if re.match(drop, key):
            continue
        if key.endswith((".kernel", ".resample_filter")):
            state[key] = BLUR * (4 if ".conv.blur" in key or ".upsample" in key else 1)
        elif "noise" in key and len(shape) in (2, 4):
            state[key] = torch.randn(shape)
        elif key.endswith("running_var"):
            state[key] = torch.rand([widths.get(n, n) for n in shape]) + 0.5
        else:
            keep = 2 if key.endswith(("input.input", ".const")) else 9  # their 4×4 is no width
            small = [widths.get(n, n) if i < keep else n for i, n in enumerate(shape)]
            # the mapping network divides by its learning rate multiplier, 0.01
            scale = 100 if key.startswith(("style.", "mapping.fc")) else 0.1
            state[key] = scale * torch.randn(small)
    return state


def rosinality(resolution: int = 16, *, width: int = 8) -> dict[str, Tensor]:
    """A state dict of rosinality's generator with `width` channels and entries of w."""
    blocks = {8: 1, 16: 2}[resolution]
    drop = rf"to_rgbs\.[{blocks}-9]|convs\.[{2 * blocks}-9]|noises\.noise_([{2 * blocks + 1}-9]|10)"
    return shrink("rosinality_128_cm2", {512: width}, drop)


def rosinality_discriminator() -> dict[str, Tensor]:
    """A state dict of rosinality's 16×16 discriminator, 6, 7 and 8 channels wide."""
    state = {"convs.0.0.weight": torch.randn(6, 3, 1, 1), "convs.0.1.bias": torch.randn(6)}
    for i, (wide, narrow) in enumerate(((6, 7), (7, 8)), start=1):
        state |= {
            f"convs.{i}.conv1.0.weight": torch.randn(wide, wide, 3, 3),
            f"convs.{i}.conv1.1.bias": torch.randn(wide),
            f"convs.{i}.conv2.0.kernel": BLUR,
            f"convs.{i}.conv2.1.weight": torch.randn(narrow, wide, 3, 3),
            f"convs.{i}.conv2.2.bias": torch.randn(narrow),
            f"convs.{i}.skip.0.kernel": BLUR,
            f"convs.{i}.skip.1.weight": torch.randn(narrow, wide, 1, 1),
        }
    return state | {
        "final_conv.0.weight": torch.randn(8, 9, 3, 3),
        "final_conv.1.bias": torch.randn(8),
        "final_linear.0.weight": torch.randn(8, 128),
        "final_linear.0.bias": torch.randn(8),
        "final_linear.1.weight": torch.randn(1, 8),
        "final_linear.1.bias": torch.randn(1),
    }


def restyle_encoder() -> dict[str, Tensor]:
    """A state dict of ReStyle's encoder for 16×16 (6 latents), an eighth as wide."""
    return shrink("restyle_encoder_256", ENCODER_WIDTHS, r"styles\.([6-9]|1\d)\.")


# widths beside those of an encoder: what its concatenations make of them
STYLEGANEX_WIDTHS = ENCODER_WIDTHS | {768: 144, 1024: 128, 515: 67, 2048: 256}

UPPER = r"fusion\.[56]\."


def styleganex_encoder(variant: str = "") -> dict[str, Tensor]:
    """A state dict of StyleGANEX's 256×256 encoder, an eighth as wide, with five fusions.

    `variant` is "att1" (attention), "in1" (sketches), "in19" (masks), else seven plain fusions.
    """
    state = shrink("encoder_256_skip", STYLEGANEX_WIDTHS, r"fusion" if variant else UPPER)
    if variant:
        name = f"encoder_256_skip_{variant}" if variant == "att1" else f"encoder_256_{variant}"
        widths = {k: v for k, v in STYLEGANEX_WIDTHS.items() if k != 16}  # T's own width
        state |= shrink(name, widths, UPPER)
    return state


def styleganex(variant: str = "") -> dict[str, Tensor]:
    """The state dict of a whole StyleGANEX checkpoint, encoder and 256×256 decoder."""
    state = {f"encoder.{k}": v for k, v in styleganex_encoder(variant).items()}
    decoder = shrink("decoder_256", {512: 64, 256: 48, 128: 32})
    return state | {f"decoder.{k}": v for k, v in decoder.items()}


def nvidia() -> dict[str, Tensor]:
    """A state dict of NVIDIA's 16×16 generator, 8 channels wide."""
    return shrink("nvidia_128", GENERATOR_WIDTHS, r"synthesis\.b(32|64|128)\.")


def nvidia_discriminator() -> dict[str, Tensor]:
    """A state dict of NVIDIA's 8×8 discriminator, 8 channels wide."""
    state = shrink("nvidia_discriminator_128", {512: 8, 513: 9, 8192: 128}, r"b(16|32|64|128)\.")
    return state | {"b8.fromrgb.weight": torch.randn(8, 3, 1, 1), "b8.fromrgb.bias": torch.randn(8)}


class Persistent(nn.Module):
    """Pickles itself the way NVIDIA's persistent classes do: source code beside its state."""

    def __init__(self, class_name: str = "Module") -> None:
        super().__init__()
        self.class_name = class_name

    def __reduce__(self):
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit('the pickled source was run')",
            "class_name": self.class_name,
            "state": self.__dict__,
        }
        rebuild = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return rebuild, (meta,), None


def persistent(state: dict[str, Tensor], class_name: str, *, clamp: float | None) -> Persistent:
    """A tree of such modules holding the state dict's tensors."""
    root = Persistent(class_name)
    for key, value in state.items():
        module = root
        *path, leaf = key.split(".")
        for part in path:
            if not hasattr(module, part):
                child = Persistent()
                child.conv_clamp = clamp
                module.add_module(part, child)
            module = getattr(module, part)
        if leaf in {"resample_filter", "noise_const", "w_avg"}:
            module.register_buffer(leaf, value)
        else:
            module.register_parameter(leaf, nn.Parameter(value))
    return root


def write_nvidia(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, clamp: float | None = 256.0, **networks: object
) -> None:
    """Pickle networks with the globals that NVIDIA's files carry."""

    def _reconstruct_persistent_obj(meta: object) -> None:
        raise AssertionError("a pickled module was rebuilt")

    class EasyDict(dict):
        pass

    persistence = types.ModuleType("torch_utils.persistence")
    util = types.ModuleType("dnnlib.util")
    for module, thing in ((persistence, _reconstruct_persistent_obj), (util, EasyDict)):
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
        monkeypatch.setitem(sys.modules, module.__name__.split(".")[0], types.ModuleType("root"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    contents = {
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset"),
        "augment_pipe": None,
        **{
            name: persistent(state, name, clamp=clamp) if isinstance(state, dict) else state
            for name, state in networks.items()
        },
    }
    path.write_bytes(pickle.dumps(contents))
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.delitem(sys.modules, name)
