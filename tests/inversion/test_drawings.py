"""Faces of sketches and masks by a bundle's own networks."""

import cv2
import numpy as np
import pytest
import torch

from tests.models.test_drawing import tiny
from tests.tiny_styleganex import tiny_stylegan2
from toonify.bundle import bundle_folder
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces.celeba import CELEBA
from toonify.inversion.drawings import DrawingModel, aligned_mask, aligned_sketch
from toonify.inversion.translate import translate
from toonify.models.encoders.drawing import DrawingEncoder, mask_planes, structure_features


def face_mask(size: int, x: float, y: float, scale: float) -> np.ndarray:
    """A mask of a face with its eyes 2·scale apart around (x, y)."""
    labels = np.zeros((size, size), np.uint8)
    at = [("skin", 0, 1.5, 2.6), ("right eye", -1, 0, 0.4), ("left eye", 1, 0, 0.4)]
    for part, right, down, radius in [*at, ("upper lip", 0, 2, 0.5)]:
        center = round(x + right * scale), round(y + down * scale)
        cv2.circle(labels, center, max(1, round(radius * scale)), CELEBA.index(part), -1)
    return labels


@pytest.fixture(scope="module")
def model() -> DrawingModel:
    return DrawingModel(tiny(), tiny_stylegan2().requires_grad_(False))


def test_masks_are_moved_to_where_aligned_faces_are():
    def eyes(planes):
        found = planes[1 + CELEBA.index("right eye")], planes[1 + CELEBA.index("left eye")]
        return [np.mean(np.nonzero(plane), axis=1) for plane in found]

    small = eyes(aligned_mask(face_mask(300, 80, 100, 14)))
    large = eyes(aligned_mask(face_mask(500, 300, 200, 40)))
    for one, other in zip(small, large, strict=True):
        assert np.abs(one - other).max() < 2
    assert abs(small[0][1] + small[1][1] - 127) < 2  # as far from either side
    as_it_is = aligned_mask(face_mask(300, 80, 100, 14), aligned=True)
    assert abs(eyes(as_it_is)[0][0] - 100 * 128 / 300) < 2


def test_masks_without_a_face_are_taken_as_aligned_and_empty_ones_refused(caplog):
    labels = np.zeros((60, 90), np.uint8)
    labels[20:, 30:60] = CELEBA.index("hair")
    assert aligned_mask(labels)[1 + CELEBA.index("hair")].any()
    assert "taken as an aligned one" in caplog.text
    with pytest.raises(InputError, match="nothing but background"):
        aligned_mask(np.zeros((60, 90), np.uint8))


def test_sketches_keep_their_place_without_a_detector_and_empty_ones_are_refused():
    paper = np.full((400, 400), 255, np.uint8)
    cv2.circle(paper, (200, 100), 60, 0, 3)
    y, x = np.nonzero(aligned_sketch(paper, None)[0] > 0.5)
    assert abs(x.mean() - 63.5) < 1 and abs(y.mean() - 32) < 1
    with pytest.raises(InputError, match="sketch is empty"):
        aligned_sketch(np.full((400, 400), 250, np.uint8), None)


def test_a_fit_brings_the_parts_rendered_closer_and_leaves_fine_rows(model):
    w_plus = model.generator.w_avg.expand(1, model.generator.num_ws, -1).clone()
    with torch.no_grad():
        model.encoder.from_features.weight.normal_(0, 1, generator=torch.manual_seed(1))
    parts = torch.from_numpy(mask_planes(face_mask(128, 64, 60, 12)))[None, 1:]
    parts = torch.nn.functional.adaptive_avg_pool2d(parts, 64)

    @torch.no_grad()
    def missed(latents):
        logits = model.encoder.label(structure_features(model.generator, latents))
        return float(-(parts * logits.log_softmax(1)).sum(1).mean())

    fitted = model.fit(w_plus, parts)
    assert missed(fitted) < missed(w_plus) - 0.01
    assert torch.equal(fitted[:, 8:], w_plus[:, 8:])


def test_samples_differ_and_a_seed_tells_which(model):
    planes = mask_planes(face_mask(128, 64, 60, 12))
    one, other = model.faces(planes, samples=2, seed=3)
    (again,) = model.faces(planes, samples=1, seed=3)
    assert one.shape == (64, 64, 3) and one.dtype == np.uint8
    assert (one != other).any() and np.array_equal(one, again)


def test_an_encoder_of_another_generator_is_refused():
    torch.manual_seed(0)
    other = DrawingEncoder(w_dim=16, features=9, widths=(4, 4, 8, 8, 8))
    with pytest.raises(ModelError, match="not 8"):
        DrawingModel(other, tiny_stylegan2())


def test_a_mask_becomes_a_face_that_has_its_parts_there(tmp_path):
    """The default bundle's networks, compared by its own parser."""
    from toonify.faces.celeba import HeadLabeler

    labels = face_mask(256, 128, 118, 32)
    yy, xx = np.mgrid[:256, :256]
    hair = ((xx - 128) ** 2 / 105**2 + (yy - 110) ** 2 / 100**2 < 1) & (labels == 0)
    labels[hair] = CELEBA.index("hair")
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), labels)
    (face,) = translate(path, "mask", framing="aligned")
    assert face.shape == (256, 256, 3)
    found = HeadLabeler.from_bundle()(face)
    for part, least in (("hair", 0.5), ("skin", 0.6)):
        one, other = labels == CELEBA.index(part), found == CELEBA.index(part)
        assert (one & other).sum() / (one | other).sum() > least, part


def test_the_shipped_part_is_named_with_source_and_license():
    import json

    manifest = json.loads((bundle_folder("default") / "manifest.json").read_text())
    entry = manifest["files"]["drawing_encoder"]
    assert entry["license"] and entry["source"]


def test_options_of_photographs_and_checkpoints_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), face_mask(128, 64, 60, 12))
    with pytest.raises(UsageError, match="face is of photographs"):
        translate(tmp_path / "mask.png", "mask", framing="face")
    with pytest.raises(UsageError, match="generator` is of a `checkpoint"):
        translate(tmp_path / "mask.png", "mask", generator="default")
