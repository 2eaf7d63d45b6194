"""A run's rows to figures, and the gallery that shows them."""

import html
import json
import re

import numpy as np
import pytest

from toonify.errors import InputError
from toonify.evaluation import MEASURES, Run, drawing_features, summarize
from toonify.evaluation.gallery import Gallery
from toonify.evaluation.summary import deviations
from toonify.media.images import write_image


class Subject:
    """Two characters that are never drawn here."""

    label, characters, resolution = "tiny", ("mina", "otto"), 32


def measures(value: float) -> dict[str, float]:
    return {name: value * (index + 1) for index, name in enumerate(MEASURES)}


def some_run(count: int = 4) -> Run:
    """mina follows the photo, larger than life; otto looks the other way."""
    run = Run()
    for i in range(count):
        drawings = {
            "mina": {"lpips": 0.5 + 0.1 * i, "identity": 0.1, "measures": measures(2 * i + 5)},
            "otto": {"lpips": 0.6, "identity": 0.0, "measures": measures(-i)},
        }
        seconds = {"find": 0.1, "encode": 0.2, "draw": 0.1 * (i + 1)}
        run.rows.append(
            {
                "photo": f"{i}.jpg",
                "seconds": {"tiny": seconds},
                "measures": measures(i),
                "drawings": {"tiny": drawings},
            }
        )
    return run


def test_figures_of_each_character_and_of_all():
    summary = summarize(some_run(), Subject())
    mina, otto = summary["characters"]["mina"], summary["characters"]["otto"]
    assert mina["lpips"] == pytest.approx(0.65) and otto["lpips"] == pytest.approx(0.6)
    assert mina["correlation"]["smile"] == pytest.approx(1)
    assert mina["slope"]["smile"] == pytest.approx(2)
    assert otto["correlation"]["gaze_x"] == pytest.approx(-1)
    assert summary["overall"]["correlation"]["yaw"] == pytest.approx(0)
    assert summary["overall"]["lpips"] == pytest.approx(0.625)
    assert "kid" not in mina, "no drawings were given"
    assert summary["seconds"]["photo"] == pytest.approx(0.55)
    json.dumps(summary)


def test_distances_to_the_drawings():
    run, random = some_run(), np.random.default_rng(0)
    own = random.normal(size=(4, 8))
    run.features = {("tiny", "mina"): own, ("tiny", "otto"): own + 3}
    drawings = {"mina": random.normal(size=(30, 8)), "otto": random.normal(size=(30, 8))}
    figures = summarize(run, Subject(), drawings)["characters"]
    assert figures["mina"]["kid"] < figures["otto"]["kid"]
    assert figures["mina"]["fid"] < figures["otto"]["fid"]
    assert figures["mina"]["drawings"] == 30


def test_what_was_not_measured_is_left_out():
    run = some_run()
    for row in run.rows:
        del row["measures"]
        for figures in row["drawings"]["tiny"].values():
            figures.clear()
    summary = summarize(run, Subject())
    assert summary["characters"] == {"mina": {}, "otto": {}} and summary["overall"] == {}
    assert deviations(run, Subject())["mina"] == [{}] * 4
    assert summarize(Run(), Subject())["seconds"] == {}


def test_deviations_forgive_what_a_character_always_does():
    run = some_run()
    for row in run.rows:
        row["drawings"]["tiny"]["mina"]["measures"] = {
            name: value + 7 for name, value in row["measures"].items()
        }
    run.rows[2]["drawings"]["tiny"]["mina"]["measures"]["smile"] += 4
    entries = deviations(run, Subject())["mina"]
    assert all(entry["yaw"] == pytest.approx(0) for entry in entries)
    assert max(range(4), key=lambda i: entries[i]["smile"]) == 2
    assert entries[0]["identity"] == pytest.approx(0.9)


class MeanColor:
    """A feature network that needs no weights."""

    name, suffix, width = "mean", "-MEAN", 3

    def __call__(self, pictures):
        return np.array([p.mean((0, 1)) for p in pictures], np.float64).reshape(-1, 3)


def test_features_of_a_folder_of_drawings(tmp_path):
    for index in range(10):
        write_image(tmp_path / f"mina/{index}.png", np.full((8, 8, 3), 10 * index, np.uint8))
    (tmp_path / "mina/torn.png").write_bytes(b"not one")
    reported: list[str] = []
    found = drawing_features(
        tmp_path, ("mina", "otto"), MeanColor(), size=16, on_failure=reported.append
    )
    assert list(found) == ["mina"] and found["mina"][:, 0].tolist() == list(range(0, 100, 10))
    assert len(reported) == 1 and "torn.png" in reported[0]
    with pytest.raises(InputError, match="otto"):
        drawing_features(tmp_path, ("otto",), MeanColor(), size=16)


def test_gallery_is_one_safe_file(tmp_path):
    run = some_run(2)
    name = 'a"</script><script>alert(1)</script>.jpg'
    gray = np.full((40, 40, 3), 128, np.uint8)
    page = tmp_path / "index.html"
    report = {"photos": {"failed": [{"photo": name, "error": f"{name}: no face"}]}}
    with Gallery(page, [("tiny", "mina"), ("tiny", "otto")], photos=2) as gallery:
        gallery.add(name, gray, [gray, gray])
        gallery.add("b.jpg", gray, [gray, gray])
        assert not page.exists()
        gallery.finish(report, run, [Subject()])
    assert list(tmp_path.iterdir()) == [page]
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 6
    assert html.escape(name) in text
    assert len(re.findall("<script", text)) == len(re.findall("</script", text)) == 2
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text), "nothing is fetched"
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert data and json.loads(data[1])["rows"][1][0]["lpips"] == pytest.approx(0.6)


def test_an_unfinished_gallery_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), Gallery(tmp_path / "i.html", [], photos=1):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
