"""w+ fitted to a face without downloads."""

import torch

from tests.tiny_bundle import tiny_generator
from toonify.inversion.fitting import FitSettings, fit_face
from toonify.models.encoders.compact import CompactEncoder


def encoder(generator):
    torch.manual_seed(3)
    return CompactEncoder(
        num_ws=generator.num_ws, w_dim=generator.w_dim, input_size=32, widths=(16, 16), depth=1
    ).eval()


def test_the_fit_comes_nearer_and_no_steps_change_nothing():
    generator = tiny_generator().eval().requires_grad_(False)
    torch.manual_seed(1)
    wanted = 0.5 * torch.randn(1, generator.num_ws, generator.w_dim)
    photo = generator.synthesize(generator.styles(wanted)).clamp(-1, 1)
    photo = torch.nn.functional.interpolate(photo, size=(64, 64))
    start = torch.zeros_like(wanted)

    def distance(w_plus):
        image = generator.synthesize(generator.styles(w_plus))
        return float((torch.nn.functional.interpolate(image, size=(64, 64)) - photo).abs().mean())

    reader = encoder(generator).requires_grad_(False)
    assert torch.equal(fit_face(generator, reader, photo, start, FitSettings(steps=0)), start)
    steps = []
    for network in (reader, None):
        fitted = fit_face(
            generator, network, photo, start, FitSettings(steps=12),
            progress=lambda done, total: steps.append((done, total)),
        )  # fmt: skip
        assert distance(fitted) < 0.9 * distance(start)
        assert not fitted.requires_grad
    assert steps[-1] == (12, 12)
