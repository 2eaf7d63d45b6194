"""Parts of another face in a photograph."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from toonify.checkpoints.loading import save_network
from toonify.editing.face_parts import PARTS, SIDE, part_mask, widened
from toonify.editing.local_edits import LocalEditor, edit_part, in_tone, turning
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces.parsing import LABELS, Parsing
from toonify.media.images import read_image, write_image
from toonify.models.generators.stylemap import StyleMapGAN

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("stylemap") / "s.safetensors"
    save_network(
        StyleMapGAN(size=64, map_size=16, widths={16: 8, 32: 8, 64: 4}, mapping=False), path
    )
    return path


@pytest.fixture(scope="module")
def friend(tmp_path_factory):
    """The same woman, bluer and mirrored."""
    rgb = read_image(ASTRONAUT).rgb[:, ::-1].astype(np.float32) * [0.6, 0.8, 1.0]
    path = tmp_path_factory.mktemp("friend") / "friend.png"
    write_image(path, np.ascontiguousarray(rgb.astype(np.uint8)))
    return path


@pytest.fixture(scope="module")
def editor():
    torch.manual_seed(0)
    return LocalEditor(StyleMapGAN(size=64, map_size=16, widths={16: 8, 32: 8, 64: 4}))


@pytest.fixture(scope="module")
def face(editor):
    return editor.face(read_image(ASTRONAUT).rgb, SIDE)


def parsing_of(labels, **others):
    """A `Parsing` that is sure of a label map."""
    planes = np.eye(len(LABELS), dtype=np.float32)[labels]
    return Parsing(planes, {}, **{"beard": 0.0, "moustache": 0.0, "headwear": 0.0} | others)


def test_parts_lie_where_a_face_has_them(face):
    middles = {}
    for name in ("eyes", "brows", "nose", "mouth", "hair"):
        mask = part_mask(name, face.parsing, face.alignment)
        assert mask.shape == (SIDE, SIDE) and set(np.unique(mask)) == {0, 1}
        y, x = np.nonzero(mask)
        middles[name] = y.mean()
        if name != "hair":
            assert 0.4 * SIDE < x.mean() < 0.6 * SIDE and mask.mean() < 0.1
    assert middles["brows"] < middles["eyes"] < middles["nose"] < middles["mouth"]
    assert part_mask("glasses", face.parsing, face.alignment) is None
    assert part_mask("beard", face.parsing, face.alignment) is None


def test_glasses_are_taken_with_their_lenses_and_specks_are_none(face):
    labels = np.ones((128, 128), np.uint8)
    cv2.rectangle(labels, (30, 55), (98, 75), LABELS.index("glasses"), 2)
    labels[5, 5] = LABELS.index("glasses")
    mask = part_mask("glasses", parsing_of(labels), face.alignment)
    assert mask[130, 128] == 1 and mask[10, 10] == 0


def test_eyes_of_this_face_alone_and_not_behind_dark_glasses(face):
    labels = np.ones((128, 128), np.uint8)
    for x in (40, 80, 122):
        labels[58:64, x : x + 6] = LABELS.index("eye")
    mask = part_mask("eyes", parsing_of(labels), face.alignment)
    assert mask[120, 86] == 1 and mask[120, 166] == 1 and not mask[:, 240:].any()
    labels[64:70, 40:86] = LABELS.index("sunglasses")
    assert part_mask("eyes", parsing_of(labels), face.alignment) is None


def test_a_beard_is_there_where_the_whole_crop_says_so(face):
    labels = np.ones((128, 128), np.int64)
    labels[90:110, 40:90] = LABELS.index("beard")
    assert part_mask("beard", parsing_of(labels, beard=0.2), face.alignment) is None
    mask = part_mask("beard", parsing_of(labels, beard=0.9), face.alignment)
    assert mask[200, 130] == 1 and mask[100, 130] == 0


def test_the_photo_changes_in_the_part_alone(network, friend):
    photo = read_image(ASTRONAUT).rgb
    edited = edit_part(ASTRONAUT, friend, "mouth", network=network)
    changed = (edited != photo).any(axis=2)
    y, x = np.nonzero(changed)
    assert changed.any() and edited.shape == photo.shape
    assert y.min() > 120 and y.max() < 180 and x.min() > 180 and x.max() < 270
    assert np.array_equal(edit_part(photo, friend, "mouth", 0.0, network=network), photo)


def test_one_s_own_part_changes_nothing(network):
    photo = read_image(ASTRONAUT).rgb
    edited = edit_part(photo, photo, "eyes", network=network)
    assert np.abs(edited.astype(int) - photo).max() <= 2, "but for rounding"


class Blurring(torch.nn.Module):
    """Stands for a network: stylemaps are small pictures."""

    size = 64

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def encoder(self, image):
        return F.avg_pool2d(image, 4)

    def generator(self, stylemap):
        return F.interpolate(stylemap, scale_factor=4, mode="bilinear")


def test_what_the_network_can_not_render_is_added_back(face):
    """Within the part the other face's detail, outside the photograph's."""
    rgb = face.alignment.image
    editor = LocalEditor(Blurring())
    other = np.ascontiguousarray(rgb[:, ::-1])
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[64:192, 64:192] = 1
    crop = replace(face.alignment, matrix=np.float64([[1, 0, 0], [0, 1, 0]]))
    edited = editor.edited(rgb, replace(face, alignment=crop), other, mask)
    inner = np.s_[96:160, 96:160]
    wanted = other[inner].astype(int)
    assert np.abs(edited[inner].astype(int) - wanted).max() <= 2
    assert np.array_equal(edited[:48], rgb[:48]) and np.array_equal(edited[:, :48], rgb[:, :48])


def test_skin_follows_the_photo_s_tone(face):
    blue = np.clip(face.alignment.image * np.float32([0.5, 0.7, 1.0]), 0, 255).astype(np.uint8)
    other = replace(face, alignment=replace(face.alignment, image=blue))
    toned = in_tone(other, face)
    before = np.abs(blue.astype(int) - face.alignment.image).mean()
    assert np.abs(toned.astype(int) - face.alignment.image).mean() < 0.4 * before


def test_faces_that_look_elsewhere_are_known(face):
    points = face.alignment.face.points5.copy()
    points[2, 0] += 40
    turned = replace(
        face, alignment=replace(face.alignment, face=replace(face.alignment.face, points5=points))
    )
    assert abs(turning(face)) < 0.3 < turning(turned)


def test_a_mask_and_another_place(network, friend, tmp_path):
    photo = read_image(ASTRONAUT).rgb
    mask = np.zeros(photo.shape, np.uint8)
    mask[100:130, 200:250] = 255
    path = tmp_path / "mask.png"
    write_image(path, mask)
    edited = edit_part(photo, friend, path, network=network)
    y, x = np.nonzero((edited != photo).any(axis=2))
    assert y.min() > 85 and y.max() < 145 and x.min() > 185 and x.max() < 265
    moved = edit_part(photo, friend, "mouth", at=(225, 70), network=network)
    y, x = np.nonzero((moved != photo).any(axis=2))
    assert abs(y.mean() - 70) < 12 and abs(x.mean() - 225) < 12


def test_what_can_not_be_done_is_said_in_one_line(network, friend, tmp_path):
    def refused(error, text, *arguments, **options):
        with pytest.raises(error, match=text):
            edit_part(*arguments, **{"network": network} | options)

    blank = tmp_path / "blank.png"
    write_image(blank, np.zeros((512, 512, 3), np.uint8))
    small = tmp_path / "small.png"
    write_image(small, np.full((64, 64, 3), 255, np.uint8))
    beside = np.zeros((512, 512, 3), np.uint8)
    beside[480:, 480:] = 255
    write_image(tmp_path / "beside.png", beside)
    refused(InputError, "friend.png: no glasses to take", ASTRONAUT, friend, "glasses")
    refused(InputError, "blank.png is empty", ASTRONAUT, friend, blank)
    refused(InputError, "small.png is 64x64, the photo 512x512", ASTRONAUT, friend, small)
    refused(InputError, "lies beside the face", ASTRONAUT, friend, tmp_path / "beside.png")
    refused(InputError, "blank.png: no face found", ASTRONAUT, blank, "eyes")
    refused(UsageError, "no part 'eye'. Did you mean 'eyes'", ASTRONAUT, friend, "eye")
    refused(UsageError, "`strength` 9", ASTRONAUT, friend, "eyes", 9)
    refused(InputError, "`at` lies beside", ASTRONAUT, friend, "eyes", at=(9000, 9000))
    refused(ModelError, "no such file", ASTRONAUT, friend, "eyes", network=tmp_path / "gone.pt")


def test_every_part_is_told_from_others():
    assert set(PARTS) == {"eyes", "brows", "nose", "mouth", "hair", "glasses", "beard"}
    known = {label for part in PARTS.values() for label in part.labels}
    assert known <= set(LABELS)
    assert widened(np.eye(64, dtype=np.float32), 0.1).mean() > 0.1
