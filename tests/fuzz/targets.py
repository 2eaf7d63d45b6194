"""What is fuzzed: every parser of strangers' bytes, with whole files to begin from.

A target takes bytes and returns, or raises one of the errors that its callers handle: anything
else is a finding. `test_parsers.py` runs them on Hypothesis's examples in every test run,
`fuzz.py` guided by coverage for as long as you like.
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from toonify.bundle import bundle_folder, part_path, read_manifest
from toonify.checkpoints.formats import build, read_checkpoint
from toonify.editing.directions import read_directions
from toonify.errors import ToonifyError
from toonify.inversion.latents import Latents
from toonify.lut import CharacterTable
from toonify.media.decoding import decode
from toonify.media.images import encode_image
from toonify.media.nut import NutError, NutReader, NutWriter, Stream
from toonify.models.generators.mobile import MobileGenerator
from toonify.utils import marks

_FOLDER = Path(tempfile.mkdtemp(prefix="toonify-fuzz-"))


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        run: takes bytes; raises only on findings.
        seeds: whole files that mutation begins from.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def _quiet(parse: Callable[[bytes], object], *more: type[Exception]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            parse(data)
        except (ToonifyError, *more) as error:
            assert "\n" not in str(error), "messages are one line"

    return run


def _checkpoint(suffix: str) -> Callable[[bytes], object]:
    def parse(data: bytes) -> None:
        checkpoint = read_checkpoint(_file(f"x{suffix}", data))
        for role in checkpoint.roles:
            build(role, checkpoint)

    return parse


def _bundle(data: bytes) -> None:
    folder = bundle_folder(_file("manifest.json", data).parent)
    manifest = read_manifest(folder)
    for part in ("generator", "encoder", "characters", "frame_generator"):
        assert part_path(folder, manifest, part).resolve().is_relative_to(folder.resolve())


def _picture(data: bytes) -> None:
    found = decode(data)
    assert found.rgb.ndim == 3 and found.rgb.dtype == np.uint8
    for suffix in ("jpg", "png", "webp"):
        encode_image(found.rgb, suffix, alpha=found.alpha, metadata=found.metadata)


def _mark(data: bytes) -> None:
    path = _file("a.png", data)
    marks.read_mark(path)
    marks.is_unchanged(path)


def _tables() -> list[bytes]:
    entry = {"k": 2, "provenance": {"drawings": 2}}
    about = {"version": 1, "generator_hash": "0" * 64, "characters": {"mina": entry}}
    tensors = {
        "w_plus.mina": torch.zeros(4, 8),
        "preview.mina": torch.zeros(4, 4, 3, dtype=torch.uint8),
    }
    return [save(tensors, {"toonify.table": json.dumps(about)})]


def _latents() -> list[bytes]:
    config = {"architecture": "inversion", "frame_size": [64, 72]}
    tensors = {"w_plus": torch.zeros(1, 4, 8), "feature": torch.zeros(1, 4, 8, 9)}
    return [save(tensors, {"toonify.config": json.dumps(config)})]


def _safetensors() -> list[bytes]:
    tiny = MobileGenerator(resolution=32, channels=(4, 4, 4), w_dim=4)
    return [save(dict(tiny.state_dict()), {"toonify.config": json.dumps(tiny.config())})]


def _torch_files() -> list[bytes]:
    out = io.BytesIO()
    torch.save({"g_ema": {"input.input": torch.zeros(1, 4, 4, 4)}, "fid": np.float64(1)}, out)
    plain = io.BytesIO()  # without the alignment, a third of the size
    with zipfile.ZipFile(out) as whole, zipfile.ZipFile(plain, "w") as packed:
        for item in whole.infolist():
            packed.writestr(item.filename, whole.read(item))
    return [out.getvalue(), plain.getvalue()]


def _pickles() -> list[bytes]:
    return [
        pickle.dumps({"G_ema": {"a": [1, 2.0, "x"]}, "D": None}, protocol) for protocol in (2, 4)
    ]


def _manifests() -> list[bytes]:
    files = {p: {"file": f"{p}.safetensors", "sha256": "0"} for p in ("generator", "encoder")}
    return [json.dumps({"format": 1, "files": files, "defaults": {"engine": "cdsm"}}).encode()]


def _nuts() -> list[bytes]:
    out = io.BytesIO()
    writer = NutWriter(out, Stream(b"RGB\x18", Fraction(1, 1000), 4, 2))
    for pts in (0, 40, 90):
        writer.write(pts, bytes(24))
    return [out.getvalue()]


def _pictures() -> list[bytes]:
    found = []
    pixels = np.zeros((6, 9, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Acme"
    for kind, mode in (
        *(("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "RGB"), ("JPEG", "CMYK")),
        *(("WEBP", "RGBA"), ("TIFF", "F"), ("GIF", "P"), ("BMP", "RGB"), ("PPM", "L")),
    ):
        out = io.BytesIO()
        picture = Image.fromarray(pixels, "RGBA")
        picture = Image.new(mode, (9, 6)) if mode in ("I;16", "F") else picture.convert(mode)
        options = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}
        picture.save(out, kind, **options)
        found.append(out.getvalue())
    return found


def _directions(suffix: str) -> Callable[[bytes], object]:
    return lambda data: read_directions(_file(f"d{suffix}", data))


def _arrays() -> list[bytes]:
    out = io.BytesIO()
    np.save(out, np.ones(8, np.float32))
    return [out.getvalue()]


TARGETS = {
    "table": Target(
        _quiet(lambda data: CharacterTable.load(_file("t.safetensors", data))), _tables
    ),
    "latents": Target(_quiet(lambda data: Latents.load(_file("l.safetensors", data))), _latents),
    "bundle": Target(_quiet(_bundle), _manifests),
    "safetensors": Target(_quiet(_checkpoint(".safetensors")), _safetensors),
    "torch": Target(_quiet(_checkpoint(".pt")), _torch_files),
    "pickle": Target(_quiet(_checkpoint(".pkl")), _pickles),
    "directions": Target(_quiet(_directions(".npy")), _arrays),
    "nut": Target(_quiet(lambda data: list(NutReader(io.BytesIO(data))), NutError), _nuts),
    "picture": Target(_quiet(_picture), _pictures),
    "mark": Target(_quiet(_mark), lambda: [marks.stamp(data, "a.png", {}) for data in _pictures()]),
}
