import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.video.people import SIDE, Detector, face_at, frame
from toonify.faces.mtcnn import MTCNNDetector
from toonify.faces.smoothing import smoothed_face, smoothed_latent, width_of
from toonify.faces.tracking import Tracker
from toonify.faces.types import f32


def followed(frames, **options):
    """Who is where in each frame, and the frames that begin a shot."""
    tracker = Tracker(Detector(), **options)
    rows, cuts = [], []
    for index, rgb in enumerate(frames):
        tracked_faces, cut = tracker.step(rgb)
        rows.append({s.person: tuple(float(v) for v in s.face.box[:2]) for s in tracked_faces})
        cuts += [index] if cut else []
    return rows, cuts


def test_one_person_is_one_track_and_rarely_looked_for():
    tracker = Tracker(Detector())
    rows = [tracker.step(frame({0: (2 * n, 20)}))[0] for n in range(30)]
    assert [[s.person for s in row] for row in rows] == [[1]] * 30
    assert rows[-1][0].face.box[0] == 58
    assert tracker.detector.whole <= 6


def test_people_who_cross_stay_themselves():
    frames = []
    for n in range(38):
        red, blue = 2 * n, 76 - 2 * n
        frames.append(frame({1: (blue, 24), 0: (red, 24)}))  # red passes in front
    rows, _ = followed(frames)
    assert rows[0].keys() == {1, 2} and rows[-1].keys() == {1, 2}
    assert rows[0][1][0] == 0 and rows[-1][1][0] == 74
    assert rows[-1][2][0] == 2
    assert all(row.keys() <= {1, 2} for row in rows)


def test_who_is_hidden_for_a_moment_comes_back_as_the_same():
    frames = [frame({} if 10 <= n < 16 else {0: (20 + n, 20)}) for n in range(30)]
    rows, _ = followed(frames)
    assert [len(row) for row in rows[10:16]] == [0] * 6
    assert rows[-1].keys() == {1}


def test_who_enters_gets_a_number_of_their_own_and_who_left_is_forgotten():
    frames = [frame({0: (10, 20)}) for _ in range(10)]
    frames += [frame({0: (10, 20), 1: (60, 20)}) for _ in range(20)]
    frames += [frame({1: (60, 20)}) for _ in range(40)]
    rows, _ = followed(frames)
    assert rows[5].keys() == {1} and rows[29].keys() == {1, 2} and rows[-1].keys() == {2}


def test_a_cut_begins_anew():
    frames = [frame({0: (10, 20)}) for _ in range(9)]
    frames += [frame({0: (10, 20)}, shade=240) for _ in range(9)]
    rows, cuts = followed(frames)
    assert cuts == [9]
    assert rows[8].keys() == {1} and rows[9].keys() == {2}


def test_largest_stays_with_one():
    frames = [frame({0: (10, 20), 1: (60, 20)}) for _ in range(20)]
    rows, _ = followed(frames, largest=True)
    assert all(row.keys() == {1} for row in rows)


def test_goes_on_from_a_saved_state():
    frames = [frame({0: (2 * n, 24), 1: (76 - 2 * n, 24)}) for n in range(38)]
    whole, _ = followed(frames)
    first, second = Tracker(Detector()), Tracker(Detector())
    for rgb in frames[:17]:
        first.step(rgb)
    second.restore(json.loads(json.dumps(first.state())))
    rest = [
        {s.person: tuple(float(v) for v in s.face.box[:2]) for s in second.step(rgb)[0]}
        for rgb in frames[17:]
    ]
    assert rest == whole[17:]


EVEN = {n: n / 25 for n in range(60)}


def wobbling(frames=40):
    rng = np.random.default_rng(0)
    return {n: face_at(3 * n + rng.normal(), 20 + rng.normal()) for n in range(frames)}


def test_smoothing_takes_out_the_wobble_and_keeps_the_pace():
    faces = wobbling()
    smooth = [smoothed_face(faces, n, EVEN, width=width_of(0.5), reach=8) for n in range(40)]
    x = np.array([face.box[0] for face in smooth])
    raw = np.array([faces[n].box[0] for n in range(40)])
    assert np.abs(np.diff(x, 2)).mean() < 0.4 * np.abs(np.diff(raw, 2)).mean()
    assert np.abs(x - 3 * np.arange(40)).mean() < 0.6  # no lag


def test_no_smoothing_gives_what_was_measured():
    faces = wobbling()
    assert smoothed_face(faces, 7, EVEN, width=0, reach=0) is faces[7]


def test_gaps_are_bridged_and_ends_are_not():
    faces = {n: face_at(3 * n, 20) for n in range(20) if n not in (9, 10)}
    bridged = smoothed_face(faces, 9, EVEN, width=0.055, reach=4)
    assert abs(float(bridged.box[0]) - 27) < 0.01
    assert smoothed_face(faces, 21, EVEN, width=0.055, reach=4) is None
    assert smoothed_face({}, 3, EVEN, width=0.055, reach=4) is None
    assert SIDE > 0


@pytest.mark.parametrize("rate", [5, 15, 30, 60, 120])
def test_smoothing_is_as_wide_in_seconds_whatever_the_rate(rate):
    """A step of position: how long the change takes."""
    times = {n: n / rate for n in range(4 * rate)}
    faces = {n: face_at(20 + (times[n] >= 2) * 10, 20) for n in times}
    width = width_of(1.0)
    x = [float(smoothed_face(faces, n, times, width=width, reach=4 * rate).box[0]) for n in times]
    changing = sum(21 < value < 29 for value in x) / rate
    assert changing < 0.45 if rate < 15 else 0.1 < changing < 0.3


def test_smoothing_goes_by_the_frames_own_times():
    """A pause in a clip keeps what was before it from what comes after it."""
    times = {n: n / 30 + (5 if n >= 10 else 0) for n in range(20)}
    faces = {n: face_at(20 if n < 10 else 50, 20) for n in range(20)}
    for n in times:
        face = smoothed_face(faces, n, times, width=width_of(1.0), reach=8)
        assert float(face.box[0]) == pytest.approx(float(faces[n].box[0]), abs=0.01)
    faces.pop(10)
    bridged = smoothed_face(faces, 10, times, width=width_of(0.5), reach=8)
    assert 20 <= float(bridged.box[0]) <= 50.01


def test_a_blink_outlives_smoothing_and_noise_does_not():
    rng = np.random.default_rng(0)
    times = {n: n / 30 for n in range(30)}
    blink = np.zeros(32)
    blink[:4] = 4.0  # a few of a latent's many numbers, for three frames
    latents = {n: f32(rng.normal(0, 0.3, 32) + blink * (14 <= n < 17)) for n in times}
    smooth = {n: smoothed_latent(latents, n, times, width=width_of(0.5), reach=8) for n in times}
    shut = [float(smooth[n][:4].mean()) for n in (14, 15, 16)]
    assert min(shut) > 3.2 and max(float(smooth[n][:4].mean()) for n in (12, 18)) < 0.8
    rest = range(3, 12)
    before = np.std([latents[n] for n in rest], axis=0).mean()
    after = np.std([smooth[n] for n in rest], axis=0).mean()
    assert after < 0.75 * before


PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


def lit(rgb, gain, lift):
    return np.clip(rgb.astype(float) * gain + lift, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("gain", "lift"), [(1.8, 20), (3, 40), (1, 120), (0, 255), (0.25, 0), (0, 0)]
)
@pytest.mark.parametrize("frames", [1, 3])
def test_a_flash_is_no_cut_and_nobody_becomes_somebody_else(gain, lift, frames):
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize((384, 384)))
    pictures = [np.roll(photo, n, 1) for n in range(24)]
    for n in range(10, 10 + frames):
        pictures[n] = lit(pictures[n], gain, lift)
    tracker = Tracker(MTCNNDetector())
    steps = [tracker.step(picture) for picture in pictures]
    assert not any(cut for _, cut in steps)
    people = [{tracked_face.person for tracked_face in seen} for seen, _ in steps]
    assert set.union(*people) == {1}
    assert all(people[n] for n in range(24) if not 10 <= n < 12 + frames)


@pytest.mark.parametrize("between", [[], [(0, 255)], [(0.5, 0), (0, 0), (0, 0)]])
def test_another_scene_is_a_cut_also_through_white_or_black(between):
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize((384, 384)))
    other = np.ascontiguousarray(255 - photo[::-1, :, ::-1])
    pictures = [photo] * 6 + [lit(photo, *light) for light in between] + [other] * 4
    tracker = Tracker(Detector())
    cuts = [n for n, picture in enumerate(pictures) if tracker.step(picture)[1]]
    assert cuts == [6 + len(between)]
