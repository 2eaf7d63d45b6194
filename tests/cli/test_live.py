"""The live line of a training."""

import pytest

from toonify.cli import live
from toonify.cli.common import Settings
from toonify.cli.live import status_line, training_display


def test_line_says_where_how_fast_and_until_when() -> None:
    metrics = {"kimg": 1.5, "images_per_second": 40.0, "loss_g": 0.91234, "r_t": 0.3, "p": 0.125}
    line = status_line("adversarial", 1500, 20000, metrics, unit="kimg", rate=37.0)
    assert line == (
        "adversarial  1.50/20 kimg  40 images/s  loss_g 0.912  r_t 0.3  p 0.125  8:20 left"
    )
    assert (
        status_line("pairs", 3, 9, {"step": 3}, rate=2.0)
        == "pairs  3/9 steps  2 steps/s  0:03 left"
    )
    assert status_line("pairs", 0, 9, {}) == "pairs  0/9 steps"


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    with training_display(Settings(), {"adversarial": "kimg"}, opening="LPIPS (vgg)") as show:
        for second in range(100):
            clock[0] = float(second)
            show("adversarial", 10 * second, 2000, {"loss_g": 1.0})
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 4 and lines[0] == "LPIPS (vgg)"
    assert lines[1] == "adversarial  0.30/2 kimg  10 images/s  loss_g 1  2:50 left"


def test_the_time_left_is_the_trainers_and_says_of_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "_EVERY", 0.0)
    with training_display(Settings(), last="adversarial") as show:
        show("pairs", 10, 20, {"seconds_left": 65.0})  # steps and snapshots
        show("adversarial", 20, 20, {"seconds_left": 5.0})
        show("adversarial", 20, 20, {"seconds_left": 0.0})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("  1:05 left of this stage")
    assert lines[1].endswith("  0:05 left")
    assert "left" not in lines[2]


def test_quiet_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "_EVERY", 0.0)
    with training_display(Settings(quiet=True)) as show:
        show("pairs", 1, 2, {})
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_one_line_in_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with training_display(Settings()) as show:
        show("pairs", 1, 2, {"lpips": 0.25})
    assert "lpips 0.25" in capsys.readouterr().err
