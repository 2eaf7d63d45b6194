"""Latents of drawings, and the styles of their characters."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from tests.training.tiny_training import FAMILIES, PixelDistance, tiny_generator
from toonify.training.finetune.inversion_pairs import InvertedPairs, distinct_styles, invert_to_w

LOSS = cast(Any, PixelDistance())


def pictures(generator: Any, w: torch.Tensor) -> torch.Tensor:
    w_plus = w[:, None].expand(-1, generator.num_ws, -1)
    image = generator.synthesize(generator.styles(w_plus))
    return ((image + 1) * 127.5).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("family", FAMILIES)
def test_latents_resemble_their_drawings(family: str) -> None:
    generator = tiny_generator(family)
    wanted = generator.mapping(torch.randn(2, 16))
    drawings = pictures(generator, wanted)
    latents = invert_to_w(generator, drawings, perceptual=LOSS, size=32, pull=0.0, lr=0.1, steps=60)

    def error(w: torch.Tensor) -> float:
        return float((pictures(generator, w).float() - drawings).abs().mean())

    assert error(latents) < 0.7 * error(generator.w_avg.expand(2, -1))


def test_an_encoders_latents_are_kept_unless_steps_are_asked_for() -> None:
    generator = tiny_generator("mobile")
    start = generator.mapping(torch.randn(3, 16))
    drawings = pictures(generator, start).flip(3)
    kept = invert_to_w(generator, drawings, perceptual=LOSS, start=start)
    torch.testing.assert_close(kept, start)
    moved = invert_to_w(generator, drawings, perceptual=LOSS, start=start, steps=3)
    assert (moved - start).abs().max() > 1e-3


def test_styles_that_are_alike_are_moved_apart() -> None:
    latents = torch.randn(9, 16)
    characters = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    means = torch.stack([latents[3 * i : 3 * i + 3].mean(0) for i in range(3)])
    closest = float(torch.pdist(means).min())
    plain = torch.stack(list(distinct_styles(latents, characters).values()))
    torch.testing.assert_close(plain, means)
    moved = torch.stack(list(distinct_styles(latents, characters, 2.5 * closest).values()))
    assert float(torch.pdist(moved).min()) == pytest.approx(2.5 * closest, rel=1e-4)
    torch.testing.assert_close(moved.mean(0), means.mean(0))
    farthest = torch.stack(list(distinct_styles(latents, characters, 100 * closest).values()))
    assert float(torch.pdist(farthest).min()) == pytest.approx(6 * closest, rel=1e-4)


@pytest.mark.parametrize("names", [["a", "a"], ["a", "b"]])
def test_one_character_or_equal_latents(names: list[str]) -> None:
    styles = distinct_styles(torch.ones(2, 4), names, 3.0)
    assert list(styles) == list(dict.fromkeys(names))
    assert all(torch.equal(style, torch.ones(4)) for style in styles.values())


def test_pairs_wear_the_moved_styles() -> None:
    latents, drawings = torch.randn(4, 16), torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    pairs = InvertedPairs(latents, drawings, ["a", "b", "a", "b"], num_ws=6, apart=4.0)
    _, styles, _ = pairs.batch(torch.tensor([0, 1]))
    torch.testing.assert_close(styles[:, 2], torch.stack(list(pairs.styles.values())))
    torch.testing.assert_close(styles[:, 0], styles[:, 5])
