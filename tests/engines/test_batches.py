"""Styles in batches: whole photos and portraits, documents, beside characters."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.fake_engine import FakeEngine, photo
from tests.fake_portraits import FakePortraits
from toonify.engines.base import aligned_region
from toonify.engines.combined import CombinedEngine
from toonify.engines.portrait import StyleEngine
from toonify.errors import UsageError
from toonify.faces.alignment import aligned_face, ffhq_quad
from toonify.portrait import STYLES
from toonify.portrait.backgrounds import fitted, parse_background
from toonify.stylize.batch import Batch
from toonify.stylize.jobs import plan
from toonify.stylize.options import Options


def run(engine, sources, output, *, sheet=False, mode="whole", **options):
    names = options.pop("characters", ("ink",))
    suffix = f".{options.get('format', 'png')}"
    jobs = plan([str(source) for source in sources], str(output), suffix=suffix)
    settings = Options(
        characters=names,
        styles=tuple(name for name in names if name in STYLES),
        mode=mode,
        identity={name: engine.identity(name) for name in names},
        batch_size=1,
        **options,
    )
    return list(Batch(engine, settings, sheet_rows=sheet).run(jobs))


def pixels(path):
    return np.asarray(Image.open(path))


def test_a_whole_photo_keeps_its_size_and_is_looked_through_once(tmp_path):
    engine = StyleEngine(FakePortraits())
    source = photo(tmp_path / "us.png", faces=3)
    (result,) = run(engine, [source], tmp_path / "out/", characters=("ink", "soft"))
    assert (result.status, result.note) == ("ok", None)
    assert [output["style"] for output in result.outputs] == ["ink", "soft"]
    assert {output["faces"] for output in result.outputs} == {3}
    drawn = pixels(tmp_path / "out/us-ink.png")
    assert drawn.shape == (16, 32, 3) and drawn[0, 0, 0] == 51
    assert engine.portraits.measured == [3] and engine.portraits.detector.looked == 1


def test_a_photo_without_a_face_is_a_scene_unless_one_is_required(tmp_path):
    engine = StyleEngine(FakePortraits())
    source = photo(tmp_path / "sky.png", faces=0)
    (result,) = run(engine, [source], tmp_path / "a.png")
    assert result.status == "ok" and "scene" in str(result.note)
    assert result.record()["note"] == result.note
    (result,) = run(engine, [source], tmp_path / "b.png", require_face=True)
    assert result.status == "failed" and "no face" in str(result.error)
    assert not (tmp_path / "b.png").exists()


def test_transparency(tmp_path):
    engine = StyleEngine(FakePortraits(), background="transparent")
    source = photo(tmp_path / "me.png")
    for name in ("a.png", "a.webp"):
        run(engine, [source], tmp_path / name)
        drawn = np.asarray(Image.open(tmp_path / name))
        assert drawn.shape == (16, 32, 4)
        assert drawn[0, 0, 3] == 0 and drawn[8, 16, 3] == 255
    cut = Image.fromarray(np.dstack([np.asarray(Image.open(source)), np.zeros((16, 32), np.uint8)]))
    cut.save(tmp_path / "cut.png")
    run(StyleEngine(FakePortraits()), [tmp_path / "cut.png"], tmp_path / "c.png")
    assert not np.asarray(Image.open(tmp_path / "c.png"))[..., 3].any()  # as the photo's


def test_documents_are_known_again_and_never_replace_others(tmp_path):
    source = photo(tmp_path / "me.png")
    for kind in ("svg", "pdf"):
        if kind == "pdf":
            pytest.importorskip("reportlab")
        engine = StyleEngine(FakePortraits(), document=kind)
        (first,) = run(engine, [source], tmp_path / kind, format=kind)
        (again,) = run(engine, [source], tmp_path / kind, format=kind)
        assert (first.status, again.status) == ("ok", "skipped")
        file = tmp_path / kind / f"me.{kind}"
        assert file.read_bytes().startswith({"svg": b"<?xml", "pdf": b"%PDF-"}[kind])
        file.write_bytes(file.read_bytes() + b"\n")
        (other,) = run(engine, [source], tmp_path / kind, format=kind, existing="overwrite")
        assert other.status == "failed" and "stays" in str(other.error)


def test_an_svg_with_its_mark_is_still_xml(tmp_path):
    from xml.etree import ElementTree

    engine = StyleEngine(FakePortraits(), document="svg")
    run(engine, [photo(tmp_path / "me--too.png")], tmp_path / "out", format="svg")
    text = (tmp_path / "out/me--too.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "<!--toonify {" in text


def test_portraits_are_crops_of_each_face(tmp_path):
    engine = StyleEngine(FakePortraits(), max_size=40)
    engine.portraits.crop = lambda rgb, face, size: np.full((size, size, 3), 7, np.uint8)
    engine.region = lambda rgb, face: FakeEngine().region(rgb, face)
    source = photo(tmp_path / "us.png", faces=2)
    (result,) = run(engine, [source], tmp_path / "out", mode="crop", faces="all")
    assert [output["face"] for output in result.outputs] == [1, 2]
    assert pixels(tmp_path / "out/us-face2.png").shape == (40, 40, 3)


def test_a_crop_is_of_a_face_even_where_none_is_found(tmp_path):
    engine = StyleEngine(FakePortraits())
    crop = np.zeros((64, 64, 3), np.uint8)
    engine.draw_regions([aligned_region(crop)], ["ink"])
    assert engine.portraits.measured == [1]


def test_beside_characters(tmp_path):
    class Toons(FakeEngine):
        def identity(self, name):
            return name

    engine = CombinedEngine(StyleEngine(FakePortraits()), Toons())
    names = ("ink", "mina", "wash")
    source = photo(tmp_path / "me.png")
    (result,) = run(engine, [source], tmp_path / "out", characters=names, mode="crop", sheet=True)
    assert [("style" in o, "character" in o) for o in result.outputs] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert pixels(tmp_path / "out/me-mina.png")[0, 0, 0] == 50
    assert len(result.rows) == 1 and len(result.rows[0]) == 4
    assert json.dumps(engine.identity("ink")) and engine.identity("mina") == "mina"


def test_identity_tells_options_apart():
    plain = StyleEngine(FakePortraits())
    kept = StyleEngine(FakePortraits(), background="keep")
    assert plain.identity("ink") != kept.identity("ink") != kept.identity("soft")


def test_a_crops_face_has_that_crop():
    quad = ffhq_quad(aligned_face(512))
    assert np.allclose(quad[0], -0.5, atol=0.01) and np.allclose(quad[2], 511.5, atol=0.01)
    inner = ffhq_quad(aligned_face(640, 1.25))
    assert np.allclose(inner[0], 63.5, atol=0.01)


def test_backgrounds():
    assert [parse_background(text) for text in ("draw", "keep")] == ["draw", "keep"]
    assert parse_background("#fc0") == (255, 204, 0) == parse_background("rgb(255, 204, 0)")
    with pytest.raises(UsageError, match=r"no background 'whtie'.*white or #ffcc00"):
        parse_background("whtie")
    assert fitted((400, 300), None) == (400, 300) == fitted((400, 300), 500)
    assert fitted((400, 300), 100) == (100, 75)
