"""Deterministic weights for HFGI, StyleFusion, StyleMapGAN, AdaIN and WCT2.

Same idea as seeded.py: a tensor is a pure function of its name (prefix + state-dict name)
and shape. seeded.py is left as it is; this module adds the rules its prefixes do not cover.

prefix                                   rule
encoder. / decoder.                      seeded.seeded_weight, unchanged
e4e.                                     e4e's encoder, livelier than "encoder." (whose latents
                                         hardly depend on the picture)
residue. / grid_align.                   HFGI's consultation encoder and alignment network
fusion.NODE.                             StyleFusion's FusionNet of hierarchy node NODE
stylemap.generator. / .encoder. / .discriminator.
adain.vgg. / adain.decoder.
wct2.OPTION.encoder. / wct2.OPTION.decoder.   OPTION is cat5 or sum
A held-out variant puts one more word in front ("b." + the same name).
"""

from __future__ import annotations

import numpy as np
from seeded import seeded_array, seeded_weight

_WAVELETS = (".LL.weight", ".LH.weight", ".HL.weight", ".HH.weight")


def seeded_more(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Value of the state-dict entry `name`; None where the module's own constant stands."""
    rule = name.removeprefix("b.")
    if rule.startswith(("encoder.", "decoder.")):
        return _delegated(name, rule, shape)
    leaf = rule.rsplit(".", 1)[-1]
    if leaf in {"kernel", "num_batches_tracked"} or rule.endswith(_WAVELETS):
        return None
    x = seeded_array(name, tuple(shape))
    if rule.startswith(("residue.", "grid_align.", "e4e.")):
        return _bottlenecks(rule, leaf, x)
    if rule.startswith("fusion."):  # every layer: equalized, lr multiplier 0.01
        return x * np.float32(100.0 if leaf == "weight" else 10.0)
    if rule.startswith("stylemap."):
        return _stylemap(rule, leaf, x)
    if rule.startswith(("adain.", "wct2.")):
        return _vgg(rule, leaf, x)
    raise ValueError(f"no seeding rule for {name!r}")


def seeded_image(name: str, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Image in (-1, 1) with structure a network sees: 16-pixel squares plus fine grain."""
    n, c, h, w = shape
    coarse = seeded_array(name + ".coarse", (n, c, -(-h // 16), -(-w // 16)))
    squares = coarse.repeat(16, axis=2).repeat(16, axis=3)[:, :, :h, :w]
    fine = seeded_array(name, (n, c, h, w))
    return np.tanh(np.float32(0.8) * squares + np.float32(0.3) * fine)


def _delegated(name: str, rule: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """seeded_weight's value; for a held-out name its scale and offset, on other numbers.

    seeded_weight's rules look at the start of a name, so the held-out tensor is the plain
    one rolled by a third of its length: same distribution, another network.
    """
    value = seeded_weight(rule, tuple(shape))
    if name == rule or value is None:
        return value
    return np.roll(value.reshape(-1), value.size // 3).reshape(value.shape)


def _bottlenecks(rule: str, leaf: str, x: np.ndarray) -> np.ndarray:
    if leaf == "running_var":
        return 0.5 + np.abs(x)
    if leaf == "running_mean" or leaf == "bias":
        return np.float32(0.1) * x
    if x.ndim == 1:
        if rule.endswith(
            ("res_layer.2.weight", "conv_layer1.2.weight", "input_layer.2.weight")
        ):  # PReLU slopes
            return np.float32(0.25) + np.float32(0.05) * x
        if rule.endswith("res_layer.4.weight"):  # the residual branch's closing BatchNorm
            return np.float32(0.3) + np.float32(0.05) * x
        if rule.endswith("shortcut_layer.1.weight"):
            return np.float32(0.7) + np.float32(0.1) * x
        return np.float32(1.0) + np.float32(0.1) * x
    if rule.startswith("e4e.styles."):
        if ".linear." in rule:  # equalized
            return x
        return x * np.float32(np.sqrt(2.0 / np.prod(x.shape[1:])))
    if "condition_" in rule:  # equalized: the layer itself divides by sqrt(fan_in)
        return x * np.float32(0.5 if rule.endswith(".2.weight") else 1.0)
    return x / np.float32(np.sqrt(np.prod(x.shape[1:])))


def _stylemap(rule: str, leaf: str, x: np.ndarray) -> np.ndarray:
    if ".mapping_z." in rule:  # lr multiplier 0.01
        return x * np.float32(100.0 if leaf == "weight" else 10.0)
    if leaf == "bias":
        return np.float32(1.0 if ".gamma." in rule else 0.0) + np.float32(0.1) * x
    return x  # equalized weights, the constant input


def _vgg(rule: str, leaf: str, x: np.ndarray) -> np.ndarray:
    """He scale before a ReLU, plain fan-in scale where none follows.

    WCT2 adds the identity to its covariances, so its features are made large (times 16 in the
    encoder's conv1_1, back in the decoder's); Haar's LL doubles a smooth map and its inverse
    halves it, which the convolutions after them undo.
    """
    if leaf == "bias":
        return np.float32(0.1) * x
    layer = rule.removesuffix(".weight")
    gain = (
        1.0 if layer.endswith(("conv0", "vgg.0", "decoder.28", "decoder.conv1_1")) else np.sqrt(2.0)
    )
    if rule.startswith("wct2."):
        if layer.endswith("encoder.conv1_1"):
            gain *= 16.0
        elif layer.endswith(("encoder.conv2_1", "encoder.conv3_1", "encoder.conv4_1")):
            gain *= 0.5
        elif layer.endswith("decoder.conv1_1"):
            gain /= 16.0
        elif (
            layer.endswith(
                ("decoder.conv3_4", "decoder.conv2_2", "decoder.conv1_2", "_2_2", "conv3_4_2")
            )
            and ".decoder." in rule
        ):
            gain *= 2.0
    return x * np.float32(gain / np.sqrt(np.prod(x.shape[1:])))
