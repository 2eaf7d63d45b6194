"""Folders of pictures to train networks of style transfer on."""

import cv2
import numpy as np
import pytest
from PIL import Image

from toonify.training.style_transfer.pictures import PictureFolder


@pytest.fixture
def folders(tmp_path):
    """Contents and styles, three pictures each and one that can't be read."""
    rng = np.random.default_rng(0)
    found = []
    for name in ("content", "style"):
        (tmp_path / name).mkdir()
        for index in range(3):
            small = rng.integers(0, 255, (5, 6, 3)).astype(np.uint8)
            Image.fromarray(cv2.resize(small, (60, 50))).save(tmp_path / name / f"{index}.png")
        (tmp_path / name / "broken.png").write_text("none")
        found.append(PictureFolder(tmp_path / name, crop=32))
    return found
