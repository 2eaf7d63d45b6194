"""A whole bundle of tiny random networks, written as a real one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.tiny_styleganex import tiny_encoder, tiny_stylegan2
from toonify.bundle import FRAMES, INVERSION, write_manifest
from toonify.checkpoints import generator_hash, load_generator, save_encoder, save_generator
from toonify.lut import Character, CharacterTable
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.mobile import MobileGenerator

NAMES = ("mina", "otto")
RESOLUTION = 32


def tiny_generator(seed: int = 0) -> MobileGenerator:
    torch.manual_seed(seed)
    return MobileGenerator(resolution=RESOLUTION, channels=(16, 16, 16), w_dim=16, mapping_layers=2)


def write_table(generator_path: Path, path: Path, names=NAMES) -> CharacterTable:
    """A table of random latents for the generator in a file."""
    generator = load_generator(generator_path)
    table = CharacterTable(generator_hash=generator_hash(generator))
    for index, name in enumerate(names):
        torch.manual_seed(index + 1)
        table.add(
            Character(
                name=name,
                w_plus=torch.randn(generator.num_ws, generator.w_dim),
                k=3,
                preview=np.full((8, 8, 3), 40 * index, np.uint8),
                provenance={"drawings": 3},
            )
        )
    table.save(path)
    return table


def write_bundle(folder: Path) -> Path:
    folder.mkdir(parents=True)
    generator = tiny_generator()
    encoder = CompactEncoder(
        num_ws=generator.num_ws, w_dim=16, input_size=32, widths=(16, 16), depth=1
    )
    save_generator(generator, folder / "generator.safetensors", dtype=torch.float16)
    save_encoder(encoder, folder / "encoder.safetensors", dtype=torch.float16)
    write_table(folder / "generator.safetensors", folder / "characters.safetensors")
    list_parts(folder)
    return folder


def list_parts(folder: Path) -> None:
    """The manifest of the files that lie there."""
    parts = sorted(path.stem for path in folder.glob("*.safetensors"))
    write_manifest(
        folder,
        about={"name": "tiny"},
        files={part: {"file": f"{part}.safetensors"} for part in parts},
    )


def add_frame_parts(folder: Path, *, resolution: int = 64) -> Path:
    """`FRAMES` and `INVERSION` of random weights beside what a bundle holds."""
    channels = {4: 8, 8: 8, 16: 8, 32: 8, 64: 4, 128: 4, 256: 4}
    channels = {size: count for size, count in channels.items() if size <= resolution}
    rows = 2 * len(channels)
    for seed, (generator, encoder) in enumerate((FRAMES, INVERSION)):
        network = tiny_stylegan2(seed=seed + 3, resolution=resolution, channels=channels)
        save_generator(network, folder / f"{generator}.safetensors")
        fusions = {"fusion_channels": (8, 8, 8)} if encoder == FRAMES[1] else {}
        reader = tiny_encoder(seed=seed + 3, num_ws=rows, **fusions)
        save_encoder(reader, folder / f"{encoder}.safetensors")
    list_parts(folder)
    return folder
