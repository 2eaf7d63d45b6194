"""Parts of another face by geometry and blending."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.editing import local_edits
from toonify.editing.hair_transfer import hair_layer
from toonify.editing.local_edits import edit_part
from toonify.editing.part_light import Kept, from_log, skin_base, to_log, toned
from toonify.editing.part_people import check_poses, measure
from toonify.editing.part_shapes import SHAPES, ThinPlate, filled, posed
from toonify.editing.part_transfer import PartTransfer
from toonify.errors import InputError
from toonify.faces import get_detector
from toonify.faces.types import f32
from toonify.media.images import read_image, write_image
from toonify.portrait.engine import load_analyzer
from toonify.portrait.subject import OVAL

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def photo():
    return read_image(ASTRONAUT).rgb


def measured(rgb, name="me.png"):
    return measure(load_analyzer(), rgb, get_detector().detect_largest(rgb), name)


@pytest.fixture(scope="module")
def person(photo):
    return measured(photo)


@pytest.fixture(scope="module")
def friend(photo):
    """The same woman, mirrored, larger and under a blue light."""
    rgb = cv2.resize(photo[:300, ::-1], None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC)
    return measured((rgb * np.float32([0.6, 0.75, 1.0])).astype(np.uint8), "friend.png")


def turned(person, degrees):
    """As if the head were turned by so much more."""
    face = person.subject.face
    angle = np.deg2rad(degrees)
    turn = np.float32(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    face = replace(face, points3d=face.points3d @ turn.T)
    return replace(person, subject=replace(person.subject, face=face))


def test_thin_plates_take_points_where_they_go():
    rng = np.random.default_rng(0)
    source = rng.uniform(0, 100, (30, 2)).astype(np.float32)
    affine = source @ np.float32([[1.2, 0.3], [-0.1, 0.8]]) + 5
    bent = affine + 3 * np.sin(source / 20)
    assert np.abs(ThinPlate(source, affine, 40)(source) - affine).max() < 1e-2, "planes are kept"
    assert np.abs(ThinPlate(source, bent, 40, 1e-6)(source) - bent).max() < 1e-2
    field = ThinPlate(source, bent, 40).over((100, 80))
    assert field.shape == (80, 100, 2)
    middle = ThinPlate(source, bent, 40)(np.float32([[50, 40]]))[0]
    assert np.abs(field[40, 50] - middle).max() < 0.5


def test_a_part_s_points_move_and_the_face_around_it_stays(person, friend):
    mine, theirs = person.subject.face, friend.subject.face
    assert np.abs(posed("mouth", mine, mine) - mine.points).max() < 1, "one's own mouth fits"
    moved = np.linalg.norm(posed("mouth", mine, theirs) - mine.points, axis=1)
    assert moved[list(SHAPES["mouth"][0].core)].max() > 1
    assert moved[[10, 33, 263, 168]].max() == 0, "neither forehead nor eyes"


def test_tones_are_exchanged_and_what_deviates_is_kept():
    rng = np.random.default_rng(1)
    skin = np.float32([200, 160, 130]) + rng.normal(0, 6, (40, 40, 1)).astype(np.float32)
    dark = skin * np.float32([0.45, 0.4, 0.4])
    sure, flat = np.ones((40, 40), np.float32), np.zeros((40, 40, 2), np.float32)
    light_base, dark_base = (skin_base(to_log(each), sure, flat) for each in (skin, dark))
    made = from_log(toned(to_log(skin), light_base, dark_base))
    assert np.abs(made.mean((0, 1)) - dark.mean((0, 1))).max() < 4
    assert np.corrcoef(made[..., 0].ravel(), skin[..., 0].ravel())[0, 1] > 0.95
    same = from_log(toned(to_log(skin), light_base, light_base))
    assert np.abs(same - skin).max() < 0.5, "one's own tone changes nothing"
    spot = skin.copy()
    spot[10:14, 10:14] = 255
    plain = from_log(toned(to_log(spot), light_base, light_base, Kept(gloss=0.1)))
    assert plain[11, 11, 0] < 225, "highlights can be left out"


@pytest.mark.parametrize("part", ["eyes", "brows", "nose", "mouth"])
def test_the_photo_stays_around_the_part_and_meets_it_in_its_tone(photo, friend, person, part):
    transfer = PartTransfer(person, friend)
    layer = transfer.feature(part)
    edited = transfer.laid(layer)
    changed = (edited != photo).any(axis=2)
    y, x = np.nonzero(changed)
    face = person.face.box
    assert 300 < changed.sum() < 0.45 * (face[2] - face[0]) * (face[3] - face[1])
    assert x.min() > face[0] - 5 and x.max() < face[2] + 5 and y.max() < face[3] + 5
    # the friend is much bluer: its part must not be
    inner = cv2.erode(changed.astype(np.uint8), np.ones((5, 5))) > 0
    hue = [
        float((each[inner][:, 2] / (each[inner].mean(1) + 1)).mean()) for each in (photo, edited)
    ]
    assert abs(hue[1] - hue[0]) < 0.08, hue
    # no seam: along the rim nothing is steeper than the photograph itself is around there
    rim = changed & ~inner
    steps = [np.abs(np.diff(each.astype(int), axis=1)).mean(2)[rim[:, 1:]].mean()
             for each in (photo, edited)]  # fmt: skip
    assert steps[1] < 1.25 * steps[0] + 1, steps


def test_one_s_own_part_changes_nothing(photo):
    edited = edit_part(photo, photo, "eyes")
    assert np.abs(edited.astype(int) - photo).max() <= 16, "but for rounding of the mesh"
    assert np.abs(edited.astype(int) - photo).mean() < 0.02


def test_strength_goes_from_the_photo_to_the_other(photo, person, friend):
    made = {}
    for strength in (0.0, 0.5, 1.0, 2.0):
        transfer = PartTransfer(person, friend, strength)
        made[strength] = transfer.laid(transfer.feature("mouth")).astype(int)
    assert np.array_equal(made[0.0], photo)
    half, whole, twice = (np.abs(made[each] - photo).sum() for each in (0.5, 1.0, 2.0))
    assert half < whole and not np.array_equal(made[1.0], made[2.0]) and twice > 0


def test_hair_comes_before_what_is_behind_the_head(photo, person, friend):
    transfer = PartTransfer(person, friend)
    edited = transfer.laid(hair_layer(transfer))
    changed = (edited != photo).any(axis=2)
    points = person.to_picture[:, :2] @ person.subject.face.points[[1, 33, 263, 13]].T
    for x, y in (points + person.to_picture[:, 2:]).T.round().astype(int):
        assert not changed[y - 2 : y + 3, x - 2 : x + 3].any(), "the face is her own"
    hair = cv2.warpAffine(person.subject.parts.hair, person.to_picture, photo.shape[1::-1])
    assert changed[hair > 0.9].mean() > 0.8


def test_a_hat_hides_hair(person, friend):
    parts = replace(friend.subject.parts, headwear=friend.subject.parts.hair)
    hatted = replace(friend, subject=replace(friend.subject, parts=parts))
    with pytest.raises(InputError, match=r"friend.png: something is worn on the hair"):
        hair_layer(PartTransfer(person, hatted))


def test_what_is_before_a_part_is_said(person, friend):
    cover = np.ones_like(friend.subject.parts.cover)
    parts = replace(friend.subject.parts, cover=cover)
    hidden = replace(friend, subject=replace(friend.subject, parts=parts))
    with pytest.raises(InputError, match=r"friend.png: something is before the nose"):
        PartTransfer(person, hidden).feature("nose")
    with pytest.raises(InputError, match=r"friend.png: something is before the nose"):
        PartTransfer(hidden, person).feature("nose")


def test_heads_that_are_turned_differently_do_not_go_together(person, friend):
    check_poses(person, friend)
    with pytest.raises(InputError, match="look into different directions"):
        check_poses(turned(person, 20), turned(friend, -20))
    with pytest.raises(InputError, match=r"friend.png: the face is turned too far"):
        check_poses(person, turned(friend, 70))


def test_glasses_are_put_on_once(person, friend):
    frame = np.zeros_like(friend.subject.parts.glasses)
    left, right = (friend.subject.face.points[i].round().astype(int) for i in (33, 263))
    cv2.rectangle(frame, tuple(left - 20), tuple(right + 20), 1.0, 5)
    rgb = friend.rgb.copy()
    matrix = friend.to_picture
    rgb[cv2.warpAffine(frame, matrix, rgb.shape[1::-1]) > 0.5] = [20, 200, 20]
    wearing = replace(
        friend,
        rgb=rgb,
        subject=replace(friend.subject, parts=replace(friend.subject.parts, glasses=frame)),
    )
    transfer = PartTransfer(person, wearing)
    edited = transfer.laid(transfer.glasses()).astype(int)
    green = (edited[..., 1] - edited[..., [0, 2]].max(2)) > 80
    assert 100 < green.sum() < 4000
    with pytest.raises(InputError, match=r"friend.png: wears glasses already"):
        PartTransfer(wearing, person).glasses()


def test_a_mask_and_another_place(photo, person, friend, tmp_path, monkeypatch):
    def known(analyzer, rgb, faces, name):
        return replace(person if rgb.shape == photo.shape else friend, name=name)

    monkeypatch.setattr(local_edits, "measure", known)  # the two are measured once
    mask = np.zeros(photo.shape, np.uint8)
    mask[100:130, 200:250] = 255
    write_image(tmp_path / "mask.png", mask)
    edited = edit_part(photo, friend.rgb, tmp_path / "mask.png")
    y, x = np.nonzero((edited != photo).any(axis=2))
    assert y.min() > 85 and y.max() < 145 and x.min() > 185 and x.max() < 265
    moved = edit_part(photo, friend.rgb, "mouth", at=(225, 70))
    y, x = np.nonzero((moved != photo).any(axis=2))
    assert abs(y.mean() - 70) < 12 and abs(x.mean() - 225) < 12
    with pytest.raises(InputError, match="`at` lies beside the face"):
        edit_part(photo, friend.rgb, "mouth", at=(9000, 9000))
    mask[:] = 0
    mask[480:, 480:] = 255
    write_image(tmp_path / "beside.png", mask)
    with pytest.raises(InputError, match="lies beside the face"):
        edit_part(photo, friend.rgb, tmp_path / "beside.png")
    with pytest.raises(InputError, match="the reference: no glasses to take"):
        edit_part(photo, friend.rgb, "glasses")


def test_a_bare_forehead_stays_the_person_s_own(person, friend):
    def combed_back(one):
        subject = one.subject
        face = filled(OVAL, subject.face.points, one.size)
        parts = replace(subject.parts, hair=f32(subject.parts.hair * (face < 0.5)))
        assert parts.hair.sum() > 0.15 * face.sum(), "there is much of it"
        return replace(one, subject=replace(subject, parts=parts))

    combed = combed_back(person)
    layer = hair_layer(PartTransfer(combed, combed_back(friend)))
    x, y = combed.subject.face.points[151].round().astype(int)  # of the forehead's middle
    assert layer.alpha[y - 2 : y + 3, x - 2 : x + 3].max() < 0.1
    assert layer.alpha.max() > 0.9, "the hair comes"
