"""Windows of whole photographs: what they show, and which photographs serve."""

import cv2
import numpy as np
import pytest
import torch

from toonify.errors import InputError, UsageError
from toonify.faces.subject import Square
from toonify.media.images import write_image
from toonify.training.styleganex.scenes import HELD_OUT, SIDE, SceneFrames

RANDOM = np.random.default_rng(0)


class Middle(Square):
    """256 px from the top left are the face; nobody is on dark pictures."""

    def crop(self, rgb, size):
        if rgb.mean() < 20:
            raise InputError("no face found")
        return Square((0, 0, 256, 256)).crop(rgb, size)


@pytest.fixture
def folder(tmp_path):
    for index in range(HELD_OUT + 2):
        tint = np.full((320, 400, 3), 30 + 20 * index, np.uint8)
        tint[:, 300:, 0] = 250  # what is beside the face
        write_image(tmp_path / f"{index}.png", tint)
    return tmp_path


def encode(faces):
    return faces.mean(dim=(1, 2, 3))[:, None, None].expand(-1, 10, 8)


def test_windows_show_what_is_around_faces_with_the_w_plus_of_each(folder):
    frames = SceneFrames(folder, Middle(), encode)
    batch = frames.draw(8, torch.Generator().manual_seed(0))
    assert batch.frames.shape == (8, 3, SIDE, SIDE) and batch.targets is batch.frames
    assert batch.w_plus.shape == (8, 10, 8)
    assert batch.frames[:, 0].amax() > 0.9, "beside the face"
    green = batch.frames[:, 1].mean(dim=(1, 2))
    assert torch.allclose(batch.w_plus[:, 0, 0], green, atol=0.02), "whoever is there"
    again = frames.draw(8, torch.Generator().manual_seed(0))
    assert torch.equal(again.frames, batch.frames)


def test_held_out_scenes_are_never_drawn(folder):
    frames = SceneFrames(folder, Middle(), encode)
    kept = frames.held_out()
    assert torch.equal(kept.frames, frames.held_out().frames) and len(kept.frames) == HELD_OUT
    drawn = frames.draw(32, torch.Generator().manual_seed(1))
    assert not set(drawn.w_plus[:, 0, 0].tolist()) & set(kept.w_plus[:, 0, 0].tolist())


def test_photographs_without_a_face_are_left_out(folder, caplog):
    write_image(folder / "dark.png", np.zeros((320, 400, 3), np.uint8))
    SceneFrames(folder, Middle(), encode)
    assert "dark.png is left out: no face found" in caplog.text


def test_too_few_are_refused(folder):
    for path in sorted(folder.iterdir())[HELD_OUT:]:
        small = cv2.imread(str(path))[:100]
        cv2.imwrite(str(path), small)
    with pytest.raises(UsageError, match="4 photographs with a face"):
        SceneFrames(folder, Middle(), encode)
