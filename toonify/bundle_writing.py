"""Assembling a bundle from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from toonify.bundle import (
    FRAMES,
    INVERSION,
    bundle_folder,
    load_frame_parts,
    part_path,
    read_manifest,
    write_manifest,
)
from toonify.checkpoints import (
    generator_hash,
    load_encoder,
    load_generator,
    save_encoder,
    save_generator,
)
from toonify.errors import InputError, ModelError, ToonifyError
from toonify.lut import CharacterTable
from toonify.utils.atomic import TemporaryFolder

SHIPPED = Path(__file__).parent / "bundles"


def locate(name: str, *parts: str) -> str:
    """Where a network named on a command line is.

    Args:
        name: a checkpoint's file, a registry name, or a bundle's name or folder.
        parts: which part of a bundle is meant, "generator" say; of several, the first it has.

    Returns:
        a path or registry name for `load_generator` or `load_encoder`.
    """
    if is_bundle(name):
        folder = bundle_folder(name)
        manifest = read_manifest(folder)
        listed = manifest.get("files") or {}
        part = next((part for part in parts if part in listed), parts[0])
        return str(part_path(folder, manifest, part))
    return name


def is_bundle(name: str) -> bool:
    """Whether a name on a command line is a bundle's."""
    path = Path(name)
    shipped = len(path.parts) == 1 and (SHIPPED / name).is_dir()
    return not path.is_file() and (shipped or (path / "manifest.json").is_file())


def write_bundle(
    folder: Path,
    *,
    generator: Path,
    encoder: str,
    table: Path,
    license: str = "unknown",
    extras: Mapping[str, Path] | None = None,
) -> tuple[str, ...]:
    """Write a bundle's folder, whole or not at all; networks are stored in float16.

    Args:
        encoder: a checkpoint, or the name or folder of a bundle.
        licence: of the parts, for the manifest.
        extras: part → checkpoint, of `toonify.bundle.EXTRAS`.

    Returns:
        the characters' names.

    Raises:
        ModelError: a part can't be loaded, or the parts don't belong together.
        InputError: the folder can't be written.
    """
    network = load_generator(generator)
    reader = load_encoder(locate(encoder, "encoder"))
    characters = CharacterTable.load(table)
    characters.check(generator_hash(network))
    if not reader.serves(network.num_ws):
        raise ModelError(
            f"the encoder gives {reader.num_ws} latents, the generator takes {network.num_ws}",
            hint="Give the encoder trained for this generator with `encoder`.",
        )
    try:
        with TemporaryFolder(folder) as temporary:
            partial = temporary.path
            save_generator(network, partial / "generator.safetensors", dtype=torch.float16)
            save_encoder(reader, partial / "encoder.safetensors", dtype=torch.float16)
            characters.save(partial / "characters.safetensors")
            parts = ["generator", "encoder", "characters", *(extras or {})]
            for part, path in (extras or {}).items():
                target = partial / f"{part}.safetensors"
                if part.endswith("generator"):
                    save_generator(load_generator(path), target, dtype=torch.float16)
                else:
                    save_encoder(load_encoder(path), target, dtype=torch.float16)
            write_manifest(
                partial,
                about={"name": folder.name, "license": license},
                files={part: {"file": f"{part}.safetensors"} for part in parts},
            )
            for pair in (FRAMES, INVERSION):
                if any(part in parts for part in pair):
                    load_frame_parts(partial, pair)  # both, and made for each other
            temporary.commit()
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(
            f"can't write {folder}: {error.strerror or error}", hint="Choose another `output`."
        ) from error
    return characters.names
