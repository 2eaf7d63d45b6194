"""Clips in a style: whole frames are drawn, with and without people, and resumed alike."""

import numpy as np
import pytest
from PIL import Image

from tests.fake_portraits import FakePortraits
from tests.video.people import Detector, folder_of, frame
from toonify.engines.portrait import StyleEngine
from toonify.video import Options, convert, preview


def engine(style="ink", **options):
    portraits = FakePortraits()
    portraits._detector = Detector()
    return StyleEngine(portraits, style, **options)


def pictures(folder):
    return [np.asarray(Image.open(file)).astype(int) for file in sorted(folder.iterdir())]


def test_whole_frames_are_drawn_with_everybody_in_them(tmp_path):
    source = folder_of(tmp_path / "in", [frame({0: (10 + n, 20)}) for n in range(12)])
    drawing = engine("soft")
    report = convert(source, tmp_path / "out", drawing, Options(smooth=0))
    assert report.frames == report.frames_with_faces == 12
    assert report.people == [{"person": 1, "style": "soft", "frames": 12}]
    for picture in pictures(tmp_path / "out"):
        assert abs(picture[0, 0] - 102).max() <= 1 and picture.shape == (64, 96, 3)
    assert drawing.portraits.measured == [1] * 12


def test_frames_without_people_are_scenes(tmp_path):
    source = folder_of(tmp_path / "in", [frame({}) for _ in range(5)])
    report = convert(source, tmp_path / "out", engine(), Options(smooth=0))
    assert (report.frames, report.frames_with_faces, report.people) == (5, 0, [])
    assert all(abs(picture[0, 0] - 51).max() <= 1 for picture in pictures(tmp_path / "out"))


def test_a_background_stays(tmp_path):
    frames = [frame({0: (10, 20)}) for _ in range(4)]
    source = folder_of(tmp_path / "in", frames)
    convert(source, tmp_path / "out", engine(background="keep"), Options(smooth=0))
    assert (pictures(tmp_path / "out")[0][0] == frames[0][0]).all()


def test_what_is_remembered_survives_an_interruption(tmp_path):
    source = folder_of(
        tmp_path / "in", [frame({0: (10 + n // 8, 20)}, shade=60 + n) for n in range(110)]
    )
    convert(source, tmp_path / "whole", engine(), Options())

    class Stopped(Exception):
        pass

    def stop(done, total):
        if done > 80:
            raise Stopped

    with pytest.raises(Stopped):
        convert(source, tmp_path / "out", engine(), Options(), progress=stop)
    report = convert(source, tmp_path / "out", engine(), Options())
    assert report.resumed > 0
    both = zip(pictures(tmp_path / "whole"), pictures(tmp_path / "out"), strict=True)
    assert all((a == b).all() for a, b in both)


def test_preview(tmp_path):
    source = folder_of(tmp_path / "in", [frame({}), frame({0: (10, 20)}), frame({})])
    assert preview(source, tmp_path / "look.png", engine()) == [0, 1, 0]
    page = np.asarray(Image.open(tmp_path / "look.png"))
    assert (page[80, 10] == 51).all()
