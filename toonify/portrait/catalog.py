"""Which styles a bundle offers, listed without loading anything."""

from __future__ import annotations

import os
from pathlib import Path

from toonify.bundle import PORTRAIT, UNET, bundle_folder, read_manifest
from toonify.portrait.styles import STYLES

SUFFIX = ".safetensors"  # of a network's file that is named as a style


def program_styles(bundle: str | os.PathLike[str] = "default") -> tuple[str, ...]:
    """Names of the styles that the portrait program draws on a bundle's small networks, its
    default first; empty where it has none."""
    manifest = read_manifest(bundle_folder(bundle))
    listed, files = manifest.get("styles"), manifest.get("files")
    if not isinstance(listed, list) or not isinstance(files, dict):
        return ()
    if not all(part in files for part in PORTRAIT):
        return ()
    names = [str(name) for name in listed if str(name) in STYLES]
    defaults = manifest.get("defaults")
    first = defaults.get("style") if isinstance(defaults, dict) else None
    if first in names:
        names.remove(str(first))
        names.insert(0, str(first))
    return tuple(names)


def network_styles(bundle: str | os.PathLike[str] = "default") -> tuple[str, ...]:
    """Names of the styles that a network of the bundle draws, in the manifest's order."""
    files = read_manifest(bundle_folder(bundle)).get("files")
    parts = files if isinstance(files, dict) else {}
    return tuple(str(part)[len(UNET) :] for part in parts if str(part).startswith(UNET))


def bundle_styles(bundle: str | os.PathLike[str] = "default") -> tuple[str, ...]:
    """Names of all styles a bundle offers, its default first: the program's, then those that a
    network alone draws."""
    drawn = program_styles(bundle)
    return (*drawn, *(name for name in network_styles(bundle) if name not in drawn))


def network_part(style: str) -> str:
    """What a style's network is called in a manifest."""
    return UNET + style


def is_style_file(style: str) -> bool:
    """Whether what stands for a style is a network's file."""
    return style.endswith(SUFFIX)


def style_name(style: str) -> str:
    """A style's name; of a network's file its own, or its folder's where that is style."""
    if not is_style_file(style):
        return style
    path = Path(style)
    folder = Path(os.path.abspath(path)).parent.name
    return folder if path.stem == "style" and folder else path.stem


def style_networks(
    bundle: str | os.PathLike[str] = "default", style: str | None = None
) -> dict[str, str]:
    """SHA-256 of each network that a bundle's styles are drawn from, by its manifest; of `style`
    its own, too, where it has one."""
    files = read_manifest(bundle_folder(bundle)).get("files")
    known = files if isinstance(files, dict) else {}
    parts = [*PORTRAIT, *(part for part in known if style and part == network_part(style))]
    return {part: str(known.get(part, {}).get("sha256")) for part in parts}
