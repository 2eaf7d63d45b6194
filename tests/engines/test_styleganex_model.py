"""Whole frames drawn by tiny networks: shapes, levels, characters, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import published
import pytest
import torch

from tests.tiny_bundle import NAMES, add_frame_parts, write_bundle
from tests.tiny_styleganex import tiny_encoder, tiny_stylegan2
from toonify.bundle import FRAMES, load_frame_parts
from toonify.checkpoints import save_encoder
from toonify.engines.styleganex import FACE, StyleGANEXModel
from toonify.errors import ModelError, UsageError
from toonify.lut import CharacterTable


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_frame_parts(write_bundle(tmp_path_factory.mktemp("bundles") / "frames"))


@pytest.fixture(scope="module")
def toon(bundle: Path) -> StyleGANEXModel:
    return StyleGANEXModel.from_bundle(bundle, device="cpu", dtype="float32")


def fusing(**changes) -> dict:
    return {"generator": tiny_stylegan2(), "encoder": tiny_encoder(**changes), "device": "cpu"}


def pictures(count: int, size: tuple[int, int] = (64, 64), seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return list(random.integers(0, 256, (count, *size, 3), dtype=np.uint8))


def test_a_bundles_characters_are_drawn_into_frames(toon: StyleGANEXModel) -> None:
    assert toon.characters == NAMES and toon.device.type == "cpu"
    frames = pictures(2, (48, 80))
    latents = toon.encode(pictures(2, (FACE, FACE), seed=1))
    assert latents.shape == (2, 10, 16) and latents.dtype == torch.float32
    drawn = toon.render(frames, latents, "mina")
    assert len(drawn) == 2
    # 64×64 generators give a quarter of the frame
    assert all(image.shape == (12, 20, 3) and image.dtype == np.uint8 for image in drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], toon.render(frames, latents, "otto")[0])
    assert np.array_equal(drawn[1], toon.render(frames, latents, "mina")[1]), "there is no noise"


def test_frames_of_a_batch_do_not_mix(toon: StyleGANEXModel) -> None:
    frames = pictures(3)
    latents = toon.encode(pictures(3, (FACE, FACE), seed=1))
    together = toon.render(frames, latents, "otto")
    for number, image in enumerate(together):
        alone = toon.render(frames[number : number + 1], latents[number : number + 1], "otto")[0]
        assert np.abs(alone.astype(int) - image).max() <= 1


def test_larger_generators_answer_at_the_frames_size_or_more(tmp_path: Path) -> None:
    folder = add_frame_parts(write_bundle(tmp_path / "large"), resolution=256)
    large = StyleGANEXModel.from_bundle(folder, device="cpu")
    assert large.network.num_ws == 14
    latents = large.encode(pictures(1, (FACE, FACE)))
    assert latents.shape == (1, 14, 16)
    assert large.render(pictures(1, (64, 72)), latents, "mina")[0].shape == (64, 72, 3)


def test_levels_say_whose_layers_they_are(toon: StyleGANEXModel) -> None:
    frames, latents = pictures(1), torch.randn(2, 1, 10, 16)

    def differ(**options) -> bool:
        first, second = (toon.render(frames, latent, "mina", **options)[0] for latent in latents)
        return not np.array_equal(first, second)

    def characters_differ(**options) -> bool:
        first, second = (toon.render(frames, latents[0], name, **options)[0] for name in NAMES)
        return not np.array_equal(first, second)

    assert not differ(level=0) and characters_differ(level=0)
    assert differ(level=10, trgb=False) and not characters_differ(level=10, trgb=False)
    assert characters_differ(level=10, trgb=True)
    assert not characters_differ(level=10, trgb=True, color=0.0)
    assert differ(level=6) and characters_differ(level=6)


def test_frames_decide_what_is_drawn_where(toon: StyleGANEXModel) -> None:
    latents = torch.randn(1, 10, 16)
    frame = pictures(1, (256, 256))[0]
    other = frame.copy()
    other[:, 192:] = 255 - other[:, 192:]
    before, after = (toon.render([x], latents, "mina")[0].astype(int) for x in (frame, other))
    change = np.abs(before - after).max(2)
    assert change[:, 48:].mean() > 4 * change[:, :16].mean()


def test_what_can_not_be_drawn(toon: StyleGANEXModel) -> None:
    latents = torch.randn(1, 10, 16)
    with pytest.raises(UsageError, match=r"rosa.*mina"):
        toon.render(pictures(1), latents, "rosa")
    with pytest.raises(UsageError, match="multiples of 8"):
        toon.render(pictures(1, (64, 60)), latents, "mina")
    with pytest.raises(UsageError, match="level is 11"):
        toon.render(pictures(1), latents, "mina", level=11)
    with pytest.raises(UsageError, match="color blend"):
        toon.render(pictures(1), latents, "mina", color=1.5)


def test_without_a_table_there_is_one_style() -> None:
    plain = StyleGANEXModel(**fusing(fusion_channels=(8,)), style="arcane")
    assert plain.characters == ("arcane",)
    latents = torch.randn(2, 10, 16)
    first, second = plain.render(pictures(1) * 2, latents, "arcane")
    assert not np.array_equal(first, second), "the faces' own latents"
    again = plain.render(pictures(1), latents[:1], "arcane", level=0, trgb=False)[0]
    assert np.abs(again.astype(int) - first).max() <= 1, "levels have no part in it"
    with pytest.raises(UsageError, match="arcane"):
        plain.render(pictures(1), latents[:1], "mina")


def test_encoders_without_heads_give_everybody_the_mean(bundle: Path) -> None:
    parts = fusing(fusion_channels=(8,), heads=False, units=(1, 1, 1, 0))
    parts["encoder"].w_plus_mean.normal_()
    table = CharacterTable.load(bundle / "characters.safetensors")
    toon = StyleGANEXModel(**parts, table=table)
    latents = toon.encode(pictures(2, (FACE, FACE)))
    torch.testing.assert_close(latents, parts["encoder"].w_plus_mean.expand(2, -1, -1))
    assert toon.render(pictures(2), latents, "otto")[0].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "not trained to toonify frames"),
        ({"fusion_channels": (8,), "label_channels": 1}, "not trained to toonify frames"),
        ({"fusion_channels": (8,), "has_direction": True}, "not trained to toonify frames"),
        ({"fusion_channels": (8,), "feature_channels": 4}, "trained for another generator"),
    ],
)
def test_encoders_of_other_kinds_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        StyleGANEXModel(**fusing(**changes))


def test_bundles_that_can_not_draw_frames(bundle: Path, tmp_path: Path) -> None:
    small = write_bundle(tmp_path / "small")
    with pytest.raises(ModelError, match="holds no StyleGANEX model"):
        StyleGANEXModel.from_bundle(small, device="cpu")
    add_frame_parts(small)
    save_encoder(tiny_encoder(), small / "frame_encoder.safetensors")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        StyleGANEXModel.from_bundle(small, device="cpu")
    with pytest.raises(ModelError, match="no bundle"):
        StyleGANEXModel.from_bundle(tmp_path / "gone", device="cpu")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An official one, but for its widths and weights."""
    path = tmp_path / "styleganex_toonify_cartoon.pt"
    state = {"state_dict": published.styleganex(), "latent_avg": torch.randn(64), "opts": {}}
    torch.save(state, path)
    return path


def test_an_official_checkpoint_has_its_own_style(checkpoint: Path) -> None:
    toon = StyleGANEXModel.from_checkpoint(checkpoint, device="cpu")
    assert toon.characters == ("toonify_cartoon",) and toon.table is None
    latents = toon.encode(pictures(1, (FACE, FACE)))
    assert latents.shape == (1, 14, 64)
    (drawn,) = toon.render(pictures(1, (48, 64)), latents, "toonify_cartoon")
    assert drawn.shape == (48, 64, 3) and drawn.std() > 1


def test_checkpoints_that_are_none(bundle: Path) -> None:
    for part in ("encoder", "frame_encoder"):
        with pytest.raises(ModelError, match=r"no StyleGANEX encoder with its.*toonify-cartoon"):
            StyleGANEXModel.from_checkpoint(bundle / f"{part}.safetensors", device="cpu")
    with pytest.raises(ModelError, match="encoder weights were expected"):
        StyleGANEXModel.from_checkpoint(bundle / "generator.safetensors", device="cpu")
    with pytest.raises(ModelError, match="no checkpoint"):
        StyleGANEXModel.from_checkpoint(bundle / "gone.pt", device="cpu")


def test_networks_are_only_to_draw(bundle: Path) -> None:
    generator, encoder = load_frame_parts(bundle, FRAMES)
    StyleGANEXModel(generator=generator.train(), encoder=encoder.train(), device="cpu")
    assert not generator.training and not encoder.training
    assert not any(p.requires_grad for p in (*generator.parameters(), *encoder.parameters()))


def test_bfloat16_stays_near(bundle: Path, toon: StyleGANEXModel) -> None:
    half = StyleGANEXModel.from_bundle(bundle, device="cpu", dtype="bfloat16")
    frames, latents = pictures(1), torch.randn(1, 10, 16)
    drawn, wanted = (x.render(frames, latents, "mina")[0].astype(int) for x in (half, toon))
    assert 0 < np.abs(drawn - wanted).mean() < 6
