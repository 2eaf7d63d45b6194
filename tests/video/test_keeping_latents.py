"""A person's first latent serves until a cut, over resumption too, where the engine wants it so."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.clips import frame_hashes
from tests.video.people import SIDE, Detector, SquaresEngine, folder_of, frame
from toonify.faces.tracking import Tracker
from toonify.faces.types import f32
from toonify.media.video import VideoFrame
from toonify.video import CharacterAssignment, Options, convert
from toonify.video.pipeline import Pipeline


class Counting(SquaresEngine):
    """Its latents are the numbers of the regions it has seen; remembers what it drew with."""

    def __init__(self, *, keeps_latents: bool = True) -> None:
        super().__init__(keeps_latents=keeps_latents)
        self.drawn: list[tuple[float, float]] = []  # x of a region, and its latent

    def encode(self, regions):
        first = self.encoded
        self.encoded += len(regions)
        return f32([[first + n] for n in range(len(regions))])

    def render(self, regions, latents, characters):
        at = [float(region.matrix[0, 2]) for region in regions]
        self.drawn += zip(at, latents[:, 0].round(4).tolist(), strict=True)
        return super().render(regions, latents, characters)


class Shaded(SquaresEngine):
    """Draws in the mean color that the latent is."""

    def render(self, regions, latents, characters):
        return [np.full((SIDE, SIDE, 3), np.rint(latent).astype(np.uint8)) for latent in latents]


def clip_of(pictures: list[np.ndarray]) -> list[VideoFrame]:
    return [VideoFrame(index, index, picture) for index, picture in enumerate(pictures)]


def pipeline_of(engine: SquaresEngine, block: int = 8) -> Pipeline:
    tracker = Tracker(Detector())
    assignment = CharacterAssignment([], engine.characters)
    return Pipeline(engine, tracker, assignment, smooth=0.5, time_base=Fraction(1, 25), block=block)


def walking(count: int, **options) -> list[np.ndarray]:
    return [frame({0: (10 + n, 20)}, **options) for n in range(count)]


def darkening(count: int) -> list[np.ndarray]:
    """Somebody whose light changes slowly, at one place."""
    pictures = []
    for n in range(count):
        rgb = frame({0: (30, 20)})
        part = rgb[20 : 20 + SIDE, 30 : 30 + SIDE].astype(int)
        rgb[20 : 20 + SIDE, 30 : 30 + SIDE] = np.clip(part - min(n // 4, 15), 0, 255)
        pictures.append(rgb)
    return pictures


def test_one_latent_a_person() -> None:
    engine = Counting()
    pipeline = pipeline_of(engine)
    drawn = [d for part in pipeline.run(clip_of(walking(20))) for d in part]
    assert len(drawn) == 20 and all(d.people == (1,) for d in drawn)
    assert engine.encoded == 1 and len(engine.drawn) == 20
    assert {latent for _, latent in engine.drawn} == {0}
    each = Counting(keeps_latents=False)
    list(pipeline_of(each).run(clip_of(walking(20))))
    assert each.encoded == 20 and len({latent for _, latent in each.drawn}) > 10


def test_two_people_have_their_own() -> None:
    engine = Counting()
    pictures = [frame({0: (10, 20), 1: (60, 20)} if n >= 6 else {0: (10, 20)}) for n in range(24)]
    list(pipeline_of(engine).run(clip_of(pictures)))
    assert engine.encoded == 2
    left = {latent for x, latent in engine.drawn if x < 40}
    right = {latent for x, latent in engine.drawn if x > 40}
    assert left == {0} and right == {1}


def test_after_a_cut_everybody_is_new() -> None:
    engine = Counting()
    pictures = [*walking(12), *walking(12, shade=240)]
    done = [d for part in pipeline_of(engine).run(clip_of(pictures)) for d in part]
    assert engine.encoded == 2
    latents = [latent for _, latent in engine.drawn]
    assert latents == [0] * 12 + [1] * 12
    assert done[11].people != done[12].people


def test_somebody_who_is_hidden_for_a_moment_keeps_it() -> None:
    engine = Counting()
    pictures = [frame({0: (30, 20)} if not 10 <= n < 14 else {}) for n in range(26)]
    list(pipeline_of(engine).run(clip_of(pictures)))
    assert engine.encoded == 1 and {latent for _, latent in engine.drawn} == {0}


def test_who_is_gone_for_good_is_forgotten() -> None:
    pictures = [frame({0: (30, 20)} if n < 8 else {}) for n in range(60)]
    pipeline = pipeline_of(Counting())
    sizes = [len(pipeline._first) for _ in pipeline.run(clip_of(pictures))]
    assert sizes[0] == 1 and sizes[-1] == 0


@pytest.mark.parametrize(("stop", "former"), [(1, "latent."), (2, "code."), (3, "latent.")])
def test_a_restored_pipeline_goes_on_with_the_first_latent(stop: int, former: str) -> None:
    """Light that changes would give another one."""
    pictures = darkening(48)
    whole = [
        d for part in pipeline_of(Shaded(keeps_latents=True)).run(clip_of(pictures)) for d in part
    ]
    first = pipeline_of(Shaded(keeps_latents=True))
    blocks = first.run(clip_of(pictures))
    parts = [next(blocks) for _ in range(stop)]
    state = first.state()
    blocks.close()
    assert state is not None
    values, arrays = state
    assert [key for key in arrays if key.startswith("first.")] == ["first.1"]
    arrays = {key.replace("latent.", former): value for key, value in arrays.items()}
    second = pipeline_of(Shaded(keeps_latents=True))
    second.restore(values, arrays)
    done = [d for part in parts for d in part]
    done += [d for part in second.run(clip_of(pictures)[8 * stop :]) for d in part]
    for a, b in zip(whole, done, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
    painted = [d.pixels[28, 38].tolist() for d in whole[4:]]
    assert painted == [painted[0]] * len(painted), "the color stays, whatever the light does"
    each = [d for part in pipeline_of(Shaded()).run(clip_of(pictures)) for d in part]
    assert each[40].pixels[28, 38].astype(int).sum() < each[4].pixels[28, 38].astype(int).sum()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("killed_at", [pytest.param([55], marks=pytest.mark.slow), [60, 101]])
def test_killed_and_gone_on_is_the_same(tmp_path, killed_at: list[int]) -> None:
    pictures = darkening(110)
    pictures[70:] = [frame({0: (30, 20), 1: (60, 10)}, shade=240) for _ in pictures[70:]]
    source = folder_of(tmp_path / "in", pictures)
    engines = [Shaded(keeps_latents=True) for _ in range(len(killed_at) + 2)]
    whole = convert(source, tmp_path / "whole.mkv", engines[0], Options())
    for at, engine in zip(killed_at, engines[1:], strict=False):

        def kill(done, total, at=at):
            if done == at:
                raise Killed

        with pytest.raises(Killed):
            convert(source, tmp_path / "parts.mkv", engine, Options(), progress=kill)
    report = convert(source, tmp_path / "parts.mkv", engines[-1], Options())
    assert report.resumed == killed_at[-1] // 48 * 48
    assert frame_hashes(tmp_path / "parts.mkv") == frame_hashes(tmp_path / "whole.mkv")
    assert report.people == whole.people
    assert engines[0].encoded == 3, "one before the cut, two after it"
