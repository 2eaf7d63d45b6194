"""The whole way from a photograph to a file, with tiny networks and real face detection."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_bundle import RESOLUTION

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


def size(path):
    return Image.open(path).size


def test_one_photo_one_file(run, bundle, tmp_path):
    out = tmp_path / "new/toon.png"
    result = run("stylize", ASTRONAUT, "-o", out, "--bundle", bundle, "--character", "otto")
    assert (result.status, result.err) == (0, "")
    assert str(out) in result.out and size(out) == (RESOLUTION, RESOLUTION)
    assert run("stylize", ASTRONAUT, "-o", out, "--bundle", bundle, "--quiet").out == ""


def test_all_characters_with_sheet_manifest_and_json(run, bundle, tmp_path):
    result = run(
        *("stylize", ASTRONAUT, "-o", tmp_path / "out", "--bundle", bundle, "--character", "all"),
        *("--sheet", tmp_path / "sheet.png", "--manifest", tmp_path / "m/done.jsonl", "--json"),
    )
    assert result.status == 0
    (record,) = result.records
    names = [Path(output["path"]).name for output in record["outputs"]]
    assert names == ["astronaut-mina.png", "astronaut-otto.png"]
    assert json.loads((tmp_path / "m/done.jsonl").read_text()) == record
    assert size(tmp_path / "sheet.png")[0] == 3 * 260 + 4


def two_people(path):
    """The same person twice, side by side."""
    photo = Image.open(ASTRONAUT).convert("RGB").resize((256, 256))
    both = Image.new("RGB", (512, 256))
    both.paste(photo, (0, 0))
    both.paste(photo, (256, 0))
    both.save(path)
    return path


def test_a_character_per_person_and_one_person_only(run, bundle, tmp_path):
    source = two_people(tmp_path / "us.png")
    arguments = ("stylize", source, "--bundle", bundle, "--paste", "--json")
    cast = ("--character", "left=otto,right=mina")
    (record,) = run(*arguments, "-o", tmp_path / "both.png", *cast).records
    assert sorted(record["outputs"][0]["characters"]) == ["mina", "otto"]
    both = np.asarray(Image.open(tmp_path / "both.png").convert("RGB")).astype(int)
    for name, only, half in (("otto", "left", 0), ("mina", "2", 256)):
        out = tmp_path / f"{name}.png"
        result = run(*arguments, "-o", out, "--character", name, "--only", only)
        assert result.status == 0, result.err
        alone = np.asarray(Image.open(out).convert("RGB")).astype(int)
        before = np.asarray(Image.open(source)).astype(int)
        there = slice(half, half + 256)
        assert np.abs(alone[:, there] - both[:, there]).mean() < 1
        other = slice(256 - half + 40, 512 - half - 40)
        assert (alone[:, other] == before[:, other]).all()


def test_who_can_not_be_picked(run, bundle, tmp_path):
    arguments = ("stylize", ASTRONAUT, "-o", tmp_path / "o.png", "--bundle", bundle)
    for more, status, message in (
        (("--only", "above"), 2, "names nobody"),
        (("--only", "0"), 2, "names nobody"),
        (("--only", "2"), 1, "no face 2"),
        (("--only", "left", "--faces", "all"), 2, "Take one of them"),
        (("--only", "left", "--aligned"), 2, "Take one of them"),
        (("--aligned", "--min-face", "30"), 2, "looks for no faces"),
        (("--character", "above=mina"), 2, "names nobody"),
        (("--character", "left=rosa"), 2, "rosa"),
        (("--min-face", "400"), 0, ""),
    ):
        result = run(*arguments, *more)
        assert result.status == status, (more, result.err)
        assert message in result.err and result.err.count("\n") == (status > 0)


def test_what_was_not_looked_for_is_told(run, bundle, tmp_path):
    Image.new("RGB", (4800, 400), (90, 90, 90)).save(tmp_path / "wide.png")
    result = run("stylize", tmp_path / "wide.png", "-o", tmp_path / "o.png", "--bundle", bundle)
    assert result.status == 1 and "below 40 px" in result.err


def test_a_character_in_a_drawn_picture(run, tmp_path):
    drawn = {}
    for background in ("draw", "transparent"):
        out = tmp_path / f"{background}.png"
        options = ("--character", "bram", "--paste", "--background", background)
        assert run("stylize", ASTRONAUT, "-o", out, *options).status == 0
        drawn[background] = np.asarray(Image.open(out))
    photo, whole = np.asarray(Image.open(ASTRONAUT).convert("RGB")), drawn["draw"]
    assert whole.shape == photo.shape
    flat = [
        np.abs(np.diff(p[400:480, 60:120].astype(int), axis=1)).max(2) < 2 for p in (photo, whole)
    ]
    assert flat[1].mean() > flat[0].mean() + 0.2  # his suit is drawn, too
    alpha = drawn["transparent"][..., 3]
    assert alpha[20, 100] == 0 and alpha[130, 224] == 255 and alpha[450, 100] == 255
    refused = run("stylize", ASTRONAUT, "-o", tmp_path / "a.jpg", *options[:-1], "transparent")
    assert refused.status == 2 and "transparency" in refused.err


def test_paste_keeps_the_photo_around_the_face(run, bundle, tmp_path):
    out = tmp_path / "p.png"
    assert run("stylize", ASTRONAUT, "-o", out, "--bundle", bundle, "--paste").status == 0
    before, after = np.asarray(Image.open(ASTRONAUT)), np.asarray(Image.open(out))
    assert before.shape == after.shape
    assert (before[400:] == after[400:]).all() and (before != after).any()


def test_stdin_to_stdout(piped, bundle):
    status, out, err = piped(ASTRONAUT.read_bytes(), "stylize", "-", "--bundle", bundle)
    assert (status, err) == (0, b"")
    assert Image.open(io.BytesIO(out)).size == (RESOLUTION, RESOLUTION)


def test_nothing_on_stdin(piped, bundle):
    status, out, err = piped(b"", "stylize", "-", "--bundle", bundle)
    assert (status, out) == (1, b"")
    assert b"standard input" in err and err.count(b"\n") == 1


def test_bad_photos_are_named_and_the_rest_goes_on(run, bundle, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(ASTRONAUT, folder / "good.png")
    (folder / "cut.png").write_bytes(ASTRONAUT.read_bytes()[:20_000])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("hello")
    Image.new("RGB", (200, 200), "gray").save(folder / "wall.png")
    missing = tmp_path / "missing.jpg"
    manifest = tmp_path / "m.jsonl"
    result = run(
        *("stylize", folder, missing, "-o", tmp_path / "out", "--bundle", bundle),
        *("--manifest", manifest),
    )
    assert result.status == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    lines = result.err.splitlines()
    for name in ("cut.png", "empty.jpg", "text.jpg", "wall.png", "missing.jpg"):
        assert sum(name in line for line in lines) == 1, name
    records = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert sorted(record["status"] for record in records) == ["failed"] * 5 + ["ok"]
    assert "Traceback" not in result.err
    command = ("stylize", folder / "text.jpg", "-o", tmp_path / "a.png", "--bundle", bundle)
    assert "Traceback" in run("--debug", *command).err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["gone.jpg", "-o", "x.png"], 1, "gone.jpg"),
        ([ASTRONAUT], 2, "-o"),
        ([ASTRONAUT, "-o", "x.xyz"], 2, ".xyz"),
        ([ASTRONAUT, "-o", "x.png", "--character", "mona"], 2, "Did you mean 'mina'"),
        ([ASTRONAUT, "-o", "x.png", "--level", "99"], 2, "level"),
        ([ASTRONAUT, "-o", "x.png", "--skip-existing", "--overwrite"], 2, "exclude"),
        ([ASTRONAUT, "-o", "x.png", "--aligned", "--paste"], 2, "--aligned"),
        ([ASTRONAUT, "-o", "x.png", "--sheet", "s.jpg"], 2, ".png"),
        ([ASTRONAUT, ASTRONAUT.parent, "-o", "x.png"], 2, "folder"),
        ([ASTRONAUT, "-o", "x.png", "--bundle", "nowhere"], 3, "nowhere"),
        ([ASTRONAUT, "-o", "-", "--json"], 2, "--json"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run, bundle, tmp_path, monkeypatch, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    if "--bundle" not in arguments:
        arguments = [*arguments, "--bundle", bundle]
    result = run("stylize", *arguments)
    assert result.status == status, result.err
    assert message in result.err and result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


def test_damaged_bundle(run, bundle, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "generator.safetensors").write_bytes(b"junk")
    result = run("stylize", ASTRONAUT, "-o", tmp_path / "x.png", "--bundle", broken)
    assert result.status == 3 and "SHA-256" in result.err


def test_aligned(run, bundle, tmp_path):
    out = tmp_path / "x.png"
    assert run("stylize", ASTRONAUT, "-o", out, "--bundle", bundle, "--aligned").status == 0


def test_a_list_of_files_from_stdin(piped, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a b.png", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), "gray").save(name)
    options = ("--aligned", "-o", "out", "--bundle", bundle, "--name", "{stem}-{character}{ext}")
    status, _, err = piped(
        b"a b.png\0deep/c.png\0gone.png\0", "stylize", "--files-from", "-", "-0", *options
    )
    assert status == 1 and b"gone.png" in err
    drawn = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.png"))
    assert drawn == ["a b-mina.png", "deep/c-mina.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out"], "no photos"),
        ([ASTRONAUT, "-o", "out", "-0"], "--files-from"),
        ([ASTRONAUT, "-o", "x.png", "--name", "{stem}{ext}"], "-o FOLDER"),
        (["--watch", ".", "-o", "x.png"], "-o FOLDER"),
        (["--watch", "gone", "-o", "out"], "not a folder"),
        ([ASTRONAUT, "-o", "out", "--fail-fast", "--max-failures", "3"], "Take one"),
        ([ASTRONAUT, "-o", "out", "--name", "{mood}"], "{mood}"),
        (["-", "--files-from", "list", "-o", "out"], "alone"),
    ],
)
def test_options_of_batches_that_do_not_go_together(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run("stylize", *arguments)
    assert result.status == 2 and message in result.err and result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
