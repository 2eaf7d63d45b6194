import io
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

if find_spec("gradio") is None:  # found, not imported, which takes seconds
    pytest.skip("gradio is not installed", allow_module_level=True)

from starlette.testclient import TestClient

from tests.clips import ffmpeg
from toonify.errors import InputError, UsageError
from toonify.names import unknown_name
from toonify.web.limits import Limits
from toonify.web.server import Server
from toonify.web.studio import Look, Picture


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-pix_fmt", "yuv420p", path)
    return path.read_bytes()


class FakeStudio:
    """Draws a flat color; `gate` holds it back, `drawn` is what it was asked for."""

    looks = (Look("ink", "style"), Look("mina", "character"))
    engines = ("cdsm", "styleganex")
    levels, level, color = 8, 6, 1.0

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.drawn = []
        self.failure = None

    def kind(self, name):
        for look in self.looks:
            if look.name == name:
                return look.kind
        raise unknown_name("style or character", name, [look.name for look in self.looks])

    def preview(self, name):
        return np.full((256, 256, 3), 90, np.uint8)

    def check(self, wish):
        self.kind(wish.look)
        if wish.level is not None and not 0 <= wish.level <= self.levels:
            raise UsageError(f"level {wish.level} is out of range")

    def draw(self, photo, wish):
        self.began.set()
        assert self.gate.wait(20)
        if self.failure is not None:
            raise self.failure
        self.drawn.append((photo, wish))
        if photo.max() < 10:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        height, width = photo.shape[:2]
        alpha = np.full((height, width), 128, np.uint8) if wish.transparent else None
        return Picture(np.full((height, width, 3), 200, np.uint8), alpha, photo)

    def draw_clip(self, source, output, wish, *, max_size, progress):
        self.began.set()
        assert source.is_file()
        (output.parent / "half").write_bytes(b"half a clip")
        for done in range(200):
            progress(done, 200)
            if self.gate.wait(0.05):
                break
        assert source.is_file() and (output.parent / "half").is_file()
        output.write_bytes(b"a clip")
        return 3


def photo(size=(64, 48), *, shade=150, format="JPEG", exif=None) -> bytes:
    buffer = io.BytesIO()
    options = {"exif": exif} if exif is not None else {}
    Image.new("RGB", size, (shade,) * 3).save(buffer, format=format, **options)
    return buffer.getvalue()


@pytest.fixture
def studio():
    studio = FakeStudio()
    yield studio
    studio.gate.set()


@pytest.fixture
def serve(studio):
    """Start a server with these limits; gives it and a client of it."""
    started = []

    def serve(*, token=None, page=False, host="localhost", **limits):
        server = Server(studio, limits=Limits(**limits), token=token, page=page)
        client = TestClient(server.app, base_url=f"http://{host}", raise_server_exceptions=False)
        client.__enter__()
        started.append((server, client))
        return server, client

    yield serve
    studio.gate.set()
    for server, client in started:
        client.__exit__(None, None, None)
        server.close()


@pytest.fixture
def client(serve):
    return serve()[1]
