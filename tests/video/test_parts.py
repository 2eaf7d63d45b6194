"""One clip drawn part by part: the same as from front to back, whoever draws which part."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.video.people import SquaresEngine, folder_of, frame
from toonify.errors import InputError
from toonify.video import Options, convert, parts
from toonify.video.parts import PartedClip, can_be_parted, draw_part, parted

FRAMES = 152  # three parts of one segment, the last a little longer


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    frames = [frame({0: (n % 70, 20), **({1: (60, 40)} if n > 100 else {})}) for n in range(FRAMES)]
    return folder_of(tmp_path_factory.mktemp("clips") / "in", frames)


@pytest.fixture
def options():
    return Options(characters=("jun",), parts=1, identity=SquaresEngine().describe())


def pictures(folder):
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def test_parts_in_any_order_are_the_whole(source, options, tmp_path):
    alone = convert(source, tmp_path / "alone", SquaresEngine(), replace(options, parts=0))
    with PartedClip(source, tmp_path / "out", SquaresEngine(), options) as clip:
        assert [part.start for part in clip.missing] == [0, 1, 2]
        for part in reversed(clip.missing):
            frames = draw_part(source, tmp_path / "out", SquaresEngine(), options, part)
            assert frames == (56 if part.start == 2 else 48)
    report = clip.finish()
    assert report.frames == FRAMES and report.resumed == 0
    assert report.frames_with_faces == alone.frames_with_faces
    assert sum(person["frames"] for person in report.people) == sum(
        person["frames"] for person in alone.people
    )
    whole, joined = pictures(tmp_path / "alone"), pictures(tmp_path / "out")
    assert len(whole) == len(joined) == FRAMES
    assert all(np.array_equal(a, b) for a, b in zip(whole, joined, strict=True))
    assert not (tmp_path / "out.parts").exists()


def test_a_lost_worker_costs_its_segment(source, tmp_path):
    options = Options(characters=("jun",), parts=2, identity=SquaresEngine().describe())

    class Killed(BaseException):
        pass

    def kill(done, total):
        if done == 96 + 52:
            raise Killed

    output = tmp_path / "out"
    with PartedClip(source, output, SquaresEngine(), options) as clip:
        first, second = clip.missing
        with pytest.raises(Killed):
            draw_part(source, output, SquaresEngine(), options, second, progress=kill)
        assert draw_part(source, output, SquaresEngine(), options, second) == FRAMES - 96 - 48
        assert draw_part(source, output, SquaresEngine(), options, second) == 0
        assert clip.missing == [first, second]  # as it was when the work began
    with pytest.raises(InputError, match=r"parts of .* are missing"):
        clip.finish()
    with PartedClip(source, output, SquaresEngine(), options) as clip:
        assert clip.missing == [first]
        draw_part(source, output, SquaresEngine(), options, first)
    report = clip.finish()
    assert report.frames == FRAMES and len(pictures(output)) == FRAMES
    assert report.resumed == FRAMES - 96


def test_a_clip_shorter_than_it_says(source, options, tmp_path):
    output = tmp_path / "out"
    with PartedClip(source, output, SquaresEngine(), options) as clip:
        clip.expected = 300
        assert len(clip.parts) == 6
        for part in clip.parts:
            draw_part(source, output, SquaresEngine(), options, part)
    assert clip.finish().frames == FRAMES


def test_other_work_is_left_alone(source, options, tmp_path):
    with pytest.raises(InputError, match="not the work"):
        draw_part(source, tmp_path / "out", SquaresEngine(), options, range(1, 2))
    with PartedClip(source, tmp_path / "out", SquaresEngine(), options):
        other = replace(options, smooth=0.1)
        with pytest.raises(InputError, match="not the work"):
            draw_part(source, tmp_path / "out", SquaresEngine(), other, range(1, 2))
        with (
            pytest.raises(InputError, match="another run"),
            PartedClip(source, tmp_path / "out", SquaresEngine(), options),
        ):
            pass


def test_what_can_be_parted(source, options, tmp_path, monkeypatch):
    class Style(SquaresEngine):
        kind = "style"

    assert can_be_parted(Style(keeps_latents=True), options)
    assert can_be_parted(SquaresEngine(), options)
    assert not can_be_parted(SquaresEngine(keeps_latents=True), options)
    for rules in (("left=mina,right=jun",), ("mina", "jun"), ("mina,jun",)):
        assert not can_be_parted(SquaresEngine(), replace(options, characters=rules))
    assert parted(source, tmp_path / "out", SquaresEngine(), options) is None, "too short"
    monkeypatch.setattr(parts, "PART", 1)
    found = parted(source, tmp_path / "out", SquaresEngine(), options)
    assert found is not None and len(found.parts) == 3
    assert not (tmp_path / "out.parts").exists()
