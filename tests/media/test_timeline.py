import itertools
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.clips import ffmpeg, picture, sound, times
from tests.video.people import SquaresEngine
from toonify.media.probe import probe
from toonify.media.timeline import jumps, straightened
from toonify.video import Options, convert

CODED = ("-c:v", "libx264", "-bf", 0, "-c:a", "aac")


def recording(path, start=0, *, tone=True, rate=12):
    inputs = [*picture(rate=rate), *(sound() if tone else [])]
    ffmpeg(*inputs, *CODED, "-output_ts_offset", start, path)
    return path


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("starts", [(0, 0), (0, 1000), (1000, 0), (500, 90000, 3)])
@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_joined_recordings_keep_their_pace(tmp_path, starts, suffix):
    if suffix == ".mpg":
        source = tmp_path / "a.mpg"
        parts = []
        for n, start in enumerate(starts):
            part = tmp_path / f"{n}.mpg"
            inputs = [*picture(rate=25), *sound()]
            offset = ["-output_ts_offset", min(start, 20000)]
            ffmpeg(*inputs, "-c:v", "mpeg2video", "-bf", 0, "-c:a", "mp2", *offset, part)
            parts.append(part)
        count, rate = 25 * len(starts), 25
    else:
        source = tmp_path / "a.ts"
        parts = [recording(tmp_path / f"{n}.ts", start) for n, start in enumerate(starts)]
        count, rate = 12 * len(starts), 12
    joined(source, *parts)
    assert jumps(probe(source)) and not jumps(probe(parts[0]))
    report = convert(source, tmp_path / "b.mkv", SquaresEngine(), Options())
    assert report.frames == count and any("jump" in note for note in report.notes)
    shown = times(tmp_path / "b.mkv")
    steps = [b - a for a, b in itertools.pairwise(shown)]
    assert max(steps) < Fraction(3, rate) and min(steps) > 0
    heard = times(tmp_path / "b.mkv", "0:a:0")
    assert abs(float(heard[-1] - shown[-1])) < 0.3 * len(starts)
    assert not (tmp_path / "b.mkv.parts").exists()


def test_a_hole_in_picture_and_sound_is_closed(tmp_path):
    source = tmp_path / "a.mkv"
    hole = "setpts='(N/12+if(gte(N,12),1000,0))/TB'"
    tone = "asetpts='(T+if(gte(T,1),1000,0))/TB'"
    inputs = [*picture(seconds=2), *sound(seconds=2)]
    ffmpeg(*inputs, "-vf", hole, "-af", tone, "-fps_mode", "passthrough", *CODED, source)
    clip = probe(source)
    assert clip.duration > 1000 and jumps(clip)
    straight, notes = straightened(clip, tmp_path)
    assert straight.duration < 2.2 and len(straight.tracks) == 1 and notes
    shown = times(straight.path)
    assert len(shown) == 24 and max(b - a for a, b in itertools.pairwise(shown)) < Fraction(1, 10)


def test_pictures_that_stand_and_slide_shows_are_no_jumps(tmp_path):
    """A screen recording in which nothing happens for half a minute, while somebody talks."""
    still = tmp_path / "a.mkv"
    pause = "setpts='(N/12+if(gte(N,6),30,0))/TB'"
    inputs = [*picture(), *sound(seconds=31)]
    ffmpeg(*inputs, "-vf", pause, "-fps_mode", "passthrough", *CODED, still)
    assert not jumps(probe(still))
    slides = tmp_path / "b.mkv"
    ffmpeg(*picture(rate="1/15", seconds=90), *CODED, slides)
    assert not jumps(probe(slides))
    assert not jumps(replace(probe(slides), index=0, tracks=()))
