"""A bundle's generator, encoder and characters for another runtime."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from toonify import __version__
from toonify.bundle import UNET, Bundle, bundle_defaults, model_files
from toonify.checkpoints.translators import load_unet
from toonify.engines.unet import bundled_networks
from toonify.errors import ModelError, UsageError
from toonify.export.formats import SUFFIXES, Format, answering, check_format, converted
from toonify.export.networks import (
    CharacterNetwork,
    EncoderNetwork,
    GeneratorNetwork,
    StyleNetwork,
)
from toonify.names import choose_names
from toonify.portrait.catalog import is_style_file, style_name
from toonify.utils.arguments import check_range
from toonify.utils.atomic import write_bytes, writing
from toonify.utils.outputs import InputFiles, check_output
from toonify.utils.progress import Progress, no_progress

MANIFEST = "export.json"
EXAMPLE = 128  # px of the pictures that styles' networks are traced and compared with, about
TOLERANCE = 1e-3  # of values in [-1, 1]; what is further from the reference is not written


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One network that was written.

    Attributes:
        name: "encoder", "generator", or a character's or style's.
        files: its files.
        error: largest difference to the reference, in the same units as the output.
    """

    name: str
    files: tuple[Path, ...]
    error: float


@dataclass(frozen=True, kw_only=True)
class _Part:
    network: nn.Module
    example: Tensor
    input: str
    output: str
    about: dict[str, Any]
    stride: int | None = None  # where heights and widths are any multiples of it


def export_bundle(
    output: str | os.PathLike[str],
    *,
    bundle: str | os.PathLike[str] = "default",
    format: Format = "onnx",
    characters: Sequence[str] = (),
    styles: Sequence[str] = (),
    networks: bool = True,
    level: int | None = None,
    progress: Progress = no_progress,
) -> list[Exported]:
    """Write a bundle's networks for another runtime, each compared with the reference.

    ENCODER maps aligned faces to w+, GENERATOR w+ to pictures, and a character's network maps
    aligned faces to its drawings: all of cross-domain style mixing in one. A style's maps whole
    pictures of any size to their drawings. export.json tells shapes, value ranges, hashes, source
    and license. Noise maps are fixed, so answers are too.

    Args:
        output: folder; files of an earlier export of that bundle and format are replaced, its
            other networks stay listed; what isn't toonify's is never replaced.
        bundle: a shipped bundle's name, or a bundle's folder.
        format: "onnx", "openvino" or "torchscript"; float32, one face at a time.
        characters: names, separated by commas or not, or "all"; none when empty.
        styles: of those that the bundle's networks draw, likewise; or networks' files.
        networks: encoder and generator too.
        level: m of cross-domain style mixing, for the characters; None for the bundle's own.

    Raises:
        UsageError: a package that the format needs is not installed, an unknown name, a level out
            of range, or an output that is not ours, or of another bundle or format.
        InputError: the folder can't be written.
        ModelError: the bundle can't be loaded, or a network not converted, or its answers differ.

    Examples:
        >>> (mina,) = export_bundle("web/", characters=["mina"], networks=False)
        >>> mina.files, mina.error < 1e-4
        ((PosixPath('web/mina.onnx'),), True)
    """
    check_format(format)
    folder = Path(output)
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="Give a folder as `output`.")
    loaded = Bundle.load(bundle)
    if level is not None:
        check_range("level", level, 0, loaded.generator.num_ws, whole=True)
    names = choose_names("character", characters, loaded.table.names) if characters else ()
    parts = _parts(loaded, names, networks, level, bundle)
    drawn = _styles(styles, bundle)
    both = sorted(parts.keys() & drawn.keys())
    if both:
        raise UsageError(f"two networks would be {both[0]}", hint="Export one of them elsewhere.")
    parts |= drawn
    reads = InputFiles([*model_files(bundle), *(name for name in styles if is_style_file(name))])
    records = _earlier(folder, bundle, format)
    check_output(folder / MANIFEST, reads, folder=folder)
    earlier = {file for network in records.values() for file in network["files"]}
    for file in (f"{name}{end}" for name in parts for end in SUFFIXES[format]):
        check_output(folder / file, reads, named=file in earlier, folder=folder)
    exported = []
    with progress("networks") as update:
        for done, (name, part) in enumerate(parts.items()):
            update(done, len(parts))
            files = converted(
                part.network,
                part.example,
                format,
                names=(part.input, part.output),
                any_size=part.stride is not None,
            )
            error, shape = _difference(part, files, format)
            if not error <= TOLERANCE:
                raise ModelError(f"{name} answers differently as {format}: by {error:.2g}")
            paths = tuple(folder / f"{name}{end}" for end in files)
            _write_together(folder, dict(zip(paths, files.values(), strict=True)))
            records[name] = {
                "files": {f"{name}{e}": hashlib.sha256(d).hexdigest() for e, d in files.items()},
                "input": {"name": part.input, "shape": _shape_of(part.example.shape, part)},
                "output": {"name": part.output, "shape": _shape_of(shape, part)},
                **part.about,
                "largest_difference": float(f"{error:.3g}"),
            }
            _write_manifest(folder, bundle, format, loaded.manifest, records)
            exported.append(Exported(name=name, files=paths, error=error))
        update(len(parts), len(parts))
    return exported


def _parts(
    loaded: Bundle,
    names: Sequence[str],
    networks: bool,
    level: int | None,
    bundle: str | os.PathLike[str],
) -> dict[str, _Part]:
    """What is exported, by name."""
    generator, encoder, parts = loaded.generator, loaded.encoder, {}
    for network in (generator, encoder):
        network.eval().requires_grad_(False)
    random = torch.Generator().manual_seed(0)
    size = encoder.input_size
    face = torch.rand(1, 3, size, size, generator=random) * 2 - 1
    faces = {"range": [-1, 1], "colors": "RGB", "aligned": "FFHQ"}
    if networks:
        parts["encoder"] = _Part(
            network=EncoderNetwork(encoder, generator).eval(),
            example=face,
            input="face",
            output="w_plus",
            about={"reads": faces},
        )
        z = torch.randn(1, generator.z_dim, generator=random)
        w_plus = generator.mapping(z)[:, None].repeat(1, generator.num_ws, 1)
        parts["generator"] = _Part(
            network=GeneratorNetwork(generator).eval(),
            example=w_plus.detach(),
            input="w_plus",
            output="picture",
            about={"draws": {"range": [-1, 1], "colors": "RGB"}},
        )
    own = bundle_defaults(bundle)
    for name in names:
        mixed = CharacterNetwork(
            encoder,
            generator,
            loaded.table[name].w_plus,
            level=own.level if level is None else level,
            trgb=own.trgb,
            color=own.color,
        )
        parts[name] = _Part(
            network=mixed.eval(),
            example=face,
            input="face",
            output="drawing",
            about={"reads": faces, "draws": faces, "level": mixed.level},
        )
    return parts


def _styles(styles: Sequence[str], bundle: str | os.PathLike[str]) -> dict[str, _Part]:
    """The networks of styles, by name."""
    if not styles:
        return {}
    files = [style for style in styles if is_style_file(style)]
    known = bundled_networks(bundle)
    rest = [style for style in styles if style not in files]
    named = choose_names("style of a network", rest, tuple(known)) if rest else ()
    paths = {name: known[name] for name in named} | {style_name(f): Path(f) for f in files}
    random, parts = torch.Generator().manual_seed(0), {}
    for name, path in paths.items():
        network = load_unet(path, style=name if name in named else None)
        side = max(network.stride, EXAMPLE // network.stride * network.stride)
        parts[name] = _Part(
            network=StyleNetwork(network).eval(),
            example=torch.rand(1, 3, side, side, generator=random) * 2 - 1,
            input="picture",
            output="drawing",
            about={
                "reads": {"range": [-1, 1], "colors": "RGB", "multiple": network.stride},
                "draws": {"range": [-1, 1], "colors": "RGB"},
            },
            stride=network.stride,
        )
    return parts


def _shape_of(shape: Sequence[int], part: _Part) -> list[int | None]:
    """A shape for export.json, None where it may be another."""
    return list(shape) if part.stride is None else [*shape[:2], None, None]


def _difference(
    part: _Part, files: dict[str, bytes], format: Format
) -> tuple[float, tuple[int, ...]]:
    """Largest difference to the reference, on what was traced and on another input, of another
    size where there are, and the output's shape."""
    run, apart, shape = answering(files, format), 0.0, ()
    other = part.example.flip(-1) * 0.5
    if part.stride is not None:
        other = torch.cat([other, other[..., : part.stride]], dim=-1)
    for value in (part.example, other):
        with torch.no_grad():
            wanted = part.network(value).numpy()
        apart = max(apart, float(np.abs(run(value.numpy()) - wanted).max()))
        shape = wanted.shape
    return apart, shape


def _write_manifest(
    folder: Path,
    bundle: str | os.PathLike[str],
    format: Format,
    manifest: dict[str, Any],
    networks: Mapping[str, Any],
) -> None:
    about = {
        "toonify": __version__,
        "format": format,
        "bundle": _bundle_name(bundle),
        "source": {
            name: file.get("source", "")
            for name, file in (manifest.get("files") or {}).items()
            if isinstance(file, dict)
            and (
                name in ("generator", "encoder", "characters")
                or (name.startswith(UNET) and name.removeprefix(UNET) in networks)
            )
        },
        "license": manifest.get("license", ""),
        "networks": networks,
    }
    with writing(folder):
        write_bytes(folder / MANIFEST, (json.dumps(about, indent=1) + "\n").encode())


def _earlier(
    folder: Path, bundle: str | os.PathLike[str], format: Format
) -> dict[str, dict[str, Any]]:
    """The networks of an earlier export that are there as they were written.

    Raises:
        UsageError: they are of another bundle or format.
    """
    try:
        about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        before = (str(about["format"]), str(about["bundle"]))
        networks: dict[str, dict[str, Any]] = {
            name: network
            for name, network in about["networks"].items()
            if all(sha == _sha(folder / file) for file, sha in network["files"].items())
        }
        if "toonify" not in about:
            return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    if networks and before != (format, _bundle_name(bundle)):
        raise UsageError(
            f"{folder} holds {before[0]} of the bundle {before[1]}",
            hint="Choose another `output`, or remove that one.",
        )
    return networks


def _bundle_name(bundle: str | os.PathLike[str]) -> str:
    return os.path.basename(os.path.normpath(bundle))


def _write_together(folder: Path, files: Mapping[Path, bytes]) -> None:
    """All of a network's files, or none."""
    with writing(folder):
        try:
            for path, data in files.items():
                write_bytes(path, data)
        except BaseException:
            for path in files:
                path.unlink(missing_ok=True)
            raise


def _sha(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except OSError:
        return None
