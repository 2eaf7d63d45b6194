"""Each recipe of examples/recipes does what it says."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_bundle import write_bundle

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
FACES = sorted((RECIPES.parent / "faces").glob("*.jpg"))
posix = pytest.mark.skipif(os.name != "posix", reason="a shell script")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Of a small bundle."""
    folder = write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    return ["--character", "mina", "--bundle", str(folder)]


@pytest.fixture(scope="module")
def quick():
    """Options that start without torch, for scripts of many runs."""
    return ["--style", "ink"]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "my photos"
    folder.mkdir()
    for number, face in enumerate(FACES[:2]):
        Image.open(face).resize((160, 160)).save(folder / f"no {number}.jpg")
    return folder


def start(command, tmp_path, **variables):
    root = str(RECIPES.parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": root,
        "TOONIFY": f"{sys.executable} -m toonify",
        "TOONIFY_OFFLINE": "1",
        **variables,
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def drawn(folder, kind="png"):
    return sorted(path.name for path in folder.glob(f"*.{kind}"))


@posix
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_redraws_only_what_changed(quick, tmp_path):
    shutil.copy(RECIPES / "Makefile", tmp_path)
    (tmp_path / "photos").mkdir()
    for number, face in enumerate(FACES[:2]):
        Image.open(face).resize((160, 160)).save(tmp_path / "photos" / f"{number}.jpg")
    command = ["make", f"OPTIONS={' '.join(quick)}"]
    first = start(command, tmp_path)
    assert first.returncode == 0, first.stderr
    assert drawn(tmp_path / "toons") == ["0.jpg.png", "1.jpg.png"]
    assert start([*command, "-q"], tmp_path).returncode == 0, "nothing is left to do"
    later = time.time() + 5
    os.utime(tmp_path / "photos" / "1.jpg", (later, later))
    planned = start([*command, "-n"], tmp_path).stdout
    assert "photos/1.jpg" in planned and "photos/0.jpg" not in planned
    (tmp_path / "photos" / "0.jpg").unlink()
    assert start([*command, "prune"], tmp_path).returncode == 0
    assert drawn(tmp_path / "toons") == ["1.jpg.png"]


@posix
def test_the_loop(quick, photos, tmp_path):
    (photos / "letter.jpg").write_text("Dear Sir or Madam")
    result = start([RECIPES / "loop.sh", photos, tmp_path / "toons", *quick], tmp_path)
    assert result.returncode == 1 and "1 failed" in result.stderr
    assert result.stdout == "no 0.jpg is drawn\nno 1.jpg is drawn\n"
    assert drawn(tmp_path / "toons") == ["no 0.png", "no 1.png"]


@posix
@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
def test_the_nightly_run(quick, photos, tmp_path):
    import fcntl

    outbox = tmp_path / "outbox"
    command = [RECIPES / "nightly.sh", photos, outbox, *quick]
    first = start(command, tmp_path)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert drawn(outbox, "jpg") == ["no 0.jpg", "no 1.jpg"], "of the photographs' own format"
    (manifest,) = outbox.glob("manifest-*.jsonl")
    assert all(json.loads(line)["status"] == "ok" for line in manifest.read_text().splitlines())
    with open(outbox / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = start(command, tmp_path)
    assert second.returncode == 75 and "still going" in second.stderr


def test_the_batch(options, photos, tmp_path):
    Image.new("RGB", (64, 64)).save(photos / "wall.png")
    (photos / "notes.txt").write_text("not a photo")
    command = [sys.executable, RECIPES / "batch.py", photos, tmp_path / "toons", *options]
    result = start(command, tmp_path)
    assert result.returncode == 1, result.stderr
    assert drawn(tmp_path / "toons") == ["no 0.png", "no 1.png"]
    with open(tmp_path / "toons" / "report.csv", newline="") as file:
        rows = dict(csv.reader(file))
    assert rows["no 0.jpg"] == "drawn" and "no face" in rows["wall.png"]
    assert "notes.txt" not in rows


@posix
def test_the_workflow(quick, photos, tmp_path):
    """Its steps as its runner would run them, in a repository of its own."""
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((RECIPES / "github-actions.yml").read_text())
    steps = {step.get("name"): step for step in workflow["jobs"]["draw"]["steps"]}
    photos.rename(tmp_path / "photos")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "toonify").write_text(f'#!/bin/sh\nexec {sys.executable} -m toonify "$@"\n')
    (bin_folder / "toonify").chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": path, "OPTIONS": " ".join(quick)}
    result = start(["sh", "-ec", steps["draw"]["run"]], tmp_path, **variables)
    assert result.returncode == 0, result.stderr
    assert drawn(tmp_path / "toons", "jpg") == ["no 0.jpg", "no 1.jpg"]
    if shutil.which("git") is None:
        return
    remote = tmp_path / "remote.git"
    start(["git", "init", "-q", "--bare", remote], tmp_path)
    start(["git", "init", "-q"], tmp_path)
    start(["git", "remote", "add", "origin", remote], tmp_path)
    script = steps["commit"]["run"].replace("git push", "git push -q origin HEAD:main")
    result = start(["sh", "-ec", script], tmp_path)
    assert result.returncode == 0, result.stderr
    names = start(["git", f"--git-dir={remote}", "ls-tree", "-r", "--name-only", "main"], tmp_path)
    assert "toons/no 0.jpg" in names.stdout
    assert start(["sh", "-ec", script], tmp_path).returncode == 0, "nothing new: no commit"
