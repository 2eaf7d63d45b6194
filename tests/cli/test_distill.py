"""`toonify distill` as a user meets it, with tiny networks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cli.test_training import PlainLoss
from tests.tiny_bundle import tiny_generator
from tests.training.tiny_training import smooth_teacher
from toonify.checkpoints import load_generator, save_generator
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.distillation import feature_distillation, least_squares_init

SMALL = ["--layout", "stylegan2", "--resolution", 64, "--channel-base", 512]
SMALL += ["--channel-max", 16, "--batch-size", 2]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No network compares pictures, and layers begin from fits to few of them."""
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    monkeypatch.setattr(least_squares_init, "SAMPLES", {4: 64, 8: 64, 16: 64, 32: 64})
    for module in (least_squares_init, feature_distillation):
        monkeypatch.setattr(module, "PICTURES", 32)
    monkeypatch.setattr(feature_distillation, "_MEASURED", 64)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    torch.manual_seed(0)
    widths = {"channels": (16, 16, 16, 16), "w_dim": 16, "mapping_layers": 2}
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_generator(MobileGenerator(resolution=64, **widths), path)
    return path


def test_a_student_is_taught_and_taught_further(run, teacher, tmp_path):
    out = tmp_path / "run"
    command = ["distill", teacher, "-o", out, *SMALL, "--steps", 4, "--snapshot", 2]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    rows, last = result.records[:-1], result.records[-1]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"pixels", "edges", "lpips", "partial", "kimg"} <= set(rows[0])
    assert "loss_d" not in rows[0] and "loss_d" in rows[-1], "sharpened towards the end"
    # the first step is a coarse one, of 32 faces
    assert [round(row["kimg"] * 1000) for row in rows] == [32, 34, 36, 38]
    assert last == {
        "path": str(out / "generator.safetensors"), "report": str(out / "report.html")
    }  # fmt: skip
    student, master = load_generator(last["path"]), load_generator(teacher)
    assert student.config()["architecture"] == "stylegan2"
    assert student.channels == {4: 16, 8: 16, 16: 16, 32: 16, 64: 8}
    z = torch.randn(4, 16)
    torch.testing.assert_close(student.mapping(z), master.mapping(z), atol=1e-5, rtol=1e-4)
    page = (out / "report.html").read_text()
    assert "distill: run" in page and len(list(out.glob("preview-*.jpg"))) == 2

    again = run(*command)
    assert again.status == 2 and "already holds a run" in again.err and "--resume" in again.err
    assert run(*command, "--resume").status == 0
    further = ["distill", teacher, "-o", tmp_path / "b", "--start", last["path"], "--steps", 1]
    further += ["--layout", "stylegan2"]
    result = run(*further, "--batch-size", 2, "--json")
    assert result.status == 0, result.err
    assert round(result.records[0]["kimg"] * 1000) == 2, "no coarse part again"
    moved = load_generator(tmp_path / "b/generator.safetensors")
    assert not torch.equal(moved.blocks[3].conv.weight, student.blocks[3].conv.weight)


def test_pairs_are_sampled_once_and_used_again(run, teacher, tmp_path):
    faces = tmp_path / "faces"
    shared = ["--pairs", faces, "--pair-count", 100, *SMALL, "--steps", 1, "--coarse", 0]
    assert run("distill", teacher, "-o", tmp_path / "a", *shared).status == 0
    images = np.load(faces / "images.npy")
    assert images.shape == (100, 64, 64, 3)
    before = (faces / "images.npy").stat().st_mtime_ns
    assert run("distill", teacher, "-o", tmp_path / "b", *shared).status == 0
    assert (faces / "images.npy").stat().st_mtime_ns == before
    states = [torch.load(tmp_path / f"{n}/snapshot.pt", weights_only=True) for n in "ab"]
    for name, value in states[0]["student"].items():
        assert torch.equal(value, states[1]["student"][name]), name
    np.save(faces / "images.npy", images[:, ::2, ::2])
    small = run("distill", teacher, "-o", tmp_path / "c", *shared)
    assert small.status == 2 and "the pairs are 32x32" in small.err


def test_a_bundles_generators_are_meant_by_its_name(run, whole_bundle, tmp_path):
    """Its inversion generator goes on from where it is."""
    teacher = tmp_path / "teacher.safetensors"
    save_generator(load_generator(whole_bundle / "inversion_generator.safetensors"), teacher)
    shared = ["--start", whole_bundle, "--steps", 1, "--batch-size", 2, "-o", tmp_path / "run"]
    shared += ["--layout", "stylegan2"]
    result = run("distill", teacher, *shared)
    assert result.status == 0, result.err
    found = load_generator(tmp_path / "run/generator.safetensors")
    assert torch.equal(found.mapper[0].weight, load_generator(teacher).mapper[0].weight)


def test_the_teachers_later_layers_are_kept(run, tmp_path):
    master, path = smooth_teacher(128, [16, 16, 16, 16, 8]), tmp_path / "teacher.safetensors"
    save_generator(master, path)
    command = ["distill", path, "-o", tmp_path / "run", "--width", 16, "--steps", 4]
    command += ["--batch-size", 2, "--snapshot", 2]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    rows, last = result.records[:-1], result.records[-1]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert "missed32" not in rows[1] and "missed32" in rows[2], "coarse layers first"
    student = load_generator(last["path"])
    assert student.config()["architecture"] == "hybrid" and student.channels[32] == 16
    assert torch.equal(student.deep[0].conv1.pointwise, master.blocks[3].conv1.pointwise)
    assert "distill: run" in (tmp_path / "run/report.html").read_text()
    assert run(*command, "--resume").status == 0
    further = ["distill", path, "-o", tmp_path / "b", "--start", last["path"], "--steps", 1]
    result = run(*further, "--batch-size", 2, "--json")
    assert result.status == 0, result.err
    assert "missed32" in result.records[0], "no coarse part again"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--resolution", 128], 2, "a teacher of 64x64 can't teach 128"),
        (["--resolution", 100], 2, "no power of two"),
        (["--resolution", 1024, "--channel-base", 512], 2, "leaves no channel"),
        (["--start", "TEACHER"], 2, "MobileGenerator is not of StyleGAN2's layout"),
        (["--start", "gone.pt"], 3, "no checkpoint"),
        (["--start", "BUNDLE"], 3, "names no inversion_generator"),
        (["--coarse", 1.5], 2, "--coarse"),
        (["--width", 64], 2, "--width is of --layout hybrid"),
        (["--layout", "hybrid"], 2, "--resolution is of --layout stylegan2"),
        (["--pairs", "BUNDLE"], 1, "no readable pairs"),
        (["--pairs", "TEACHER"], 1, "can't keep pairs"),
        (["--lr", 0], 2, "--lr"),
        (["--pair-count", 5], 2, "--pair-count"),
    ],
)
def test_bad_input(run, teacher, bundle, tmp_path, monkeypatch, options, status, message):
    monkeypatch.chdir(tmp_path)
    names = {"TEACHER": teacher, "BUNDLE": bundle}
    filled = [names.get(item, item) for item in options]
    result = run("distill", teacher, "-o", "run", "--steps", 1, *SMALL, *filled)
    assert result.status == status and message in result.err, result.err
    assert result.err.count("\n") == 1
    assert not list(Path("run").glob("*"))


def test_teachers_that_are_none(run, tmp_path):
    small = tmp_path / "small.safetensors"
    save_generator(tiny_generator(), small)
    result = run("distill", small, "-o", tmp_path / "run", *SMALL)
    assert result.status == 2 and "32x32 can't teach 64" in result.err
    gone = run("distill", "gone.pt", "-o", tmp_path / "run", *SMALL)
    assert gone.status == 3 and gone.err.count("\n") == 1
    (tmp_path / "file").write_text("in the way")
    held = run("distill", small, "-o", tmp_path / "file")
    assert held.status in (1, 2) and held.err.count("\n") == 1
    low = run("distill", small, "-o", tmp_path / "low")
    assert low.status == 2 and "128x128 or more" in low.err and low.err.count("\n") == 1
