import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from tests.clips import frame_hashes
from tests.fake_engine import FakeEngine
from tests.video.people import PAINT, SIDE, SquaresEngine, folder_of, frame
from toonify.errors import InputError, UsageError
from toonify.media.images import write_image
from toonify.media.video import Span
from toonify.video import Options, convert, convert_video, preview
from toonify.video.resume import ResumeState


def painted(path, name):
    """Where each frame of a folder is drawn in a character's color: x of its middle, or None."""
    places = []
    for file in sorted(path.iterdir()):
        rgb = np.asarray(Image.open(file)).astype(int)
        _, x = np.nonzero(np.abs(rgb - PAINT[name]).max(2) < 40)
        places.append(float(x.mean()) if len(x) > 40 else None)
    return places


def walk(frames=20, **options):
    return [frame({0: (10 + n, 20)}, **options) for n in range(frames)]


def test_everybody_is_drawn_where_they_are(tmp_path):
    source = folder_of(tmp_path / "in", walk(20))
    report = convert(source, tmp_path / "out", SquaresEngine(), Options(characters=["jun"]))
    places = painted(tmp_path / "out", "jun")
    assert report.frames == report.frames_with_faces == 20
    assert report.people == [{"person": 1, "character": "jun", "frames": 20}]
    assert all(abs(x - (10 + n + SIDE / 2)) < 2 for n, x in enumerate(places))
    assert report.warping_error["before"] >= 0
    assert not (tmp_path / "out.parts").exists()


def test_no_face_passes_through(tmp_path):
    pictures = [frame({}) for _ in range(5)]
    source = folder_of(tmp_path / "in", pictures)
    report = convert(source, tmp_path / "out", SquaresEngine(), Options())
    assert report.frames == 5 and report.frames_with_faces == 0 and report.people == []
    for before, after in zip(pictures, sorted((tmp_path / "out").iterdir()), strict=True):
        assert (np.asarray(Image.open(after)) == before).all()


def test_a_face_in_the_middle_only(tmp_path):
    frames = [frame({0: (30, 20)} if 12 <= n < 28 else {}) for n in range(40)]
    convert(folder_of(tmp_path / "in", frames), tmp_path / "out", SquaresEngine(), Options())
    drawn = [x is not None for x in painted(tmp_path / "out", "mina")]
    assert not any(drawn[:12]) and not any(drawn[28:]) and all(drawn[19:25])


def test_characters_by_place_and_order(tmp_path):
    frames = [frame({0: (70, 20), 1: (10, 20)}) for _ in range(10)]
    source = folder_of(tmp_path / "in", frames)
    for rules in (["left=jun,right=mina"], ["jun,mina"], ["2=mina", "1=jun"]):
        convert(source, tmp_path / "out", SquaresEngine(), Options(characters=rules))
        assert painted(tmp_path / "out", "jun")[5] == pytest.approx(17.5, abs=2)
        assert painted(tmp_path / "out", "mina")[5] == pytest.approx(77.5, abs=2)
        shutil.rmtree(tmp_path / "out")
    for rules in (["rosa"], ["above=mina"], ["left=rosa"], ["mina,jun,left=mina"]):
        with pytest.raises(UsageError):
            convert(source, tmp_path / "out", SquaresEngine(), Options(characters=rules))


def test_people_who_cross_keep_their_characters(tmp_path):
    frames = [frame({1: (76 - 2 * n, 24), 0: (2 * n, 24)}) for n in range(38)]
    source = folder_of(tmp_path / "in", frames)
    convert(source, tmp_path / "out", SquaresEngine(), Options(characters=["left=jun,right=mina"]))
    jun, mina = (painted(tmp_path / "out", name) for name in ("jun", "mina"))
    assert jun[3] < mina[3] and jun[-4] > mina[-4]


class Covered(SquaresEngine):
    """The lower half of every face has something before it."""

    def occlusion(self, region):
        cover = np.zeros((SIDE, SIDE), np.float32)
        cover[SIDE // 2 + 1 :] = 1
        return cover


def test_what_stands_before_a_face_stays(tmp_path):
    pictures = walk(12)
    source = folder_of(tmp_path / "in", pictures)
    convert(source, tmp_path / "out", Covered(), Options(characters=["jun"]))
    for n, file in enumerate(sorted((tmp_path / "out").iterdir())):
        drawn = np.asarray(Image.open(file)).astype(int)
        below = slice(20 + SIDE // 2 + 3, 20 + SIDE)
        assert np.abs(drawn[below] - pictures[n][below]).max() < 12
    assert sum(x is not None for x in painted(tmp_path / "out", "jun")) == 12


def test_a_cut_is_not_faded_over(tmp_path):
    frames = [*walk(12), *walk(12, shade=240)]
    convert(folder_of(tmp_path / "in", frames), tmp_path / "out", SquaresEngine(), Options())
    assert all(x is not None for x in painted(tmp_path / "out", "mina"))


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "killed_at", [pytest.param([30], marks=pytest.mark.slow), [60, 70], [5, 49, 101]]
)
def test_killed_and_gone_on_is_the_same(tmp_path, killed_at):
    frames = [frame({0: (n % 70, 20)} if n % 50 > 6 else {}) for n in range(110)]
    source = folder_of(tmp_path / "in", frames)
    options = Options(characters=["mina,jun"])
    whole = convert(source, tmp_path / "whole.mkv", SquaresEngine(), options)
    for at in killed_at:

        def kill(done, total, at=at):
            if done == at:
                raise Killed

        with pytest.raises(Killed):
            convert(source, tmp_path / "parts.mkv", SquaresEngine(), options, progress=kill)
        assert not (tmp_path / "parts.mkv").exists()
    report = convert(source, tmp_path / "parts.mkv", SquaresEngine(), options)
    assert report.resumed == killed_at[-1] // 48 * 48
    assert frame_hashes(tmp_path / "parts.mkv") == frame_hashes(tmp_path / "whole.mkv")
    assert (report.people, report.warping_error) == (whole.people, whole.warping_error)
    assert report.frames_with_faces == whole.frames_with_faces
    assert not (tmp_path / "parts.mkv.parts").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


DAMAGE = {
    "last segment cut": ([("000002.nut", cut)], 96),
    "last segment gone": ([("000002.nut", lambda path: path.unlink())], 96),
    "a segment's byte": ([("000001.nut", flip)], 96),
    "last state cut": ([("000002.npz", cut)], 96),
    "last state empty": ([("000002.npz", lambda path: path.write_bytes(b""))], 96),
    "last record cut": ([("000002.json", cut)], 96),
    "first and last segment": ([("000000.nut", cut), ("000002.nut", cut)], 48),
    "state and segment": ([("000001.npz", flip), ("000002.nut", cut)], 48),
    "all states": ([(f"00000{n}.npz", cut) for n in range(3)], 0),
    "the plan": ([("plan.json", cut)], 0),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A source, its whole result and report, and the folder of a run that was killed."""
    folder = tmp_path_factory.mktemp("interrupted")
    frames = [frame({0: (n % 70, 20)} if n % 50 > 6 else {}) for n in range(170)]
    source = folder_of(folder / "in", frames)
    report = convert(source, folder / "whole.mkv", SquaresEngine(), Options())

    def kill(done, total):
        if done == 160:
            raise Killed

    with pytest.raises(Killed):
        convert(source, folder / "a.mkv", SquaresEngine(), Options(), progress=kill)
    return source, folder / "whole.mkv", report, folder / "a.mkv.parts"


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_work_is_noticed_and_drawn_again(interrupted, tmp_path, kind):
    source, whole, expected, parts = interrupted
    shutil.copytree(parts, tmp_path / "a.mkv.parts")
    damaged, kept = DAMAGE[kind]
    for name, damage in damaged:
        damage(tmp_path / "a.mkv.parts" / name)
    report = convert(source, tmp_path / "a.mkv", SquaresEngine(), Options())
    assert report.frames == 170 and report.resumed == kept
    assert frame_hashes(tmp_path / "a.mkv") == frame_hashes(whole)
    assert (report.people, report.warping_error) == (expected.people, expected.warping_error)
    assert kind == "the plan" or any("drawn anew" in note for note in report.notes)
    assert not (tmp_path / "a.mkv.parts").exists()


def test_work_of_former_names_is_gone_on_from(interrupted, tmp_path):
    source, _, expected, parts = interrupted
    shutil.copytree(parts, tmp_path / "a.mkv.parts")
    for path in (tmp_path / "a.mkv.parts").glob("*.npz"):
        arrays = dict(np.load(path))
        text = arrays[""].tobytes().replace(b'"warping_error"', b'"steadiness"')
        np.savez(path, **arrays | {"": np.frombuffer(text, np.uint8)})
    report = convert(source, tmp_path / "a.mkv", SquaresEngine(), Options())
    assert report.resumed == 144 and report.warping_error == expected.warping_error


def test_states_of_long_clips_take_little_room(tmp_path):
    with ResumeState(tmp_path / "a.mkv", {}) as work:
        for number in range(40):
            work.segment(number).write_bytes(b"packets")
            work.save(number, {}, {"code": np.zeros(9)}, last=False)
    assert len(list((tmp_path / "a.mkv.parts").glob("*.npz"))) == 7


def test_other_options_begin_anew(tmp_path):
    source = folder_of(tmp_path / "in", walk(60))

    def kill(done, total):
        if done == 55:
            raise Killed

    with pytest.raises(Killed):
        convert(source, tmp_path / "a.mkv", SquaresEngine(), Options(), progress=kill)
    assert len(list((tmp_path / "a.mkv.parts").glob("*.nut"))) == 1
    report = convert(source, tmp_path / "a.mkv", SquaresEngine(), Options(characters=["jun"]))
    assert report.resumed == 0 and report.people[0]["character"] == "jun"


def test_killed_while_joining_only_joins_again(tmp_path, monkeypatch):
    source = folder_of(tmp_path / "in", walk(12))
    with monkeypatch.context() as patch:
        patch.setattr(
            "toonify.video.conversion.assemble", lambda *a, **k: (_ for _ in ()).throw(Killed)
        )
        with pytest.raises(Killed):
            convert(source, tmp_path / "a.mkv", SquaresEngine(), Options())
    engine = SquaresEngine()
    report = convert(source, tmp_path / "a.mkv", engine, Options())
    assert report.resumed == report.frames == 12 and engine.encoded == 0
    assert report.people == [{"person": 1, "character": "mina", "frames": 12}]


def test_interrupted_leaves_a_playable_part(tmp_path):
    source = folder_of(tmp_path / "in", walk(60))

    def interrupt(done, total):
        if done == 55:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(
            source,
            tmp_path / "a.mp4",
            SquaresEngine(),
            Options(keep_partial=True),
            progress=interrupt,
        )
    assert len(frame_hashes(tmp_path / "a.partial.mp4")) == 48


def test_two_runs_do_not_write_one_file(tmp_path):
    source = folder_of(tmp_path / "in", walk(3))
    with ResumeState(tmp_path / "a.mkv", {}), pytest.raises(InputError, match="another run"):
        convert(source, tmp_path / "a.mkv", SquaresEngine(), Options())


def test_a_run_waits_for_one_that_is_about_to_end(tmp_path):
    source = folder_of(tmp_path / "in", walk(3))
    other = ResumeState(tmp_path / "a.mkv", {})
    other.__enter__()
    ending = threading.Timer(0.3, other.__exit__, (None, None, None))
    ending.start()
    report = convert(source, tmp_path / "a.mkv", SquaresEngine(), Options(), patience=30)
    ending.join()
    assert report.frames == 3


def test_side_by_side_and_size(tmp_path):
    source = folder_of(tmp_path / "in", walk(3))
    options = Options(side_by_side=True, span=Span(max_size=48))
    convert(source, tmp_path / "out", SquaresEngine(), options)
    assert Image.open(tmp_path / "out" / "000001.png").size == (96, 32)


def test_smoothness_goes_through(tmp_path):
    """More smoothing, less difference between frames of a trembling face."""
    rng = np.random.default_rng(1)
    frames = [frame({0: (30 + int(rng.integers(3)), 20 + int(rng.integers(3)))}) for _ in range(32)]
    source = folder_of(tmp_path / "in", frames)
    steps = []
    for smooth in (0.0, 1.0):
        output = tmp_path / f"out{smooth:.0f}"
        convert(source, output, SquaresEngine(), Options(smooth=smooth))
        steps.append(np.abs(np.diff(painted(output, "mina"))).mean())
    assert steps[1] < 0.7 * steps[0]


def test_output_over_input_or_other_files_is_refused(tmp_path):
    source = folder_of(tmp_path / "in", walk(2))
    (tmp_path / "in" / "notes.txt").touch()
    with pytest.raises(UsageError, match="the output is the input"):
        convert(source, source, SquaresEngine(), Options())
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other files"):
        convert(source, folder, SquaresEngine(), Options())


def test_preview_shows_three_frames(tmp_path):
    source = folder_of(tmp_path / "in", walk(9))
    counts = preview(source, tmp_path / "sheet.png", SquaresEngine())
    assert counts == [1, 1, 1]
    assert Image.open(tmp_path / "sheet.png").size == (3 * 102 + 6, 2 * 70 + 6)


def test_a_clip_is_drawn_by_a_call(tmp_path):
    from tests.tiny_bundle import write_bundle

    bundle = write_bundle(tmp_path / "tiny")
    frames = tmp_path / "frames"
    for number in range(3):
        write_image(frames / f"{number}.png", np.full((64, 48, 3), 40 * number, np.uint8))
    report = convert_video(frames, tmp_path / "out", bundle=bundle, character="mina", end=2 / 25)
    assert report.frames == 2 and report.people == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000001.png",
        "000002.png",
    ]


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"style": "ink", "character": "mina"}, "`style` or a `character`"),
        ({"character": "nobody"}, "nobody"),
        ({"end": -1.0}, "`start` and `end`"),
        ({"start": float("nan")}, "`start` and `end`"),
        ({"fps": 0}, "`fps` 0"),
        ({"fps": float("nan")}, "`fps` nan"),
        ({"max_size": 0}, "`max_size` 0 is out of range"),
        ({"smooth": 5}, "`smooth` 5 is out of range. Give 0 to 1"),
        ({"smooth": float("nan")}, "`smooth` nan"),
        ({"crf": 400}, "`crf` 400"),
        ({"character": "mina", "background": "transparent"}, "not transparent"),
        (
            {"character": "mina", "engine": "styleganex", "background": "keep"},
            "leaves what is behind",
        ),
        ({"engine": FakeEngine(), "level": 3}, "its own `level`"),
        ({"engine": FakeEngine(), "background": "keep"}, "its own `background`"),
        ({"engine": "mixing"}, "not drawn by mixing"),
    ],
)
def test_a_call_that_can_not_be_drawn(tmp_path, wrong, text):
    from tests.tiny_bundle import write_bundle

    bundle = write_bundle(tmp_path / "tiny")
    frames = folder_of(tmp_path / "in", walk(2))
    with pytest.raises(UsageError) as failed:
        convert_video(frames, tmp_path / "new", bundle=bundle, **wrong)
    assert text in str(failed.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"level": 3}, "`level`, `trgb` and `color` are of characters"),
        ({"largest": True}, "draws everybody"),
        ({"background": "sparkle"}, "sparkle"),
        ({"background": "transparent"}, "not transparent"),
    ],
)
def test_a_style_that_can_not_be_drawn(tmp_path, wrong, text):
    frames = folder_of(tmp_path / "in", walk(2))
    with pytest.raises(UsageError, match=text):
        convert_video(frames, tmp_path / "new", style="ink", **wrong)
    assert not (tmp_path / "new").exists()
