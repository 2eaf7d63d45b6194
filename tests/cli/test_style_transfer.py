"""`stylize --style-image` on the default bundle."""

import cv2
import numpy as np
import pytest
from PIL import Image


def photo(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 255, (7, 9, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_stylize_draws_photos_without_faces_in_the_manner_of_a_picture(run, tmp_path):
    source, style, out = tmp_path / "hill.png", tmp_path / "style.png", tmp_path / "out.png"
    Image.fromarray(photo(64, 96)).save(source)
    Image.fromarray(photo(60, 60, 4)).save(style)
    result = run("stylize", source, "-o", out, "--style-image", style, "--offline")
    assert result.status == 0 and not result.err, result.err
    drawn = np.asarray(Image.open(out))
    assert drawn.shape == (64, 96, 3) and (drawn != photo(64, 96)).mean() > 0.5
    moody = tmp_path / "moody.png"
    options = ["--engine", "wct2", "--style-image", style, "--max-size", 48]
    assert run("stylize", source, "-o", moody, *options).status == 0
    assert np.asarray(Image.open(moody)).shape == (32, 48, 3)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--alpha 0.5", 2, "is of a style picture"),
        ("--engine wct2", 2, "is of a style picture"),
        ("--style-image {style} --style ink", 2, "draws whole photos"),
        ("--style-image {style} --crop", 2, "draws whole photos"),
        ("--style-image {style} --segment", 2, "is of wct2"),
        ("--style-image {style} --style-weight 1 --style-weight 2", 2, "2 weights for 1"),
        ("--style-image {style} --style-weight 0", 2, "all weights are 0"),
        ("--style-image {style} --style-image {style} --engine wct2", 2, "one style picture"),
        ("--style-image {style} --region nowhere", 2, "no region"),
        ("--style-image gone.png", 1, "gone.png"),
        ("--style-image {style} --style-network gone.safetensors", 3, "gone.safetensors"),
        ("--style-image {style} --region face", 1, "no face found"),
    ],
)
def test_refusals_are_one_line(run, tmp_path, arguments, status, words):
    source, style = tmp_path / "hill.png", tmp_path / "style.png"
    Image.fromarray(photo(64, 96)).save(source)
    Image.fromarray(photo(60, 60, 4)).save(style)
    out = tmp_path / "out.png"
    result = run("stylize", source, "-o", out, *arguments.format(style=style).split())
    assert result.status == status and words in result.err
    assert len(result.err.splitlines()) == 1 and not out.exists()
