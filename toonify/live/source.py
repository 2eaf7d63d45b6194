"""Frames of a camera, a stream or a file, as they come; only the newest one is kept."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from toonify.errors import InputError
from toonify.faces.types import RGB

_ASLEEP = 10.0  # seconds without a frame after which a source counts as dead


@dataclass(frozen=True, eq=False)
class Captured:
    """A frame (H, W, 3) uint8 RGB.

    Attributes:
        number: how many frames came before it, drawn or not.
        at: `time.perf_counter()` at which it came.
    """

    number: int
    at: float
    rgb: RGB


class LiveSource:
    """Reads in a thread of its own, so that no frame waits while another is drawn.

    Args:
        name: a camera's number ("0"), a file (played in real time), or an address that ffmpeg
            reads, such as rtsp://….
        max_size: longest side, px; larger frames are shrunk as they come.

    Raises:
        InputError: there is no such camera, or it can't be read.
    """

    def __init__(self, name: str, *, max_size: int | None = None) -> None:
        self.name, self.max_size = name, max_size
        camera = name.isdecimal()
        with _quiet():
            self._capture = cv2.VideoCapture(int(name) if camera else name)
        if not self._capture.isOpened():
            self._capture.release()
            if camera:
                raise InputError(
                    f"there is no camera {name}, or another program has it",
                    hint="Name another number, a file, or an address.",
                )
            raise InputError(f"{name} can't be read", hint="Check the file or address.")
        if camera:
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = rate if 1 <= rate <= 240 else 30.0
        self._paced = not camera and Path(name).is_file()
        self._newest: Captured | None = None
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._read, name="toonify-source", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        number, begun = 0, time.perf_counter()
        while not self._over:
            if self._paced:
                time.sleep(max(0.0, begun + number / self.fps - time.perf_counter()))
            ok, bgr = self._capture.read()
            if not ok:
                break
            frame = Captured(number, time.perf_counter(), self._prepared(bgr))
            number += 1
            with self._changed:
                self._newest = frame
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._capture.release()

    def _prepared(self, bgr: np.ndarray) -> RGB:
        k = (self.max_size or max(bgr.shape[:2])) / max(bgr.shape[:2])
        if k < 1:
            size = (max(1, round(bgr.shape[1] * k)), max(1, round(bgr.shape[0] * k)))
            bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA))
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)

    def newest(self, after: int = -1) -> Captured | None:
        """The newest frame beyond number `after`, waited for; None when there will be none.

        Raises:
            InputError: nothing ever came (a text file named .jpg), or nothing comes any more,
                though the source is still open.
        """
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._over or (self._newest is not None and self._newest.number > after),
                timeout=_ASLEEP,
            )
            if self._newest is not None and self._newest.number > after:
                return self._newest
        if came and self._newest is None:
            raise InputError(f"{self.name} gives no picture", hint="Check the file or address.")
        if not came:
            raise InputError(
                f"{self.name} gave no frame for {_ASLEEP:g} s", hint="Check the camera."
            )
        return None

    def close(self) -> None:
        """Let the camera go."""
        self._over = True
        self._thread.join(timeout=5)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what OpenCV and ffmpeg say on stderr of every way in which they tried to open it."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when the first source is opened
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
