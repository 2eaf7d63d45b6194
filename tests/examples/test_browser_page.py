"""examples/browser in a real browser, with the shipped bundle. Needs Chromium and npm; -m slow."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from toonify.export import export_bundle

pytest.importorskip("onnxruntime")
sync = pytest.importorskip("playwright.sync_api")
EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
NPM = shutil.which("npm")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (variable CHROMIUM)"),
    pytest.mark.skipif(NPM is None, reason="there is no npm"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        """Nothing."""


@pytest.fixture
def page(tmp_path):
    """The example's page, served from a folder of its own."""
    folder = tmp_path / "browser"
    shutil.copytree(EXAMPLES / "browser", folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run([NPM, "install", "--silent"], cwd=folder, check=True, timeout=300)
    export_bundle(folder / "network", characters=["mina"], networks=False)
    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        yield shown
        browser.close()
    server.shutdown()


def wait_for_text(page, text, timeout=180_000):
    page.wait_for_function(
        "text => document.getElementById('said').textContent.includes(text)",
        arg=text,
        timeout=timeout,
    )


def test_a_photo_is_drawn_in_the_browser(page):
    wait_for_text(page, "Choose a photo")
    page.set_input_files("#file", EXAMPLES / "faces" / "01.jpg")
    wait_for_text(page, "onto the marks")
    page.click("#draw")
    wait_for_text(page, "Drawn in")
    colors = page.evaluate(
        "() => { const c = document.getElementById('drawing');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return new Set(Array.from({length: 5000}, (_, i) => d[400 * i])).size; }"
    )
    assert colors > 50, "a picture, not one color"
    assert page.is_visible("#save")
    page.set_input_files("#file", Path(__file__))
    wait_for_text(page, "no picture")
