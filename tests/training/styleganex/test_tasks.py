"""The encoder of every task: what it reads and fuses, and that it begins with the mean of w."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny_styleganex import tiny_stylegan2
from tests.training.styleganex.tiny_frames import TINY
from toonify.checkpoints import load_encoder, save_encoder
from toonify.errors import UsageError
from toonify.inversion.translation import LABELS
from toonify.models.generators.stylegan2 import StyleGAN2Generator, channel_table
from toonify.training.styleganex.tasks import SIZES, TASKS, new_frame_encoder

# labels, fusions of a 64×64 generator, direction
KINDS = {
    "inversion": (0, 0, False),
    "super-resolution": (0, 4, False),
    "sketch": (1, 1, False),
    "mask": (19, 3, False),
    "video-edit": (0, 4, True),
    "video-toonify": (0, 4, False),
}


@pytest.fixture
def generator() -> StyleGAN2Generator:
    network = tiny_stylegan2()
    network.w_avg.normal_()
    return network.requires_grad_(False)


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "12", TINY)


def drawing(labels: int, size: int = 64) -> torch.Tensor:
    return torch.rand(2, labels or 3, size, size)


def test_there_is_an_encoder_for_every_task() -> None:
    assert set(TASKS) == set(KINDS)
    assert all(task.name == name for name, task in TASKS.items())
    assert TASKS["mask"].labels == len(LABELS)


@pytest.mark.parametrize("name", TASKS)
@torch.no_grad()
def test_a_fresh_encoder_gives_the_mean_of_w(
    name: str, generator: StyleGAN2Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    labels, fusions, direction = KINDS[name]
    encoder = new_frame_encoder(TASKS[name], generator).eval()
    mean = generator.w_avg.expand(2, 10, -1)
    for size in (64, 96):
        torch.testing.assert_close(encoder.encode(drawing(labels, size)), mean)
    torch.testing.assert_close(encoder.encode(drawing(0)), mean)
    config = encoder.config()
    assert config["label_channels"] == labels
    assert len(config["fusion_channels"]) == fusions
    assert encoder.has_direction == direction and bool(config["attention"]) == direction
    features = encoder.frame_features(drawing(labels, 96))
    assert features.feature.shape == (2, 8, 12, 12) and len(features.skips) == fusions


@pytest.mark.parametrize("name", ["super-resolution", "mask", "video-edit", "video-toonify"])
@torch.no_grad()
def test_a_fresh_encoder_fuses_almost_nothing(
    name: str, generator: StyleGAN2Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    labels, _, direction = KINDS[name]
    encoder = new_frame_encoder(TASKS[name], generator).eval()
    features = encoder.frame_features(drawing(labels))
    fuse = encoder.fuser(features, torch.randn(2, 10, 16) if direction else None)
    assert fuse is not None
    for index in range(4):
        side = features.skips[min(index, len(features.skips) - 1)].shape[-1]
        x, image = torch.randn(2, 8, side, side), torch.randn(2, 3, side, side)
        fused, fused_image = fuse(index, x, image)
        if index >= KINDS[name][1]:
            assert fused is x and fused_image is image, "nothing is fused there"
        for before, after in ((x, fused), (image, fused_image)):
            pair = torch.stack([before.flatten(), after.flatten()])
            assert torch.corrcoef(pair)[0, 1] > 0.98


def test_the_seed_decides_and_nobody_elses_numbers_are_used(
    generator: StyleGAN2Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    state = torch.get_rng_state()
    first = new_frame_encoder(TASKS["sketch"], generator, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    again = new_frame_encoder(TASKS["sketch"], generator, seed=2)
    other = new_frame_encoder(TASKS["sketch"], generator, seed=3)
    weights = [next(iter(e.parameters())) for e in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@torch.no_grad()
def test_without_heads_there_is_no_last_stage(
    generator: StyleGAN2Generator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small(monkeypatch)
    whole, headless = (
        new_frame_encoder(TASKS["video-toonify"], generator, heads=heads).eval()
        for heads in (True, False)
    )
    counts = [sum(p.numel() for p in e.parameters()) for e in (whole, headless)]
    assert counts[1] < 0.8 * counts[0]
    frame = drawing(0, 80)
    torch.testing.assert_close(headless.encode(frame), generator.w_avg.expand(2, 10, -1))
    w_plus, features = headless.read(frame)
    torch.testing.assert_close(w_plus, generator.w_avg.expand(2, 10, -1))
    assert features.feature.shape == (2, 8, 10, 10)
    save_encoder(headless, tmp_path / "e.safetensors")
    loaded = load_encoder(tmp_path / "e.safetensors").eval()
    assert torch.equal(loaded.frame_features(frame).feature, features.feature)


@pytest.mark.parametrize("size", ["12", "24", "50"])
@torch.no_grad()
def test_sizes(size: str) -> None:
    """On the meta device: the published one is large."""
    with torch.device("meta"):
        channels = channel_table(256, channel_base=8192, channel_max=256)
        generator = StyleGAN2Generator(resolution=256, channels=channels)
        encoder = new_frame_encoder(TASKS["super-resolution"], generator, size=size)
    millions = sum(p.numel() for p in encoder.parameters()) / 1e6
    low, high = {"12": (2, 15), "24": (15, 50), "50": (100, 400)}[size]
    assert low < millions < high, millions
    assert len(encoder.config()["fusion_channels"]) == 6, "one less than it has blocks"


def test_generators_that_are_too_small() -> None:
    channels = {4: 8, 8: 8, 16: 8, 32: 8}
    generator = StyleGAN2Generator(resolution=32, channels=channels, w_dim=16, z_dim=16)
    with pytest.raises(UsageError, match=r"32x32 is too small.*64x64"):
        new_frame_encoder(TASKS["inversion"], generator)
