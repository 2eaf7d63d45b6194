"""Which styles a bundle offers, told without loading anything."""

from __future__ import annotations

import os

from toonify.bundle import PORTRAIT, bundle_folder, read_manifest
from toonify.portrait.styles import STYLES


def bundle_styles(bundle: str | os.PathLike[str] = "default") -> tuple[str, ...]:
    """Names of the styles a bundle offers, its default first; empty where it has none."""
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


def style_networks(bundle: str | os.PathLike[str] = "default") -> dict[str, str]:
    """SHA-256 of each network that a bundle's styles are drawn from, by its manifest."""
    files = read_manifest(bundle_folder(bundle)).get("files")
    known = files if isinstance(files, dict) else {}
    return {part: str(known.get(part, {}).get("sha256")) for part in PORTRAIT}
