"""The page over HTTP, as its own script talks to it."""

import asyncio
import contextlib
import io
import json
import re
from types import SimpleNamespace

import pytest
from PIL import Image

from tests.web.conftest import photo
from tests.web.test_api import refused, wait_until
from toonify.web.limits import Limits
from toonify.web.server import Server


@pytest.fixture
def page(serve):
    return serve(page=True, photo_bytes=200_000, clip_bytes=300_000)


def upload(client, name, data):
    response = client.post("/gradio_api/upload", files={"files": (name, data)})
    assert response.status_code == 200, response.text
    return response.json()[0]


def call(client, function, *data):
    """Call one of the page's functions as the page does; gives the last update."""
    config = client.get("/config").json()
    (index,) = [
        number for number, it in enumerate(config["dependencies"]) if it["api_name"] == function
    ]
    body = {"data": data, "fn_index": index, "session_hash": "abc", "event_data": None}
    assert client.post("/gradio_api/queue/join", json=body).status_code == 200
    last = None
    with client.stream("GET", "/gradio_api/queue/data?session_hash=abc") as lines:
        for line in lines.iter_lines():
            if line.startswith("data:"):
                message = json.loads(line[5:])
                if message["msg"] in ("process_generating", "process_completed"):
                    last = message["output"].get("data") or last
                if message["msg"] == "process_completed":
                    assert message["success"], message
                    break
    return last


def file(path, **more):
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def test_it_is_served_and_fetches_nothing_from_elsewhere(page):
    _, client = page
    response = client.get("/")
    assert response.status_code == 200 and "toonify" in response.text
    assert "default-src 'self'" in response.headers["content-security-policy"]
    config = client.get("/config").json()
    assert "gradio_api" in str(config.get("api_prefix"))
    assert re.search(r"Nothing leaves this server", json.dumps(config))


def test_an_upload_is_replaced_by_its_pixels(page):
    server, client = page
    exif = Image.Exif()
    exif[271] = "a camera's maker"
    path = upload(client, "me.jpg", photo(exif=exif))
    shown, text = call(client, "_intake", file(path))
    assert text == "" and shown["path"] != path
    kept = client.get(f"/gradio_api/file={shown['path']}").content
    assert Image.open(io.BytesIO(kept)).size == (64, 48)
    assert not [f for f in server.folder.files() if b"camera" in f.read_bytes()]


def test_what_is_not_a_photo_is_told_and_removed(page):
    server, client = page
    path = upload(client, "me.jpg", b"Dear Sir or Madam")
    shown, text = call(client, "_intake", file(path))
    assert shown is None and "not an image" in text
    assert not [f for f in server.folder.files() if b"Dear Sir" in f.read_bytes()]


def test_a_photo_is_drawn(page, studio):
    _, client = page
    path = upload(client, "me.png", photo(format="PNG"))
    slider, text, download = call(client, "_draw", file(path), None, "cdsm", 6, 1, False, True)
    assert text == "Drawn as ink." and len(slider) == 2
    drawn = client.get(f"/gradio_api/file={download['value']['path']}").content
    assert Image.open(io.BytesIO(drawn)).mode == "RGBA"


def test_what_is_drawn_into_the_picture_is_shown_as_a_whole(page, studio):
    from toonify.web.page import Page

    _, client = page
    path = upload(client, "me.png", photo(format="PNG"))
    for engine in ("cdsm", "styleganex"):
        wish = Page._wish(SimpleNamespace(studio=studio), "mina", engine, 6, 1)
        assert (wish.engine, wish.whole) == (engine, engine == "styleganex")
    call(client, "_draw", file(path), None, "styleganex", 6, 1, False, False)
    assert studio.drawn[0][1].engine is None, "a style has no engine to choose"


def test_a_look_that_is_picked_is_drawn_where_there_is_a_photo(page, studio):
    _, client = page
    updates = call(client, "_draw_if_there", None, None, "cdsm", 6, 1, False, False)
    assert updates == [{"__type__": "update"}] * 3, "all stays as it is"
    path = upload(client, "me.png", photo(format="PNG"))
    assert call(client, "_draw_if_there", file(path), None, "cdsm", 6, 1, False, False)
    assert len(studio.drawn) == 1


@pytest.mark.parametrize("wrong", [["x", 1], [6, None], [99, 1]])
def test_values_that_no_slider_gives(page, studio, wrong):
    _, client = page
    path = upload(client, "me.png", photo(format="PNG"))
    _, text, _ = call(client, "_draw", file(path), None, "cdsm", *wrong, False, False)
    assert "no number" in text or "out of range" in text


def test_no_other_file_of_the_machine_is_opened_and_none_fetched(
    page, studio, tmp_path, monkeypatch
):
    _, client = page
    looked_up = []
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *rest, **options: looked_up.append(host))
    secret = tmp_path / "secret.png"
    secret.write_bytes(photo(format="PNG"))
    for path in (str(secret), "https://toons.example/x.png", "data:image/png;base64,AAAA"):
        body = [file(path, url=path), None, "cdsm", 6, 1, False, False]
        with contextlib.suppress(AssertionError):  # an event that failed
            assert "Add a photo first" in str(call(client, "_draw", *body))
    assert not studio.drawn and not looked_up
    assert client.get(f"/gradio_api/file={secret}").status_code in (403, 404)
    assert secret.exists()


def test_uploads_are_bounded(page):
    _, client = page
    response = client.post("/gradio_api/upload", files={"files": ("a.mp4", bytes(400_000))})
    assert refused(response, 413)


def test_clips_are_ordered_by_the_page(page, studio, clip):
    _, client = page
    path = upload(client, "me.mp4", clip)
    video, text = call(client, "_draw_clip", file(path), None, "cdsm", 6, 1)
    assert text == "Drawn as ink."
    assert client.get(f"/gradio_api/file={video['path']}").content == b"a clip"


def test_what_the_api_does_not_have_is_told_as_a_problem(page):
    _, client = page
    assert refused(client.get("/api/nothing"), 404)
    assert refused(client.put("/api/pictures"), 405)
    assert client.get("/api/health").status_code == 200


def test_an_upload_that_breaks_off_leaves_nothing(page):
    """What a browser has sent when its tab is closed."""
    server, _ = page
    own = set(server.folder.files())
    head = b"--x\r\nContent-Disposition: form-data; name=files; filename=me.jpg\r\n\r\n"
    came = [{"type": "http.request", "body": head + bytes(90_000), "more_body": True}]
    seen = []

    async def receive():
        if came:
            return came.pop(0)
        seen.extend(set(server.folder.files()) - own)
        return {"type": "http.disconnect"}

    async def send(message):
        """Nobody is there any more."""

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/gradio_api/upload",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"multipart/form-data; boundary=x"),
        ],
    }
    asyncio.run(server.app(scope, receive, send))
    assert seen, "it had begun to be written"
    assert set(server.folder.files()) == own


def test_it_writes_nowhere_but_into_its_folder(tmp_path, monkeypatch, studio):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = Server(studio, limits=Limits())
    assert list(tmp_path.iterdir()) == [server.folder.path]
    server.close()
    assert not list(tmp_path.iterdir())


def test_files_are_gone_when_it_ends_but_its_own_pictures_stay_till_then(page):
    server, client = page
    own = set(server.folder.files())
    assert own, "the pictures to choose from"
    upload(client, "me.png", photo(format="PNG"))
    assert set(server.folder.files()) > own
    object.__setattr__(server.folder.limits, "keep_seconds", -1)
    server.folder.sweep()
    assert set(server.folder.files()) == own
    server.close()
    wait_until(lambda: not server.folder.path.exists())
