"""A bundle's networks for other runtimes: ONNX, OpenVINO, TorchScript."""

from __future__ import annotations

from toonify.export.bundle import Exported, export_bundle
from toonify.export.formats import FORMATS, Format

__all__ = ["FORMATS", "Exported", "Format", "export_bundle"]
