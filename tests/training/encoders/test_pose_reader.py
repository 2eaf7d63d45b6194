"""The pose reader: what it reads on held-out latents, its file, its refusals."""

from pathlib import Path

import pytest
import torch

from toonify.errors import InputError, ModelError
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.encoders.pose_reader import PoseReader, fit_pose_reader


@pytest.fixture(scope="module")
def generator() -> MobileGenerator:
    torch.manual_seed(0)
    network = MobileGenerator(resolution=32, channels=[16, 16, 16], w_dim=16)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def samples() -> tuple[torch.Tensor, torch.Tensor]:
    latents = torch.randn(400, 16, generator=torch.Generator().manual_seed(1))
    readable = 3 + 2 * latents[:, :1] - latents[:, 1:2]
    noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(2))
    return latents, torch.cat((readable, noise), dim=1)


def test_it_reads_what_the_latent_decides_and_no_noise(
    generator: MobileGenerator, samples: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    latents, values = samples
    reader, share = fit_pose_reader(generator, latents, values, ["yaw", "noise"], steps=80)
    assert share["yaw"] > 0.9 and share["noise"] < 0.3
    w_plus = latents[-40:, None].expand(-1, generator.num_ws, -1)
    read = reader.read(generator, w_plus)
    assert torch.corrcoef(torch.stack((read[:, 0], values[-40:, 0])))[0, 1] > 0.95
    assert (read[:, 0].mean() - values[-40:, 0].mean()).abs() < 0.5, "in the units of the values"
    reader.save(tmp_path / "reader.pt")
    again = PoseReader.load(tmp_path / "reader.pt")
    assert again.names == ("yaw", "noise") and not again.training
    assert torch.equal(again.read(generator, w_plus), read)


def test_refusals(
    generator: MobileGenerator, samples: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    latents, values = samples
    with pytest.raises(InputError, match="too few"):
        fit_pose_reader(generator, latents[:20], values[:20], ["a", "b"])
    values = values.clone()
    values[3, 0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        fit_pose_reader(generator, latents, values, ["a", "b"])
    with pytest.raises(ModelError, match="no pose reader"):
        PoseReader.load(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match="no pose reader"):
        PoseReader.load(tmp_path / "bad.pt")
