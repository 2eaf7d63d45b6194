"""Where drawn frames go: a window, a virtual camera, or a stream for browsers."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2

from toonify.errors import InputError, UsageError
from toonify.faces.types import RGB
from toonify.media.images import encode_image

_BOUNDARY = "toonify-frame"
_VIEWERS = 8  # of one stream
_SCREEN = "import cv2; cv2.namedWindow('toonify'); cv2.destroyAllWindows()"
_SCREEN_SECONDS = 60.0  # that opening a window may take
_PAGE = (
    b"<!doctype html><meta name=viewport content='width=device-width'><title>toonify live</title>"
    b"<body style='margin:0;background:#111'>"
    b"<img src=/stream.mjpg alt='live' style='width:100%;height:100vh;object-fit:contain'>"
)


class Sink(Protocol):
    """Shows frames."""

    def show(self, rgb: RGB) -> bool:
        """Show a frame (H, W, 3) uint8; False when whoever watches wants to end."""
        ...

    def close(self) -> None:
        """End showing."""
        ...


class WindowSink:
    """A window on this machine's screen; q, Escape or its cross end it.

    Raises:
        InputError: there is no screen.
    """

    def __init__(self, title: str = "toonify") -> None:
        if not _has_screen():
            raise _no_window()
        self.title = title
        self._open = False

    def show(self, rgb: RGB) -> bool:
        """See `Sink`.

        Raises:
            InputError: there is no screen.
        """
        try:
            if not self._open:
                cv2.namedWindow(self.title, cv2.WINDOW_NORMAL)
                cv2.resizeWindow(self.title, rgb.shape[1], rgb.shape[0])
            elif cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) < 1:
                return False
            self._open = True
            cv2.imshow(self.title, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
            return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)
        except cv2.error as error:
            raise _no_window() from error

    def close(self) -> None:
        """See `Sink`."""
        if self._open:
            cv2.destroyWindow(self.title)


def _no_window() -> InputError:
    return InputError("no window can be opened here", hint="Use `to` http, and a browser.")


def _has_screen() -> bool:
    """Whether a window can be opened. Qt, which OpenCV's wheels for Linux open windows with, ends
    the process that finds no screen, so another one tries."""
    if not sys.platform.startswith("linux"):
        return True
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    command = [sys.executable, "-c", _SCREEN]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SCREEN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class VirtualCameraSink:
    """A camera that other programs see, through the package pyvirtualcam."""

    def __init__(self, fps: float) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise UsageError(
                "a virtual camera takes the package pyvirtualcam",
                hint="Run: pip install 'toonify-toolkit[live]'.",
            ) from error
        self._library, self._fps = pyvirtualcam, fps
        self._camera: Any = None

    def show(self, rgb: RGB) -> bool:
        """See `Sink`.

        Raises:
            InputError: the system has no virtual camera.
        """
        if self._camera is None:
            try:
                self._camera = self._library.Camera(
                    width=rgb.shape[1], height=rgb.shape[0], fps=self._fps
                )
            except RuntimeError as error:
                raise InputError(
                    f"no virtual camera can be made: {error}",
                    hint="Install v4l2loopback (Linux) or OBS (macOS, Windows).",
                ) from error
        self._camera.send(rgb)
        return True

    def close(self) -> None:
        """See `Sink`."""
        if self._camera is not None:
            self._camera.close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a viewer that hangs up is none
            super().handle_error(request, client_address)


class HttpSink:
    """A stream (multipart JPEG) on this machine alone, for browsers, OBS and ffmpeg.

    Args:
        port: 0 takes a free one.

    Raises:
        InputError: the port is taken, or not for this user.
    """

    def __init__(self, port: int) -> None:
        sink = self
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._changed = threading.Condition()
        self._over = False
        self._viewers = threading.BoundedSemaphore(_VIEWERS)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sink._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the terminal shows the frame rate."""

        try:
            self._server = _Server(("127.0.0.1", port), Handler)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is taken" if taken else f"can't be listened on: {error.strerror or error}"
            raise InputError(f"port {port} {reason}", hint="Name another `port`.") from error
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def show(self, rgb: RGB) -> bool:
        """See `Sink`."""
        data = encode_image(rgb, "jpg", quality=80)
        with self._changed:
            self._jpeg = (self._jpeg[0] + 1, data)
            self._changed.notify_all()
        return True

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        if host not in ("127.0.0.1", "localhost"):  # a foreign page that resolves to this machine
            request.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif request.path == "/":
            self._head(request, "text/html")
            request.wfile.write(_PAGE)
        elif request.path != "/stream.mjpg":
            request.send_error(HTTPStatus.NOT_FOUND)
        elif not self._viewers.acquire(blocking=False):
            request.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            try:
                self._head(request, f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                self._stream(request)
            except OSError:
                pass  # the viewer has gone
            finally:
                self._viewers.release()

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        seen = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._jpeg[0] > seen)  # noqa: B023
                if self._over:
                    return
                seen, data = self._jpeg
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
            request.wfile.write(f"{head}\r\n".encode() + data + b"\r\n")

    @staticmethod
    def _head(request: BaseHTTPRequestHandler, kind: str) -> None:
        request.send_response(HTTPStatus.OK)
        request.send_header("Content-Type", kind)
        request.send_header("Cache-Control", "no-store")
        request.send_header("X-Content-Type-Options", "nosniff")
        request.end_headers()

    def close(self) -> None:
        """See `Sink`."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
