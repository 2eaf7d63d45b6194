import json

import numpy as np

from tests.video.people import SIDE, Detector, face_at, frame
from toonify.faces.smoothing import reach_of, smoothed_face, width_of
from toonify.faces.tracking import Tracker


def followed(frames, **options):
    """Who is where in each frame, and the frames that begin a shot."""
    tracker = Tracker(Detector(), **options)
    rows, cuts = [], []
    for index, rgb in enumerate(frames):
        sightings, cut = tracker.step(rgb)
        rows.append({s.person: tuple(float(v) for v in s.face.box[:2]) for s in sightings})
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


def wobbling(frames=40):
    rng = np.random.default_rng(0)
    return {n: face_at(3 * n + rng.normal(), 20 + rng.normal()) for n in range(frames)}


def test_smoothing_takes_out_the_wobble_and_keeps_the_pace():
    faces = wobbling()
    width = width_of(0.5, 25)
    reach = reach_of(width, 8)
    smooth = [smoothed_face(faces, n, width=width, reach=reach) for n in range(40)]
    x = np.array([face.box[0] for face in smooth])
    raw = np.array([faces[n].box[0] for n in range(40)])
    assert np.abs(np.diff(x, 2)).mean() < 0.4 * np.abs(np.diff(raw, 2)).mean()
    assert np.abs(x - 3 * np.arange(40)).mean() < 0.6  # no lag


def test_no_smoothing_gives_what_was_measured():
    faces = wobbling()
    assert smoothed_face(faces, 7, width=0, reach=0) is faces[7]


def test_gaps_are_bridged_and_ends_are_not():
    faces = {n: face_at(3 * n, 20) for n in range(20) if n not in (9, 10)}
    bridged = smoothed_face(faces, 9, width=1.4, reach=4)
    assert abs(float(bridged.box[0]) - 27) < 0.01
    assert smoothed_face(faces, 21, width=1.4, reach=4) is None
    assert smoothed_face({}, 3, width=1.4, reach=4) is None
    assert SIDE > 0
