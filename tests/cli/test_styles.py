"""`toonify stylize` with styles: which names are drawn, what is written, what is refused."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fake_engine import photo
from tests.fake_portraits import FakePortraits
from toonify.cli import stylize_plan
from toonify.portrait import bundle_styles
from toonify.portrait.engine import PortraitEngine


@pytest.fixture(autouse=True)
def portraits(monkeypatch):
    """The default bundle's styles, drawn by a stand-in for the program alone."""
    fake = FakePortraits()
    own = stylize_plan.defaults_of
    monkeypatch.setattr(
        stylize_plan, "defaults_of", lambda bundle: replace(own(bundle), photos=None)
    )
    monkeypatch.setattr(PortraitEngine, "from_bundle", classmethod(lambda cls, *a, **k: fake))
    return fake


def shade(path):
    return int(np.asarray(Image.open(path))[0, 0, 0])


def test_a_style_is_the_default(run, tmp_path):
    out = tmp_path / "toon.png"
    result = run("stylize", photo(tmp_path / "me.png"), "-o", out)
    assert (result.status, result.err) == (0, "")
    assert shade(out) == 51 and Image.open(out).size == (32, 16)


def test_a_bundle_without_styles_draws_its_first_character(run, bundle, tmp_path):
    source = Path(__file__).parents[2] / "examples/astronaut.png"
    out = tmp_path / "toon.png"
    assert run("stylize", source, "-o", out, "--bundle", bundle).status == 0
    result = run("stylize", source, "-o", out, "--bundle", bundle, "--style", "ink")
    assert result.status == 2 and "offers no styles" in result.err


def test_all_styles_with_a_sheet(run, tmp_path):
    sheet = tmp_path / "sheet.png"
    source = photo(tmp_path / "me.png")
    result = run("stylize", source, "-o", tmp_path / "out", "--style", "all", "--sheet", sheet)
    assert result.status == 0
    styles = bundle_styles("default")
    names = sorted(f"me-{style}.png" for style in styles)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    page = np.asarray(Image.open(sheet))
    assert page.shape[1] == (1 + len(styles)) * 260 + 4
    cell = page[28 : 28 + 256, 264 : 264 + 256]  # a photo 32 wide and 16 high keeps its shape
    assert (cell[10] == 255).all() and cell[70, 5, 0] == 51


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--style", "inc"), "Did you mean 'ink'?"),
        (("--level", "8"), "of characters"),
        (("--style", "ink", "--character", "mina", "--paste"), "not both"),
        (("--background", "sky"), "no background 'sky'"),
        (("--faces", "largest"), "--crop"),
        (("--format", "svg"), "no name for --format svg"),
        (("--character", "mina", "--background", "keep"), "of styles"),
        (("--character", "mina", "--max-size", "100"), "of styles"),
    ],
)
def test_refusals(run, tmp_path, arguments, message):
    out = tmp_path / "toon.png"
    result = run("stylize", photo(tmp_path / "me.png"), "-o", out, *arguments)
    assert result.status == 2 and message in result.err and result.err.count("\n") == 1
    assert not out.exists()


def test_paste_is_what_a_style_does_anyway(run, tmp_path):
    source = photo(tmp_path / "me.png")
    assert run("stylize", source, "-o", tmp_path / "a.png").status == 0
    assert run("stylize", source, "-o", tmp_path / "b.png", "--paste").status == 0
    drawn = [np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png")]
    assert np.array_equal(*drawn)


def test_more_refusals(run, tmp_path):
    source = photo(tmp_path / "me.png")
    result = run("stylize", source, "-o", tmp_path / "a.jpg", "--background", "transparent")
    assert result.status == 2 and "transparency" in result.err
    result = run("stylize", source, "-o", tmp_path / "a.svg", "--character", "mina")
    assert result.status == 2 and "pixels" in result.err
    arguments = ("--format", "svg", "--sheet", tmp_path / "s.png")
    result = run("stylize", source, "-o", tmp_path / "out", *arguments)
    assert result.status == 2 and "--sheet" in result.err
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["me.png"]


def test_no_face(run, tmp_path):
    source = photo(tmp_path / "sky.png", faces=0)
    result = run("stylize", source, "-o", tmp_path / "a.png", "--json")
    assert result.status == 0 and result.err.endswith("no face found: drawn as a scene\n")
    assert result.records[0]["faces"] == 0
    result = run("stylize", source, "-o", tmp_path / "b.png", "--require-face")
    assert result.status == 1 and "no face" in result.err


def test_size_format_and_background(run, tmp_path):
    source = photo(tmp_path / "me.png")
    result = run("stylize", source, "-o", tmp_path / "o/", "--max-size", "32", "--format", "webp")
    assert result.status == 0 and Image.open(tmp_path / "o/me.webp").size == (32, 16)
    out = tmp_path / "b.png"
    run("stylize", source, "-o", out, "--background", "#102030")
    assert np.asarray(Image.open(out))[0, 0].tolist() == [16, 32, 48]
    run("stylize", source, "-o", tmp_path / "c.svg", "--style", "wash")
    assert 'id="person"' in (tmp_path / "c.svg").read_text(encoding="utf-8")


def test_stdout(piped, tmp_path):
    data = photo(tmp_path / "me.png").read_bytes()
    status, out, err = piped(data, "stylize", "-")
    assert (status, err) == (0, b"") and Image.open(io.BytesIO(out)).size == (32, 16)
    status, out, err = piped(data, "stylize", "-", "--format", "svg")
    assert (status, err) == (0, b"") and out.startswith(b"<?xml")


@pytest.fixture
def frames(tmp_path):
    for number in range(3):
        photo(tmp_path / f"in/{number}.png")
    return tmp_path / "in"


def test_clips_are_drawn_in_a_style_by_default(run, frames, tmp_path):
    result = run("video", frames, "-o", tmp_path / "drawn", "--json")
    assert result.status == 0 and result.records[0]["frames"] == 3, "by the bundle's network"
    assert result.records[0]["warping_error"]["after"] < 1  # nothing moves, all over the frame
    program = ("--engine", "portrait", "--json")
    result = run("video", frames, "-o", tmp_path / "out", *program)
    assert result.status == 0 and result.records[0]["frames"] == 3
    assert all(abs(shade(path) - 51) < 30 for path in (tmp_path / "out").iterdir())
    wash = ("--style", "wash", "--smooth", "0", "--engine", "portrait")
    result = run("video", frames, "-o", tmp_path / "out2", *wash)
    assert result.status == 0 and "drawn as scenes" in result.out
    first = min((tmp_path / "out2").iterdir())
    assert shade(first) == 204


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--style", "inc"), "Did you mean 'ink'?"),
        (("--style", "ink,wash"), "one style"),
        (("--style", "ink", "--character", "mina"), "not both"),
        (("--style", "ink", "--engine", "cdsm"), "draws characters, not styles"),
        (("--color", "0.5"), "of characters"),
        (("--faces", "largest"), "--faces"),
        (("--background", "transparent"), "#00ff00"),
        (("--character", "mina", "--background", "transparent"), "not transparent"),
        (("--engine", "styleganex", "--background", "keep"), "leaves what is behind people"),
    ],
)
def test_refusals_of_clips(run, frames, tmp_path, arguments, message):
    result = run("video", frames, "-o", tmp_path / "out", *arguments)
    assert result.status == 2 and message in result.err
    assert not (tmp_path / "out").exists()
