"""Where frames come from: shapes and ranges, what is held out, what belongs to what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tiny_styleganex import tiny_stylegan2
from tests.training.styleganex.tiny_frames import cutout_set
from toonify.errors import UsageError
from toonify.training.data.photos import PhotoSet
from toonify.training.encoders.data import EncoderData, FreshSamples
from toonify.training.styleganex import sources
from toonify.training.styleganex.batch import FrameBatch, FrameSource
from toonify.training.styleganex.compose import Scene
from toonify.training.styleganex.sources import (
    HELD_OUT,
    ComposedFrames,
    EditFrames,
    FaceDrawings,
    FaceFrames,
    ToonPairs,
    pencil_sketch,
)
from toonify.training.styleganex.warps import unwarped, warped

SIDE = 64


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SIZE", SIDE)


@pytest.fixture
def generator():
    return tiny_stylegan2().requires_grad_(False)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(count: int, size: int = SIDE) -> np.ndarray:
    """Pictures of fine detail."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def photographs(count: int = 30, *, faces: np.ndarray | None = None) -> EncoderData:
    """Each of its own shade."""
    if faces is None:
        shades = np.arange(count, dtype=np.uint8)[:, None, None, None] * 8
        faces = np.broadcast_to(shades, (count, 48, 48, 3))
    return EncoderData(photos=PhotoSet(faces, [f"{i}.png" for i in range(count)], []), held_out=5)


def detail(images: Tensor) -> float:
    return float((images - F.avg_pool2d(images, 3, 1, 1))[..., 8:-8, 8:-8].std())


def same(a: FrameBatch, b: FrameBatch) -> bool:
    pairs = zip(vars(a).values(), vars(b).values(), strict=True)
    return all((x is y is None) or torch.equal(x, y) for x, y in pairs)


def check_repeats(source: FrameSource) -> None:
    """The random numbers decide a batch, and nothing the held-out one."""
    first = source.held_out()
    assert same(source.draw(3, random(1)), source.draw(3, random(1)))
    assert not same(source.draw(3, random(1)), source.draw(3, random(2)))
    torch.manual_seed(8)
    assert same(source.held_out(), first), "always the same"


def test_faces_are_moved_into_frames() -> None:
    source = FaceFrames(photographs(faces=noisy(30)))
    batch = source.draw(40, random())
    assert batch.frames.shape == batch.faces.shape == (40, 3, SIDE, SIDE)
    assert batch.frames.abs().max() <= 1 and batch.targets is batch.frames
    assert torch.equal(batch.frames, warped(batch.faces, batch.theta))
    still = (batch.theta == torch.eye(3)[:2]).flatten(1).all(1)
    assert 0.05 < still.float().mean() < 0.5, "some are aligned, as the faces are"
    back = unwarped(batch.frames, batch.theta, SIDE)
    assert (back - batch.faces)[still].abs().max() < 1e-5
    check_repeats(source)


def test_held_out_faces_are_never_drawn() -> None:
    source = FaceFrames(photographs())
    kept = set(source.held_out().frames[:, 0, 32, 32].tolist())
    assert len(kept) == HELD_OUT
    seen = set(source.draw(200, random()).frames[:, 0, 32, 32].tolist())
    assert len(seen) > 20 and not kept & seen


def test_without_photographs_pairs_are_held_out(generator) -> None:
    pairs = FreshSamples(generator, held_out=6, size=SIDE)
    source = FaceFrames(EncoderData(pairs=pairs))
    assert source.held_out().frames.shape == (HELD_OUT, 3, SIDE, SIDE)
    assert source.draw(2, random()).frames.shape == (2, 3, SIDE, SIDE)


def test_super_resolution_has_fewer_pixels_to_go_on_from() -> None:
    data = photographs(faces=noisy(30))
    source = FaceFrames(data, factors=(16, 64))
    details = []
    for seed in range(6):
        batch = source.draw(4, random(seed))
        assert batch.frames.shape == batch.targets.shape == (4, 3, SIDE, SIDE)
        assert batch.frames.abs().max() <= 1
        assert torch.equal(batch.targets, warped(FaceFrames(data).draw(4, random(seed)).faces,
                                                 batch.theta))  # fmt: skip
        details.append(detail(batch.frames) / detail(batch.targets))
        assert detail(batch.faces) < 0.7 * detail(batch.targets), "w+ is read from few, too"
        means = [F.avg_pool2d(x, 32).mean(1) for x in (batch.frames, batch.targets)]
        assert (means[0] - means[1]).abs().max() < 0.1
    assert max(details) < 0.7 and len(set(details)) == 6, "by different factors"
    gentle = FaceFrames(data, factors=(1, 4)).draw(4, random())
    assert torch.equal(gentle.frames, gentle.targets), "up to 4 the answer is as large"
    check_repeats(source)


@pytest.mark.parametrize("labels", [1, 19])
def test_drawings_move_with_their_faces(labels: int) -> None:
    """The right half of every face is white, and is drawn so."""
    faces = np.zeros((12, SIDE, SIDE, 3), np.uint8)
    faces[:, :, SIDE // 2 :] = 255
    drawings = np.where(faces[..., 0] > 0, 255 if labels == 1 else 18, 0).astype(np.uint8)
    source = FaceDrawings(faces, drawings, labels=labels)
    batch = source.draw(10, random())
    assert batch.frames.shape == (10, labels, SIDE, SIDE)
    assert batch.targets.shape == (10, 3, SIDE, SIDE) and batch.faces is batch.w_plus is None
    assert batch.frames.min() >= 0 and batch.frames.max() <= 1 and batch.targets.abs().max() <= 1
    light, drawn = batch.targets[:, 0] > 0, batch.frames[:, -1] > 0.5
    assert (light == drawn).float().mean() > 0.98
    if labels > 1:
        assert (batch.frames.sum(1) == 1).all() and set(batch.frames.unique().tolist()) == {0, 1}
    check_repeats(source)


@pytest.mark.parametrize("size", [32, 128])
def test_drawings_of_other_sizes(size: int) -> None:
    faces = noisy(9, size)
    labels = np.random.default_rng(1).integers(0, 19, (9, size, size)).astype(np.uint8)
    batch = FaceDrawings(faces, labels, labels=19).draw(3, random())
    assert batch.frames.shape == (3, 19, SIDE, SIDE) and (batch.frames.sum(1) == 1).all()
    sketches = FaceDrawings(faces, labels, labels=1).held_out()
    assert sketches.frames.shape == (HELD_OUT, 1, SIDE, SIDE)
    assert sketches.targets.shape == (HELD_OUT, 3, SIDE, SIDE)


def test_the_first_drawings_are_held_out() -> None:
    shades = np.arange(14, dtype=np.uint8)[:, None, None] * 10
    drawings = np.broadcast_to(shades, (14, SIDE, SIDE))
    source = FaceDrawings(noisy(14), drawings, labels=1)
    kept = (source.held_out().frames[:, 0, 32, 32] * 25.5).round().tolist()
    assert kept == [0, 1, 2, 3]
    drawn = (source.draw(200, random()).frames[:, 0, 32, 32] * 25.5).round().unique().tolist()
    assert drawn == list(range(4, 14))


def test_too_few_drawings_are_refused() -> None:
    faces, drawings = noisy(5), np.zeros((5, SIDE, SIDE), np.uint8)
    FaceDrawings(faces, drawings, labels=1)
    for a, b in ((4, 4), (5, 4)):
        with pytest.raises(UsageError, match=f"{a} faces and {b} drawings"):
            FaceDrawings(faces[:a], drawings[:b], labels=1)


def test_pencil_lines_are_dark_where_the_picture_changes() -> None:
    face = np.full((256, 256, 3), 200, np.uint8)
    assert (pencil_sketch(face) == 255).all()
    face[:, :128] = 60
    lines = pencil_sketch(face)
    assert lines.shape == (256, 256) and lines.dtype == np.uint8
    assert lines[:, 120:128].min() < 60, "at the edge's darker side"
    assert (lines[:, :110] > 240).all() and (lines[:, 150:] == 255).all()


def test_edits_go_along_the_direction(generator) -> None:
    direction = torch.randn(10, 16)
    source = EditFrames(generator, direction, strength=1.5)
    batch = source.draw(20, random())
    assert batch.frames.shape == batch.targets.shape == (20, 3, 64, 64)
    amount = batch.v.flatten(1) @ direction.flatten() / direction.square().sum()
    torch.testing.assert_close(batch.v, amount[:, None, None] * direction)
    assert 1.0 < amount.max() <= 1.5 and -1.5 <= amount.min() < -1.0
    moved = (batch.frames - batch.targets).abs().mean((1, 2, 3))
    correlation = torch.corrcoef(torch.stack([moved, amount.abs()]))[0, 1]
    assert correlation > 0.6, "the further along, the more it changes"
    still = EditFrames(generator, direction, strength=0.0).draw(3, random())
    assert torch.equal(still.frames, still.targets) and not still.v.any()
    torch.testing.assert_close(warped(still.faces, still.theta), still.frames)
    check_repeats(source)


def test_pairs_of_a_cartoon_generator() -> None:
    def sample(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        faces = torch.rand(count, 3, 32, 32, generator=random) * 2 - 1
        return faces, -F.interpolate(faces, size=128)

    source = ToonPairs(sample)
    batch = source.draw(5, random())
    assert batch.frames.shape == batch.faces.shape == (5, 3, SIDE, SIDE)
    assert batch.targets.shape == (5, 3, 128, 128) and batch.w_plus is None
    small = F.avg_pool2d(batch.targets, 2)
    assert torch.corrcoef(torch.stack([small.flatten(), batch.frames.flatten()]))[0, 1] < -0.8
    check_repeats(source)
    w_plus = torch.randn(10, 16)
    batch = ToonPairs(sample, w_plus).draw(3, random())
    assert batch.faces is None and torch.equal(batch.w_plus, w_plus.expand(3, -1, -1))


def test_composed_frames_have_their_characters_latents(tmp_path: Path) -> None:
    cutouts = cutout_set(tmp_path, 12)
    w_plus = torch.stack([torch.zeros(10, 16), torch.ones(10, 16)])
    source = ComposedFrames(cutouts, w_plus, Scene(scale=1))
    batch = source.draw(6, random())
    assert batch.frames.shape == batch.targets.shape == (6, 3, 224, 224)
    assert batch.frames.abs().max() <= 1 and batch.faces is batch.theta is None
    assert batch.w_plus.shape == (6, 10, 16)
    for target, latent in zip(batch.targets, batch.w_plus, strict=True):
        pixels = ((target + 1) * 127.5).round().permute(1, 2, 0)
        paint = ((40, 210, 60), (230, 60, 220))
        found = [int((pixels - torch.tensor(p)).abs().amax(2).le(2).sum()) for p in paint]
        if max(found) > 100:
            assert latent[0, 0] == found.index(max(found))
    larger = ComposedFrames(cutouts, w_plus, Scene(scale=2)).draw(1, random())
    assert larger.frames.shape[-1] == 224 and larger.targets.shape[-1] == 448
    check_repeats(source)


def test_the_last_cutouts_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, others = set(), set()
    whole = sources.compose

    def compose(cutouts, first, companions, scene, seed):
        drawn.add(first)
        others.update(companions)
        return whole(cutouts, first, companions, scene, seed)

    monkeypatch.setattr(sources, "compose", compose)
    source = ComposedFrames(cutout_set(tmp_path, 13), torch.zeros(2, 10, 16), Scene(scale=1))
    source.draw(40, random())
    assert drawn == others == set(range(5))
    drawn.clear()
    assert len(source.held_out().frames) == 2 * HELD_OUT
    assert drawn == set(range(5, 13)) and others == set(range(5))


def test_cutouts_that_do_not_do(tmp_path: Path) -> None:
    cutouts = cutout_set(tmp_path, 8)
    with pytest.raises(UsageError, match="2 characters are drawn, 3 have a latent"):
        ComposedFrames(cutouts, torch.zeros(3, 10, 16), Scene(scale=1))
    with pytest.raises(UsageError, match="too few to train on"):
        ComposedFrames(cutouts, torch.zeros(2, 10, 16), Scene(scale=1))
