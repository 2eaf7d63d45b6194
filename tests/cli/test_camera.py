import pytest
from PIL import Image

from tests.clips import ffmpeg
from toonify.web.studio import example_photos


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    Image.fromarray(example_photos()[0]).resize((128, 128)).save(folder / "face.png")
    ffmpeg("-loop", 1, "-i", folder / "face.png", "-t", 0.5, "-r", 10, folder / "clip.mp4")
    return folder / "clip.mp4"


def test_a_file_is_drawn_as_it_runs(run, bundle, clip):
    command = ["live", clip, "--to", "http", "--port", 0, "--character", "otto"]
    result = run(*command, "--bundle", bundle, "--json")
    assert result.status == 0, result.err
    (record,) = result.records
    assert record["frames"] >= 1 and record["fps"] > 0 and record["latency"] > 0
    assert record["people"] == 1 and "the stream is at http://127.0.0.1:" in result.err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["97"], 1, "no camera 97"),
        (["gone.mp4"], 1, "gone.mp4 can't be read"),
        (["97", "--character", "rosa"], 2, "rosa"),
        (["97", "--bundle", "gone"], 3, "no bundle 'gone'"),
        (["97", "--style", "ink", "--character", "mina"], 2, "a style or as characters"),
        (["97", "--smooth", "1"], 2, "--smooth"),
    ],
)
def test_what_is_not_drawn(run, bundle, options, status, message):
    rest = [] if "--bundle" in options else ["--bundle", bundle]
    result = run("live", *options, "--to", "http", "--port", 0, *rest)
    assert result.status == status and message in result.err, result.err
