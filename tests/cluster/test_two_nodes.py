"""Two machines, that is two of Ray's nodes on the loopback interface, one of them killed mid-run.

Needs Ray (the extra `cluster`); run with -m slow.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clips import ffmpeg, sound
from tests.tiny_bundle import write_bundle
from toonify.media.video import Span, open_clip, open_reader

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FACES = sorted((ROOT / "examples" / "faces").glob("*.jpg"))
LONGEST = 300.0  # seconds


@pytest.fixture
def cluster(monkeypatch):
    """The head without cores, and two nodes of one core: a worker each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else on a busy machine they starve
    from ray.cluster_utils import Cluster

    memory = 100 << 20
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "object_store_memory": memory,
            "include_dashboard": False,
            "node_ip_address": "127.0.0.1",
        },
    )
    cluster.both = [
        cluster.add_node(num_cpus=1, object_store_memory=memory, node_ip_address="127.0.0.1")
        for _ in range(2)
    ]
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def command(*arguments):
    return [sys.executable, "-m", "toonify", *map(str, arguments), "--json", "--quiet"]


def alone(*arguments):
    """On one machine; gives the records."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def with_a_loss(cluster, when, *arguments):
    """On the cluster, of which a node is killed as soon as `when()`; gives the records."""
    process = subprocess.Popen(
        command(*arguments, "--cluster", cluster.address, "--workers", 2),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + LONGEST
    while not when():
        assert process.poll() is None, f"it ended before a node was killed: {process.stderr.read()}"
        assert time.monotonic() < end
        time.sleep(0.02)
    assert process.poll() is None
    cluster.remove_node(cluster.both.pop(), allow_graceful=False)
    out, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}


def timeless(records):
    return [{**record, "seconds": None} for record in records]


def test_photos(cluster, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(48):
        face = Image.open(FACES[number % len(FACES)]).resize((256, 256))
        face.save(f"in/{number:02}.png")
    options = ("in", "--bundle", bundle, "--character", "mina")
    manifests = []
    for folder, manifest in (("alone", "alone.jsonl"), ("out", "out.jsonl")):
        arguments = ("stylize", *options, "-o", "toons", "--manifest", manifest)
        if folder == "alone":
            alone(*arguments)
        else:
            with_a_loss(cluster, lambda: len(list(Path("toons").glob("*.png"))) > 4, *arguments)
        shutil.move("toons", folder)
        lines = Path(manifest).read_text().splitlines()
        manifests.append(timeless(json.loads(line) for line in lines))
    assert manifests[1] == manifests[0] and len(manifests[0]) == 48, "each once, in order"
    assert {record["status"] for record in manifests[1]} == {"ok"}
    assert files(Path("out")) == files(Path("alone"))


def test_clips(cluster, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number, face in enumerate(FACES[:3]):
        moving = f"[0]scale=144:144,crop=128:128:x=n/6:y={4 * number}"
        still = ("-loop", 1, "-framerate", 20, "-t", 3.5, "-i", face, *sound(seconds=3.5))
        ffmpeg(*still, "-filter_complex", moving, "-pix_fmt", "yuv420p", f"in/{number}.mp4")
    options = ("in", "--bundle", bundle, "--character", "mina", "-o", "toons")
    local = alone("video", *options)
    shutil.move("toons", "alone")

    def both_have_a_segment():
        return len(list(Path("toons").glob("*.parts/000000.json"))) == 2

    records = with_a_loss(cluster, both_have_a_segment, "video", *options)
    shutil.move("toons", "out")
    assert files(Path("out")) == files(Path("alone")), "and no unfinished work"
    resumed = [record.pop("resumed") for record in records]
    assert sorted(resumed)[-1] >= 48, "a lost worker's finished segments are not drawn again"
    for record in local + records:
        for name in ("seconds", "fps", "resumed"):
            record.pop(name, None)
    assert records == local and len(records) == 3, "each once, in order"
    again = alone("video", *options[:-1], "out")
    assert [record["status"] for record in again] == ["skipped"] * 3, "as on one machine"


def test_one_long_clip(cluster, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moving = "[0]scale=144:144,crop=128:128:x=n/40:y=4"
    still = ("-loop", 1, "-framerate", 20, "-t", 20, "-i", FACES[0], *sound(seconds=20))
    ffmpeg(*still, "-filter_complex", moving, "-pix_fmt", "yuv420p", "in.mp4")
    options = ("in.mp4", "--bundle", bundle, "--character", "mina")
    (local,) = alone("video", *options, "-o", "alone.mp4")

    def both_parts_are_begun():
        return all(Path(f"toon.mp4.parts/00000{number}.json").exists() for number in (0, 5))

    (record,) = with_a_loss(cluster, both_parts_are_begun, "video", *options, "-o", "toon.mp4")
    assert record["frames"] == local["frames"] == 400, "each once"
    assert record["frames_with_faces"] == local["frames_with_faces"]
    assert [person["character"] for person in record["people"]] == ["mina"]
    assert not Path("toon.mp4.parts").exists()
    shown = [read_frames(name) for name in ("alone.mp4", "toon.mp4")]
    assert np.abs(shown[0][:240] - shown[1][:240]).max() == 0, "the first part is the same"
    assert np.abs(shown[0] - shown[1]).mean() < 2


def read_frames(path):
    """(N, H, W, 3) of a clip."""
    clip = open_clip(Path(path))
    return np.stack([frame.rgb for frame in open_reader(Path(path), clip, Span())]).astype(int)
