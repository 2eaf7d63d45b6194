"""Sketches and masks as the network T wants them, and pictures from them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_styleganex import tiny_encoder, tiny_stylegan2
from toonify.errors import InputError, ModelError, UsageError
from toonify.inversion.frames import AlignedInput
from toonify.inversion.model import FaceModel
from toonify.inversion.translation import (
    OnnxParser,
    check_encoder,
    label_colors,
    mask_tensor,
    read_mask,
    sketch_tensor,
    translate_drawing,
    translate_frame,
)

LABELS = np.random.default_rng(0).integers(0, 19, (40, 48)).astype(np.uint8)


def save(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    picture = Image.fromarray(values)
    if mode == "P":
        picture = Image.fromarray(values, "P")
        picture.putpalette(label_colors().tobytes() + bytes(768 - 57))
    picture.save(path)
    return path


def test_masks_are_read_as_gray_palette_three_channels_or_colors(tmp_path):
    colors = label_colors()
    assert len({tuple(c) for c in colors.tolist()}) == 19
    for path in (
        save(tmp_path / "gray.png", LABELS),
        save(tmp_path / "palette.png", LABELS, "P"),
        save(tmp_path / "three.png", np.repeat(LABELS[..., None], 3, axis=2)),
        save(tmp_path / "colors.png", colors[LABELS]),
    ):
        assert np.array_equal(read_mask(path), LABELS)


def test_unknown_labels_and_colors_are_named(tmp_path):
    with pytest.raises(UsageError, match="label 25"):
        read_mask(save(tmp_path / "a.png", LABELS + np.uint8(7)))
    rgb = label_colors()[LABELS]
    rgb[3, 5] = (1, 2, 3)
    with pytest.raises(UsageError, match=r"\(1, 2, 3\)"):
        read_mask(save(tmp_path / "b.png", rgb))
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "nowhere.png")
    (tmp_path / "c.png").write_text("no image")
    with pytest.raises(InputError, match="can be read"):
        read_mask(tmp_path / "c.png")
    for size, word in ((1100, "large"), (31, "small")):
        with pytest.raises(UsageError, match=f"too {word}"):
            sketch_tensor(np.zeros((size, size, 3), np.uint8))


@pytest.mark.parametrize("labels", [1, 19])
def test_drawings_become_different_faces_of_the_same_layout(labels):
    encoder = tiny_encoder(label_channels=labels, fusion_channels=(8,), input_statistics=True)
    model = FaceModel(tiny_stylegan2(), encoder)
    drawing = mask_tensor(LABELS)
    if labels == 1:
        drawing = sketch_tensor(label_colors()[LABELS])
    assert drawing.shape == (1, labels, 40, 48)
    task = "sketch" if labels == 1 else "mask"
    first, second = translate_drawing(model, drawing, task, samples=2, seed=3)
    assert first.shape == (1, 3, 10, 12) and not torch.equal(first, second)
    again, _ = translate_drawing(model, drawing, task, samples=2, seed=3)
    assert torch.equal(again, first)


FACE, FRAME = np.zeros((256, 256, 3), np.uint8), np.zeros((45, 61, 3), np.uint8)


@pytest.mark.parametrize("task", ["super-resolution", "toonify"])
def test_frames_are_translated_with_their_faces_latents(task):
    model = FaceModel(tiny_stylegan2(), tiny_encoder(fusion_channels=(8,) * 3))
    picture = translate_frame(model, AlignedInput(FACE, FRAME), task)
    assert picture.shape == (1, 3, 11, 15)
    other = translate_frame(model, AlignedInput(FACE + np.uint8(99), FRAME), task)
    assert not torch.equal(picture, other)
    assert translate_frame(model, AlignedInput(FACE, None), task).shape == (1, 3, 64, 64)


def test_an_edit_goes_along_the_encoders_vector():
    encoder = tiny_encoder(fusion_channels=(8,) * 3, attention=1, has_direction=True)
    encoder.direction.normal_()
    model = FaceModel(tiny_stylegan2(), encoder)
    aligned = AlignedInput(FACE, FRAME)
    still, edited = (translate_frame(model, aligned, "edit", strength=s) for s in (0.0, 1.0))
    assert not torch.allclose(still, edited)
    with pytest.raises(ModelError, match="toonify translate"):
        model.encode(aligned)


def test_an_encoder_of_another_task_is_refused():
    model = FaceModel(tiny_stylegan2(), tiny_encoder(label_channels=1))
    with pytest.raises(ModelError, match="for mask"):
        list(translate_drawing(model, mask_tensor(LABELS), "mask", samples=1, seed=0))


def test_an_encoder_of_a_bundles_characters_is_refused():
    model = FaceModel(tiny_stylegan2(), tiny_encoder(heads=False, units=(1, 1, 3, 0)))
    with pytest.raises(ModelError, match=r"draws a bundle's characters.*`bundle`"):
        check_encoder(model, "toonify")


def test_a_parser_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "p.onnx").write_bytes(b"\x08\x07nothing")
    with pytest.raises(ModelError, match="ONNX"):
        OnnxParser(tmp_path / "p.onnx")
    with pytest.raises(ModelError, match="no parsing network"):
        OnnxParser(tmp_path / "q.onnx")
