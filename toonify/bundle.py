"""A bundle: the generator, encoder and character table that ship together, with a manifest."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toonify.checkpoints import cache, registry
from toonify.errors import ModelError, ToonifyError
from toonify.utils.atomic import TemporaryFolder, write_text, writing
from toonify.utils.hashing import file_sha256
from toonify.utils.links import real_path

if TYPE_CHECKING:  # whoever reads a manifest alone does without torch
    import torch

    from toonify.lut import CharacterTable
    from toonify.models.base import Encoder, Generator
    from toonify.models.encoders.styleganex import StyleGANEXEncoder
    from toonify.models.generators.stylegan2 import StyleGAN2Layers

MOST_MANIFEST = 1 << 22  # characters
_SHIPPED = Path(__file__).parent / "bundles"
PARTS = ("generator", "encoder", "characters")
# What a bundle may hold beside these, a generator and an encoder of StyleGANEX each
FRAMES = ("frame_generator", "frame_encoder")  # draws the characters into whole frames
INVERSION = ("inversion_generator", "inversion_encoder")  # faces, and what finds them in photos
# The small networks that the portrait styles are drawn from
PORTRAIT = ("face_mesh", "iris", "person_matte", "parsing")
HFGI = "hfgi"  # keeps photographs' details in what the inversion generator renders
FUSION = "fusion"  # FusionNet of that generator: keeps backgrounds behind edited heads
UNET = "unet_"  # and a style: the network that draws it
ATTRIBUTES = "attributes"  # lets people through to the characters, at levels above 6
STYLEMAP = "stylemap"  # gives a photograph parts of other faces
DRAWING = "drawing_encoder"  # reads sketches and masks for the inversion generator
RESTORATION = "restoration"  # tells the inversion generator what small faces are to be
EXTRAS = FRAMES + INVERSION


@dataclass(frozen=True)
class Bundle:
    """Networks, characters and options that ship together in a folder.

    Attributes:
        generator: the layer-swapped generator.
        encoder: photo → w+ of that generator.
        table: its characters.
        manifest: `manifest.json`: files with SHA-256, licenses, sources and default options.
        folder: where it was read from.

    Examples:
        >>> bundle = Bundle.load("default")
        >>> bundle.defaults.level, bundle.table.names[0]
        (6, 'mina')
    """

    generator: Generator
    encoder: Encoder
    table: CharacterTable
    manifest: dict[str, Any]
    folder: Path

    @property
    def defaults(self) -> Defaults:
        """Options of the manifest, for those that a caller leaves out: engine, style, level, ….

        Raises:
            ModelError: one is of another type.
        """
        return bundle_defaults(self.folder)

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] = "default",
        *,
        device: str | torch.device = "cpu",
        verify: bool = True,
    ) -> Bundle:
        """Read a shipped bundle by name, or one from a folder.

        Args:
            name: of a shipped bundle, or a bundle's folder.
            device: where its networks are put.
            verify: compare every file with the manifest's SHA-256.

        Raises:
            ModelError: missing or damaged files, or parts which don't belong together.
        """
        from toonify.checkpoints import generator_hash, load_encoder, load_generator
        from toonify.lut import CharacterTable

        folder = bundle_folder(name)
        manifest = read_manifest(folder)
        find = check_part if verify else part_path
        paths = {part: find(folder, manifest, part) for part in PARTS}
        generator = load_generator(paths["generator"], device=device)
        encoder = load_encoder(paths["encoder"], device=device)
        table = CharacterTable.load(paths["characters"])
        table.check(generator_hash(generator))
        if not encoder.serves(generator.num_ws):
            raise ModelError(
                f"the encoder of {folder} gives {encoder.num_ws} latents, its generator takes "
                f"{generator.num_ws}",
                hint="Use the encoder trained for this generator.",
            )
        return cls(generator, encoder, table, manifest, folder)


def bundle_folder(name: str | os.PathLike[str]) -> Path:
    """Folder of a shipped bundle's name or of a path; ModelError when there is none."""
    shipped = sorted(p.name for p in _SHIPPED.iterdir() if p.is_dir()) if _SHIPPED.exists() else []
    if str(name) in shipped:
        return _SHIPPED / str(name)
    folder = Path(name)
    if not folder.is_dir():
        raise ModelError(
            f"there is no bundle {str(name)!r}",
            hint=f"Give a bundle's folder, or one of: {', '.join(shipped) or 'none'}.",
        )
    return folder


def model_files(*names: str | os.PathLike[str] | None) -> list[Path]:
    """Files and folders that models are read from, given themselves or by a name."""
    found = []
    for name in names:
        if name is None:
            continue
        path = Path(name)
        if not path.exists():
            for known in (bundle_folder, lambda n: cache.location(registry.get(str(n)))):
                with contextlib.suppress(ToonifyError):
                    path = Path(known(os.fspath(name)))
                    break
        found.append(path)
    return found


def read_manifest(folder: Path) -> dict[str, Any]:
    """`manifest.json` of a bundle; ModelError when it is missing or not one."""
    path = folder / "manifest.json"
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no regular file")
        with open(path, encoding="utf-8") as file:
            text = file.read(MOST_MANIFEST + 1)
        if len(text) > MOST_MANIFEST:
            raise ValueError("it is too long")
        manifest = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{folder} is not a bundle: its manifest.json can't be read"
            f" ({error.strerror if isinstance(error, OSError) else f'{error!s:.80}'})",
            hint="Name a folder with manifest.json, generator, encoder and characters.",
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != 1:
        raise ModelError(f"{path} is of an unknown format", hint="Update toonify.")
    return manifest


def has_parts(name: str | os.PathLike[str], parts: tuple[str, ...]) -> bool:
    """Whether a bundle, named or in a folder, holds all of these."""
    listed = read_manifest(bundle_folder(name)).get("files")
    return isinstance(listed, dict) and all(part in listed for part in parts)


@dataclass(frozen=True)
class Defaults:
    """What a bundle's manifest says for options that are not given.

    Attributes:
        engine: that draws its characters; None where it doesn't say.
        style: one of its styles; None for the first.
        photos, clips: the engine that draws these in a style that several know: "portrait",
            "unet" or "blend"; None for the program.
        level, trgb, color: of cross-domain style mixing.
        paste_level: of heads set into a picture, whose skin and hair meet the person's own; None
            for `level`.
    """

    engine: str | None = None
    style: str | None = None
    photos: str | None = None
    clips: str | None = None
    level: int = 6
    trgb: bool = True
    color: float = 1.0
    paste_level: int | None = None

    def level_of(self, *, pasted: bool) -> int:
        """The level of portraits, or of heads set into a picture."""
        return self.paste_level if pasted and self.paste_level is not None else self.level


def bundle_defaults(name: str | os.PathLike[str] = "default") -> Defaults:
    """The defaults of a bundle, named or in a folder.

    Raises:
        ModelError: there is no such bundle, or a default is of another type.
    """
    stated = read_manifest(bundle_folder(name)).get("defaults")
    if not isinstance(stated, dict):
        return Defaults()
    kinds: dict[str, Any] = {
        "engine": str, "style": str, "photos": str, "clips": str,
        "level": int, "trgb": bool, "color": (int, float), "paste_level": int,
    }  # fmt: skip
    known = {option: stated[option] for option in kinds if option in stated}
    for option, value in known.items():
        number = option in ("level", "paste_level")
        if not isinstance(value, kinds[option]) or (number and isinstance(value, bool)):
            raise ModelError(
                f"the manifest of {name} says {value!r:.40} for {option}",
                hint="Write the bundle again.",
            )
    return Defaults(**known)


def preferred_engine(name: str | os.PathLike[str]) -> str:
    """ "styleganex" or "cdsm": by what a bundle says of itself, else by what it holds."""
    manifest = read_manifest(bundle_folder(name))
    listed, defaults = manifest.get("files"), manifest.get("defaults")
    frames = isinstance(listed, dict) and all(part in listed for part in FRAMES)
    wish = defaults.get("engine") if isinstance(defaults, dict) else None
    return "styleganex" if frames and wish != "cdsm" else "cdsm"


def load_frame_parts(
    name: str | os.PathLike[str],
    parts: tuple[str, str],
    *,
    device: str | torch.device = "cpu",
    verify: bool = True,
) -> tuple[StyleGAN2Layers, StyleGANEXEncoder]:
    """`FRAMES` or `INVERSION` of a bundle.

    Raises:
        ModelError: it has none, or they are damaged, or don't belong together.
    """
    from toonify.checkpoints import load_encoder, load_generator
    from toonify.models.encoders.styleganex import StyleGANEXEncoder
    from toonify.models.generators.stylegan2 import StyleGAN2Layers

    folder = bundle_folder(name)
    manifest = read_manifest(folder)
    if not has_parts(folder, parts):
        raise ModelError(
            f"the bundle {name} holds no StyleGANEX model of this kind",
            hint="Use the default bundle, or train one with `toonify train-encoder`.",
        )
    find = check_part if verify else part_path
    paths = [find(folder, manifest, part) for part in parts]
    generator = load_generator(paths[0], device=device)
    encoder = load_encoder(paths[1], device=device)
    if not isinstance(generator, StyleGAN2Layers) or not isinstance(encoder, StyleGANEXEncoder):
        raise ModelError(
            f"{parts[0]} and {parts[1]} of {folder} are not StyleGANEX's",
            hint="Write the bundle again.",
        )
    shapes = (generator.num_ws, generator.w_dim, generator.channels[4])
    if shapes != (encoder.num_ws, encoder.w_dim, encoder.feature_channels):
        raise ModelError(
            f"{parts[1]} of {folder} was not trained for its {parts[0]}",
            hint="Write the bundle again.",
        )
    return generator, encoder


def part_path(folder: Path, manifest: dict[str, Any], part: str) -> Path:
    """File of one part, which never lies outside the bundle's folder."""
    try:
        name = manifest["files"][part]["file"]
    except (KeyError, TypeError, IndexError) as error:
        raise ModelError(f"the manifest of {folder} names no {part}") from error
    if not isinstance(name, str) or not name:
        raise ModelError(f"the manifest of {folder} names no file for {part}")
    path = folder / name
    try:
        inside = real_path(path).is_relative_to(real_path(folder))
        path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, not encodable, links in rings
        raise ModelError(f"the manifest of {folder} names no possible file for {part}") from error
    if not inside:
        raise ModelError(f"the manifest of {folder} points outside it: {name}")
    return path


def check_part(folder: Path, manifest: dict[str, Any], part: str) -> Path:
    """A part's file; ModelError unless it has the manifest's SHA-256."""
    path = part_path(folder, manifest, part)
    if not path.is_file():
        raise ModelError(f"the bundle's {path} is missing", hint="Install toonify again.")
    entry = manifest["files"][part]
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise ModelError(f"the bundle's {path} can't be read ({error.strerror})") from error
    if digest != entry.get("sha256"):
        raise ModelError(
            f"{path} is not the file its manifest describes (SHA-256 differs)",
            hint="Install toonify again, or write the bundle again.",
        )
    return path


def write_manifest(
    folder: Path, *, about: dict[str, Any], files: dict[str, dict[str, Any]]
) -> None:
    """Write `manifest.json` for files already in `folder`, with their SHA-256.

    Args:
        about: top-level entries (name, description, license, defaults, …).
        files: part → {"file", "license", "source", …}; generator, encoder, characters, and any of
            `EXTRAS`, `HFGI`, `FUSION`, `DRAWING`, `STYLEMAP`, and `UNET` with a style's name.
    """
    listed = {
        part: {**entry, "sha256": file_sha256(folder / entry["file"])}
        for part, entry in files.items()
    }
    write_text(
        folder / "manifest.json",
        json.dumps({"format": 1, **about, "files": listed}, indent=2, ensure_ascii=False) + "\n",
    )


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
    shipped = len(path.parts) == 1 and (_SHIPPED / name).is_dir()
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
        license: of the parts, for the manifest.
        extras: part → checkpoint, of `EXTRAS`, of `HFGI`, `FUSION` and `DRAWING` beside
            `INVERSION`, of `STYLEMAP`, and of `UNET` with a style's name. The last three are
            stored in 8 bits.

    Returns:
        the characters' names.

    Raises:
        ModelError: a part can't be loaded, or the parts don't belong together.
        InputError: the folder can't be written.
    """
    import torch

    from toonify.checkpoints import (
        generator_hash,
        load_encoder,
        load_generator,
        save_encoder,
        save_generator,
    )
    from toonify.checkpoints.fusion import load_fusion_net
    from toonify.checkpoints.hfgi import load_compact_hfgi
    from toonify.checkpoints.loading import load_network, save_network
    from toonify.checkpoints.stylemap import load_stylemap
    from toonify.checkpoints.translators import load_translator
    from toonify.lut import CharacterTable
    from toonify.models.encoders.drawing import DrawingEncoder
    from toonify.models.encoders.restoration import FaceRestoration
    from toonify.models.styled_unet import StyledUNet

    extras = extras or {}
    network = load_generator(generator)
    reader = load_encoder(locate(encoder, "encoder"))
    characters = CharacterTable.load(table)
    characters.check(generator_hash(network))
    if not reader.serves(network.num_ws):
        raise ModelError(
            f"the encoder gives {reader.num_ws} latents, the generator takes {network.num_ws}",
            hint="Give the encoder trained for this generator with `encoder`.",
        )
    with writing(folder, hint="Choose another `output`."), TemporaryFolder(folder) as temporary:
        partial = temporary.path
        save_generator(network, partial / "generator.safetensors", dtype=torch.float16)
        save_encoder(reader, partial / "encoder.safetensors", dtype=torch.float16)
        characters.save(partial / "characters.safetensors")
        parts = ["generator", "encoder", "characters", *extras]
        names = {part: f"{part}.safetensors" for part in parts}
        for part, path in extras.items():
            target = partial / names[part]
            if part == HFGI:
                networks = load_compact_hfgi(path)
                networks.check(load_generator(extras[INVERSION[0]]))
                save_network(networks, target, dtype=torch.float16)
            elif part == DRAWING:
                reading = load_network("drawing", path, DrawingEncoder)
                reading.check(load_generator(extras[INVERSION[0]]))
                save_network(reading, target, dtype=torch.int8)
            elif part == RESTORATION:
                restoration = load_network("restoration", path, FaceRestoration)
                restoration.check(load_generator(extras[INVERSION[0]]))
                save_network(restoration, target, dtype=torch.int8)
            elif part == FUSION:
                fusion = load_fusion_net(path)
                fusion.check(load_generator(extras[INVERSION[0]]))
                save_network(fusion, target, dtype=torch.int8)
            elif part.startswith(UNET):
                translator = load_translator(path)
                if isinstance(translator, StyledUNet):  # one file for all its styles
                    translator.check(part.removeprefix(UNET))
                    names[part] = f"{UNET}{'_'.join(translator.styles)}.safetensors"
                    target = partial / names[part]
                save_network(translator, target, dtype=torch.int8)
            elif part == STYLEMAP:
                save_network(load_stylemap(path), target, dtype=torch.int8)
            elif part.endswith("generator"):
                save_generator(load_generator(path), target, dtype=torch.float16)
            else:
                save_encoder(load_encoder(path), target, dtype=torch.float16)
        write_manifest(
            partial,
            about={"name": folder.name, "license": license},
            files={part: {"file": name} for part, name in names.items()},
        )
        for pair in (FRAMES, INVERSION):
            if any(part in parts for part in pair):
                load_frame_parts(partial, pair)  # both, and made for each other
        temporary.commit()
    return characters.names
