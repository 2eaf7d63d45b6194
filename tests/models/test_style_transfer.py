"""AdaIN and WCT2: what the published code answered on seeded weights, and our small networks."""

from itertools import product

import numpy as np
import pytest
import torch
from parity import answers
from seeded import seeded_array
from seeded_more import seeded_image, seeded_more

from toonify.models.style_transfer.adain import (
    AdaINNetwork,
    adain,
    adain_losses,
    match_colors,
    statistics,
)
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.models.style_transfer.statistics import color_statistics, mixed_statistics, recolored
from toonify.models.style_transfer.wct2 import WCT2, WavePool, WaveUnpool, common_labels, exchange

STYLE_CHANNELS = torch.tensor([1, 0.7, 0.4]).view(1, 3, 1, 1)
# of an array's largest value: forward, whole transfers, gradients
FORWARD, TRANSFER, GRADIENT = 2e-5, 1e-4, 1e-3


def seeded(module, prefix):
    """The module with seeded weights where it has no constants of its own."""
    state = module.state_dict()
    for name, value in state.items():
        weight = seeded_more(prefix + name, tuple(value.shape))
        if weight is not None:
            state[name] = torch.from_numpy(np.asarray(weight, np.float32))
    module.load_state_dict(state)
    return module.eval()


def picture(name, shape):
    return torch.from_numpy(0.5 + 0.5 * seeded_image(name, shape))


def assert_answers(ours, published, tolerance=FORWARD):
    """Nowhere further apart than a share of the largest value; published arrays may be strided."""
    ours = ours.detach()
    steps = [
        [step for step in range(1, full + 1) if len(range(0, full, step)) == kept]
        for full, kept in zip(ours.shape, published.shape, strict=True)
    ]
    limit = tolerance * float(published.abs().max())
    assert any(
        float((ours[tuple(slice(None, None, step) for step in each)] - published).abs().max())
        <= limit
        for each in product(*steps)
    )


@pytest.fixture(scope="module")
def published():
    network = AdaINNetwork()
    seeded(network.encoder, "adain.vgg.")
    seeded(network.decoder, "adain.decoder.")
    return network


def test_adain_answers_as_published(published):
    wanted = answers("adain")
    content = picture("adain.content", (2, 3, 96, 128))
    style = picture("adain.style", (2, 3, 128, 64)) * STYLE_CHANNELS
    odd = picture("adain.odd", (1, 3, 67, 90))
    with torch.no_grad():
        features = published.encoder.features(content)
        for level, feature in enumerate(features, start=1):
            assert_answers(feature, wanted[f"content_relu{level}_1"])
        mean, deviation = statistics(published.encoder(style))
        assert_answers(mean, wanted["style_mean_relu4_1"])
        assert_answers(deviation, wanted["style_std_relu4_1"])
        assert_answers(adain(features[-1], mean, deviation), wanted["adain_relu4_1"])
        assert_answers(published(content, style), wanted["output_alpha_1"])
        assert_answers(published(content, style, 0.6), wanted["output_alpha_0.6"])
        assert_answers(published.decoder(features[-1]), wanted["autoencoded_content"])
        both = mixed_statistics([published.describe(s[None]) for s in style], [1, 3])
        assert_answers(published.render(content[:1], both), wanted["output_interpolated"])
        assert_answers(published.encoder(odd), wanted["odd_relu4_1"])
        assert_answers(published(odd, style[:1]), wanted["odd_output"])
    assert_answers(match_colors(style[0], content[0]), wanted["coral_style"])


def test_adain_learns_as_published(published):
    wanted = answers("adain")
    content = picture("adain.content", (2, 3, 96, 128))
    style = picture("adain.style_for_loss", (2, 3, 96, 128)) * STYLE_CHANNELS
    for alpha, suffix in ((0.6, "_alpha_0.6"), (1.0, "")):
        content_loss, style_loss = adain_losses(published, content, style, alpha)
        content_value, style_value = float(content_loss.detach()), float(style_loss.detach())
        assert content_value == pytest.approx(float(wanted[f"loss_content{suffix}"]), rel=1e-4)
        assert style_value == pytest.approx(float(wanted[f"loss_style{suffix}"]), rel=1e-4)
    published.zero_grad()
    (content_loss + 10 * style_loss).backward()
    decoder = published.decoder
    assert_answers(decoder[28].bias.grad, wanted["grad_decoder_28_bias"], GRADIENT)
    assert_answers(decoder[1].weight.grad, wanted["grad_decoder_1_weight"], GRADIENT)


def labels():
    content = torch.zeros(64, 96, dtype=torch.long)
    content[:, 48:] = 1
    content[:16, :24] = 3
    content[61:, :3] = 5
    style = torch.zeros(80, 64, dtype=torch.long)
    style[26:] = 1
    style[:2, :3] = 3
    style[72:, :8] = 5
    return content, style


@pytest.mark.parametrize("unpooling", ["cat5", pytest.param("sum", marks=pytest.mark.slow)])
def test_wct2_answers_as_published(unpooling):
    wanted = answers(f"wct2_{unpooling}")
    network = WCT2(unpooling=unpooling)
    seeded(network.encoder, f"wct2.{unpooling}.encoder.")
    seeded(network.decoder, f"wct2.{unpooling}.decoder.")
    content = picture("wct2.content", (1, 3, 64, 96))
    style = picture("wct2.style", (1, 3, 80, 64)) * STYLE_CHANNELS
    with torch.no_grad():
        x, skips = content, {}
        for level in (1, 2, 3, 4):
            x = network.encoder.encode(x, skips, level)
            assert_answers(x, wanted[f"encode_{level}"])
        last = {"conv1": "conv1_2", "conv2": "conv2_2", "conv3": "conv3_4"}
        for name, value in skips.items():
            assert_answers(value, wanted[f"skip_{last.get(name, name)}"])
        for level in (4, 3, 2, 1):
            x = network.decoder.decode(x, skips, level)
            assert_answers(x, wanted[f"decode_{level}"])
    places = {"e": "encoder", "s": "skips", "d": "decoder"}
    checked = 0
    for name, answer in wanted.items():
        if not name.startswith("transfer_"):
            continue
        letters = name.removeprefix("transfer_").split("_alpha")[0].removesuffix("_segmented")
        found = network.transfer(
            content,
            style,
            alpha=0.5 if "alpha_0.5" in name else 1.0,
            places=[places[letter] for letter in letters.split("_")],
            labels=labels() if name.endswith("segmented") else None,
        )
        assert_answers(found, answer, TRANSFER)
        checked += 1
    assert checked >= 5


def test_wavelets_and_whitening_answer_as_published():
    wanted = answers("wct2_cat5")
    x = torch.from_numpy(seeded_array("wct2.pool_in", (1, 4, 8, 10)))
    bands = WavePool(4)(x)
    for name, band in zip(("LL", "LH", "HL", "HH"), bands, strict=True):
        assert_answers(band, wanted[f"pool_{name}"])
    assert_answers(WaveUnpool(4, "sum")(bands), wanted["unpool_sum"])
    assert_answers(WaveUnpool(4, "cat5")(bands, x), wanted["unpool_cat5"])
    assert torch.allclose(WaveUnpool(4, "sum")(bands), x, atol=1e-5), "nothing is lost"
    ramp = np.linspace(0.5, 3, 11, dtype=np.float32)
    content = seeded_array("wct2.core_c", (1, 6, 9, 11)) * ramp + np.float32(1)
    ramp = np.linspace(0.3, 4, 6, dtype=np.float32).reshape(1, 6, 1, 1)
    style = seeded_array("wct2.core_s", (1, 6, 7, 8)) * ramp
    pair = (torch.from_numpy(content).float(), torch.from_numpy(style).float())
    assert_answers(exchange(*pair, alpha=0.4), wanted["feature_wct_alpha_0.4"])
    assert_answers(exchange(*pair)[0].flatten(1), wanted["wct_core"])
    counted = [i for i, value in enumerate(wanted["label_indicator"].tolist()) if value]
    assert common_labels(*labels()) == counted


def test_recoloring_meets_mean_and_covariance():
    torch.manual_seed(1)
    image, other = torch.rand(1, 3, 20, 30), torch.rand(1, 3, 9, 9) * STYLE_CHANNELS
    mean, covariance = color_statistics(recolored(image, *color_statistics(other)))
    wanted_mean, wanted = color_statistics(other)
    assert torch.allclose(mean, wanted_mean, atol=1e-4)
    assert torch.allclose(covariance, wanted, atol=2e-3)
    gray = torch.full((1, 3, 8, 8), 0.5)
    assert recolored(gray, wanted_mean, wanted).isfinite().all()


def layerwise():
    torch.manual_seed(0)
    return LayerwiseAdaIN(widths=(4, 6, 8), blocks=2).eval()


def random_picture(height, width, seed=0):
    random = np.random.default_rng(seed)
    small = torch.from_numpy(random.random((1, 3, 6, 7), np.float32))
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)


def test_layerwise_results_have_the_style_s_colors_and_statistics():
    network, content, style = layerwise(), random_picture(40, 52), 0.5 * random_picture(36, 44, 1)
    with torch.no_grad():
        described = network.describe(style)
        drawn = network.transfer(content, described)
        again, _ = network.reconstruct(content)
        own = network.describe(content)
    assert drawn.shape == content.shape and again.shape == content.shape
    mean, covariance = color_statistics(drawn)
    wanted_mean, wanted = color_statistics(style)
    assert torch.allclose(mean, wanted_mean, atol=1e-3)
    # whitened channels may hang together, so the covariance comes near, its size is the style's
    assert float(covariance.trace()) == pytest.approx(float(wanted.trace()), rel=0.5)
    assert len(described.features) == 3 + 2 * 2 + 2
    assert not torch.allclose(own.features[3][0], described.features[3][0], atol=1e-3)


def test_layerwise_alpha_leads_from_the_content_to_the_style():
    network, content = layerwise(), random_picture(40, 52)
    with torch.no_grad():
        style = network.describe(random_picture(36, 44, 1) ** 2)
        none, half, full = (network.render(content, style, alpha) for alpha in (0, 0.5, 1))
    assert torch.equal(none, content) and torch.equal(full, network.transfer(content, style))
    means = [float(x.mean()) for x in (none, half, full)]
    assert min(means[0], means[2]) < means[1] < max(means[0], means[2])


def test_layerwise_draws_the_smallest_pictures():
    network = layerwise()
    with torch.no_grad():
        style = network.describe(random_picture(16, 16, 1))
        for size in ((16, 16), (16, 40), (20, 16)):
            drawn = network.transfer(random_picture(*size), style)
            assert drawn.shape[2:] == size and bool(drawn.isfinite().all())
