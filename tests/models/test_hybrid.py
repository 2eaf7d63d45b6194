"""StyleGAN2's layers below, a compact generator's above: images, features, whole frames, files."""

from __future__ import annotations

import pytest
import torch

from toonify.checkpoints import load_generator, save_generator
from toonify.models.base import Generator
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.registry import build


def tiny(**changes: object) -> HybridGenerator:
    options: dict[str, object] = {
        "resolution": 128,
        "channels": {4: 8, 8: 8, 16: 8, 32: 8},
        "junction": 16,
        "deep": (8,),
        "w_dim": 16,
        "z_dim": 16,
        "mapping_layers": 1,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = HybridGenerator(**(options | changes))  # type: ignore[arg-type]
        for name, buffer in generator.named_buffers():
            if "noise" in name:
                buffer.copy_(torch.randn_like(buffer))
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                torch.nn.init.constant_(parameter, 0.1)
    return generator.eval().requires_grad_(False)


def latents(generator: HybridGenerator, count: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(count, generator.num_ws, generator.w_dim, generator=random)


def test_it_is_a_generator_of_the_whole_resolution():
    generator = tiny()
    assert isinstance(generator, Generator)
    assert generator.num_ws == 12
    assert generator(latents(generator)).shape == (2, 3, 128, 128)
    rows = [layer.latent_index for layer in generator.layers if layer.name.startswith("deep")]
    assert rows == [7, 7, 8]
    assert generator.layers[-1].latent_index == 11
    assert generator.fusion_channels == [8, 8, 8, 8]


def test_every_row_of_w_plus_that_layers_take_changes_the_image():
    generator = tiny()
    w_plus = latents(generator, 1)
    before = generator(w_plus)
    for row in {x.latent_index for x in generator.layers if x.kind == "conv"} | {11}:
        moved = w_plus.clone()
        moved[:, row] += 1
        assert (generator(moved) - before).abs().max() > 1e-4, row


def test_features_and_partial_images():
    generator = tiny()
    styles = generator.styles(latents(generator))
    assert generator.features(styles, resolution=16).shape == (2, 8, 16, 16)
    middle = generator.features(styles, resolution=32)
    assert middle.shape == (2, 8, 32, 32)
    assert generator.features(styles, resolution=64).shape == (2, 8, 64, 64)
    torch.testing.assert_close(generator.finish(middle, styles), generator.synthesize(styles))
    images = generator.partial_images(styles)
    assert [x.shape[-1] for x in images] == [4, 8, 16, 32, 128]
    torch.testing.assert_close(images[-1], generator.synthesize(styles))
    assert len(generator.partial_images(styles, resolution=16)) == 3


def test_refactored_it_gives_its_own_images_and_frames_of_any_size():
    generator = tiny()
    refactored = StyleGANEXGenerator(generator)
    w_plus = latents(generator)
    torch.testing.assert_close(refactored(w_plus), generator(w_plus), atol=1e-5, rtol=1e-5)
    feature = torch.randn(1, 8, 20, 28)
    for noise in ("const", "random", "zero"):
        assert refactored(w_plus[:1], feature=feature, noise=noise).shape == (1, 3, 80, 112)
    shapes = refactored.noise_shapes(20, 28)
    assert shapes["base.deep.0.conv2.noise"] == (40, 56)
    assert set(shapes) == {n for n, _ in refactored.named_buffers() if "noise" in n}


def test_the_encoder_may_fuse_before_the_compact_blocks():
    generator = tiny()
    seen = []

    def fuse(index, x, image):
        seen.append((index, x.shape[1]))
        return 2 * x, image

    w_plus = latents(generator, 1)
    refactored = StyleGANEXGenerator(generator)
    fused = refactored(w_plus, fuse=fuse)
    assert seen == [(0, 8), (1, 8), (2, 8), (3, 8)]
    assert not torch.allclose(fused, refactored(w_plus))


def test_saved_and_loaded_it_gives_the_same(tmp_path):
    generator = tiny()
    path = tmp_path / "hybrid.safetensors"
    save_generator(generator, path, metadata={"source": "a test"})
    loaded = load_generator(path)
    assert isinstance(loaded, HybridGenerator)
    assert loaded.config() == generator.config()
    w_plus = latents(generator)
    torch.testing.assert_close(loaded(w_plus), generator(w_plus))
    assert build(generator.config(), "generator").num_ws == generator.num_ws


@pytest.mark.parametrize(
    "changes", [{"resolution": 100}, {"resolution": 64, "deep": ()}, {"deep": (8, 8)}]
)
def test_blocks_and_resolution_go_together(changes):
    with pytest.raises(ValueError, match="blocks"):
        tiny(**changes)
