"""What golden cases are given: a photograph, a clip, folders to learn from, tiny networks.

All of it is seeded, and written once for both revisions that are compared.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
import torchvision
from torch import nn

from toonify.checkpoints import save_generator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator

PHOTO = Path(__file__).resolve().parents[1] / "examples" / "astronaut.png"
FRAMES = 5  # of the clip, a few px apart
FACES = 12
SIDE = 64  # of faces and drawings, px
LIKE_LPIPS = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}


def write_inputs(folder: Path) -> dict[str, str]:
    """The photograph, a clip of it that moves, and a picture whose manner is taken."""
    photo = cv2.imread(str(PHOTO))
    clip, style = folder / "clip", folder / "style.png"
    clip.mkdir(parents=True)
    for number in range(FRAMES):
        shift = np.float32([[1, 0, 3 * number], [0, 1, number]])
        moved = cv2.warpAffine(photo, shift, photo.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        cv2.imwrite(str(clip / f"{number}.png"), moved)
    cv2.imwrite(str(style), _blots(np.random.default_rng(0), 256))
    return {"photo": str(PHOTO), "clip": str(clip), "style": str(style)}


def write_training_inputs(folder: Path) -> dict[str, str]:
    """Folders of faces, drawings and pairs, and networks to begin from.

    `{face}` is a compact generator of 32 px and `{frames}` a StyleGAN2 of 64 px; `{teacher}` and
    `{fine}`, of 64 and 128 px, are taught from. `{alex}` and `{vgg}` are random trunks for LPIPS.
    """
    random = np.random.default_rng(1)
    photo = cv2.imread(str(PHOTO))
    faces, drawings, pairs = (folder / name for name in ("faces", "drawings", "pairs"))
    for place in (faces, drawings / "mina", pairs / "photos", pairs / "drawings"):
        place.mkdir(parents=True)
    for number in range(FACES):
        top, left = (int(x) for x in random.integers(0, 40, 2))
        face = cv2.resize(photo[top : top + 220, 110 + left : 330 + left], (SIDE, SIDE))
        drawn = cv2.convertScaleAbs(cv2.medianBlur(face, 7), alpha=1.3)
        cv2.imwrite(str(faces / f"{number}.png"), face)
        cv2.imwrite(str(pairs / f"photos/{number}.png"), face)
        cv2.imwrite(str(pairs / f"drawings/{number}.png"), drawn)
        if number < 3:
            cv2.imwrite(str(drawings / f"mina/{number}.png"), _blots(random, SIDE))
    written = {"faces": faces, "drawings": drawings, "pairs": pairs}
    for name, network in _generators().items():
        written[name] = folder / f"{name}.safetensors"
        save_generator(network.eval(), written[name])
    for name, make in LIKE_LPIPS.items():
        with torch.device("meta"):
            layers = make(weights=None).features
        generator = torch.Generator().manual_seed(2)
        state = {
            f"features.{key}": _weight(value, generator)
            for key, value in layers.state_dict().items()
        }
        written[name] = folder / f"{name}.pth"
        torch.save(state, written[name])
    return {name: str(path) for name, path in written.items()}


def _blots(random: np.random.Generator, side: int) -> np.ndarray:
    coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def _weight(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if like.ndim == 1:
        return torch.zeros(like.shape)
    fan_in = like.shape[1] * like.shape[2] * like.shape[3]
    return torch.randn(like.shape, generator=generator) * (2 / fan_in) ** 0.5


def _generators() -> dict[str, MobileGenerator | StyleGAN2Generator]:
    torch.manual_seed(3)
    small = {"w_dim": 16, "mapping_layers": 2}
    made = {
        "face": MobileGenerator(resolution=32, channels=(16, 16, 16), **small),
        "teacher": MobileGenerator(resolution=64, channels=(16, 16, 16, 16), **small),
        "fine": MobileGenerator(resolution=128, channels=(16, 16, 16, 16, 8), **small),
        "frames": StyleGAN2Generator(
            resolution=64, channels={4: 8, 8: 8, 16: 8, 32: 8, 64: 4}, z_dim=16, **small
        ),
    }
    with torch.no_grad():
        for network in made.values():
            for layer in network.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            network.w_avg.copy_(network.mapping(torch.randn(256, 16)).mean(0))
    return made
