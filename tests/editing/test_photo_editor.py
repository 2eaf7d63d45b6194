"""Edits within a photograph, measured on renderings that have its details."""

import numpy as np
import pytest
import torch

from tests.editing.test_onto_photo import FACE, photograph
from tests.tiny_hfgi import tiny_hfgi
from toonify.editing.photo_editor import PhotoEditor
from toonify.errors import InputError
from toonify.inversion.fitting import FitSettings
from toonify.inversion.model import FaceModel


class Finder:
    def __init__(self, faces):
        self.faces = faces

    def detect(self, rgb):
        return self.faces


@pytest.fixture
def editor():
    details = tiny_hfgi()
    for layer in (details.networks.consult.head, details.networks.consult.fine_head):
        torch.nn.init.normal_(layer.weight, std=0.3)
    model = FaceModel(details.generator, details.encoder)
    fit = FitSettings(steps=0)
    return PhotoEditor(model, photograph(), Finder([FACE]), fit=fit, details=details)


def test_no_edit_gives_the_photograph_to_the_bit(editor):
    assert np.array_equal(editor.edited(editor.w_plus), editor.rgb)


def test_an_edit_changes_the_face_alone(editor):
    out = editor.edited(editor.w_plus + 1.0)
    assert (out != editor.rgb).any()
    assert np.array_equal(out[:20, :20], editor.rgb[:20, :20])


def test_a_picture_without_a_face_is_refused(editor):
    with pytest.raises(InputError, match="no face found"):
        PhotoEditor(editor.model, photograph(), Finder([]))
