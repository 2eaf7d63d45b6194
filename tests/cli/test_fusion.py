"""FusionNet as a user meets it: trained, put into a bundle, and missing there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.test_fusion_net import published
from tests.tiny_hfgi import W_DIM, tiny_hybrid
from toonify.bundle import FUSION, bundle_folder
from toonify.checkpoints import save_generator
from toonify.checkpoints.fusion import load_fusion_net
from toonify.editing.named import NamedDirection, NamedDirections

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture
def generator(tmp_path):
    save_generator(tiny_hybrid(), tmp_path / "g.safetensors")
    return tmp_path / "g.safetensors"


def named():
    """Directions and a parser of the tiny generator."""
    generator = tiny_hybrid()
    vectors = {"yaw": torch.ones(W_DIM)}
    about = {"yaw": NamedDirection(layers="0-4", region="head", unit="5 degrees")}
    return NamedDirections(generator.w_avg, vectors, about, torch.randn(9, 4))


def test_it_is_trained_and_goes_on(run, tmp_path, generator, monkeypatch):
    monkeypatch.setattr("toonify.training.fusion.job.shipped_directions", named)
    monkeypatch.setattr(NamedDirections, "check", lambda self, generator: None)  # w_avg is 0
    out = tmp_path / "run"
    command = ["train-encoder", "--task", "fusion", "--generator", generator, "-o", out]
    command += ["--batch-size", 2, "--kimg", 0.004, "--snapshot", 0.002, "--device", "cpu"]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    assert result.records[-1]["path"] == str(out / "fusion.safetensors")
    assert {"person", "background", "behind", "layout"} <= set(result.records[0])
    assert load_fusion_net(out / "fusion.safetensors").width == 8
    assert run(*command).status == 2
    longer = [0.006 if item == 0.004 else item for item in command]
    assert run(*longer, "--resume").status == 0


def test_a_generator_that_the_parser_does_not_know_is_refused(run, tmp_path, generator):
    command = ["train-encoder", "--task", "fusion", "--generator", generator, "-o", tmp_path / "r"]
    result = run(*command)
    assert result.status == 2 and "parser doesn't know" in result.err
    assert len(result.err.splitlines()) == 1


def test_the_default_bundle_turns_a_head_before_its_background(run, tmp_path):
    target = tmp_path / "turned.png"
    command = ["edit", ASTRONAUT, "-o", target, "--method", "hfgi", "--direction", "yaw"]
    result = run(*command, "--strength", 3, "--offline")
    assert result.status == 0, result.err
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB")).astype(int)
    change = np.abs(np.asarray(Image.open(target).convert("RGB")) - photo).mean(axis=2)
    assert change[80:180, 180:270].mean() > 5, "the face"
    assert change[:, :60].max() == 0 and change[400:].max() == 0, "flag and suit stay"


def test_a_bundle_without_it_says_so_in_one_line(run, tmp_path):
    shutil.copytree(bundle_folder("default"), tmp_path / "mine")
    manifest = json.loads((tmp_path / "mine/manifest.json").read_text())
    del manifest["files"][FUSION]
    (tmp_path / "mine/manifest.json").write_text(json.dumps(manifest))
    command = ["edit", ASTRONAUT, "-o", tmp_path / "e.png", "--method", "hfgi", "--offline"]
    command += ["--encoder", tmp_path / "mine", "--direction", "yaw"]
    result = run(*command)
    assert result.status == 3 and "holds no FusionNet" in result.err
    assert len(result.err.splitlines()) == 1 and not (tmp_path / "e.png").exists()
    assert run(*command, "--no-keep-background").status == 0


def test_published_networks_of_another_generator_are_refused_in_a_line(run, tmp_path):
    nets = published(tmp_path / "ffhq", "all", "face")
    command = ["edit", ASTRONAUT, "-o", tmp_path / "e.png", "--mix", ASTRONAUT, "--offline"]
    command += ["--part", "eyes", "--fusion", nets, "--steps", 0]
    result = run(*command)
    assert result.status == 3 and "trained for another generator" in result.err
    (nets / "eyes.pt").write_bytes((nets / "face.pt").read_bytes())
    result = run(*command)
    assert result.status == 3 and "nothing is fused at 'eyes'" in result.err
    assert len(result.err.splitlines()) == 1 and not (tmp_path / "e.png").exists()
