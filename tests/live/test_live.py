"""Sources, the newest frame, sinks and the renderer, on a file that plays in real time."""

import http.client
import socket
import struct
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tests.clips import ffmpeg
from tests.tiny_bundle import write_bundle
from toonify.engines.cdsm import CdsmEngine
from toonify.errors import InputError, UsageError
from toonify.live import HttpSink, LiveSource, Session, WindowSink
from toonify.live.renderer import LiveRenderer
from toonify.web.studio import example_photos


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second of a face that moves, 20 frames."""
    folder = tmp_path_factory.mktemp("clip")
    face = Image.fromarray(example_photos()[0]).resize((192, 192))
    for number in range(20):
        shift = (1, 0, -number, 0, 1, 0)
        face.transform((192, 192), Image.Transform.AFFINE, shift).save(folder / f"{number}.png")
    ffmpeg("-framerate", 20, "-i", folder / "%d.png", "-pix_fmt", "yuv420p", folder / "clip.mp4")
    return folder / "clip.mp4"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    bundle = write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")
    return CdsmEngine.from_bundle(bundle, device="cpu")


class Recorder:
    """A renderer that takes its time, and a sink that keeps what it is shown."""

    def __init__(self, pause=0.0, enough=None):
        self.pause, self.enough, self.shown = pause, enough, []

    def draw(self, rgb):
        time.sleep(self.pause)
        return rgb, 1

    def show(self, rgb):
        self.shown.append(rgb)
        return self.enough is None or len(self.shown) < self.enough

    def close(self):
        pass


def test_the_newest_frame_wins(clip):
    source, slow = LiveSource(str(clip)), Recorder(pause=0.2)
    begun = time.perf_counter()
    done = Session(source, slow, slow).run()
    source.close()
    assert time.perf_counter() - begun > 0.8, "a file plays in real time"
    assert 2 <= done.frames < 20 and done.skipped > 5
    assert done.frames + done.skipped <= 20
    assert done.latency >= 0.2 and done.people == 1
    assert len(slow.shown) == done.frames and slow.shown[0].shape == (192, 192, 3)


def test_frames_are_shrunk_and_the_viewer_may_end_it(clip):
    source, viewer = LiveSource(str(clip), max_size=96), Recorder(enough=3)
    seen = []
    done = Session(source, viewer, viewer).run(progress=seen.append)
    source.close()
    assert done.frames == 3 == len(seen) and viewer.shown[0].shape == (96, 96, 3)


def test_it_stops_after_some_seconds(clip):
    source, viewer = LiveSource(str(clip)), Recorder()
    assert Session(source, viewer, viewer).run(seconds=0.3).frames < 20
    source.close()


@pytest.mark.parametrize(
    ("name", "message"), [("97", "no camera 97"), ("gone.mp4", "gone.mp4 can't be read")]
)
def test_sources_that_are_not_there(name, message):
    with pytest.raises(InputError, match=message):
        LiveSource(name)


@pytest.mark.parametrize("name", ["97", "gone.mp4", "rtsp://127.0.0.1:9/gone"])
def test_one_line_says_so_and_not_what_was_tried(name, capfd):
    with pytest.raises(InputError):
        LiveSource(name)
    assert capfd.readouterr().err == ""


def test_a_text_file_named_jpg(tmp_path, capfd):
    path = tmp_path / "text.jpg"
    path.write_text("no picture\n" * 20)
    viewer = Recorder()
    with pytest.raises(InputError, match=r"text\.jpg (gives no picture|can't be read)"):
        Session(LiveSource(str(path)), viewer, viewer).run()
    assert not viewer.shown and capfd.readouterr().err == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="OpenCV draws with Qt on Linux")
@pytest.mark.parametrize("display", [None, ":97"])
def test_no_screen_for_a_window(display, monkeypatch, capfd):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(InputError, match=r"no window can be opened here\. Use `to` http"):
        WindowSink()
    assert capfd.readouterr().err == ""


def test_viewers_that_hang_up_are_not_complained_of(capfd):
    sink = HttpSink(0)
    port = int(sink.address.split(":")[2].strip("/"))
    try:
        for message in (b"GET / HT", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as viewer:
                viewer.sendall(message)
                viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.2)
        assert b"/stream.mjpg" in urllib.request.urlopen(sink.address).read()
    finally:
        sink.close()
    assert capfd.readouterr().err == ""


def test_the_stream(clip):
    sink = HttpSink(0)
    frame = np.full((48, 64, 3), 200, np.uint8)
    over = threading.Event()

    def play():
        while not over.wait(0.02):
            sink.show(frame)

    threading.Thread(target=play, daemon=True).start()
    try:
        assert b"/stream.mjpg" in urllib.request.urlopen(sink.address).read()
        with urllib.request.urlopen(f"{sink.address}stream.mjpg", timeout=20) as stream:
            assert stream.headers["content-type"].startswith("multipart/x-mixed-replace")
            assert stream.readline() == b"--toonify-frame\r\n"
            assert stream.readline() == b"Content-Type: image/jpeg\r\n"
            length = int(stream.readline().split()[1])
            stream.readline()
            assert stream.read(length)[:2] == b"\xff\xd8"
        with pytest.raises(InputError, match="is taken"):
            HttpSink(int(sink.address.split(":")[2].strip("/")))
        connection = http.client.HTTPConnection("127.0.0.1", int(sink.address.split(":")[2][:-1]))
        connection.request("GET", "/", headers={"host": "evil.example"})
        assert connection.getresponse().status == 421
    finally:
        over.set()
        sink.close()


def test_people_are_drawn_where_they_are(clip, engine):
    renderer = LiveRenderer(engine, characters=("otto",), smooth=0.5)
    photo = np.asarray(Image.fromarray(example_photos()[0]).resize((192, 192)))
    drawn, people = renderer.draw(photo)
    assert people == 1 and drawn.shape == photo.shape
    changed = (drawn != photo).any(2)
    assert changed[60:150, 60:150].mean() > 0.5 and not changed[:2, :2].any()
    wall = np.full((192, 192, 3), 90, np.uint8)
    for _ in range(2):
        drawn, people = renderer.draw(wall)
    assert people == 0 and np.array_equal(drawn, wall)
    with pytest.raises(UsageError, match="rosa"):
        LiveRenderer(engine, characters=("rosa",))


def test_what_was_seen_counts(engine):
    """A face that stands still is steadier than what is detected; one that jumps is followed."""
    renderer = LiveRenderer(engine, smooth=0.8)
    photo = np.asarray(Image.fromarray(example_photos()[0]).resize((192, 192)))
    face = engine.detector.detect(photo)[0]
    first = renderer._steady(1, face)
    assert first is face
    import dataclasses

    near = dataclasses.replace(face, points5=face.points5 + 2, box=face.box + 2)
    steady = renderer._steady(1, near)
    assert 0 < np.abs(steady.points5 - face.points5).max() < 1
    far = dataclasses.replace(face, points5=face.points5 + 90, box=face.box + 90)
    assert np.allclose(renderer._steady(1, far).points5, far.points5)
