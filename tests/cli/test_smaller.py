"""Cutting a compact generator to a lower resolution from the command line."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from toonify.checkpoints import load_generator, save_generator
from toonify.cli.main import app
from toonify.models.generators.mobile import MobileGenerator


@pytest.fixture
def large(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "large.safetensors"
    generator = MobileGenerator(resolution=64, channels=(16,) * 4, w_dim=16, mapping_layers=2)
    save_generator(generator, path)
    return path


def test_smaller(large: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.safetensors"
    command = ["models", "convert", str(large), "--resolution", "32", "-o", str(small)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    source, cut = load_generator(large), load_generator(small)
    assert (cut.resolution, cut.num_ws) == (32, 8)
    z = torch.randn(2, 16)
    torch.testing.assert_close(cut.mapping(z), source.mapping(z))


@pytest.mark.parametrize("resolution", ["64", "48"])
def test_impossible(large: Path, tmp_path: Path, resolution: str) -> None:
    small = tmp_path / "small.safetensors"
    command = ["models", "convert", str(large), "--resolution", resolution, "-o", str(small)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert not small.exists()


def test_networks_are_exported(run, bundle, tmp_path):
    out = tmp_path / "out"
    command = ["export", "-o", out, "--bundle", bundle, "--format", "torchscript"]
    result = run(*command, "--character", "mina", "--no-networks", "--json")
    assert result.status == 0, result.err
    (record,) = result.records
    assert record["name"] == "mina" and record["largest_difference"] < 1e-4
    assert sorted(path.name for path in out.iterdir()) == ["export.json", "mina.pt"]
    for idle in (["--no-networks"], ["--level", "2"]):
        refused = run(*command, *idle)
        assert refused.status == 2 and refused.err.count("\n") == 1
