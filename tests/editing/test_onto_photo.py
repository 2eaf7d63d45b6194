"""Edits carried over to a photograph's own pixels."""

import cv2
import numpy as np

from toonify.editing.onto_photo import SIZE, apply_change, measure_change, redrawn_beyond
from toonify.faces import Face, align

FACE = Face(
    box=np.float32([60, 50, 140, 170]),
    score=1.0,
    points5=np.float32([[84, 96], [124, 96], [104, 118], [88, 140], [120, 140]]),
)


def photograph():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (24, 21, 3)).astype(np.uint8)
    return cv2.resize(small, (210, 240), interpolation=cv2.INTER_CUBIC)


def rendering(shift=0.0, lighter=0):
    """Blobs that stand for a face, moved and lightened."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    picture = np.full((SIZE, SIZE, 3), 90, np.float32)
    for cx, cy, level in ((100, 110, -60), (156, 110, -60), (128, 160 + shift, 80)):
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 300)
        picture += level * blob[..., None]
    return np.clip(picture + lighter, 0, 255).astype(np.uint8)


def test_no_edit_gives_the_photograph_to_the_bit():
    rgb = photograph()
    change = measure_change(rendering(), rendering())
    assert np.array_equal(apply_change(rgb, align(rgb, FACE, 256), change), rgb)


def test_light_is_added_within_the_reach_and_nowhere_else():
    rgb = photograph()
    alignment = align(rgb, FACE, 256)
    change = measure_change(rendering(), rendering(lighter=20))
    out = apply_change(rgb, alignment, change).astype(int)
    middle = alignment.to_photo(np.float32([[128, 128]]))[0].round().astype(int)
    around = (slice(middle[1] - 4, middle[1] + 5), slice(middle[0] - 4, middle[0] + 5))
    room = rgb[around].astype(int) < 230
    assert 12 < (out[around] - rgb[around])[room].mean() < 24
    corner = np.s_[:20, :20]
    assert np.array_equal(out[corner], rgb[corner])
    assert np.array_equal(apply_change(rgb, alignment, change), out), "the photograph stayed"


def test_what_moves_in_the_rendering_moves_in_the_photograph():
    change = measure_change(rendering(), rendering(shift=8))
    moved = change.flow[166, 128] * SIZE
    assert abs(moved[1] + 8) < 4 and abs(moved[0]) < 2, "it comes from above"
    assert np.abs(change.flow[60, 60]).max() * SIZE < 1


def test_the_rendering_s_details_come_where_something_else_would_be_moved():
    subject = np.zeros((SIZE, SIZE), np.float32)
    subject[:166, :] = 1  # up to where the lowest blob is moved to
    change = measure_change(rendering(), rendering(shift=8))
    redrawn = redrawn_beyond(change, subject)
    assert redrawn.new[150, 128] == change.new[150, 128] < 0.1
    assert redrawn.new[168, 128] < 0.5, "what moves there is the subject's"
    assert redrawn.new[200, 128] > 0.9
    assert redrawn.new[0, 0] == 0, "outside of the mask"


def test_a_head_mask_limits_the_edit():
    head = np.zeros((64, 64), np.float32)
    head[:, :32] = 1
    change = measure_change(rendering(), rendering(lighter=20), head)
    assert change.mask[128, 200] == 0 and change.mask[128, 60] > 0.9
    assert np.abs(change.added[128, 200]).max() == 0


def test_skin_turns_neither_gray_nor_green():
    """The rendering loses more red than the paler photograph has."""
    rgb = np.full((240, 210, 3), (170, 140, 125), np.uint8)
    alignment = align(rgb, FACE, 256)
    before, after = (
        np.full((SIZE, SIZE, 3), c, np.uint8) for c in ((200, 120, 90), (140, 140, 110))
    )
    skin = np.ones((64, 64), np.float32)
    x, y = alignment.to_photo(np.float32([[128, 128]]))[0].round().astype(int)

    def middle(**options):
        change = measure_change(before, after, **options)
        return apply_change(rgb, alignment, change)[y, x].astype(int)

    gray, kept = middle(), middle(skin=skin)
    assert gray[0] < gray[1], "as added, it is green"
    assert kept[0] > kept[1] + 15 and kept[1] > kept[2], "the photograph's hue"
    own = measure_change(before, before, skin=skin)
    assert np.array_equal(apply_change(rgb, alignment, own), rgb)


def test_skin_keeps_its_color_in_another_light():
    rgb = np.full((240, 210, 3), (170, 140, 125), np.uint8)
    alignment = align(rgb, FACE, 256)
    change = measure_change(rendering(), rendering(lighter=-25), skin=np.ones((64, 64), np.float32))
    x, y = alignment.to_photo(np.float32([[128, 128]]))[0].round().astype(int)
    assert 12 < rgb[y, x, 1] - int(apply_change(rgb, alignment, change)[y, x, 1]) < 30


def test_a_face_at_the_picture_s_edge():
    rgb = photograph()[90:, 80:]
    face = Face(FACE.box - 80, 1.0, FACE.points5 - np.float32([80, 90]))
    out = apply_change(rgb, align(rgb, face, 256), measure_change(rendering(), rendering(8, 20)))
    assert out.shape == rgb.shape and (out != rgb).any()


def test_a_square_of_anything_leaves_no_seam():
    """Its background gets lighter all over, and a blob in its middle darker."""
    reach = np.zeros((SIZE, SIZE), np.float32)
    reach[20:-20, 20:-20] = 1
    y, x = np.mgrid[:SIZE, :SIZE]
    blob = np.exp(-((x - 128) ** 2 + (y - 128) ** 2) / 300)[..., None]
    before = np.full((SIZE, SIZE, 3), 100, np.uint8)
    after = np.clip(120 - 80 * np.repeat(blob, 3, axis=2), 0, 255).astype(np.uint8)
    added = measure_change(before, after, reach=reach).added
    assert np.abs(added[28:60, 28:228]).max() < 4, "the background stays"
    assert added[128, 128].mean() < -60, "what is in the middle changes"
    ends = np.ones((SIZE, SIZE), np.float32)  # the square is the whole photo
    assert measure_change(before, after, reach=ends).added[5, 5].mean() > 15


def test_an_expression_leaves_the_face_s_tone_as_it_is():
    before = rendering()
    after = before.copy()
    after[100:140, 100:140] = 250  # teeth, say
    paler = np.clip(after + np.array([-6, 4, 4]), 0, 255).astype(np.uint8)
    face = np.ones((64, 64), np.float32)
    change = measure_change(before, paler, face, steady=True)
    assert abs(np.median(change.added[change.mask > 0.5], axis=0)).max() < 0.5
    grayed = measure_change(before, paler, face)
    assert np.median(grayed.added[grayed.mask > 0.5][:, 0]) < -3, "as the rendering has it"
    assert change.added[110:130, 110:130].mean() > 30, "the teeth come"
