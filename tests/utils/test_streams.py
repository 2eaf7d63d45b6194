import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_bundle import write_bundle
from toonify.utils.streams import Tolerant, tolerant_streams

FACE = Path(__file__).parents[2] / "examples" / "faces" / "01.jpg"
STYLIZE = f"{sys.executable} -m toonify --offline stylize"


class Full(io.StringIO):
    encoding = "utf-8"

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_stream_that_fails_is_given_up(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Full())
    with tolerant_streams() as (out, _):
        for _ in range(3):
            print("a line", flush=True)
        assert out.lost.errno == errno.ENOSPC
    assert isinstance(sys.stdout, Full)


def test_letters_that_an_encoding_lacks_are_escaped():
    raw = io.BytesIO()
    stream = Tolerant(io.TextIOWrapper(raw, encoding="cp1252", errors="strict"))
    print("caf\u00e9 \u0444 \udce9", file=stream)
    stream.flush()
    assert raw.getvalue().decode("cp1252").rstrip() == "caf\u00e9 \\u0444 \\udce9"


@pytest.fixture
def command(tmp_path):
    with Image.open(FACE) as face:
        face.resize((128, 128)).save(tmp_path / "a.png")
    return f"{STYLIZE} --style ink"  # it starts quickest: without torch


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("streams", "status"),
    [("<&- >&- 2>&-", 0), (">/dev/full 2>/dev/full", 1)],
)
def test_closed_and_full_streams_stop_no_drawing(tmp_path, command, streams, status):
    line = f"{command} a.png -o o.png {streams}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, stderr=subprocess.PIPE)
    assert done.returncode == status and b"bug" not in done.stderr
    assert (tmp_path / "o.png").is_file()


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
@pytest.mark.parametrize("line", ["{} - <&-", "{} - <a.png >&-", "{} - <a.png >/dev/full"])
def test_a_picture_for_a_closed_stream_is_a_failure(tmp_path, command, line):
    done = subprocess.run(
        line.format(command), shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert ("bug" not in done.stderr and "std" in done.stderr) or "standard" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_manifest_that_can_not_be_written_stops_no_drawing(tmp_path, command):
    line = f"{command} a.png -o o/ --manifest /dev/full"
    done = subprocess.run(line, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "No space left" in done.stderr and "bug" not in done.stderr
    assert (tmp_path / "o/a.png").is_file()


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.slow)])
def test_a_terminated_run_keeps_its_sheet_and_leaves_nothing_else(tmp_path, number):
    bundle = write_bundle(tmp_path / "tiny")
    (tmp_path / "in").mkdir()
    for i in range(40):
        Image.new("RGB", (64, 64), (i, 0, 0)).save(tmp_path / f"in/{i:02}.png")
    command = f"{STYLIZE} --aligned --bundle {bundle}"
    line = f"{command} in -o o --batch-size 1 --sheet s.png --manifest m.jsonl"
    process = subprocess.Popen(line.split(), cwd=tmp_path, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "o").glob("*.png"))) < 9 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(getattr(signal, number))
    _, reported = process.communicate()
    drawn = len(list((tmp_path / "o").glob("*.png")))
    assert process.returncode in (130, 0) and not list(tmp_path.rglob(".*.tmp"))
    assert b"bug" not in reported and (drawn == 40 or process.returncode == 130)
    rows = (Image.open(tmp_path / "s.png").height - 28) // 260
    assert 0 < rows <= drawn <= rows + 20  # what was read and drawn ahead has no row yet
