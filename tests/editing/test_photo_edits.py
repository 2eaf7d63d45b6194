from pathlib import Path

import numpy as np
import pytest

from tests.tiny_bundle import add_frame_parts, write_bundle
from toonify import edit, invert
from toonify.errors import UsageError
from toonify.media.images import read_image

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(add_frame_parts(write_bundle(tmp_path_factory.mktemp("bundles") / "whole")))


def test_an_edit_of_nothing_is_the_photograph(bundle):
    photo = read_image(ASTRONAUT).rgb
    still = edit(ASTRONAUT, "sefa-1", 0.0, encoder=bundle, steps=0)
    assert np.array_equal(still, photo)
    moved = edit(photo, "sefa-1", 3.0, encoder=bundle, steps=0)
    changed = np.abs(moved.astype(int) - photo).max(2) > 0
    assert moved.shape == photo.shape and changed.any() and not changed[-40:].any()


def test_what_can_not_be_edited(bundle, tmp_path):
    with pytest.raises(ValueError, match="nothing is changed"):
        edit(ASTRONAUT, encoder=bundle)
    with pytest.raises(OSError, match="no face"):
        edit(np.zeros((64, 64, 3), np.uint8), "sefa-1", encoder=bundle)


@pytest.mark.parametrize(
    "direction, text",
    [("smiel", "Did you mean 'smile'"), ("older", "Known: age"), ("gone.npy", "no directions at")],
)
def test_no_network_is_loaded_for_a_direction_that_is_not_there(monkeypatch, direction, text):
    monkeypatch.setattr("toonify.editing.job.load_face_model", None)
    with pytest.raises(ValueError, match=text):
        edit(ASTRONAUT, direction)


def test_a_photograph_is_inverted(bundle, tmp_path):
    found = invert(ASTRONAUT, encoder=bundle, frame="aligned", steps=0)
    assert list(found.likeness) == ["encoded"] and found.generator is None and not found.curves
    assert found.reconstruction.ndim == 3 and found.likeness["encoded"]["mae"] > 0
    found.latents.save(tmp_path / "me.safetensors", {})
    assert (tmp_path / "me.safetensors").is_file()


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"method": "hgfi"}, "no `method` 'hgfi'"),
        ({"hfgi_network": "networks.safetensors"}, "`hfgi_network` is of"),
        ({"strength": float("nan")}, "`strength` nan is out of range"),
        ({"strength": 1e9}, "Give -20 to 20"),
        ({"steps": -1}, "`steps` -1"),
    ],
)
def test_options_that_do_not_fit_an_edit(wrong, text):
    with pytest.raises(UsageError, match=text):
        edit(ASTRONAUT, "sefa-1", **wrong)


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"method": "hgfi"}, "no `method` 'hgfi'"),
        ({"hfgi_network": "networks.safetensors"}, "`hfgi_network` is of"),
        ({"frame": "square"}, "no `frame` 'square'"),
        ({"steps": -1}, "`steps` -1"),
        ({"pti_steps": -1}, "`pti_steps` -1"),
        ({"method": "hfgi", "frame": "whole"}, "one pass"),
        ({"method": "hfgi", "steps": 100}, "one pass"),
        ({"method": "hfgi", "pti_steps": 100}, "one pass"),
    ],
)
def test_options_that_do_not_fit_an_inversion(wrong, text):
    with pytest.raises(UsageError, match=text):
        invert(ASTRONAUT, **wrong)


def test_directions_found_in_a_generator_leave_a_face_its_colors():
    photo = read_image(ASTRONAUT).flat
    plain, colored, own = (
        edit(photo, "sefa-1", 2.0, steps=0, layers=rows) for rows in ("0-7", "0-", None)
    )
    assert np.array_equal(own, plain) and not np.array_equal(own, colored)


def test_backgrounds_are_kept_where_a_direction_turns_heads(monkeypatch):
    requested = []

    def edited(self, w_plus, *, region="head", keep_background=False):
        requested.append(keep_background)
        return self.rgb

    monkeypatch.setattr("toonify.editing.photo_editor.PhotoEditor.edited", edited)
    for direction, wish in (("sefa-3", None), ("sefa-1", None), ("yaw", None), ("yaw", False)):
        edit(ASTRONAUT, direction, steps=0, keep_background=wish)
    assert requested == [True, False, True, False]
