from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clips import ffmpeg, frame_hashes, picture, sound, times
from toonify.cli.video_options import seconds
from toonify.errors import UsageError

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A face that moves to the right for half a second, with a tone."""
    folder = tmp_path_factory.mktemp("clip")
    photo = Image.open(PHOTO).convert("RGB").resize((256, 256))
    for number in range(6):
        moved = photo.transform((256, 256), Image.Transform.AFFINE, (1, 0, -2 * number, 0, 1, 0))
        moved.save(folder / f"{number}.png")
    path = folder / "clip.mp4"
    frames = ["-framerate", 12, "-i", folder / "%d.png", *sound(seconds=0.5)]
    ffmpeg(*frames, "-pix_fmt", "yuv420p", "-c:a", "aac", path)
    return path


def test_clip_is_drawn_with_its_sound(run, bundle, clip, tmp_path):
    output = tmp_path / "toon.mp4"
    arguments = ["-o", output, "--bundle", bundle, "--character", "otto", "--json"]
    outcome = run("video", clip, *arguments)
    assert outcome.status == 0, outcome.err
    (record,) = outcome.records
    assert record["frames"] == record["frames_with_faces"] == 6
    assert record["people"] == [{"person": 1, "character": "otto", "frames": 6}]
    assert record["warping_error"]["before"] > 0 and record["fps"] > 0
    assert times(output) == times(clip)
    assert times(output, "0:a:0") == times(clip, "0:a:0")
    assert frame_hashes(output) != frame_hashes(clip)
    assert '"event": "progress"' in outcome.err
    assert not (tmp_path / "toon.mp4.parts").exists()


def test_preview_is_a_picture(run, bundle, clip, tmp_path):
    outcome = run("video", clip, "-o", tmp_path / "look.png", "--preview", "--bundle", bundle)
    assert outcome.status == 0 and "1, 1, 1 faces" in outcome.out
    assert np.asarray(Image.open(tmp_path / "look.png")).std() > 10


def test_clip_without_a_face_passes_through(run, bundle, tmp_path):
    ffmpeg(*picture("64x48", seconds=0.5), tmp_path / "a.mp4")
    outcome = run("video", tmp_path / "a.mp4", "-o", tmp_path / "b.mp4", "--bundle", bundle)
    assert outcome.status == 0 and "no face found, 6 frames as they were" in outcome.out


def test_what_can_not_be_done_is_one_line(run, bundle, tmp_path):
    (tmp_path / "a.mp4").write_text("no clip\n" * 99)
    ffmpeg(*picture("64x48", seconds=0.25), tmp_path / "b.mp4")
    clip, out = tmp_path / "b.mp4", tmp_path / "c.mp4"
    for arguments, status, message in (
        ((tmp_path / "a.mp4", "-o", out), 1, "not a video"),
        ((tmp_path / "none.mp4", "-o", out), 1, "no such file"),
        ((clip, "-o", tmp_path / "c.avi"), 2, "can't write .avi"),
        ((clip, "-o", clip), 2, "is the input"),
        ((clip, "-o", out, "--character", "rosa"), 2, "rosa"),
        ((clip, "-o", out, "--engine", "styleganex"), 3, "no StyleGANEX model"),
        ((clip, "-o", out, "--start", "1", "--end", "0.5"), 2, "end before"),
        ((clip, "-o", out, "--start", "9"), 1, "ends before --start"),
        ((clip, "-o", out, "--fps", "fast"), 2, "no frame rate"),
        ((clip, "-o", out, "--codec", "h266"), 2, "unknown codec"),
    ):
        outcome = run("video", *arguments, "--bundle", bundle)
        assert outcome.status == status, (arguments, outcome.err)
        assert message in outcome.err and outcome.err.count("\n") == 1, outcome.err
    assert not out.exists()


def test_cut_off_clip_is_drawn_as_far_as_it_goes(run, bundle, tmp_path):
    ffmpeg(*picture("320x240", 24, 1), tmp_path / "a.mkv")
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: len(data) // 2])
    outcome = run("video", tmp_path / "b.mkv", "-o", tmp_path / "c.mkv", "--bundle", bundle)
    assert outcome.status == 1 and "is damaged: what could be read" in outcome.err
    assert 2 < len(times(tmp_path / "c.mkv")) < 20


def test_several_clips_and_folders_of_clips(run, bundle, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.webm", "c.avi"):
        ffmpeg(*picture("64x48", seconds=0.25), folder / name)
    (folder / "bad.mp4").write_text("no clip\n" * 50)
    arguments = ("-o", tmp_path / "out", "--bundle", bundle, "--json")
    outcome = run("video", folder, *arguments)
    assert outcome.status == 1 and "bad.mp4 is not a video" in outcome.err
    assert "1 of 4 clips failed" in outcome.err
    made = sorted(path.name for path in (tmp_path / "out").glob("*.*") if path.name[0] != ".")
    assert made == ["a.mp4", "b.webm", "c.mp4"]
    again = run("video", folder, *arguments)
    assert [record["status"] for record in again.records] == ["skipped"] * 3
    other = run("video", folder / "a.mp4", folder / "b.webm", *arguments, "--max-size", 32)
    assert [record["frames"] for record in other.records] == [3, 3]
    (tmp_path / "out" / "a.mp4").write_bytes(b"somebody else's")
    stays = run("video", folder / "a.mp4", folder / "b.webm", *arguments)
    assert stays.status == 1 and "it stays" in stays.err
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"somebody else's"
    for wrong, message in (
        ((folder, "-o", tmp_path / "all.mp4"), "one file"),
        ((folder, "-o", tmp_path / "p.png", "--preview"), "one clip"),
    ):
        outcome = run("video", *wrong, "--bundle", bundle)
        assert outcome.status == 2 and message in outcome.err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "out of memory while drawing it"),
        (RuntimeError("CUDA out of memory. Tried to"), "out of memory while drawing it"),
        (OSError(28, "No space left on device", "x.nut"), "x.nut: No space left on device"),
        (ZeroDivisionError("division by zero"), "This is a bug in toonify; --debug shows where"),
    ],
)
def test_whatever_befalls_a_clip_the_next_is_drawn(
    run, bundle, clip, tmp_path, monkeypatch, error, message
):
    from toonify.video import convert

    def draw(source, *rest, **options):
        if source.name == "a.mp4":
            raise error
        return convert(source, *rest, **options)

    monkeypatch.setattr("toonify.video.convert", draw)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
    clips = (tmp_path / "a.mp4", tmp_path / "b.mp4")
    command = ("--character", "otto", "--bundle", bundle, "--json", "--quiet")
    result = run("video", *clips, "-o", tmp_path / "out", *command)
    assert result.status == 1 and len(result.records) == 1, result.err
    assert message in result.err and "1 of 2 clips failed" in result.err
    assert (tmp_path / "out" / "b.mp4").is_file()
    alone = run("video", clips[0], "-o", tmp_path / "out.mp4", *command)
    assert alone.status == 1 and message in alone.err and alone.err.count("\n") == 1
    if isinstance(error, ZeroDivisionError):
        debugged = run("--debug", "video", *clips, "-o", tmp_path / "again", *command)
        assert debugged.status == 1 and "Traceback" in debugged.err and "in draw" in debugged.err


def test_times():
    assert seconds("12.5", "--start") == 12.5
    assert seconds("1:02:03.5", "--end") == 3723.5
    for text in ("", "soon", "-1", "1:2:3:4"):
        with pytest.raises(UsageError):
            seconds(text, "--start")
