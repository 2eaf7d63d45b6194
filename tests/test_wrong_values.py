"""The public functions with wrong values: an error of toonify's own that names the parameter."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

import toonify
from tests.tiny_bundle import add_frame_parts, tiny_generator, write_bundle
from tests.tiny_styleganex import PixelLoss
from toonify.checkpoints import save_generator
from toonify.errors import ToonifyError
from toonify.training.encoders.losses import EncoderWeights
from toonify.training.finetune.adversarial_config import AdversarialConfig
from toonify.training.finetune.paired_step import PairedConfig

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.png"
NAN = float("nan")
NETWORKS = [("device", "gpu"), ("device", 3), ("dtype", "half")]
COUNTS = (-1, 2.5, NAN, "three")
POSITIVE = (0, -1, NAN, "fast")


def wrong(names: str, *values: object) -> list[tuple[str, object]]:
    return [(name, value) for name in names.split() for value in values]


CASES = {
    "project": [
        *wrong("steps batch_size", 0, *COUNTS),
        *wrong("patience", *COUNTS),
        *wrong("seed", 2.5, "three"),
        *wrong("lr", *POSITIVE),
        *NETWORKS,
    ],
    "invert": [
        *wrong("steps pti_steps", *COUNTS),
        *wrong("seed", 2.5, "three"),
        ("method", "guess"),
        ("frame", "half"),
        ("hfgi_network", "h.safetensors"),
        *NETWORKS,
    ],
    "edit": [
        *wrong("strength", -21, 21, NAN, "far"),
        *wrong("steps", 501, *COUNTS),
        *wrong("layers", "99-", "some"),
        ("method", "guess"),
        ("hfgi_network", "h.safetensors"),
        ("direction", "sefa-9999"),
        *NETWORKS,
    ],
    "train_encoder": [
        *wrong("kimg lr snapshot_kimg", *POSITIVE),
        *wrong("batch_size held_out residual_steps", 0, *COUNTS),
        *wrong("keep", *COUNTS),
        *wrong("photo_share", -0.1, 1.1, NAN, "half"),
        *wrong("pair_count", 0, *COUNTS),
        *wrong("seed", 2.5, "three"),
        ("variant", "psb"),
        ("size", "99"),
        *NETWORKS,
        ("dtype", "float16"),
    ],
    "finetune": [
        *wrong("processes", 0, *COUNTS),
        ("objective", "pared"),
        ("device", "gpu"),
        ("device", 3),
    ],
    "evaluate": [
        *wrong("limit", 0, *COUNTS),
        *wrong("level", -1, 99, 2.5, NAN, "three"),
        ("bundles", ()),
        ("drawings", ("a", "b")),
        *NETWORKS,
    ],
    "convert_video": [
        *wrong("smooth", -0.1, 1.1, NAN, "some"),
        *wrong("fps", *POSITIVE),
        *wrong("max_size", 0, *COUNTS),
        *wrong("crf", 64, *COUNTS),
        *wrong("start end", -1, NAN, "soon"),
        *wrong("level", -1, 99, 2.5, NAN, "three"),
        *wrong("color", -0.1, 1.1, NAN, "some"),
        *wrong("min_face", -1, 0, NAN, "some"),
        ("engine", "unett"),
        ("codec", "h2645"),
        ("pix_fmt", "yuv"),
        ("landmarks", "all"),
        *NETWORKS,
    ],
}
CONFIGS = {
    AdversarialConfig: [
        *wrong("kimg lr snapshot_kimg", *POSITIVE),
        *wrong("batch_size r1_interval path_interval ada_interval log_every", 0, *COUNTS),
        *wrong("augment_p style_mixing character_share ema_rampup", -0.1, 1.1, NAN, "half"),
        *wrong("r1_weight path_weight", -1, NAN, "some"),
        *wrong("ada_kimg ema_kimg", *POSITIVE),
        *wrong("freeze_below freeze_d character_level keep", *COUNTS),
        ("augment", "bgcc"),
    ],
    PairedConfig: [
        *wrong("steps batch_size snapshot", 0, *COUNTS),
        *wrong("lr", *POSITIVE),
        *wrong("freeze_below level keep", *COUNTS),
        *wrong("style_jitter sharpen", -1, NAN, "some"),
        *wrong("ema", -0.1, 1.1, NAN, "some"),
    ],
    EncoderWeights: [*wrong("latent features l2 lpips identity w_norm", -1, NAN, "some")],
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Function → a call of it that nothing is wrong with, but for what a test adds."""
    folder = tmp_path_factory.mktemp("calls")
    bundle = str(add_frame_parts(write_bundle(folder / "bundle")))
    save_generator(tiny_generator(), folder / "g.safetensors")
    drawings = folder / "drawings" / "mina"
    drawings.mkdir(parents=True)
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(drawings / f"{index}.png"), pixels)
    frames = folder / "clip"
    frames.mkdir()
    for index in range(2):
        cv2.imwrite(str(frames / f"{index}.png"), np.full((64, 64, 3), 90, np.uint8))
    square = np.full((32, 32, 3), 90, np.uint8)
    generator = str(folder / "g.safetensors")
    photos = str(drawings)
    return {
        "project": functools.partial(toonify.project, square, generator=generator, steps=1),
        "invert": functools.partial(
            toonify.invert, drawings / "0.png", encoder=bundle, generator=generator
        ),
        "edit": functools.partial(toonify.edit, ASTRONAUT, encoder=bundle),
        "train_encoder": functools.partial(
            toonify.train_encoder, generator, photos=photos, aligned=True, kimg=0.001
        ),
        "finetune": functools.partial(toonify.finetune, drawings.parent, generator),
        "evaluate": functools.partial(toonify.evaluate, drawings / "0.png", bundles=(bundle,)),
        "convert_video": functools.partial(toonify.convert_video, frames, bundle=bundle),
    }


WRITING = ("train_encoder", "finetune", "convert_video")
BESIDES = {
    ("train_encoder", "residual_steps"): {"variant": "restyle"},
    ("train_encoder", "size"): {"variant": "psp"},
    ("train_encoder", "pair_count"): {"pairs": "no-pairs"},
    ("convert_video", "level"): {"character": "mina"},
    ("convert_video", "color"): {"character": "mina"},
}


@pytest.mark.parametrize(
    ("function", "name", "value"),
    [(function, name, value) for function, cases in CASES.items() for name, value in cases],
)
def test_a_wrong_value_is_named(calls, tmp_path, monkeypatch, function, name, value):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PixelLoss)
    monkeypatch.chdir(tmp_path)
    options = {name: value} | BESIDES.get((function, name), {})
    if function == "edit" and name != "direction":
        options["direction"] = "sefa-1"
    if function in WRITING:
        options["output"] = tmp_path / "out"
    with pytest.raises(ToonifyError) as refused:
        calls[function](**options)
    assert f"`{name}`" in str(refused.value)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [(config, name, value) for config, cases in CONFIGS.items() for name, value in cases],
)
def test_a_wrong_option_of_a_training_is_named(config, name, value):
    with pytest.raises(ToonifyError, match=f"`{name}`"):
        config(**{name: value})


def test_each_training_takes_its_defaults():
    for config in CONFIGS:
        config()
