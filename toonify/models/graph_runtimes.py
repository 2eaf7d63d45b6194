"""Small ONNX models without torch, whose import alone takes longer than drawing a photograph: in
ONNX Runtime, or where that can't be imported in OpenVINO or OpenCV. All compute in float32."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import ModelError, UsageError

log = logging.getLogger(__name__)

Array = NDArray[np.float32]
GraphRuntime = Literal["onnx", "openvino", "opencv"]
PACKAGES: dict[GraphRuntime, str] = {
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "opencv": "cv2",
}  # the fastest first: OpenVINO is as fast as ONNX Runtime, and starts later
Run = Callable[[Mapping[str, Array]], list[Array]]
"""Inputs by name → outputs, (1, C, H, W) each, of any height and width."""


def available(runtime: GraphRuntime) -> bool:
    """Whether a runtime is installed, and reads such models: OpenCV 4 takes no sums of sizes that
    are unknown beforehand."""
    if runtime == "opencv":
        return int(cv2.__version__.split(".")[0]) >= 5
    return importlib.util.find_spec(PACKAGES[runtime]) is not None


def fastest() -> GraphRuntime | None:
    """The fastest of those available; None without any. One that is installed but broken is named,
    and left out."""
    return next((runtime for runtime in PACKAGES if available(runtime) and _sound(runtime)), None)


@cache
def _sound(runtime: GraphRuntime) -> bool:
    try:
        importlib.import_module(PACKAGES[runtime])
    except Exception as error:  # a library that isn't found, say
        log.warning("drawing without %s, which can't be imported: %s", PACKAGES[runtime], error)
        return False
    return True


def check_runtime(runtime: GraphRuntime) -> None:
    """Refuse a runtime that isn't available.

    Raises:
        UsageError: so that the caller knows what to install.
    """
    if available(runtime):
        return
    if runtime == "opencv":
        raise UsageError(
            f"OpenCV {cv2.__version__} can't run the network", hint="Install OpenCV 5 or newer."
        )
    raise UsageError(
        f"{runtime} needs the package {PACKAGES[runtime]}",
        hint=f"Run: pip install {PACKAGES[runtime]}",
    )


def prepared(model: bytes, outputs: Sequence[str], runtime: GraphRuntime) -> Run:
    """A model, ready to run in as many threads as OpenCV may use now.

    Args:
        model: of `toonify.utils.onnx`.
        outputs: names of its outputs, in its order.

    Raises:
        UsageError: the runtime isn't available.
        ModelError: it can't run the model.
    """
    check_runtime(runtime)
    make = {"onnx": _in_onnx_runtime, "openvino": _in_openvino, "opencv": _in_opencv}[runtime]
    try:
        return make(model, outputs)
    except Exception as error:  # each library has exceptions of its own
        reason = getattr(error, "err", None) or str(error)
        raise ModelError(f"{PACKAGES[runtime]} can't run the network ({reason})") from error


def _in_opencv(model: bytes, outputs: Sequence[str]) -> Run:
    network: Any = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    lock = threading.Lock()  # a network remembers its inputs

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        with lock:
            for name, value in inputs.items():
                network.setInput(value, name)
            return [np.array(value, np.float32) for value in network.forward(list(outputs))]

    return run


def _in_onnx_runtime(model: bytes, outputs: Sequence[str]) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(cv2.getNumThreads(), 1)
    # threads that wait would take the cores from drawings beside
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # pictures are of any size
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda inputs: list(session.run(list(outputs), dict(inputs)))


def _in_openvino(model: bytes, outputs: Sequence[str]) -> Run:
    network: Any = _openvino().read_model(model)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": max(cv2.getNumThreads(), 1),
    }
    compiled: Any = _openvino().compile_model(network, "CPU", settings)
    lock = threading.Lock()  # it has one request's memory

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        with lock:
            found = compiled(dict(inputs))
            return [np.array(found[compiled.output(name)], np.float32) for name in outputs]

    return run


@cache
def _openvino() -> Any:
    import openvino

    return openvino.Core()
