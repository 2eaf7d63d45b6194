"""The compact generator: its arithmetic, its layers, and the published output."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.parity import answers, published_input
from toonify.checkpoints import load_generator
from toonify.checkpoints.cache import is_cached
from toonify.checkpoints.registry import get
from toonify.models.base import Generator
from toonify.models.generators.mobile import MobileGenerator, inverse_haar, mobile_from_folded
from toonify.models.registry import build
from toonify.training.distillation.resolution_cut import forward_haar

BESIDE = Path(__file__).parents[3] / "shared" / "weights" / "ffhq_mobile.safetensors"


def tiny(resolution: int = 32, channels: tuple[int, ...] = (16, 12, 8)) -> MobileGenerator:
    torch.manual_seed(0)
    generator = MobileGenerator(
        resolution=resolution, channels=channels, w_dim=32, mapping_layers=2
    )
    for name, buffer in generator.named_buffers():
        if "noise" in name:
            buffer.normal_(std=0.5)
    return generator.eval().requires_grad_(False)


def w_plus(generator: MobileGenerator, count: int = 2) -> Tensor:
    return torch.randn(count, generator.num_ws, generator.w_dim)


def test_inverse_haar_by_hand() -> None:
    x = torch.randn(2, 12, 3, 5)
    out = inverse_haar(x)
    assert out.shape == (2, 3, 6, 10)
    detail = x[:, 3:].reshape(2, 3, 3, 3, 5)
    for c in range(3):
        for i in range(3):
            for j in range(5):
                low = x[:, c, i, j]
                a, d, e = (detail[:, c, k, i, j] for k in range(3))
                block = out[:, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                expected = 0.5 * torch.stack(
                    [low + a + d + e, low + a - d - e, low - a + d - e, low - a - d + e], 1
                ).view(2, 2, 2)
                torch.testing.assert_close(block, expected)


def test_haar_round_trip() -> None:
    x = torch.randn(2, 8, 4, 6)
    torch.testing.assert_close(forward_haar(inverse_haar(x)), x)
    image = torch.randn(1, 3, 8, 4)
    torch.testing.assert_close(inverse_haar(forward_haar(image)), image)
    assert torch.allclose(inverse_haar(x).square().sum(), x.square().sum()), "it keeps the energy"


def test_layers_and_their_latents() -> None:
    generator = tiny(64, (16, 12, 8, 8))
    assert generator.num_ws == 10
    listed = [(x.name, x.resolution, x.latent_index, x.kind, x.channels) for x in generator.layers]
    assert listed == [
        ("conv1", 4, 0, "conv", 16),
        ("blocks.0.up", 8, 1, "conv", 16),
        ("blocks.0.conv1", 8, 1, "conv", 4),
        ("blocks.0.conv2", 8, 2, "conv", 12),
        ("blocks.1.up", 16, 3, "conv", 12),
        ("blocks.1.conv1", 16, 3, "conv", 3),
        ("blocks.1.conv2", 16, 4, "conv", 8),
        ("blocks.2.up", 32, 5, "conv", 8),
        ("blocks.2.conv1", 32, 5, "conv", 2),
        ("blocks.2.conv2", 32, 6, "conv", 8),
        ("to_img", 64, 9, "rgb", 8),
    ]
    assert isinstance(generator, Generator)
    styles = generator.styles(w_plus(generator))
    assert [s.shape for s in styles] == [(2, x.channels) for x in generator.layers]


def test_published_widths() -> None:
    with torch.device("meta"):
        generator = MobileGenerator()
    assert generator.resolution == 1024 and generator.num_ws == 18
    assert generator.channels == (512, 512, 512, 512, 512, 256, 128, 64)
    assert len(generator.layers) == 23
    assert generator.layers[-1].latent_index == 17


def test_a_style_reads_its_own_latent() -> None:
    generator = tiny()
    w = w_plus(generator, 1)
    before = generator.styles(w)
    for index in range(generator.num_ws):
        changed = w.clone()
        changed[:, index] += 1
        for layer, old, new in zip(
            generator.layers, before, generator.styles(changed), strict=True
        ):
            assert torch.equal(old, new) != (layer.latent_index == index), (index, layer.name)


@pytest.mark.parametrize("resolution", [32, 64])
def test_images(resolution: int) -> None:
    generator = tiny(resolution, (16, 12, 8, 8)[: resolution.bit_length() - 3])
    w = w_plus(generator, 3)
    images = generator(w)
    assert images.shape == (3, 3, resolution, resolution)
    assert torch.equal(images, generator.synthesize(generator.styles(w)))
    alone = torch.cat([generator(row[None]) for row in w])
    torch.testing.assert_close(images, alone, atol=1e-5, rtol=1e-4)


def test_noise_modes() -> None:
    generator = tiny()
    w = w_plus(generator)
    const = generator(w)
    assert torch.equal(const, generator(w, noise="const"))
    zero = generator(w, noise="zero")
    assert not torch.allclose(const, zero)
    first, second = (generator(w, noise="random") for _ in range(2))
    assert not torch.allclose(first, second) and not torch.allclose(first, const)
    for name, buffer in generator.named_buffers():
        if "noise" in name:
            buffer.zero_()
    torch.testing.assert_close(generator(w), zero)


@pytest.mark.parametrize("noise", ["const", "zero"])
def test_an_image_in_two_halves(noise: str) -> None:
    generator = tiny(64, (16, 12, 8, 8))
    styles = generator.styles(w_plus(generator))
    whole = generator.synthesize(styles, noise=noise)
    for resolution, channels in ((4, 16), (8, 12), (16, 8), (32, 8)):
        x = generator.features(styles, resolution=resolution, noise=noise)
        assert x.shape == (2, channels, resolution, resolution)
        torch.testing.assert_close(generator.from_features(x, styles, noise=noise), whole)


def test_mapping() -> None:
    generator = tiny()
    generator.w_avg.normal_()
    z = torch.randn(4, 32)
    w = generator.mapping(z)
    torch.testing.assert_close(generator.mapping(7 * z), w, msg="only z's direction counts")
    torch.testing.assert_close(
        generator.mapping(z, truncation_psi=0.0), generator.w_avg.expand(4, -1)
    )
    half = generator.mapping(z, truncation_psi=0.5)
    torch.testing.assert_close(half, (w + generator.w_avg) / 2)


def test_rebuilt_from_its_config() -> None:
    generator = tiny(64, (16, 12, 8, 8))
    rebuilt = build(generator.config(), "generator")
    assert isinstance(rebuilt, MobileGenerator) and rebuilt.config() == generator.config()
    rebuilt.load_state_dict(generator.state_dict())
    w = w_plus(generator)
    assert torch.equal(rebuilt(w), generator(w))


@pytest.mark.parametrize(
    "arguments",
    [
        {"channels": (16, 12)},
        {"channels": (16, 12, 8, 8)},
        {"channels": (16, 10, 8)},
        {"resolution": 48},
        {"resolution": 16},
    ],
)
def test_impossible_sizes(arguments: dict) -> None:
    with pytest.raises(ValueError, match=r"widths divisible by 4|power of two from 32"):
        MobileGenerator(**({"resolution": 32, "w_dim": 32} | arguments))


@pytest.mark.parametrize("shape", [(2, 32), (2, 18, 32), (2, 8, 16)])
def test_latents_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"w\+ must be \(B, 8, 32\)"):
        tiny().styles(torch.zeros(shape))


def test_from_folded_weights() -> None:
    generator = tiny()
    folded = {
        {"w_avg": "w_mean"}.get(k, k.replace("mapping_net.", "mapping.")): v
        for k, v in generator.state_dict().items()
    }
    rebuilt = mobile_from_folded(folded)
    assert rebuilt.config() == generator.config()
    w = w_plus(generator)
    assert torch.equal(rebuilt(w), generator(w))


@pytest.mark.skipif(
    not (BESIDE.exists() or is_cached(get("ffhq-mobile"))),
    reason="needs the compact generator: toonify models pull ffhq-mobile",
)
def test_the_published_output() -> None:
    if is_cached(get("ffhq-mobile")):
        generator = load_generator("ffhq-mobile")
    else:
        generator = mobile_from_folded(load_file(BESIDE)).eval()
    expected = answers("mobile_stylegan_1024")
    with torch.inference_mode():
        w = generator.mapping(published_input("in.z", 2, 512))
        w_plus = w[:, None].repeat(1, 18, 1)
        w_plus[0, 8:] = w[1]
        image = generator.synthesize(generator.styles(w_plus))
    assert (w[:, ::8] - expected["w"]).abs().max() <= 2e-4
    means = image.unflatten(3, (128, 8)).unflatten(2, (128, 8)).mean((3, 5))
    for ours, stored in (
        (means, expected["image"]),
        (image[:, :, 480:544, 480:544], expected["crop"]),
    ):
        assert ours.shape == stored.shape and stored.dtype == torch.float16
        # stored in float16: half a unit in the last place may lie between
        half_ulp = torch.from_numpy(np.spacing(stored.abs().numpy())).float() / 2
        assert ((ours - stored.float()).abs() <= half_ulp + 2e-4).all()


def test_float16_survives_large_styles():
    """A block's styles enlarge values beyond what float16 holds, before its next ones shrink
    them: the default bundle's generator reaches 140,000."""
    torch.manual_seed(0)
    net = MobileGenerator(resolution=64, channels=(16, 24, 16, 12), w_dim=8, mapping_layers=2)
    styles = [x.detach() for x in net.styles(torch.randn(2, net.num_ws, 8))]
    for layer, factor in ((4, 3e5), (5, 1 / 3e5), (len(styles) - 1, 1e-2)):
        styles[layer] = styles[layer] * factor
    with torch.no_grad():
        exact = net.synthesize(styles)
        with torch.autocast("cpu", torch.float16):
            near = net.synthesize(styles)
    assert near.dtype == torch.float16 and near.isfinite().all()
    assert (near.float() - exact).abs().mean() < 0.02 * exact.abs().mean()
