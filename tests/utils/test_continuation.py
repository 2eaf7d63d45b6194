"""What is known of a field goes on."""

import torch

from toonify.utils.continuation import continued


def test_the_known_stays_and_the_rest_follows_what_is_near():
    field = torch.full((1, 2, 64, 64), 0.2)
    field[..., 32:] = 0.8
    known = torch.ones(1, 1, 64, 64)
    known[..., 10:50, 4:24] = 0
    spoilt = torch.where(known > 0, field, torch.tensor(-9.0))
    found = continued(spoilt, known)
    assert torch.equal(found[..., :10, :], field[..., :10, :])
    assert (found[..., 12:48, 6:20] - 0.2).abs().max() < 0.12, "the left side is nearer"


def test_where_nothing_is_known_it_is_finite():
    field = torch.rand(2, 3, 32, 32)
    assert continued(field, torch.zeros(2, 1, 32, 32)).isfinite().all()
    assert torch.equal(continued(field, torch.ones(2, 1, 32, 32)), field)
