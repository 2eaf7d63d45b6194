"""Latents of generated faces as what an encoder learns first."""

from __future__ import annotations

import pytest
import torch

from tests.tiny_styleganex import tiny_stylegan2
from tests.training.styleganex.tiny_frames import TINY
from tests.training.tiny_training import PixelDistance
from toonify.errors import UsageError
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.latents import w_deviation
from toonify.training.encoders.data import EncoderData, FreshSamples
from toonify.training.styleganex import sources
from toonify.training.styleganex.batch import FrameConfig
from toonify.training.styleganex.latent_supervision import feature_loss, latent_loss
from toonify.training.styleganex.sources import FaceFrames
from toonify.training.styleganex.step import FrameTrainer
from toonify.training.styleganex.tasks import SIZES, TASKS, FrameWeights, new_frame_encoder
from toonify.training.styleganex.warps import random_warp, warped

WEIGHTS = FrameWeights(l2=1.0, lpips=0.0, identity=0.0, adversarial=0.0, latent=0.5)


def test_latents_are_compared_in_deviations_and_only_where_they_are_known():
    w_plus, latents = torch.zeros(3, 4, 2), torch.zeros(2, 4, 2)
    w_plus[0] = 100.0  # a photograph's
    assert float(latent_loss(w_plus, latents, torch.ones(2))) == 0
    w_plus[2, :, 0] = 2.0
    deviation = torch.tensor([4.0, 1.0])
    assert float(latent_loss(w_plus, latents, deviation)) == pytest.approx(0.25 / 4)
    generator = tiny_stylegan2()
    w = generator.mapping(torch.randn(4000, generator.z_dim))
    torch.testing.assert_close(w_deviation(generator, samples=2000), w.std(0), rtol=0.1, atol=0.01)


def test_a_moved_face_has_the_moved_constant():
    first = StyleGANEXGenerator(tiny_stylegan2()).first_feature().detach()
    theta = random_warp(3, torch.Generator().manual_seed(0), tilt=20, zoom=0.2, shift=0.2)
    moved = warped(first.expand(3, -1, -1, -1), theta)
    assert float(feature_loss(moved, first, theta)) < 1e-10
    still = first.expand(3, -1, -1, -1)
    assert float(feature_loss(still, first, theta)) > 0.1
    mean = first.mean().expand_as(still)
    still_face = torch.eye(3)[:2].expand(3, -1, -1)
    assert float(feature_loss(mean, first, still_face)) == pytest.approx(1, rel=1e-3)


def trainer(monkeypatch: pytest.MonkeyPatch, **options: float) -> FrameTrainer:
    monkeypatch.setattr(sources, "SIZE", 64)
    monkeypatch.setitem(SIZES, "12", TINY)
    generator = tiny_stylegan2()
    with torch.no_grad():
        generator.w_avg.copy_(generator.mapping(torch.randn(64, 16)).mean(0))
    data = EncoderData(pairs=FreshSamples(generator, held_out=4, bfloat16=False), size=64)
    settings = {"steps": 40, "batch_size": 4, "lr": 1e-2, "bfloat16": False} | options
    return FrameTrainer(
        FrameConfig(weights=WEIGHTS, **settings),  # type: ignore[arg-type]
        TASKS["inversion"],
        new_frame_encoder(TASKS["inversion"], generator),
        generator,
        FaceFrames(data),
        perceptual=PixelDistance(),  # type: ignore[arg-type]
    )


def test_an_encoder_learns_latents_first_and_then_pictures(monkeypatch):
    learning = trainer(monkeypatch, supervised_share=0.75)
    assert learning.source.has_latents
    rows = [{k: float(v) for k, v in learning.step().items()} for _ in range(40)]
    assert set(rows[0]) == {"latent", "feature", "loss"}
    assert set(rows[30]) == {"l2", "latent", "loss"}
    assert sum(r["feature"] for r in rows[25:30]) < 0.8 * sum(r["feature"] for r in rows[:5])
    assert sum(r["latent"] for r in rows[25:30]) < sum(r["latent"] for r in rows[:5])


def test_hints_are_of_generated_faces(monkeypatch):
    learning = trainer(monkeypatch, supervised_share=0.5)
    batch = learning.source.draw(2, torch.Generator().manual_seed(0))
    assert batch.latents is not None and len(batch.latents) == 2
    object.__setattr__(batch, "latents", None)
    monkeypatch.setattr(learning.source, "draw", lambda *_: batch)
    with pytest.raises(UsageError, match="generated faces"):
        learning.step()
    with pytest.raises(UsageError, match="weight 0"):
        FrameConfig(weights=FrameWeights(latent=0.0), supervised_share=0.5)
