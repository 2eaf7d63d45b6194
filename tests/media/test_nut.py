import io
from fractions import Fraction

import pytest

from tests.clips import ffmpeg, picture
from toonify.media.nut import NutError, NutReader, NutWriter, Stream

STREAM = Stream(b"RGB\x18", Fraction(1, 90000), 4, 2, b"head", Fraction(1))


def written(frames, stream=STREAM):
    file = io.BytesIO()
    nut = NutWriter(file, stream)
    for pts, data, key in frames:
        nut.write(pts, data, key=key)
    return file.getvalue()


def test_frames_and_timestamps_come_back():
    frames = [(0, b"a" * 24, True), (1, b"", False), (3001, b"b" * 9000, True), (10**9, b"c", True)]
    reader = NutReader(io.BytesIO(written(frames)))
    assert reader.stream == STREAM
    assert [(p.pts, p.data, p.key) for p in reader] == frames


def test_long_headers_are_read():
    long = Stream(b"H264", Fraction(1, 1000), 4, 2, b"x" * 5000)
    assert NutReader(io.BytesIO(written([], long))).stream.extradata == b"x" * 5000


def test_ffmpeg_reads_what_is_written(tmp_path):
    path = tmp_path / "a.nut"
    path.write_bytes(written([(pts, bytes(24), True) for pts in (0, 3003, 4000, 99000)]))
    text = ffmpeg("-copyts", "-i", path, "-c", "copy", "-f", "framecrc", "-")
    assert [int(row.split(",")[2]) for row in text.splitlines() if row[0] != "#"] == [
        *(0, 3003, 4000, 99000)
    ]


@pytest.mark.parametrize("codec", ["rawvideo", "libx264", "ffv1"])
def test_what_ffmpeg_writes_is_read(tmp_path, codec):
    path = tmp_path / "a.nut"
    ffmpeg(*picture(), "-c:v", codec, "-bf", 0, "-f", "nut", path)
    with open(path, "rb") as file:
        reader = NutReader(file)
        seconds = [packet.pts * reader.stream.time_base for packet in reader]
    assert seconds == [Fraction(n, 12) for n in range(12)]
    assert (reader.stream.width, reader.stream.height) == (64, 48)


def test_what_is_cut_off_is_told():
    data = written([(0, b"a" * 100, True)])
    with pytest.raises(NutError):
        list(NutReader(io.BytesIO(data[:-1])))
    with pytest.raises(NutError):
        NutReader(io.BytesIO(data[:30]))
    with pytest.raises(NutError):
        NutReader(io.BytesIO(b"no nut at all, but long enough to hold one"))


def test_a_step_of_half_the_short_range_goes_forward():
    """Two frames, 8192 ticks apart, whose times are coded in 14 bits."""
    reader = NutReader(io.BytesIO(written([])))
    reader._shift = 14
    assert reader._pts(0) == 0
    assert reader._pts(8192) == 8192
    reader._last = 8192
    assert reader._pts(0) == 16384


def test_no_number_is_written_for_ever():
    with pytest.raises(ValueError, match="-1"):
        written([(-1, b"", True)])
