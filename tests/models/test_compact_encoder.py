"""The compact encoder: shapes, residual steps, and rebuilding."""

import pytest
import torch

from tests.training.tiny_training import tiny_generator
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.registry import build


def tiny(**options) -> CompactEncoder:
    torch.manual_seed(0)
    arguments = {"num_ws": 8, "w_dim": 16, "input_size": 32, "widths": (8, 16), "depth": 1}
    encoder = CompactEncoder(**(arguments | options))
    torch.nn.init.normal_(encoder.rows.weight, std=0.05)
    encoder.w_mean.normal_()
    encoder.w_std.uniform_(0.5, 1.5)
    return encoder.eval().requires_grad_(False)


@pytest.mark.parametrize("size", [32, 64, 48])
def test_photos_of_any_size(size: int) -> None:
    encoder = tiny()
    w_plus = encoder.encode(torch.rand(3, 3, size, size) * 2 - 1)
    assert w_plus.shape == (3, 8, 16) and torch.isfinite(w_plus).all()


def test_each_photo_on_its_own() -> None:
    encoder = tiny()
    photos = torch.rand(3, 3, 32, 32) * 2 - 1
    together = encoder.encode(photos)
    alone = torch.cat([encoder.encode(photo[None]) for photo in photos])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1])


def test_untrained_rows_are_equal() -> None:
    """Fresh weights give the same latent for every layer: the rows' own part starts at zero."""
    encoder = CompactEncoder(num_ws=8, w_dim=16, input_size=32, widths=(8, 16), depth=1).eval()
    w_plus = encoder.encode(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(w_plus, w_plus[:, :1].expand_as(w_plus))


def test_residuals_are_in_deviations_from_the_mean() -> None:
    encoder = tiny()
    photos = torch.rand(2, 3, 32, 32) * 2 - 1
    encoder.average_image.uniform_(-1, 1)
    residual = encoder.residual(photos, encoder.average_image.expand_as(photos))
    expected = encoder.w_mean + residual * encoder.w_std
    torch.testing.assert_close(encoder.encode(photos), expected)
    torch.testing.assert_close(
        encoder.encode(photos, steps=0), encoder.w_mean.expand(2, 8, -1), msg="the average face"
    )


def test_later_steps_look_at_the_reconstruction() -> None:
    encoder, generator = tiny(steps=2), tiny_generator("mobile")
    photos = torch.rand(2, 3, 32, 32) * 2 - 1
    first = encoder.encode(photos, steps=1)
    image = generator.synthesize(generator.styles(first)).clamp(-1, 1)
    expected = first + encoder.residual(photos, image) * encoder.w_std
    torch.testing.assert_close(encoder.encode(photos, generator), expected)
    with pytest.raises(ValueError, match="generator is needed"):
        encoder.encode(photos)


def test_rebuilt_from_its_config() -> None:
    encoder = tiny(steps=3)
    rebuilt = build(encoder.config(), "encoder")
    assert isinstance(rebuilt, CompactEncoder) and rebuilt.config() == encoder.config()
    rebuilt.load_state_dict(encoder.state_dict())
    photos = torch.rand(1, 3, 32, 32)
    assert torch.equal(rebuilt.eval().encode(photos, steps=1), encoder.encode(photos, steps=1))


def test_it_can_be_called() -> None:
    torch.manual_seed(0)
    encoder = CompactEncoder(num_ws=4, w_dim=8, input_size=32, widths=(8,), depth=1).eval()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(encoder(images), encoder.encode(images))
    assert encoder(images).shape == (2, 4, 8)
