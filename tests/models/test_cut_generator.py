"""The compact encoder with a generator cut to a lower resolution, which takes fewer rows."""

import pytest
import torch

from toonify.models.base import Encoder
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.mobile import MobileGenerator


@pytest.mark.parametrize("steps", [1, 2])
def test_a_cut_generator_gets_the_rows_it_takes(steps: int) -> None:
    generator = MobileGenerator(resolution=32, channels=[16, 16, 16], w_dim=16, mapping_layers=2)
    encoder = CompactEncoder(num_ws=12, w_dim=16, input_size=32, widths=(8, 8), depth=1, steps=2)
    photos = torch.rand(2, 3, 40, 40) * 2 - 1
    w_plus = encoder.encode(photos, generator, steps=steps)
    assert w_plus.shape == (2, generator.num_ws, 16)
    torch.testing.assert_close(
        encoder.encode(photos, steps=1)[:, : generator.num_ws],
        encoder.encode(photos, generator, steps=1),
    )


def test_who_serves_whom() -> None:
    compact = CompactEncoder(num_ws=12, w_dim=16, input_size=32, widths=(8, 8), depth=1)
    assert compact.serves(8) and compact.serves(12) and not compact.serves(14)
    other = Encoder()
    other.num_ws = 12
    assert other.serves(12) and not other.serves(8)
