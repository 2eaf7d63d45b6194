"""What is behind an edited head."""

import numpy as np
import pytest

from tests.editing.test_onto_photo import FACE, photograph
from toonify.editing.background import KeptBackground, head_in_photo
from toonify.faces import align
from toonify.faces.parsing import LABELS

HEAD = (30, 40, 200)  # color of what the stand-in parser takes for skin


def parser(crop):
    """Skin where the crop has the head's color, background elsewhere."""
    small = crop[::2, ::2].astype(int)
    labels = np.zeros((*small.shape[:2], len(LABELS)), np.float32)
    head = np.abs(small - HEAD).sum(axis=2) < 60
    labels[..., LABELS.index("skin")] = head
    labels[..., LABELS.index("background")] = ~head
    return labels


def with_head(x):
    """A wall with a round head around column `x`."""
    rows, columns = np.mgrid[:240, :210]
    rgb = np.full((240, 210, 3), 180, np.uint8)
    rgb[(columns - x) ** 2 + (rows - 115) ** 2 < 35**2] = HEAD
    return rgb


@pytest.fixture
def kept():
    photo = with_head(100)
    return KeptBackground(photo, align(photo, FACE, 256), parser)


def test_where_the_head_has_been_the_wall_goes_on(kept):
    edited = with_head(115)
    edited[100:130, 66:76] = (20, 200, 20)  # a ghost of the old outline
    edited[60:70, 40:50] = (200, 0, 0)  # and something that the edit did to the wall
    out = kept(edited)
    assert np.abs(out[100:130, 66:73].astype(int) - 180).max() < 12
    assert (out[60:70, 40:50] == 180).all(), "the photograph's own"
    assert np.array_equal(out[110:120, 105:125], edited[110:120, 105:125]), "the head is the edit's"


def test_who_stands_beside_stays():
    photo = with_head(100)
    photo[40:70, 25:45] = HEAD  # another's
    kept = KeptBackground(photo, align(photo, FACE, 256), parser)
    edited = with_head(115)
    edited[40:70, 25:45] = (90, 140, 190)  # what the edit did to them
    assert np.array_equal(kept(edited)[44:66, 29:41], photo[44:66, 29:41])


def test_nothing_that_the_edit_left_is_touched(kept):
    photo = with_head(100)
    assert np.array_equal(kept(photo), photo)
    noisy = photograph()
    assert np.array_equal(KeptBackground(noisy, align(noisy, FACE, 256), parser)(noisy), noisy)


def test_of_a_rendering_the_head_alone_comes_into_the_photo():
    photo = with_head(100)
    photo[60:75, 10:30] = HEAD  # another's
    rendering = with_head(112)
    ghosts = rendering.copy()
    ghosts[:60] = ghosts[170:] = (120, 60, 60)
    out = head_in_photo(photo, ghosts, align(photo, FACE, 256), parser)
    assert np.array_equal(out[:60], photo[:60]) and np.array_equal(out[170:], photo[170:])
    assert np.array_equal(out[60:75, 10:30], photo[60:75, 10:30]), "who stands beside"
    assert np.abs(out[105:125, 100:130].astype(int) - HEAD).max() < 8, "the rendering's head"
    assert np.abs(out[110:120, 66:74].astype(int) - 180).max() < 12, "the wall where it has been"
