"""Networks in the formats of other runtimes, and what those answer."""

from __future__ import annotations

import importlib.util
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from toonify.errors import ModelError, UsageError
from toonify.names import unknown_name

Format = Literal["onnx", "openvino", "torchscript"]
FORMATS: tuple[Format, ...] = ("onnx", "openvino", "torchscript")
SUFFIXES = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "torchscript": (".pt",)}
PACKAGES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("openvino",), "torchscript": ()}
OPSET = 17  # of ONNX: runtimes of 2022 and later, in browsers too

Answer = Callable[[np.ndarray], np.ndarray]


def check_format(format: str) -> None:
    """Refuse a format that is none, or whose packages aren't installed.

    Raises:
        UsageError: so that the caller knows what to install.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    for package in PACKAGES[format]:
        if importlib.util.find_spec(package) is None:
            raise UsageError(
                f"{format} needs the package {package}",
                hint=f"Run: pip install 'toonify-toolkit[{format}]'",
            )


def converted(
    network: nn.Module,
    example: Tensor,
    format: Format,
    *,
    names: tuple[str, str],
    any_size: bool = False,
) -> dict[str, bytes]:
    """A network's files: suffix → bytes.

    Args:
        network: of one tensor, in evaluation mode.
        example: what it is traced with; its shape is then the only one that is taken.
        names: of the input and the output.
        any_size: both are pictures, of other heights and widths too.

    Raises:
        ModelError: the network can't be converted.
    """
    try:
        with _quietly(), torch.enable_grad():  # no arithmetic in place, which is harder to trace
            if format == "torchscript":
                traced = torch.jit.trace(network, example, check_trace=False)
                written = io.BytesIO()
                torch.jit.save(torch.jit.freeze(traced), written)
                return {".pt": written.getvalue()}
            if format == "openvino":
                return _openvino(network, example, names, any_size)
            return {".onnx": _onnx(network, example, names, any_size)}
    except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        raise ModelError(
            f"{type(network).__name__} can't be converted to {format} ({error!s:.200})"
        ) from error


def answering(files: dict[str, bytes], format: Format) -> Answer:
    """What a format's own runtime answers, of the bytes that `converted` gave."""
    if format == "torchscript":
        with _quietly():
            loaded = torch.jit.load(io.BytesIO(files[".pt"]))

        def run_torch(value: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return np.asarray(loaded(torch.from_numpy(value)).numpy())

        return run_torch
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(files[".onnx"], providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        return lambda value: np.asarray(session.run(None, {given.name: value})[0])
    import openvino

    core = openvino.Core()
    model = core.read_model(files[".xml"], files[".bin"])
    # as exact as the other formats, not as fast as may be
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda value: np.asarray(compiled(value)[0])


def _onnx(network: nn.Module, example: Tensor, names: tuple[str, str], any_size: bool) -> bytes:
    written = io.BytesIO()
    torch.onnx.export(
        network,
        (example,),
        written,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=OPSET,
        input_names=[names[0]],
        output_names=[names[1]],
        dynamic_axes={key: {2: "height", 3: "width"} for key in names} if any_size else None,
    )
    return written.getvalue()


def _openvino(
    network: nn.Module, example: Tensor, names: tuple[str, str], any_size: bool
) -> dict[str, bytes]:
    import openvino

    shape = [*example.shape[:2], -1, -1] if any_size else list(example.shape)
    model: Any = openvino.convert_model(network, example_input=example, input=[shape])
    model.inputs[0].get_tensor().set_names({names[0]})
    model.outputs[0].get_tensor().set_names({names[1]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return {".xml": path.read_bytes(), ".bin": path.with_suffix(".bin").read_bytes()}


@contextmanager
def _quietly() -> Iterator[None]:
    """Tracing warns of every shape that is looked at; they are fixed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
