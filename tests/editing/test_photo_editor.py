"""Edits within a photograph, measured on renderings that have its details."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.editing.test_onto_photo import FACE, photograph
from tests.models.test_fusion_net import tiny_net
from tests.tiny_hfgi import tiny_hfgi
from toonify.editing.photo_editor import PhotoEditor, slid
from toonify.errors import InputError, UsageError
from toonify.faces import align
from toonify.faces.parsing import LABELS
from toonify.faces.subject import LargestFace, Square
from toonify.inversion.background_fusion import BackgroundFusion
from toonify.inversion.fitting import FitSettings
from toonify.inversion.model import FaceModel
from toonify.models.fusion_tree import FFHQ, PERSON, StyleFusion
from toonify.utils.tensors import to_rgb


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
    return PhotoEditor(model, photograph(), LargestFace(Finder([FACE])), fit=fit, details=details)


def test_no_edit_gives_the_photograph_to_the_bit(editor):
    assert np.array_equal(editor.edited(editor.w_plus), editor.rgb)


def test_a_part_is_another_latent_s(editor):
    editor._detailed = None  # parts are mixed in renderings of latents alone
    network = tiny_net(editor.model.generator)
    fusion = StyleFusion(FFHQ, {"all": network, "face": network})
    own, other = editor.w_plus, editor.w_plus + 1.0
    editor._before = editor._render(None, editor.model.generator.styles(own))
    assert np.array_equal(editor.mixed(fusion, own, "eyes"), editor.rgb)
    assert (editor.mixed(fusion, other, "eyes") != editor.rgb).any()
    with pytest.raises(UsageError, match="don't part hair"):
        editor.mixed(fusion, other, "hair")


def test_an_edit_changes_the_face_alone(editor):
    out = editor.edited(editor.w_plus + 1.0)
    assert (out != editor.rgb).any()
    assert np.array_equal(out[:20, :20], editor.rgb[:20, :20])


def test_a_fused_background_stays_and_so_does_the_photograph_at_rest(editor):
    labels = np.zeros((128, 128, len(LABELS)), np.float32)
    labels[..., LABELS.index("background")] = 1
    labels[30:100, 40:90] = np.eye(len(LABELS), dtype=np.float32)[LABELS.index("skin")]
    network = StyleFusion(PERSON, {"all": tiny_net(editor.model.generator)})
    editor._fusion = BackgroundFusion(editor._detailed.details, network, lambda crop: labels)
    assert np.array_equal(editor.edited(editor.w_plus, keep_background=True), editor.rgb)
    edit = editor.w_plus + 1.0
    out = editor.edited(edit, keep_background=True)
    crop = align(out, FACE, 256).image.astype(int)
    change = np.abs(crop - align(editor.rgb, FACE, 256).image).mean(axis=2)
    assert change[80:180, 100:160].mean() > 3, "the head"
    assert change[:30].max() <= 1 and change[:, :40].max() <= 1, "the wall"


def test_a_head_that_left_the_middle_of_its_crop_is_put_back():
    parsed = np.zeros((4, 64, 64), np.float32)
    parsed[2, 20:40, 30:44] = 1
    moved = np.roll(parsed, 8, axis=2)

    class Parsing:
        _parsed = parsed

        model = SimpleNamespace(generator=SimpleNamespace(styles=lambda w_plus: None))

        def _parse(self, styles):
            return moved

    slip = PhotoEditor._slip(Parsing(), None)
    assert np.allclose(slip, [8 / 64, 0])
    back = slid(moved.transpose(1, 2, 0), -slip)
    assert np.allclose(back.transpose(2, 0, 1), parsed)
    assert slid(np.ones((8, 8), np.float32), np.float32([0.5, 0]), outside=0)[:, :4].max() == 0


def test_a_picture_without_a_face_is_refused(editor):
    with pytest.raises(InputError, match="no face found"):
        PhotoEditor(editor.model, photograph(), LargestFace(Finder([])))


def test_an_edit_of_anything_reaches_all_of_its_square_and_no_further():
    model = FaceModel(tiny_hfgi().generator)
    photo = photograph()
    fit = FitSettings.of_anything(model.generator, steps=0)
    editor = PhotoEditor(model, photo, Square((40, 30, 64, 64)), fit=fit)
    assert np.array_equal(editor.edited(editor.w_plus), photo)
    changed = (editor.edited(editor.w_plus + 2.0) != photo).any(axis=2)
    assert changed[38:86, 48:96].mean() > 0.8
    changed[30:94, 40:104] = False
    assert not changed.any()
    with pytest.raises(UsageError, match="heads"):
        editor.edited(editor.w_plus + 2.0, keep_background=True)


def test_without_an_encoder_the_fit_finds_the_latent_from_the_average():
    generator = tiny_hfgi().generator
    with torch.no_grad():
        w = generator.mapping(torch.randn(1, generator.z_dim) * 2)
        picture = generator(w[:, None].expand(-1, generator.num_ws, -1))
    photo = to_rgb(picture)
    fits = [FitSettings.of_anything(generator, steps=steps) for steps in (0, 60)]
    editors = [PhotoEditor(FaceModel(generator), photo, Square(), fit=fit) for fit in fits]
    near = [(generator(each.w_plus) - picture).abs().mean() for each in editors]
    assert torch.equal(editors[0].w_plus[0, 0], generator.w_avg)
    assert near[1] < 0.5 * near[0]
