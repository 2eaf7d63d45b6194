"""Edits of w+ and what is made of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from toonify.editing.edits import layer_range, mixed, moved, strip, write_animation
from toonify.errors import UsageError


def test_layer_ranges():
    assert layer_range(None, 10) == range(10)
    assert layer_range("4", 10) == range(4, 5)
    assert layer_range("0-6", 10) == range(7)
    assert layer_range("8-", 10) == layer_range(None, 10, "8-") == range(8, 10)
    for wrong in ("x", "6-2", "3-10", "-3", "1-2-3"):
        with pytest.raises(UsageError, match="no range of layers"):
            layer_range(wrong, 10)


def test_only_the_chosen_layers_move():
    w_plus, other = torch.randn(1, 6, 4), torch.randn(1, 6, 4)
    step = torch.randn(4)
    edited = moved(w_plus, step, -2.0, range(1, 3))
    torch.testing.assert_close(edited[:, 1:3], w_plus[:, 1:3] - 2 * step)
    assert torch.equal(edited[:, 3:], w_plus[:, 3:]) and torch.equal(edited[:, :1], w_plus[:, :1])
    mix = mixed(w_plus, other, range(4, 6))
    assert torch.equal(mix[:, :4], w_plus[:, :4]) and torch.equal(mix[:, 4:], other[:, 4:])


def test_strips_and_animations(tmp_path):
    pictures = [np.full((6, 5, 3), 60 * i, np.uint8) for i in range(4)]
    joined = strip(pictures)
    assert joined.shape == (6, 4 * 5 + 3 * 4, 3)
    assert (joined[:, 5:9] == 255).all() and (joined[:, -5:] == 180).all()
    write_animation(tmp_path / "new" / "a.gif", pictures)
    with Image.open(tmp_path / "new" / "a.gif") as animation:
        assert animation.n_frames == 6  # there and back
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.gif"]
