"""The report of a run: what it shows, and that nothing a run leaves behind can break it."""

import html.parser
import json
import math
import os
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from toonify.errors import InputError, UsageError
from toonify.reports.chart import curves
from toonify.reports.page import Page, embedded
from toonify.training.core import report as report_module
from toonify.training.core.report import read_metrics, reporting, stages, write_report
from toonify.training.core.runs import RunFolder, previews


def a_run(folder: Path, *, rows: int = 40) -> RunFolder:
    run = RunFolder(folder)
    for i in range(1, rows + 1):
        run.log({"kimg": i / 10, "loss_g": 1 / i, "loss_d": 1.0, "r_t": 0.1, "p": 0.0})
        if i % 10 == 0:
            run.preview(torch.full((4, 3, 8, 8), i % 256, dtype=torch.uint8), i / 10)
    return run


class Balance(html.parser.HTMLParser):
    """Every tag is closed in its turn, and nothing is fetched."""

    VOID = ("meta", "img", "line", "rect", "path", "circle")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs) -> None:
        source = dict(attrs).get("src", "data:")
        assert source.startswith("data:") and "href" not in dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        assert tag in self.VOID

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_shows_curves_previews_and_options(tmp_path: Path) -> None:
    a_run(tmp_path)
    path = write_report(
        tmp_path,
        title="a <run>",
        config={"steps": 5, "adversarial": {"lr": 0.002}},
        status="interrupted",
        facts={"drawings": 12},
    )
    text = path.read_text()
    Balance(text)
    assert "a &lt;run&gt;" in text and "interrupted" in text
    assert "adversarial.lr" in text and "0.002" in text
    assert text.count("<svg class=") == 2  # the losses together, r_t and p together
    assert ">loss_g, loss_d<" in text
    assert re.findall(r"<figcaption>([\d.]+) kimg", text) == ["4", "3", "2", "1"]
    assert not list(tmp_path.glob(".report*"))


def test_stages_in_their_order_and_a_long_time_line(tmp_path: Path) -> None:
    a_run(tmp_path / "pairs", rows=300)
    a_run(tmp_path / "adversarial")
    for at, name in enumerate(("pairs", "adversarial")):
        for path in (tmp_path / name).glob("*.*"):
            os.utime(path, (at, at))
    (tmp_path / "drawings").mkdir()
    assert [p.name for p in stages(tmp_path)] == ["pairs", "adversarial"]
    text = write_report(tmp_path, title="t", config={}).read_text()
    assert text.index(">pairs<") < text.index(">adversarial<")
    shown = re.findall(r"<figcaption>([\d.]+) kimg", text)
    assert len(shown) == 12 + 4 and shown[0] == "30" and shown[11] == "1"


def test_a_killed_run_s_leftovers(tmp_path: Path) -> None:
    a_run(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kimg": 9, "loss_g": NaN}\n[1]\n{"kimg": 9.1, "lo')
    (tmp_path / "preview-00009.000.jpg").write_bytes(b"half a picture")
    assert math.isnan(read_metrics(tmp_path / "metrics.jsonl")[-1]["loss_g"])
    Balance(write_report(tmp_path, title="t", config={}).read_text())


def test_an_empty_folder_has_a_page_too(tmp_path: Path) -> None:
    assert "no metrics yet" in write_report(tmp_path, title="t", config={}).read_text()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="can't write"):
        write_report(tmp_path / "file", title="t", config={})


def status_of(folder: Path) -> str:
    return re.search(r"<td>status</td><td>([^<]*)", (folder / "report.html").read_text())[1]


def test_is_written_however_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path)
    with reporting(tmp_path, title="t", config={}) as refresh:
        refresh()
        assert not (tmp_path / "report.html").exists()
        monkeypatch.setattr(report_module, "_EVERY", 0.0)
        refresh()
        assert status_of(tmp_path) == "running"
    assert status_of(tmp_path) == "finished"
    for error, status in (
        (KeyboardInterrupt(), "interrupted; it can be resumed"),
        (InputError("the disk is full"), "stopped: the disk is full"),
        (RuntimeError("oh"), "stopped by an error"),
        (UsageError("already holds a run"), "stopped by an error"),  # the last one's stays
    ):
        with pytest.raises(type(error)), reporting(tmp_path, title="t", config={}):
            raise error
        assert status_of(tmp_path) == status


def test_curves_of_awkward_values() -> None:
    assert curves({"a": ([1, 2], [math.nan, math.inf])}, axis="kimg") == ""
    one = curves({"a": ([1.0], [0.0])}, axis="kimg")
    assert "<circle" in one
    broken = curves({"a": ([1, 2, 3, 4], [1.0, math.nan, 2.0, 2.0])}, axis="kimg")
    assert broken.count('d="M') == 1 and len(re.search(r'd="([^"]*)"', broken)[1].split("M")) == 3
    many = curves({"a": (range(10_000), [math.exp(-i / 900) for i in range(10_000)])}, axis="kimg")
    assert len(many) < 20_000 and ">0.001<" in many  # a logarithmic axis


def test_pictures_are_embedded_small(tmp_path: Path) -> None:
    wide = np.zeros((10, 400, 3), np.uint8)
    assert len(embedded(wide, width=50)) < len(embedded(wide, width=400))
    page = Page("t").pictures([('"quoted"', embedded(wide, width=50))])
    page.write(tmp_path / "p.html")
    Balance((tmp_path / "p.html").read_text())


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="TensorBoard is not installed")
def test_tensorboard_gets_the_same(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    a_run(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Images("preview")] == [1000, 2000, 3000, 4000]
    assert events.Scalars("loss_g")[0].value == 1.0


def test_metrics_on_a_full_disk(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.metrics.unlink()
    run.metrics.mkdir()
    with pytest.raises(InputError, match=r"can't write .*metrics.*resume"):
        run.log({"kimg": 1.0})


def test_previews_are_found_by_name(tmp_path: Path) -> None:
    for name in ("preview-00002.00.jpg", "preview-00010.500.jpg", "preview.jpg", "x.png"):
        (tmp_path / name).touch()
    assert [kimg for kimg, _ in previews(tmp_path)] == [2.0, 10.5]


def test_rows_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(json.dumps({"a": 1, "b": "text"}) + "\n")
    assert read_metrics(tmp_path / "m") == [{"a": 1.0}]
