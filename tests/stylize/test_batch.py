import json

import numpy as np
import pytest
from PIL import Image

from tests.fake_engine import FakeEngine, color, photo
from toonify.errors import UsageError
from toonify.stylize.ahead import Budget
from toonify.stylize.batch import Batch
from toonify.stylize.drawer import Drawer
from toonify.stylize.jobs import plan
from toonify.stylize.naming import NameTemplate
from toonify.stylize.options import Options


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
    assert result.status == "ok" and color(tmp_path / "toon.png") == 50
    record = json.loads(json.dumps(result.record()))
    assert record["outputs"][0]["character"] == "mina"
    assert record["outputs"][0]["box"] == [0, 0, 8, 8]


def test_several_characters_add_their_names(engine, tmp_path):
    draw(engine, [photo(tmp_path / "me.jpg")], tmp_path / "t.png", characters=("mina", "otto"))
    assert (color(tmp_path / "t-mina.png"), color(tmp_path / "t-otto.png")) == (50, 100)


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


def test_rules_cast_a_character_per_person(engine, tmp_path):
    source = photo(tmp_path / "us.png", faces=3)
    rules = {"left=mina,right=otto,middle=ruth": [50, 150, 100], "2=otto,mina": [50, 100, 50]}
    for rule, shades in rules.items():
        out = tmp_path / f"{len(rule)}.png"
        (result,) = draw(engine, [source], out, characters=(rule,), mode="paste", faces="all")
        pasted = np.asarray(Image.open(out))
        assert [int(pasted[4, x, 0]) for x in (4, 12, 20)] == shades
        names = {50: "mina", 100: "otto", 150: "ruth"}
        assert result.outputs[0]["characters"] == [names[shade] for shade in shades]


def test_only_picks_one(engine, tmp_path):
    source = photo(tmp_path / "us.png", faces=3)
    for only, place in (("left", 4), ("right", 20), ("middle", 12), ("3", 20)):
        out = tmp_path / f"{only}.png"
        (result,) = draw(engine, [source], out, mode="paste", faces="all", only=only)
        pasted = np.asarray(Image.open(out))
        assert [x for x in (4, 12, 20) if pasted[4, x, 0] == 50] == [place]
        assert result.faces == 1
    (result,) = draw(engine, [source], tmp_path / "4.png", only="4")
    assert result.status == "failed" and "no face 4" in result.error and "3 faces" in result.error


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
    for existing in ("error", "skip"):
        (result,) = draw(engine, [source.parent], out, existing=existing)
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


@pytest.mark.parametrize(
    "change", [{"level": 2}, {"characters": ("otto",)}, {"mode": "paste"}, {"color": 0.5}]
)
def test_drawings_by_other_options_are_drawn_anew(engine, tmp_path, change):
    source = photo(tmp_path / "in/a.png")
    draw(engine, [source.parent], tmp_path / "out")
    (result,) = draw(engine, [source.parent], tmp_path / "out", **change)
    assert result.status == "failed" and "other options" in result.error
    (result,) = draw(engine, [source.parent], tmp_path / "out", existing="skip", **change)
    assert result.status == "ok"
    (result,) = draw(engine, [source.parent], tmp_path / "out", existing="skip", **change)
    assert result.status == "skipped"


def test_drawings_of_a_photo_that_changed_are_drawn_anew(engine, tmp_path):
    source = photo(tmp_path / "in/a.png")
    draw(engine, [source.parent], tmp_path / "out")
    photo(source, shade=90)
    (result,) = draw(engine, [source.parent], tmp_path / "out", existing="skip")
    assert result.status == "ok"


def test_a_face_that_is_missing_is_drawn(engine, tmp_path):
    source = photo(tmp_path / "us.png", faces=3)
    options = {"faces": "all", "characters": ("mina", "otto")}
    draw(engine, [source], tmp_path / "out", **options)
    names = files(tmp_path / "out")
    (tmp_path / "out" / names[3]).unlink()
    (result,) = draw(engine, [source], tmp_path / "out", existing="skip", **options)
    assert result.status == "ok" and files(tmp_path / "out") == names


@pytest.mark.parametrize("mode", ["crop", "paste"])
def test_what_is_there_gives_the_same_rows_and_records(engine, tmp_path, mode):
    source = photo(tmp_path / "us.png", faces=2)
    options = {"mode": mode, "faces": "all", "characters": ("mina", "otto")}
    (first,) = draw(engine, [source], tmp_path / "o.png", **options)
    (again,) = draw(engine, [source], tmp_path / "o.png", existing="skip", **options)
    assert again.status == "skipped" and engine.batches == [2]
    assert again.entry() | {"seconds": 0} == first.entry() | {"seconds": 0}
    assert len(first.rows) == len(again.rows) == 2
    for row, same in zip(first.rows, again.rows, strict=True):
        for cell, other in zip(row, same, strict=True):
            assert (cell == other).all()


@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
def test_what_somebody_else_made_stays(engine, tmp_path, existing):
    source = photo(tmp_path / "in/a.png")
    theirs = photo(tmp_path / "out/a.png", shade=3)
    before = theirs.read_bytes()
    (result,) = draw(engine, [source], tmp_path / "out", existing=existing)
    assert result.status == "failed" and "not toonify's" in result.error
    assert theirs.read_bytes() == before


def test_a_drawing_that_was_touched_up_stays(engine, tmp_path):
    source = photo(tmp_path / "in/a.png")
    draw(engine, [source], tmp_path / "out")
    drawing = tmp_path / "out/a.png"
    edited = (
        drawing.read_bytes()[:-12]
        + b"\0\0\0\4tEXtme\0\0\x9e\x1d\xd6\x9c"
        + drawing.read_bytes()[-12:]
    )
    drawing.write_bytes(edited)
    (result,) = draw(engine, [source], tmp_path / "out", existing="overwrite")
    assert result.status == "failed" and "changed since" in result.error
    (result,) = draw(engine, [source], tmp_path / "out", existing="skip")
    assert result.status == "skipped" and drawing.read_bytes() == edited


def test_links_in_the_output_folder_are_not_written_through(engine, tmp_path):
    source = photo(tmp_path / "in/deep/a.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/deep").symlink_to(elsewhere)
    (result,) = draw(
        engine, [source.parent.parent], tmp_path / "out", recursive=True, existing="overwrite"
    )
    assert result.status == "failed" and "link" in result.error
    (tmp_path / "out/a.png").symlink_to(elsewhere / "nothing.png")
    (result,) = draw(engine, [source], tmp_path / "out", existing="overwrite")
    assert result.status == "failed" and list(elsewhere.iterdir()) == []


def test_a_batch_that_does_not_fit_is_halved(engine, tmp_path):
    class Small(FakeEngine):
        def draw_regions(self, regions, characters):
            if len(regions) > 3:
                raise MemoryError
            return super().draw_regions(regions, characters)

    engine = Small()
    for index in range(12):
        photo(tmp_path / "in" / f"{index:02}.png")
    results = draw(engine, [tmp_path / "in"], tmp_path / "out", batch_size=8)
    assert [result.status for result in results] == ["ok"] * 12
    assert sum(engine.batches) == 12 and engine.batches[-1] <= 3


def test_results_come_in_the_photos_order(engine, tmp_path):
    for index in range(7):
        photo(tmp_path / "in" / f"{index}.png", faces=index % 3)
    first = draw(engine, [tmp_path / "in"], tmp_path / "out", batch_size=3)
    (tmp_path / "out/4.png").unlink()
    again = draw(engine, [tmp_path / "in"], tmp_path / "out", batch_size=3, existing="skip")
    assert [r.source for r in first] == [r.source for r in again] == sorted(r.source for r in first)


def test_a_run_that_is_gone_on_with_draws_the_same_together(engine, tmp_path):
    for index in range(11):
        photo(tmp_path / f"in/{index:02}.png", faces=1 + index % 2, shade=100 + index)
    options = {"faces": "all", "batch_size": 4}
    draw(engine, [tmp_path / "in"], tmp_path / "whole", **options)
    whole = [*engine.batches]
    engine.batches.clear()
    draw(engine, [tmp_path / "in"], tmp_path / "out", **options)
    for name in ("05-face1.png", "08-face1.png"):
        (tmp_path / "out" / name).unlink()
    engine.batches.clear()
    results = draw(engine, [tmp_path / "in"], tmp_path / "out", existing="skip", **options)
    assert [result.status for result in results].count("ok") == 2
    assert set(engine.batches) <= set(whole) and len(engine.batches) == 2
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_so_many_failures_stop(engine, tmp_path):
    for index in range(6):
        photo(tmp_path / f"in/{index}.png", faces=index % 2)
    results = draw(engine, [tmp_path / "in"], tmp_path / "out", max_failures=2, batch_size=4)
    assert [result.status for result in results] == ["failed", "ok", "failed"]


def test_names_by_a_pattern(engine, tmp_path):
    source = photo(tmp_path / "in/us.png", faces=2)
    options = {"characters": ("mina", "otto"), "faces": "all"}
    options["name"] = NameTemplate("{character}/{stem}_{face}{ext}")
    draw(engine, [source], tmp_path / "out", **options)
    names = ["mina/us_1.png", "mina/us_2.png", "otto/us_1.png", "otto/us_2.png"]
    assert files(tmp_path / "out") == names
    (result,) = draw(engine, [source], tmp_path / "out", **options)
    assert result.status == "skipped"
    photo(tmp_path / "in/b.jpg")
    batch = Batch(engine, Options(characters=("mina",), name=NameTemplate("{character}{ext}")))
    with pytest.raises(UsageError, match="would both become"):
        batch.targets.check_all(plan([str(tmp_path / "in")], str(tmp_path / "out2")))


def test_memory_is_bounded_by_megapixels(engine, tmp_path, monkeypatch):
    """Large photos whose drawings need them whole are drawn before the batch is full."""
    monkeypatch.setattr("toonify.stylize.batch.Budget", lambda: Budget(1e-3))  # two of them
    for index in range(5):
        photo(tmp_path / f"in/{index}.png")
    options = {"mode": "paste", "faces": "all", "batch_size": 8}
    results = draw(engine, [tmp_path / "in"], tmp_path / "out", **options)
    assert [result.status for result in results] == ["ok"] * 5
    assert max(engine.batches) < 5


@pytest.mark.parametrize(("large", "gathered"), [(10**9, [5]), (1, [1] * 5)])
def test_large_pictures_do_not_wait_for_each_other(engine, tmp_path, monkeypatch, large, gathered):
    seen = []
    own = Drawer.draw

    def drawn(self, units, names):
        seen.extend([len(units)] if units else [])
        return own(self, units, names)

    monkeypatch.setattr(Drawer, "draw", drawn)
    monkeypatch.setattr("toonify.stylize.drawer.LARGE", large)
    for index in range(5):
        photo(tmp_path / f"in/{index}.png")
    options = {"mode": "whole", "faces": "all", "batch_size": 8}
    results = draw(engine, [tmp_path / "in"], tmp_path / "out", **options)
    assert [result.status for result in results] == ["ok"] * 5 and seen == gathered
