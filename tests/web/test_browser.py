"""The page in a real browser, on the shipped bundle. Needs Chromium; run with -m slow."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.clips import ffmpeg

pytest.importorskip("gradio")
sync = pytest.importorskip("playwright.sync_api")
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (variable CHROMIUM)"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"
WAIT = 120_000  # ms


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own process; gives its address."""
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [sys.executable, "-m", "toonify", "serve", "--port", "0", "--json"]
    with open(log, "w") as out:
        process = subprocess.Popen([*command, "--max-photo-mb", "1"], stdout=out, stderr=out)
    end = time.monotonic() + 120
    while '"address"' not in log.read_text():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.2)
    import json

    address = json.loads(log.read_text().splitlines()[0])["address"]
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/api/health").read()
            break
        except OSError:
            time.sleep(0.1)
    yield address
    process.terminate()
    assert process.wait(60) is not None
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser():
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Open the page; gives it, and the list of requests that went elsewhere."""
    contexts = []

    def visit(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.elsewhere = []
        page.on(
            "request",
            lambda it: (
                None
                if it.url.startswith((server, "data:", "blob:"))
                else page.elsewhere.append(it.url)
            ),
        )
        page.goto(server)
        page.locator("#photo input[type=file]").first.wait_for(state="attached")
        return page

    yield visit
    for context in contexts:
        context.close()


def add(page, path):
    with page.expect_response(lambda answer: "/gradio_api/upload" in answer.url):
        page.locator("#photo input[type=file]").first.set_input_files(path)


def shown_photo(page, name="/image."):
    """Wait for the photo's pixels, which have replaced the upload, or for a file."""
    page.locator(f"#photo img[src*='{name}']").first.wait_for()


def status(page, text):
    try:
        page.wait_for_function(
            "text => document.querySelector('#status').innerText.includes(text)",
            arg=text,
            timeout=WAIT,
        )
    except sync.TimeoutError:
        pytest.fail(f"it says {page.locator('#status').inner_text()!r}, not {text!r}")


def test_upload_pick_draw_and_download(visit, tmp_path):
    page = visit()
    add(page, ASTRONAUT)
    shown_photo(page)
    page.locator(".looks .thumbnail-item").nth(1).click()
    status(page, "Drawn as")
    assert page.locator("#result img").count() >= 2, "before and after"
    page.get_by_label("Transparent background").check()
    sources = "[...document.querySelectorAll('#result img')].map(it => it.src).join()"
    opaque = page.evaluate(sources)
    page.locator("#draw").click()
    page.wait_for_function(f"old => {sources} !== old", arg=opaque)
    status(page, "Drawn as")
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "toon.png")
    with Image.open(tmp_path / "toon.png") as drawn:
        assert drawn.mode == "RGBA" and drawn.getchannel("A").getextrema() == (0, 255)
    assert download.value.suggested_filename.startswith("toon-")
    assert not page.elsewhere, "nothing is fetched from elsewhere"


def test_an_example(visit):
    page = visit()
    page.locator("button.gallery-item").first.click()
    shown_photo(page, ".jpg")
    page.locator("#draw").click()
    status(page, "Drawn as")


def test_a_clip(visit, tmp_path):
    face = Path(__file__).parents[2] / "examples" / "faces" / "01.jpg"
    ffmpeg("-loop", 1, "-t", 0.5, "-i", face, "-vf", "scale=160:160", tmp_path / "clip.mp4")
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    page = visit()
    page.get_by_role("tab", name="Clip").click()

    def draw(path, text):
        with page.expect_response(lambda answer: "/gradio_api/upload" in answer.url):
            page.locator("#clip input[type=file]").first.set_input_files(path)
        page.locator("#clip video").wait_for()
        page.locator("#draw-clip").click()
        page.locator("#clip-status").get_by_text(text).wait_for()

    draw(tmp_path / "clip.mp4", "Drawn as")
    assert page.locator("#drawn-clip video").get_attribute("src")
    page.locator("#clip button[aria-label=Clear], #clip button[title=Clear]").first.click()
    draw(tmp_path / "letter.mp4", "not a video")


def test_a_character_by_another_engine(visit):
    page = visit()
    add(page, ASTRONAUT)
    shown_photo(page)
    page.get_by_role("button", name="Characters: how much of you").first.click()
    page.get_by_label("as the head stands in the picture").first.check()
    page.locator(".looks .thumbnail-item").last.click()
    status(page, "Drawn as")


def test_a_text_file_named_jpg(visit, tmp_path):
    page = visit()
    (tmp_path / "letter.jpg").write_text("Dear Sir or Madam")
    add(page, tmp_path / "letter.jpg")
    status(page, "not an image")
    add(page, ASTRONAUT)
    shown_photo(page)


def test_a_photo_that_is_too_large(visit, tmp_path):
    page = visit()
    path = tmp_path / "large.png"
    Image.effect_noise((1400, 1000), 90).save(path)
    assert path.stat().st_size > 1_000_000
    add(page, path)
    status(page, "1 MB are allowed")


def test_two_visitors_at_once(visit):
    pages = [visit(), visit()]
    for page in pages:
        add(page, ASTRONAUT)
        shown_photo(page)
    for page in pages:
        page.locator("#draw").click()
    for page in pages:
        status(page, "Drawn as")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(visit, scheme):
    page = visit(390, 844, is_mobile=True, has_touch=True, color_scheme=scheme)
    add(page, ASTRONAUT)
    shown_photo(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out"
    page.locator("#draw").tap()
    status(page, "Drawn as")
    looks = page.locator(".looks .thumbnail-item").all()
    boxes = [look.bounding_box() for look in looks]
    assert all(box["width"] >= 64 and box["x"] + box["width"] <= 390 for box in boxes)
