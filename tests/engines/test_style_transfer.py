"""Photographs in the manner of a picture: engine, regions, networks from files, command line."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from toonify.checkpoints.safetensors_io import write_safetensors
from toonify.checkpoints.style_networks import load_style_network
from toonify.engines.regions import GivenMask, region_mask
from toonify.engines.style_transfer import StyleTransferEngine, led_back
from toonify.errors import InputError, ModelError, UsageError
from toonify.models.style_transfer.adain import AdaINNetwork
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.models.style_transfer.wct2 import WCT2


def small_network():
    torch.manual_seed(0)
    return LayerwiseAdaIN(widths=(6, 8, 10), blocks=1).eval()


def photo(height=50, width=70, seed=0):
    small = np.random.default_rng(seed).integers(0, 255, (7, 9, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_results_have_the_photo_s_size_and_regions_leave_the_rest():
    rgb, style = photo(), photo(40, 40, 1)
    engine = StyleTransferEngine(small_network(), [style])
    drawn = engine.stylize(rgb)
    assert drawn.shape == rgb.shape and (drawn != rgb).mean() > 0.5
    assert StyleTransferEngine(small_network(), [style], max_size=35).stylize(rgb).shape == (
        25,
        35,
        3,
    )

    def left(picture):
        mask = np.zeros(picture.shape[:2], np.float32)
        mask[:, :30] = 1
        return mask

    part = StyleTransferEngine(small_network(), [style], region=left).stylize(rgb)
    assert np.array_equal(part[:, 30:], rgb[:, 30:]) and np.array_equal(part[:, :30], drawn[:, :30])


def test_shares_of_several_styles_count():
    rgb, one, two = photo(), photo(40, 40, 1), 255 - photo(40, 40, 2) // 3
    alone = StyleTransferEngine(small_network(), [one]).stylize(rgb)
    assert np.array_equal(
        StyleTransferEngine(small_network(), [one, two], shares=[1, 0]).stylize(rgb), alone
    )
    mixed = StyleTransferEngine(small_network(), [one, two], shares=[1, 1]).stylize(rgb)
    assert not np.array_equal(mixed, alone)


def test_preserved_colors_stay():
    rgb = photo()
    red = photo(40, 40, 3) * np.uint8([1, 0, 0])
    plain = StyleTransferEngine(small_network(), [red]).stylize(rgb).reshape(-1, 3).mean(0)
    kept = StyleTransferEngine(small_network(), [red], preserve_color=True).stylize(rgb)
    wanted = rgb.reshape(-1, 3).mean(0)
    assert np.abs(kept.reshape(-1, 3).mean(0) - wanted).max() < np.abs(plain - wanted).max() / 2


def test_a_photographic_result_is_led_back_with_every_edge():
    rgb = np.full((400, 600, 3), 60, np.uint8)
    rgb[:, 300:] = 180
    rgb[::7] = 120  # fine lines that the small size can't show
    small = cv2.resize(rgb, (150, 100), interpolation=cv2.INTER_AREA)
    back = led_back(small, np.float32(small) / 255 * 0.5 + 0.2, rgb)
    wanted = rgb * 0.5 + 51
    assert np.abs(back - wanted)[20:-20, 20:280].mean() < 4


@pytest.mark.parametrize(
    ("style", "words"),
    [(np.full((40, 40, 3), 9, np.uint8), "one color"), (photo(10, 40), "too small")],
)
def test_pictures_that_are_no_style(style, words):
    with pytest.raises(InputError, match=words):
        StyleTransferEngine(small_network(), [style])


def test_masks_of_another_shape_or_empty(tmp_path):
    white, black = tmp_path / "white.png", tmp_path / "black.png"
    Image.fromarray(np.full((20, 20, 3), 255, np.uint8)).save(white)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(black)
    assert GivenMask(white)(photo(40, 40)).min() == 1
    with pytest.raises(InputError, match="20x20"):
        GivenMask(white)(photo())
    with pytest.raises(InputError, match="empty"):
        region_mask(str(black), "default")
    with pytest.raises(UsageError, match="no region"):
        region_mask("nowhere", "default")


def test_published_files_load_as_they_are(tmp_path):
    for folder, network, names in (
        ("adain", AdaINNetwork(), ("vgg_normalised.pth", "decoder.pth")),
        ("wct2", WCT2(unpooling="sum"), ("wave_encoder_sum_l4.pth", "wave_decoder_sum_l4.pth")),
    ):
        path = tmp_path / folder
        path.mkdir()
        encoder = network.encoder.state_dict()
        if folder == "adain":
            encoder["51.weight"] = torch.zeros(4)  # the published file goes on to relu5_4
        torch.save(encoder, path / names[0])
        torch.save(network.decoder.state_dict(), path / names[1])
        loaded = load_style_network(path)
        assert type(loaded) is type(network)
        for name, value in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)
        torch.save({"weight": torch.zeros(2)}, path / names[1])
        with pytest.raises(ModelError, match="another network"):
            load_style_network(path)


def test_other_files_are_no_networks(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors({"x": torch.zeros(2)}, path, config={"architecture": "compact"})
    with pytest.raises(ModelError, match="no network of style transfer"):
        load_style_network(path)
    with pytest.raises(ModelError, match="no network of style transfer"):
        load_style_network(tmp_path)
