"""`toonify evaluate` with tiny networks, with and without measuring ones."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_bundle import write_bundle
from toonify.evaluation import MEASURES, CombinedSubject, FunctionSubject, evaluate, gallery
from toonify.evaluation import measuring as measuring_module
from toonify.evaluation import run as running
from toonify.evaluation.probes import Look, Probes
from toonify.media.images import write_image

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture
def photos(tmp_path):
    """Three crops of the astronaut, who looks another way in the mirror."""
    folder = tmp_path / "photos"
    folder.mkdir()
    image = Image.open(ASTRONAUT).convert("RGB")
    image.save(folder / "a.png")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "b.png")
    image.point(lambda v: v // 2).save(folder / "c.png")
    return folder


class MeanColor:
    """A feature network that needs no weights."""

    name, suffix, width = "vgg16", "-VGG", 3

    def __call__(self, pictures):
        return np.array([p.mean((0, 1)) for p in pictures], np.float64).reshape(-1, 3)


class FakeProbes(Probes):
    """Brightness for everything that is measured."""

    def __init__(self, *, features, offline, device):
        self.unavailable = {}
        self.features = MeanColor() if features else None

    def look(self, picture):
        value = float(picture.mean())
        return Look(None, torch.tensor([value]), dict.fromkeys(MEASURES, value))

    def compare(self, photo, drawing):
        return {"lpips": abs(float(photo.identity - drawing.identity)), "identity": 0.5}


@pytest.fixture
def measuring(monkeypatch):
    monkeypatch.setattr(measuring_module, "Probes", FakeProbes)


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


def test_without_any_weights(run, bundle, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TOONIFY_LPIPS", raising=False)
    out = tmp_path / "deep/report"
    result = run(
        *("evaluate", photos, "--bundle", bundle, "-o", out, "--limit", 1, "--offline"),
        *("--drawings", photos.parent),
    )
    assert result.status == 0, result.err
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "report.json", "sheet.png"]
    report = report_of(out)
    assert set(report["unavailable"]) == {
        "lpips", "identity", "kid and fid",
    }  # fmt: skip
    overall = report["bundles"][0]["overall"]
    assert {"correlation", "likeness"} <= overall.keys()  # of what ships
    assert all(what in result.err for what in report["unavailable"])
    assert report["photos"] | {"failed": []} == report["photos"]
    assert report["photos"]["share"] == 1 and report["feature_network"] is None
    assert report["bundles"][0]["seconds"]["photo"] > 0


def test_two_bundles_on_the_same_photos(run, bundle, photos, tmp_path, measuring):
    other = write_bundle(tmp_path / "second")
    drawings = tmp_path / "drawings"
    for name in ("mina", "otto"):
        for i in range(3):
            write_image(drawings / name / f"{i}.png", np.full((9, 9, 3), 50 * i, np.uint8))
    out = tmp_path / "report"
    result = run(
        *("evaluate", photos, "--bundle", bundle, "--bundle", other, "-o", out),
        *("--drawings", drawings, "--json"),
    )
    assert result.status == 0, result.err
    first, second = result.records
    assert (first["label"], second["label"]) == ("tiny", "second")
    for record in (first, second):
        assert set(record["characters"]) == {"mina", "otto"}
        for figures in record["characters"].values():
            assert set(figures["correlation"]) == set(MEASURES)
            assert figures["kid"] is not None and figures["drawings"] == 3
    assert first["characters"] == second["characters"], "the same weights in two folders"
    report = report_of(out)
    assert report["feature_network"] == "vgg16" and len(report["rows"]) == 3
    assert report["bundles"] == [first, second]
    assert set(report["rows"][0]["drawings"]) == {"tiny", "second"}
    assert Image.open(out / "sheet.png").width == 5 * 260 + 4
    page = (out / "index.html").read_text()
    assert page.count("<figure") == 3 * 5 and "KID" in page


def test_bad_photos_are_named_and_the_rest_goes_on(run, bundle, photos, tmp_path, measuring):
    (photos / "cut.png").write_bytes(ASTRONAUT.read_bytes()[:20_000])
    (photos / "empty.jpg").touch()
    Image.new("RGB", (200, 200), "gray").save(photos / "wall.png")
    out = tmp_path / "report"
    result = run("evaluate", photos, "--bundle", bundle, "-o", out, "--character", "otto")
    assert result.status == 1
    for name in ("cut.png", "empty.jpg", "wall.png"):
        assert sum(name in line for line in result.err.splitlines()) == 1, name
    report = report_of(out)
    assert report["photos"]["share"] == 0.5 and len(report["photos"]["failed"]) == 3
    assert list(report["bundles"][0]["characters"]) == ["otto"]
    assert "3 of 6 photos" in result.out


def test_interrupting_finishes_the_photo_in_hand(
    run, bundle, photos, tmp_path, measuring, monkeypatch
):
    read = running.read_image

    def interrupted(path):
        if path.name == "b.png":
            os.kill(os.getpid(), signal.SIGINT)
        return read(path)

    monkeypatch.setattr(running, "read_image", interrupted)
    out = tmp_path / "report"
    result = run("evaluate", photos, "--bundle", bundle, "-o", out)
    assert result.status == 130
    report = report_of(out)
    assert report["interrupted"] and len(report["rows"]) == 2
    assert report["photos"]["given"] == 3 and report["photos"]["share"] == 1
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "report.json", "sheet.png"]


def test_aligned_crops(run, bundle, tmp_path, measuring):
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "crop.png")
    out = tmp_path / "report"
    one = run("evaluate", tmp_path / "crop.png", "--bundle", bundle, "-o", out, "--aligned")
    assert one.status == 0, one.err
    Image.new("RGB", (64, 48), "gray").save(tmp_path / "crop.png")
    one = run("evaluate", tmp_path / "crop.png", "--bundle", bundle, "-o", out, "--aligned")
    assert one.status == 1 and "64x48" in one.err


def test_no_photo_at_all_still_reports(run, bundle, tmp_path, measuring):
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "wall.png")
    out = tmp_path / "report"
    result = run("evaluate", tmp_path / "wall.png", "--bundle", bundle, "-o", out)
    assert result.status == 1 and "no face" in result.err
    assert report_of(out)["photos"]["toonified"] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["gone.jpg", "-o", "r"], 1, "gone.jpg"),
        ([ASTRONAUT], 2, "-o"),
        (["-", "-o", "r"], 2, "stdin"),
        ([ASTRONAUT, "-o", "r", "--character", "mona"], 2, "Did you mean 'mina'"),
        ([ASTRONAUT, "-o", "r", "--level", "99"], 2, "level"),
        ([ASTRONAUT, "-o", "r", "--limit", "0"], 2, "limit"),
        ([ASTRONAUT, "-o", "r", "--drawings", "nowhere"], 2, "nowhere"),
        ([ASTRONAUT, "-o", "r", "--bundle", "nowhere"], 3, "nowhere"),
        ([ASTRONAUT, "-o", "r", "--drawings", ".", "--drawings", "."], 2, "2 folders"),
        ([ASTRONAUT, "-o", "r", "--drawings", "."], 1, "sub-folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run, bundle, tmp_path, monkeypatch, measuring, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    if "--bundle" not in arguments:
        arguments = [*arguments, "--bundle", bundle]
    result = run("evaluate", *arguments)
    assert result.status == status, result.err
    assert message in result.err and result.err.count("\n") == 1
    assert not [p for p in tmp_path.rglob("*") if p.is_file()], "nothing half-written"


def test_one_bundle_twice(run, bundle, tmp_path, measuring):
    result = run("evaluate", ASTRONAUT, "--bundle", bundle, "--bundle", bundle, "-o", tmp_path)
    assert result.status == 2 and "twice" in result.err


def test_bundles_of_one_name_keep_their_paths(run, bundle, tmp_path, measuring):
    shutil.copytree(bundle, tmp_path / "tiny")
    out = tmp_path / "report"
    result = run(
        *("evaluate", ASTRONAUT, "--bundle", bundle, "--bundle", tmp_path / "tiny", "-o", out),
        "--json",
    )
    assert [record["label"] for record in result.records] == [str(bundle), str(tmp_path / "tiny")]


def test_a_folder_that_cannot_be_written(run, bundle, tmp_path, measuring):
    (tmp_path / "file").touch()
    result = run("evaluate", ASTRONAUT, "--bundle", bundle, "-o", tmp_path / "file")
    assert result.status == 1 and "Choose another -o" in result.err


def test_a_full_disk_leaves_the_last_report(run, bundle, tmp_path, measuring, monkeypatch):
    out = tmp_path / "report"
    assert run("evaluate", ASTRONAUT, "--bundle", bundle, "-o", out).status == 0
    before = (out / "report.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gallery.Gallery, "add", full)
    result = run("evaluate", ASTRONAUT, "--bundle", bundle, "-o", out)
    assert result.status == 1 and "No space left" in result.err
    assert (out / "report.json").read_bytes() == before
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "report.json", "sheet.png"]


def test_styles_beside_characters(run, photos, measuring, tmp_path, monkeypatch):
    from tests.fake_portraits import FakePortraits
    from toonify.portrait.engine import PortraitEngine

    fake = FakePortraits()
    monkeypatch.setattr(PortraitEngine, "from_bundle", classmethod(lambda cls, *a, **k: fake))
    for path in photos.iterdir():
        Image.open(path).resize((64, 64)).save(path)
    out = tmp_path / "report"
    arguments = ("evaluate", photos, "--aligned", "-o", out)
    result = run(*arguments, "--style", "ink,wash", "--engine", "portrait")
    assert result.status == 0, result.err
    assert list(report_of(out)["bundles"][0]["characters"]) == ["ink", "wash"]
    result = run(*arguments, "--style", "inc")
    assert result.status == 2 and "Did you mean 'ink'?" in result.err


@pytest.mark.parametrize("engine", ["unet", "blend"])
def test_styles_by_another_engine(run, photos, measuring, tmp_path, engine):
    for path in photos.iterdir():
        Image.open(path).resize((64, 64)).save(path)
    arguments = ("evaluate", photos, "--aligned", "--engine", engine, "--limit", "1")
    result = run(*arguments, "--style", "ink", "-o", tmp_path / "a")
    assert result.status == 0, result.err
    assert list(report_of(tmp_path / "a")["bundles"][0]["characters"]) == ["ink"]
    if engine == "blend":  # a network's style is none of the program's
        result = run(*arguments, "--style", "mine.safetensors", "-o", tmp_path / "b")
        assert result.status == 2 and "does not draw" in result.err
        assert not (tmp_path / "b").exists()


def test_a_bundle_without_styles(run, bundle, photos, measuring, tmp_path):
    out = tmp_path / "report"
    result = run("evaluate", photos, "--bundle", bundle, "-o", out, "--style", "ink")
    assert result.status == 2 and "no style" in result.err and not out.exists()


def test_two_subjects_under_one_label():
    first = FunctionSubject("a", lambda photo: photo * 0, resolution=8)
    second = FunctionSubject("b", lambda photo: photo + 1, resolution=16)
    both = CombinedSubject("both", [first, second])
    assert (both.characters, both.resolution) == (("a", "b"), 16)
    crop = np.full((16, 16, 3), 7, np.uint8)
    latent = both.encode(crop)
    assert [int(both.draw(latent, name)[0, 0, 0]) for name in ("a", "b")] == [0, 8]


def test_as_a_function_it_writes_nothing_unasked(bundle, photos, tmp_path, measuring, caplog):
    (photos / "broken.png").write_bytes(b"nothing")
    found = evaluate(photos, bundles=[bundle], characters=["mina"], limit=4)
    assert found.given == 4 and found.drawn == 3 and not found.interrupted
    assert [Path(failure["photo"]).name for failure in found.failed] == ["broken.png"]
    assert "broken.png" in caplog.text
    (summary,) = found.report["bundles"]
    assert set(summary["characters"]) == {"mina"}
    assert sorted(path.name for path in photos.iterdir()) == [
        "a.png", "b.png", "broken.png", "c.png",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nobody"):
        evaluate(photos, bundles=[bundle], characters=["nobody"])


def test_what_can_not_be_evaluated(bundle, photos):
    with pytest.raises(ValueError, match="limit"):
        evaluate(photos, bundles=[bundle], limit=-2)
    with pytest.raises(ValueError, match="'inc'"):
        evaluate(photos, styles="inc")
