"""The ablation script on tiny networks, without any measuring weights."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from examples.ablation import __main__ as script
from examples.ablation import pages
from tests.tiny_bundle import write_bundle
from toonify.checkpoints import load_generator
from toonify.training.characters.build import StoredInversion, save_inversion

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A project of its own, with an empty page to fill."""
    path = tmp_path / "root/docs/evaluation.md"
    path.parent.mkdir(parents=True)
    path.write_text("before\n<!-- ablation -->\nold\n<!-- end -->\nafter\n<!-- editions -->\n")
    for module in (pages, script):
        monkeypatch.setattr(module, "ROOT", tmp_path / "root")
    return path


def test_every_variant_is_drawn_and_reported(tmp_path, monkeypatch, page):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    bundle = write_bundle(tmp_path / "tiny")
    generator = load_generator(bundle / "generator.safetensors")
    stored = StoredInversion(
        latents=torch.randn(6, generator.num_ws, generator.w_dim),
        losses=torch.zeros(6),
        drawings=torch.zeros(6, 3, 8, 8, dtype=torch.uint8),
        reconstructions=torch.zeros(6, 3, 8, 8, dtype=torch.uint8),
        names=[str(i) for i in range(6)],
        fingerprint="",
    )
    save_inversion(stored, tmp_path / "table.inversions/mina.safetensors")
    out = tmp_path / "out"
    arguments = ["x", str(ASTRONAUT), "-o", str(out), "--bundle", str(bundle), "--docs"]
    arguments += ["--inversions", str(tmp_path / "table.inversions"), "--characters", "mina,otto"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--pictures", str(ASTRONAUT)])
    script.main()
    report = json.loads((out / "ablation.json").read_text())
    names = ["layer swap", "R alone", "SM alone", "SM + R", "m = 4", "m = 8", "k = 1", "k = 5"]
    assert list(report["variants"]) == names
    assert list(report["variants"]["k = 5"]["characters"]) == ["mina"], "otto has no projections"
    assert report["photos"] == 1 and report["projections"] == {"mina": 6}
    assert Image.open(out / "mina.png").width == 9 * 260 + 4
    assert (
        Image.open(page.parent / "images/ablation.jpg").size
        == Image.open(out / "ablation.jpg").size
    )
    text = page.read_text()
    assert text.startswith("before\n<!-- ablation -->\n\n1 photos, mina and otto:")
    assert "| SM + R |" in text and "old" not in text and "after" in text


def test_figures_table():
    rows = {
        "a": {"lpips": 0.12345, "correlation": {"smile": 0.5}, "kid": 0.25},
        "b": {"lpips": 0.2, "correlation": {"smile": None}},
    }
    assert pages.figures_table(rows, "variant", "-VGG").splitlines() == [
        "| variant | LPIPS | smile | KID-VGG |",
        "|---|---:|---:|---:|",
        "| a | 0.123 | 0.50 | 0.250 |",
        "| b | 0.200 | – | – |",
    ]


def test_pictures_of_the_documentation_stay_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    grid = pages.labeled_grid(["photo", "x"], [[noise[:600], None]], tile=400)
    assert grid.shape == (22 + 403, 2 * 403 + 3, 3) and (grid[30:, 420:] == 255).all()
    pages.write_small(tmp_path / "a.jpg", noise)
    assert (tmp_path / "a.jpg").stat().st_size < pages.LARGEST


def test_a_page_without_the_section(page):
    with pytest.raises(SystemExit, match="editions"):
        pages.update_page("editions", "text")
