"""Projection finds known latents' images, keeps the generator as it was, and stops on a plateau."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tests.training.tiny_training import FAMILIES, PixelDistance, tiny_generator
from toonify.errors import ModelError, UsageError
from toonify.inversion.noise_maps import NoiseMaps
from toonify.inversion.projector import ProjectionSettings, _schedule, invert_character, project
from toonify.utils.tensors import to_float, to_uint8

LOSS = PixelDistance()
SETTINGS = ProjectionSettings(steps=80, batch_size=2, average_weight=0.0, lr=0.1)


def known(generator: torch.nn.Module, count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    w = generator.mapping(torch.randn(count, 16))
    w_plus = w[:, None].repeat(1, generator.num_ws, 1)
    return w_plus, generator(w_plus)


@pytest.mark.parametrize("family", FAMILIES)
def test_recovers_the_image_of_a_known_latent(family: str) -> None:
    generator = tiny_generator(family)
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    _, images = known(generator)
    result = project(images, generator, loss=LOSS, settings=SETTINGS)
    average = generator(generator.w_avg.expand(3, generator.num_ws, -1))
    untouched = (average - images).square().mean(dim=(1, 2, 3))
    fitted = (generator(result.latents) - images).square().mean(dim=(1, 2, 3))
    assert result.latents.shape == (3, generator.num_ws, 16)
    assert (fitted < 0.25 * untouched).all()
    assert (result.losses < untouched).all()
    assert result.reconstructions.dtype == torch.uint8
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())


def test_starting_at_the_answer_stays_there() -> None:
    generator = tiny_generator("mobile")
    latents, images = known(generator)
    few = replace(SETTINGS, steps=10, lr=1e-3)
    result = project(images, generator, loss=LOSS, settings=few, start=latents)
    assert result.losses.max() < 1e-3
    w = project(images, generator, loss=LOSS, settings=few, start=latents[:, 0])
    assert torch.allclose(w.latents, result.latents)


def test_each_image_is_projected_on_its_own() -> None:
    """The batch size changes nothing when nothing is random."""
    generator = tiny_generator("stylegan2")
    _, images = known(generator)
    settings = replace(SETTINGS, steps=15, start_noise=0.0)
    one = project(images, generator, loss=LOSS, settings=replace(settings, batch_size=1))
    all_at_once = project(images, generator, loss=LOSS, settings=replace(settings, batch_size=3))
    assert torch.allclose(one.latents, all_at_once.latents, atol=1e-3)


def test_seed_decides() -> None:
    generator = tiny_generator("mobile")
    _, images = known(generator, 1)
    few = replace(SETTINGS, steps=5)
    first = project(images, generator, loss=LOSS, settings=few).latents
    assert torch.equal(first, project(images, generator, loss=LOSS, settings=few).latents)
    other = project(images, generator, loss=LOSS, settings=replace(few, seed=1)).latents
    assert not torch.equal(first, other)


def test_plateau_ends_early() -> None:
    generator = tiny_generator("mobile")
    latents, images = known(generator, 1)
    settings = replace(SETTINGS, steps=400, patience=5, optimize_noise=False)
    result = project(images, generator, loss=LOSS, settings=settings, start=latents)
    assert result.steps < 250


def test_pull_to_the_average() -> None:
    generator = tiny_generator("mobile")
    _, images = known(generator, 1)
    average = generator.w_avg
    free = project(images, generator, loss=LOSS, settings=SETTINGS).latents
    pulled = project(
        images, generator, loss=LOSS, settings=replace(SETTINGS, average_weight=10.0)
    ).latents
    assert (pulled - average).norm() < 0.5 * (free - average).norm()


def test_wrong_size() -> None:
    with pytest.raises(UsageError, match=r"\(N, 3, 32, 32\)"):
        project(torch.zeros(1, 3, 16, 16), tiny_generator("mobile"), loss=LOSS)
    with pytest.raises(UsageError):
        project(torch.zeros(0, 3, 32, 32), tiny_generator("mobile"), loss=LOSS)


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_maps_begin_as_the_generator_s(family: str) -> None:
    generator = tiny_generator(family)
    latent = generator.w_avg.expand(1, generator.num_ws, -1)
    maps = NoiseMaps(generator, batch=1)
    assert maps.maps
    replaced = torch.func.functional_call(generator, maps.scaled(), (latent,))
    assert torch.allclose(replaced, generator(latent), atol=1e-5)


def test_noise_penalty_sees_structure() -> None:
    maps = NoiseMaps(tiny_generator("stylegan2"), batch=2)
    white = maps.penalty().detach()
    with torch.no_grad():
        for unit in maps.maps.values():
            size = unit.shape[-1]
            smooth = F.interpolate(unit[:1, :, ::4, ::4], size=(size, size))
            unit[0] = smooth[0]
    maps.normalize()
    structured = maps.penalty().detach()
    assert structured[0] > 3 * white[0]
    assert float(structured[1]) == pytest.approx(float(white[1]), rel=0.2)


def test_schedule_ramps() -> None:
    values = [_schedule(step, 100, 75) for step in range(100)]
    assert values[0] == pytest.approx(0.2)
    assert max(values) == values[50] == 1.0
    assert values[-1] < 0.01


def test_character_is_the_mean_of_k() -> None:
    generator = tiny_generator("mobile")
    _, images = known(generator, 5)
    few = replace(SETTINGS, steps=3)
    result = invert_character(to_uint8(images), generator, loss=LOSS, k=3, settings=few)
    assert len(result.latents) == len(result.losses) == len(set(result.indices)) == 3
    assert torch.allclose(result.w_plus, result.latents.mean(0))
    again = invert_character(to_uint8(images), generator, loss=LOSS, k=3, settings=few)
    assert again.indices == result.indices


def test_character_starts_from_the_encoder() -> None:
    generator = tiny_generator("mobile")
    latents, images = known(generator, 2)
    requested = []

    def encoder(batch: torch.Tensor) -> torch.Tensor:
        requested.append(batch)
        return latents

    settings = replace(SETTINGS, steps=2, lr=1e-5)
    result = invert_character(
        to_uint8(images), generator, loss=LOSS, k=9, settings=settings, encoder=encoder
    )
    assert torch.allclose(result.latents, latents, atol=1e-3)
    assert torch.allclose(requested[0], to_float(to_uint8(images)))


def test_the_better_of_both_starts_is_kept() -> None:
    """The encoder is right about the first image and far off on the second."""
    generator = tiny_generator("mobile")
    latents, images = known(generator, 2)
    misled = latents.clone()
    misled[1] += 30 * torch.randn(16)
    settings = replace(SETTINGS, steps=4, lr=1e-3, start_noise=0.0)
    done = []
    both = invert_character(
        to_uint8(images),
        generator,
        loss=LOSS,
        settings=settings,
        encoder=lambda batch: misled,
        start="both",
        progress=lambda *a: done.append(a[0]),
    )
    assert both.started_from == ["encoder", "average"]
    assert max(done) == 2  # the second pass begins after both images of the first
    for way in ("average", "encoder"):
        single = invert_character(
            to_uint8(images),
            generator,
            loss=LOSS,
            settings=settings,
            encoder=lambda batch: misled,
            start=way,
        )
        assert single.started_from == [way, way]
        assert (both.losses <= single.losses + 1e-6).all()
        row = both.started_from.index(way)
        assert torch.equal(single.latents[row], both.latents[row])
    with pytest.raises(UsageError, match="needs an encoder"):
        invert_character(to_uint8(images), generator, loss=LOSS, start="both")


def test_without_patience_every_step_is_taken() -> None:
    generator = tiny_generator("mobile")
    latents, images = known(generator, 1)
    settings = replace(SETTINGS, steps=60, patience=0, optimize_noise=False)
    assert project(images, generator, loss=LOSS, settings=settings, start=latents).steps == 60


@pytest.mark.parametrize("family", FAMILIES)
def test_too_high_a_rate_never_ends_worse_than_it_began(family: str) -> None:
    generator = tiny_generator(family)
    latents, images = known(generator, 3)
    nearly = latents + 0.02 * torch.randn(3, 1, 16)
    began = (generator(nearly) - images).square().mean(dim=(1, 2, 3))
    wild = replace(SETTINGS, steps=4, lr=50.0)
    result = project(images, generator, loss=PixelsAlone(), settings=wild, start=nearly)
    assert (result.losses <= 2 * began + 1e-6).all()  # the loss counts pixels twice
    fixed = replace(wild, optimize_noise=False)
    result = project(images, generator, loss=PixelsAlone(), settings=fixed, start=nearly)
    drawn = to_uint8(generator(result.latents)).int()
    assert (result.reconstructions.int() - drawn).abs().max() <= 1


class PixelsAlone(PixelDistance):
    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images]


def test_stops_when_it_is_no_longer_finite() -> None:
    generator = tiny_generator("mobile")
    _, images = known(generator, 1)
    settings = replace(SETTINGS, lr=1e30)
    with pytest.raises(ModelError, match=r"no longer finite at step \d+. Lower `lr`"):
        project(images, generator, loss=LOSS, settings=settings)
