"""The HTTP API: what it answers, with which status, and what is left of it."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tests.web.conftest import photo
from toonify.web.files import PREFIX


def draw(client, data=None, look="mina", **fields):
    files = {"file": ("me.jpg", photo() if data is None else data)}
    return client.post("/api/pictures", files=files, data={"look": look, **fields})


def refused(response, status):
    """Its problem document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status and document["title"] and document["detail"]
    return document["detail"]


def decoded(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_photo_is_drawn(client, studio):
    picture = decoded(draw(client, level=3, color=0.5, whole=True))
    assert picture.format == "PNG" and picture.size == (64, 48) and picture.mode == "RGB"
    ((pixels, wish),) = studio.drawn
    assert pixels.shape == (48, 64, 3)
    assert (wish.look, wish.level, wish.color, wish.whole) == ("mina", 3, 0.5, True)


def test_transparency_and_formats(client):
    assert decoded(draw(client, transparent=True)).mode == "RGBA"
    assert decoded(draw(client, transparent=True, format="webp")).mode == "RGBA"
    assert decoded(draw(client, format="jpeg")).format == "JPEG"


def test_exif_turns_the_photo_and_is_gone(client, studio):
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    exif[271] = "a camera's maker"
    response = draw(client, photo(exif=exif))
    assert decoded(response).size == (48, 64)
    assert b"camera" not in response.content and not decoded(response).getexif()


def test_large_photos_are_shrunk(serve, studio):
    _, client = serve(photo_side=32)
    assert decoded(draw(client)).size == (32, 24)


@pytest.mark.parametrize(
    ("fields", "data", "status", "message"),
    [
        ({"look": "rosa"}, None, 422, "no style or character 'rosa'"),
        ({"look": "minna"}, None, 422, "Did you mean 'mina'?"),
        ({"level": 9}, None, 422, "level 9 is out of range"),
        ({"level": "x"}, None, 422, "level: "),
        ({"color": 2}, None, 422, "color: "),
        ({"format": "tiff"}, None, 422, "format: "),
        ({}, b"Dear Sir or Madam", 415, "not an image"),
        ({}, photo()[:200], 415, "damaged"),
        ({}, b"", 415, "empty"),
        ({}, photo(shade=0), 422, "no face found"),
    ],
)
def test_bad_requests(client, fields, data, status, message):
    assert message in refused(draw(client, data, **fields), status)
    assert decoded(draw(client)), "the server is still there"


def test_a_form_without_a_file(client):
    assert "file: Send it" in refused(client.post("/api/pictures", data={"look": "mina"}), 422)
    form = {"look": "mina", "file": "me.jpg"}
    assert "file: Send it" in refused(client.post("/api/pictures", data=form), 422)
    assert refused(client.get("/api/nothing"), 404)
    assert refused(client.get("/api/pictures"), 405)


def test_too_many_bytes_and_pixels(serve, studio):
    _, client = serve(photo_bytes=5_000, photo_pixels=10_000)
    assert "0.005 MB are allowed" in refused(draw(client, b"\xff" * 6_000), 413)
    assert "0.005 MB are allowed" in refused(draw(client, b"\xff" * 900_000), 413)
    assert "200x100 pixels" in refused(draw(client, photo((200, 100), format="PNG")), 413)
    assert not studio.drawn


def test_a_body_longer_than_it_says(serve):
    """Chunks, without a length in the header."""
    _, client = serve(photo_bytes=5_000)

    def chunks():
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        for _ in range(100):
            yield b"a" * 10_000

    response = client.post(
        "/api/pictures",
        content=chunks(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert "too large" in refused(response, 413)


def test_failures_are_told_without_the_inside(client, studio):
    studio.failure = RuntimeError("/home/me/secret.py broke")
    assert "secret" not in refused(draw(client), 500)
    for short in (MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")):
        studio.failure = short
        assert "not enough memory" in refused(draw(client), 503)
    studio.failure = None
    assert decoded(draw(client)), "the server is still there"


def test_the_line_is_bounded(serve, studio):
    server, client = serve(queue=2, share=1)
    studio.gate.clear()
    first = threading.Thread(target=draw, args=(client,))
    first.start()
    assert studio.began.wait(20)
    response = draw(client)
    assert "1 of your orders" in refused(response, 429)
    assert int(response.headers["retry-after"]) >= 1
    server.line.add("somebody else", "photo", lambda order: None)
    response = draw(client)
    assert refused(response, 429), "one's share is looked at first"
    server.line.share = 3
    assert "2 orders are in line" in refused(draw(client), 503)
    studio.gate.set()
    first.join()
    wait_until(lambda: len(server.line) == 0)
    assert decoded(draw(client))


def test_it_may_not_take_for_ever(serve, studio):
    _, client = serve(work_seconds=0.2)
    studio.gate.clear()

    def release():  # once the time is surely over, however late the work began
        studio.began.wait(20)
        time.sleep(0.4)
        studio.gate.set()

    threading.Thread(target=release, daemon=True).start()
    assert "longer than this server allows" in refused(draw(client), 504)


def test_looks_limits_and_health(client):
    looks = client.get("/api/looks").json()
    assert [(look["name"], look["kind"]) for look in looks] == [
        ("ink", "style"),
        ("mina", "character"),
    ]
    assert decoded(client.get(looks[0]["picture"])).size == (256, 256)
    assert refused(client.get("/api/looks/rosa/picture"), 404)
    assert client.get("/api/limits").json()["queue"] == 16
    assert client.get("/api/health").json() == {"status": "ok", "queue": 0}


def test_the_api_is_described(client):
    described = client.get("/api/openapi.json").json()
    assert {"/api/pictures", "/api/clips", "/api/clips/{id}/file", "/api/looks"} <= set(
        described["paths"]
    )
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            assert route["summary"], (path, method)
    answers = described["paths"]["/api/pictures"]["post"]["responses"]
    assert {"200", "413", "415", "422", "429", "503", "504"} <= set(answers)
    assert set(answers["200"]["content"]) >= {"image/png", "image/webp", "image/jpeg"}


def order(client, data, look="mina"):
    return client.post("/api/clips", files={"file": ("../me.mp4", data)}, data={"look": look})


def test_a_clip_is_ordered_asked_after_and_fetched(serve, studio, clip):
    server, client = serve()
    studio.gate.clear()
    response = order(client, clip)
    assert response.status_code == 202, response.text
    address = response.headers["location"]
    wait_until(lambda: client.get(address).json()["progress"] > 0)
    assert client.get(address).json()["state"] == "working"
    assert "not drawn yet" in refused(client.get(f"{address}/file"), 409)
    studio.gate.set()
    wait_until(lambda: client.get(address).json()["state"] == "done")
    file = client.get(client.get(address).json()["file"])
    assert file.content == b"a clip" and file.headers["content-type"] == "video/mp4"
    assert client.delete(address).status_code == 204
    assert refused(client.get(address), 404)
    assert server.folder.files() == []


def test_clips_that_are_not_drawn(serve, studio, clip):
    server, client = serve(clip_seconds=1)
    assert "2.0 s long, 1 s are allowed" in refused(order(client, clip), 413)
    assert refused(order(client, b"Dear Sir or Madam"), 415)
    assert PREFIX not in order(client, b"Dear Sir or Madam").text
    assert "no style or character" in refused(order(client, clip, look="rosa"), 422)
    assert refused(client.get("/api/clips/none"), 404)
    assert server.folder.files() == []


def test_a_dropped_clip_is_stopped(serve, studio, clip):
    server, client = serve()
    studio.gate.clear()
    address = order(client, clip).headers["location"]
    assert studio.began.wait(20)
    assert client.delete(address).status_code == 204
    wait_until(lambda: len(server.line) == 0)
    assert server.folder.files() == []


def test_nothing_of_a_clip_that_was_not_wanted_any_more_stays(serve, studio, clip):
    """Neither half-drawn parts of the one that is worked on, nor the upload of one that waits."""
    server, client = serve()
    studio.gate.clear()
    working = order(client, clip).headers["location"]
    assert studio.began.wait(20)
    waiting = order(client, clip).headers["location"]
    assert len(server.folder.files()) == 3, "two uploads, and what is half drawn"
    for address in (waiting, working):
        assert client.delete(address).status_code == 204
    wait_until(lambda: len(server.line) == 0)
    assert list(server.folder.path.iterdir()) == []


def test_what_an_order_needs_is_not_swept_away(serve, studio, clip):
    server, client = serve(keep_seconds=0.0)
    studio.gate.clear()
    address = order(client, clip).headers["location"]
    assert studio.began.wait(20)
    waiting = order(client, clip).headers["location"]
    time.sleep(0.05)
    server.folder.sweep()
    studio.gate.set()
    for requested in (address, waiting):
        wait_until(
            lambda requested=requested: (
                client.get(requested).json()["state"] not in ("waiting", "working")
            )
        )
        assert client.get(requested).json()["state"] == "done"


def test_files_are_forgotten(serve, studio, clip):
    server, client = serve(keep_seconds=0.0)
    address = order(client, clip).headers["location"]
    wait_until(lambda: client.get(address).json()["state"] == "done")
    time.sleep(0.05)
    server.folder.sweep()
    assert "Add it again" in refused(client.get(f"{address}/file"), 410)
    server.close()
    assert not server.folder.path.exists()


def test_no_room(serve, studio):
    server, client = serve(folder_bytes=10)
    server.folder.new_file("x").write_bytes(bytes(20))
    assert "no room" in refused(draw(client), 507)


def test_a_client_that_hangs_up_is_not_drawn_for(serve, studio):
    import asyncio

    from toonify.web.api import outcome

    server, _ = serve()
    studio.gate.clear()
    blocking = server.line.add("a", "photo", lambda order: studio.gate.wait(20))
    waiting = server.line.add("b", "photo", lambda order: np.zeros(1))

    async def gone():
        return True

    assert asyncio.run(outcome(waiting, gone)) is None
    studio.gate.set()
    assert waiting.finished.wait(20) and waiting.state == "canceled"
    assert blocking.finished.wait(20)


def test_engines(client, studio):
    assert client.get("/api/engines").json() == ["cdsm", "styleganex"]
    form = {"look": "mina", "engine": "styleganex"}
    assert client.post("/api/pictures", files={"file": photo()}, data=form).status_code == 200
    _, wish = studio.drawn[0]
    assert wish.engine == "styleganex" and wish.level is None, "as the bundle says"
    form["engine"] = "crayons"
    assert refused(client.post("/api/pictures", files={"file": photo()}, data=form), 422)
