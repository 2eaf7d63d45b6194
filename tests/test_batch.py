import json

import numpy as np
import pytest
from PIL import Image

from tests.fake_engine import FakeEngine, colour, photo
from toonify.batch import Batch, Options
from toonify.jobs import plan


@pytest.fixture
def engine():
    return FakeEngine()


def draw(engine, inputs, output, **options):
    options.setdefault("characters", ("mina",))
    recursive = options.pop("recursive", False)
    batch = Batch(engine, Options(**options), sheet_rows=True)
    jobs = plan([str(item) for item in inputs], output and str(output), recursive=recursive)
    return list(batch.run(jobs))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_one_photo(engine, tmp_path):
    (result,) = draw(engine, [photo(tmp_path / "me.jpg")], tmp_path / "toon.png", level=4)
    assert result.status == "ok" and colour(tmp_path / "toon.png") == 50
    assert engine.calls == [{"level": 4, "trgb": True, "color": 1.0}]
    record = json.loads(json.dumps(result.record()))
    assert record["outputs"][0]["character"] == "mina"
    assert record["outputs"][0]["box"] == [0, 0, 8, 8]


def test_several_characters_add_their_names(engine, tmp_path):
    draw(engine, [photo(tmp_path / "me.jpg")], tmp_path / "t.png", characters=("mina", "otto"))
    assert (colour(tmp_path / "t-mina.png"), colour(tmp_path / "t-otto.png")) == (50, 100)


def test_several_faces_add_their_numbers(engine, tmp_path):
    source = photo(tmp_path / "us.png", faces=3)
    out = tmp_path / "out"
    draw(engine, [source], out, faces="all")
    assert files(out) == ["us-face1.png", "us-face2.png", "us-face3.png"]
    draw(engine, [source], tmp_path / "one.png", faces="largest")
    assert (tmp_path / "one.png").exists()


def test_paste_keeps_photo_size_and_draws_every_face(engine, tmp_path):
    source = photo(tmp_path / "us.png", faces=2)
    draw(engine, [source], tmp_path / "p.png", mode="paste", faces="all")
    pasted = np.asarray(Image.open(tmp_path / "p.png"))
    assert pasted.shape == (16, 32, 3)
    assert (pasted[:8, :16] == 50).all() and (pasted[8:] == 200).all()


def test_paste_keeps_transparency(engine, tmp_path):
    rgba = np.full((16, 32, 4), 90, np.uint8)
    rgba[0, 0, 0] = 1
    Image.fromarray(rgba).save(tmp_path / "a.png")
    draw(engine, [tmp_path / "a.png"], tmp_path / "p.png", mode="paste", faces="all")
    assert Image.open(tmp_path / "p.png").mode == "RGBA"


def test_faces_of_many_photos_share_batches(engine, tmp_path):
    for index in range(5):
        photo(tmp_path / "in" / f"{index}.png")
    draw(engine, [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert engine.batches == [2, 2, 1]


def test_one_bad_photo_never_stops_the_rest(engine, tmp_path):
    source = tmp_path / "in"
    photo(source / "a.png")
    photo(source / "b.png", faces=0)
    (source / "c.png").write_bytes(b"not an image")
    (source / "d.png").touch()
    photo(source / "e.png", shade=13)
    photo(source / "f.png")
    results = draw(engine, [source], tmp_path / "out", batch_size=1)
    status = {result.source.rsplit("/", 1)[1]: result for result in results}
    assert [name for name, result in status.items() if result.status == "ok"] == ["a.png", "f.png"]
    assert "no face found" in status["b.png"].error
    assert "out of memory" in status["e.png"].error
    for result in results:
        if result.error:
            assert result.source in result.error and "\n" not in result.error
    assert files(tmp_path / "out") == ["a.png", "f.png"]


def test_fail_fast_stops(engine, tmp_path):
    photo(tmp_path / "in/a.png", faces=0)
    photo(tmp_path / "in/b.png")
    results = draw(engine, [tmp_path / "in"], tmp_path / "out", fail_fast=True)
    assert [result.status for result in results] == ["failed"]


def test_existing_drawings(engine, tmp_path):
    source = photo(tmp_path / "in/a.png")
    out = tmp_path / "out"
    draw(engine, [source.parent], out)
    (result,) = draw(engine, [source.parent], out)
    assert result.status == "failed" and "--skip-existing" in result.error
    (result,) = draw(engine, [source.parent], out, existing="skip")
    assert result.status == "skipped" and engine.batches == [1]
    (result,) = draw(engine, [source.parent], out, existing="overwrite")
    assert result.status == "ok"
    (result,) = draw(engine, [source.parent], out, existing="skip", characters=("mina", "otto"))
    assert result.status == "ok" and len(result.outputs) == 2


def test_named_file_may_be_replaced(engine, tmp_path):
    source = photo(tmp_path / "a.png")
    for _ in range(2):
        (result,) = draw(engine, [source], tmp_path / "out.png")
        assert result.status == "ok"


def test_aligned_photos_are_taken_whole(engine, tmp_path):
    Image.new("RGB", (24, 24), (9, 9, 9)).save(tmp_path / "face.png")
    (result,) = draw(engine, [tmp_path / "face.png"], tmp_path / "t.png", aligned=True)
    assert result.status == "ok" and result.rows[0][0].shape == (24, 24, 3)
    (result,) = draw(engine, [photo(tmp_path / "wide.png")], tmp_path / "w.png", aligned=True)
    assert result.status == "failed" and "32x16" in result.error


def test_unwritable_output_is_one_clear_failure(engine, tmp_path):
    (tmp_path / "blocked").write_text("a file, not a folder")
    source = photo(tmp_path / "a.png")
    (result,) = draw(engine, [source], tmp_path / "blocked/x.png")
    assert result.status == "failed" and "can't write" in result.error
