"""Cross-domain style mixing: which layer takes whose style."""

import pytest
import torch
from torch import Tensor

from tests.training.tiny_training import FAMILIES, tiny_generator
from toonify.cdsm import cross_domain_styles, mix_from, replace_to_rgb
from toonify.errors import UsageError


def parts(family: str, photos: int = 2, characters: int = 1):
    generator = tiny_generator(family)
    w_photo = torch.randn(photos, generator.num_ws, 16)
    w_character = torch.randn(characters, generator.num_ws, 16)
    return generator, w_photo, w_character


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y.expand_as(x)) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("trgb", [True, False])
def test_level_0_is_the_character(family: str, trgb: bool) -> None:
    generator, photo, character = parts(family)
    mixed = cross_domain_styles(generator, photo, character, level=0, trgb=trgb)
    assert same(mixed, generator.styles(character))
    assert all(len(s) == 2 for s in mixed), "one character serves the whole batch"
    # the photo leaves no trace in the picture either
    images = generator.synthesize(mixed)
    assert torch.allclose(images[0], images[1], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_level_without_rgb_is_the_photo(family: str) -> None:
    generator, photo, character = parts(family)
    mixed = cross_domain_styles(generator, photo, character, level=generator.num_ws, trgb=False)
    assert same(mixed, generator.styles(photo))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_level_with_rgb_replaces_rgb_alone(family: str) -> None:
    generator, photo, character = parts(family)
    mixed = cross_domain_styles(generator, photo, character, level=generator.num_ws)
    own, other = generator.styles(photo), generator.styles(character)
    kinds = {layer.kind for layer in generator.layers}
    assert kinds == {"conv", "rgb"}
    for layer, style, mine, theirs in zip(generator.layers, mixed, own, other, strict=True):
        expected = theirs.expand_as(mine) if layer.kind == "rgb" else mine
        assert torch.allclose(style, expected), layer.name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_follows_its_latent_index(family: str) -> None:
    generator, photo, character = parts(family)
    own, other = generator.styles(photo), generator.styles(character)
    for level in range(generator.num_ws + 1):
        mixed = cross_domain_styles(generator, photo, character, level=level, trgb=False)
        for layer, style, mine, theirs in zip(generator.layers, mixed, own, other, strict=True):
            expected = mine if layer.latent_index < level else theirs.expand_as(mine)
            assert torch.equal(style, expected), (level, layer.name)


@pytest.mark.parametrize("family", FAMILIES)
def test_color(family: str) -> None:
    generator, photo, character = parts(family)

    def mixed(**options) -> list[Tensor]:
        return cross_domain_styles(generator, photo, character, level=5, **options)

    assert same(mixed(color=0.0), mixed(trgb=False))
    assert same(mixed(color=1.0), mixed())
    own, other = generator.styles(photo), generator.styles(character)
    for layer, style, mine, theirs in zip(
        generator.layers, mixed(color=0.25), own, other, strict=True
    ):
        if layer.latent_index < 5 and layer.kind == "rgb":
            assert torch.allclose(style, 0.75 * mine + 0.25 * theirs)
        elif layer.latent_index >= 5:
            assert torch.equal(style, theirs.expand_as(style)), "above the level nothing is blended"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_replacing_and_mixing(family: str) -> None:
    """CDSM = SM(R(photo, character), character)."""
    generator, photo, character = parts(family, photos=1)
    own, other = generator.styles(photo), generator.styles(character)
    replaced = replace_to_rgb(own, other, generator.layers, color=0.5)
    expected = mix_from(replaced, other, generator.layers, level=3)
    assert same(cross_domain_styles(generator, photo, character, level=3, color=0.5), expected)


def test_inputs_stay_as_they_are() -> None:
    generator, photo, character = parts("mobile")
    before = photo.clone(), character.clone()
    cross_domain_styles(generator, photo, character, level=3)
    assert torch.equal(photo, before[0]) and torch.equal(character, before[1])


def test_one_character_a_photo() -> None:
    generator, photo, character = parts("mobile", photos=3, characters=3)
    together = cross_domain_styles(generator, photo, character, level=4)
    for i in range(3):
        alone = cross_domain_styles(generator, photo[i : i + 1], character[i : i + 1], level=4)
        assert all(
            torch.allclose(a, t[i : i + 1], atol=1e-5) for a, t in zip(alone, together, strict=True)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": -1}, r"level is -1.*0 to 8"),
        ({"level": 9}, r"level is 9.*0 to 8"),
        ({"color": 1.5}, r"color blend is 1\.5.*0 to 1"),
        ({"color": -0.1}, "color blend"),
        ({"color": float("nan")}, "color blend"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    generator, photo, character = parts("mobile")
    with pytest.raises(UsageError, match=message):
        cross_domain_styles(generator, photo, character, **options)


@pytest.mark.parametrize("shape", [(1, 18, 16), (1, 8, 512), (1, 16)])
def test_latents_of_another_generator(shape: tuple[int, ...]) -> None:
    generator, photo, character = parts("mobile")
    other = torch.randn(shape)
    for w_plus in ((other, character), (photo, other)):
        with pytest.raises(UsageError, match=r"does not fit a generator of 8 × 16"):
            cross_domain_styles(generator, *w_plus)
