"""Make 271 hostile and odd files, run toonify on each, print what became of them.

    python tests/hostile_corpus.py [--only WORD] [--keep FOLDER]

Right is: exit status 0 (it is harmless), 1 (a file that can't be used, named), 2 or 3 (usage,
model), one line for each failure, no "bug", no traceback, no control characters, and less than
`--most` MB of memory. Everything else is counted as wrong, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

sys.path[:0] = [str(Path(__file__).parents[1])]

from tests.fuzz.targets import TARGETS  # noqa: E402
from toonify.cli.main import main as toonify  # noqa: E402

Case = tuple[str, str, bytes]  # kind, file name, content


def png(width: int, height: int, color: int = 2, depth: int = 8, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", data or zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def pictures() -> Iterator[Case]:
    """Sizes that their headers claim, and pictures of every kind, cut off and damaged."""
    for width, height in ((1, 1), (3, 1), (2**31 - 1, 1), (60_000, 60_000), (0, 5), (10**5, 10**4)):
        yield "picture", f"claims-{width}x{height}.png", png(width, height)
    webp = "524946461a000000574542505650384c0e0000002ffeffa40a071011fd0f4444ff03"
    yield "picture", "16383x10900.webp", bytes.fromhex(webp)
    bmp = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, *[0] * 6)
    yield "picture", "claims.bmp", bmp
    yield "picture", "claims.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(40)
    yield "picture", "claims.ppm", b"P6 900000 900000 255\n" + bytes(100)
    yield "picture", "endless.ppm", b"P3 9 9 255\n" + b"1 " * 100_000
    chance = random.Random(0)
    for number, whole in enumerate(TARGETS["picture"].seeds()):
        suffix = (".png", ".jpg", ".webp", ".tif", ".gif", ".bmp", ".ppm")[number % 7]
        for part in (0.1, 0.5, 0.9):
            yield "picture", f"cut{number}-{part}{suffix}", whole[: int(len(whole) * part)]
        for turn in range(6):
            broken = bytearray(whole)
            for _ in range(1 + turn):
                broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            yield "picture", f"flip{number}-{turn}{suffix}", bytes(broken)


def other_files() -> Iterator[Case]:
    """What is no picture under a picture's name."""
    for name, content in {
        "empty.jpg": b"",
        "text.png": b"hello\n",
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "eps.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "svg.png": b"<svg><image href='file:///etc/passwd'/></svg>",
        "page.jpg": b"<!doctype html><title>404</title>",
        "list.m3u8": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "photoshop.jpg": b"8BPS\0\1" + bytes(40),
        "zip.jpg": b"PK\x03\x04" + bytes(60),
        "pdf.png": b"%PDF-1.7\n",
        "video.jpg": b"\0\0\0\x18ftypmp42" + bytes(80),
        "heic.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        "jxl.jxl": b"\xff\x0a" + bytes(60),
        "avif.avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(80),
        "jp2.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(80),
        "x\x1b]0;owned\x07.png": b"no",
        "new\nline.png": b"no",
        "\u202egnp.exe": b"no",
        "-o.png": b"no",
        "a" * 200 + ".png": b"no",
        "name without suffix": png(4, 4),
        ".hidden.png": b"no",
        "zeros.jpg": bytes(70_000),
        "ones.jpg": b"\xff" * 70_000,
    }.items():
        yield "other", name, content


def metadata() -> Iterator[Case]:
    """Pictures whose EXIF, XMP and profiles are none."""
    pixels = Image.new("RGB", (48, 48), (190, 150, 130))
    for number, exif in enumerate(
        (
            b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff",
            b"Exif\0\0II*\0\xff\xff\xff\xff",
            b"Exif\0\0",
            b"?" * 900,
        )
    ):
        for kind in ("JPEG", "PNG", "WEBP"):
            out = io.BytesIO()
            with contextlib.suppress(Exception):
                pixels.save(out, kind, exif=exif)
                yield "metadata", f"exif{number}.{kind.lower()}", out.getvalue()
    for number, icc in enumerate((b"no profile", b"\0" * 128, b"acsp" * 100)):
        out = io.BytesIO()
        pixels.save(out, "PNG", icc_profile=icc)
        yield "metadata", f"icc{number}.png", out.getvalue()
    for number, xmp in enumerate(
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"<x>" * 9000, b"\xff")
    ):
        out = io.BytesIO()
        pixels.save(out, "JPEG", xmp=xmp)
        yield "metadata", f"xmp{number}.jpg", out.getvalue()


def models() -> Iterator[Case]:
    """Checkpoints, tables and latents: bombs, mutations, wrong shapes."""
    bombs: list[dict[str, Any]] = [
        {"architecture": "mobile", "resolution": 2**20},
        {"architecture": "mobile", "mapping_layers": 10**9},
        {"architecture": "mobile", "channels": [2**30] * 9},
        {
            "architecture": "stylegan2",
            "resolution": 8,
            "channels": {"4": 1, "8": 1},
            "w_dim": 10**6,
        },
        {"architecture": "compact", "num_ws": 10**9},
        {"architecture": "restyle", "num_ws": 18, "steps": 10**9},
        {"architecture": "styleganex", "num_ws": -1},
        {"architecture": "hybrid", "resolution": 128, "deep": [10**9]},
        {"architecture": []},
        {"architecture": "?"},
        {},
    ]
    for number, config in enumerate(bombs):
        data = save({"a": torch.zeros(1)}, {"toonify.config": json.dumps(config)})
        yield "model", f"bomb{number}.safetensors", data
    for name, size in (("header-huge", 2**62), ("header-over", 10**6), ("header-zero", 0)):
        yield "model", f"{name}.safetensors", struct.pack("<Q", size) + b"{}"
    yield "model", "memo.pkl", b"\x80\x02Nr\xff\xff\xff\x7f."
    yield "model", "system.pkl", b"\x80\x02cos\nsystem\n\x85R."
    yield "model", "text.pt", b"hello"
    chance = random.Random(1)
    for target, suffix in (("safetensors", ".safetensors"), ("torch", ".pt"), ("pickle", ".pkl")):
        for seed, whole in enumerate(TARGETS[target].seeds()):
            for turn in range(14):
                broken = bytearray(whole)
                for _ in range(1 + turn % 4):
                    broken[chance.randrange(min(len(broken), 900))] ^= 1 << chance.randrange(8)
                if turn % 3 == 2:
                    del broken[chance.randrange(len(broken)) :]
                yield "model", f"{target}{seed}-{turn}{suffix}", bytes(broken)


def tables() -> Iterator[Case]:
    """Character tables, damaged."""
    chance = random.Random(2)
    for whole in TARGETS["table"].seeds():
        for turn in range(40):
            broken = bytearray(whole)
            for _ in range(1 + turn % 3):
                broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            yield "table", f"t{turn}.safetensors", bytes(broken)


def command(kind: str, path: Path, folder: Path) -> list[str]:
    if kind == "model":
        return ["models", "info", str(path)]
    if kind == "table":
        return ["lut", "list", "--table", str(path)]
    # as far as a picture goes before networks draw: crops of drawings
    (folder / "one").mkdir(exist_ok=True)
    for old in (folder / "one").iterdir():
        old.unlink()
    (folder / "one" / path.name).write_bytes(path.read_bytes())
    out = tempfile.mkdtemp(dir=folder)
    return ["align", str(folder / "one"), "-o", f"{out}/o", "--no-detect"]


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--only", default="", help="kinds or names that hold this word")
    options.add_argument("--keep", type=Path, help="write the files here and keep them")
    options.add_argument("--most", type=int, default=2500, help="MB of memory")
    arguments = options.parse_args()
    cases = [*pictures(), *other_files(), *metadata(), *models(), *tables()]
    outcomes: Counter[tuple[str, str]] = Counter()
    wrong = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        for kind, filename, content in cases:
            if arguments.only not in f"{kind} {filename}":
                continue
            path = folder / kind / filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = toonify(["--offline", *command(kind, path, Path(name))])
            text = err.getvalue()
            shown = out.getvalue() + text
            fault = _fault(status, text, shown)
            outcomes[kind, "WRONG" if fault else f"exit {status}"] += 1
            if fault:
                wrong.append(f"{kind}/{filename!r}: {fault}: {text.strip()[-200:]!r}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    columns = sorted({outcome for _, outcome in outcomes})
    print(f"{'':<10}" + "".join(f"{column:>9}" for column in columns))
    for kind in dict.fromkeys(kind for kind, _, _ in cases):
        print(f"{kind:<10}" + "".join(f"{outcomes[kind, column] or '':>9}" for column in columns))
    seconds = time.monotonic() - started
    print(f"{sum(outcomes.values())} files, {len(wrong)} wrong, {seconds:.0f} s, {peak} MB at most")
    for line in wrong:
        print(f"  {line}")
    return 1 if wrong or peak > arguments.most else 0


def _fault(status: int, text: str, shown: str) -> str:
    if status not in (0, 1, 2, 3):
        return f"exit {status}"
    if "bug in toonify" in text or "Traceback" in text:
        return "a bug"
    if status and not text.strip():
        return "no word"
    if len(text.splitlines()) > 3:
        return "many lines"
    if any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown):
        return "control characters"
    return ""


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
