"""Line-ups, colors and heads: what figures say where the answer is known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from toonify.evaluation import Probes, evaluate_function
from toonify.evaluation.color import ciede2000, to_lab
from toonify.evaluation.heads import SIDE, Head, agreement, compare_heads, flat_share, see_head
from toonify.evaluation.lineup import descriptor_distances, layout_distances, top1
from toonify.faces.parsing import FaceParser

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


# pairs published with the formula (Sharma, Wu & Dalal 2005, table 1)
@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_color_differences_are_the_published_ones(first, second, difference):
    assert ciede2000(first, second) == pytest.approx(difference, abs=1e-4)
    assert ciede2000(second, first) == pytest.approx(difference, abs=1e-4)


def test_lab_of_white_and_gray():
    lab = to_lab(np.uint8([[[255, 255, 255], [119, 119, 119]]]))
    assert np.allclose(lab[0, 0], [100, 0, 0], atol=0.1) and lab[0, 1, 0] == pytest.approx(
        50, abs=1
    )


def test_top1_counts_only_what_is_nearest_by_itself():
    assert top1(np.array([[0.0, 1], [1, 0]])) == 1
    assert top1(np.array([[0.0, 1], [0, 1]])) == 0.5
    assert top1(np.zeros((3, 3))) == 0  # all alike tells nobody
    assert top1(np.zeros((1, 1))) is None


def test_layouts_are_compared_over_the_photographs_head():
    rng = np.random.default_rng(0)
    photos = [rng.uniform(0, 100, (24, 24, 3)) for _ in range(5)]
    heads = [np.zeros((24, 24)) for _ in photos]
    for head in heads:
        head[6:18, 6:18] = 1
    drawings = [photo + rng.normal(0, 5, photo.shape) for photo in photos]
    for drawing in drawings:
        drawing[:4] = 50  # other backgrounds count nothing
    assert top1(layout_distances(drawings, photos, heads)) == 1
    assert top1(layout_distances(drawings[1:] + drawings[:1], photos, heads)) == 0
    faces = [rng.normal(size=8) for _ in photos]
    assert descriptor_distances(faces, faces).diagonal().max() == 0


def head_of(shade: float, *, hair: slice = slice(0, 60), **options: float) -> Head:
    """Skin of one lightness below hair."""
    lab = np.zeros((SIDE, SIDE, 3), np.float32)
    lab[..., 0] = shade
    mask = np.zeros((SIDE, SIDE), bool)
    skin, hairs = mask.copy(), mask.copy()
    skin[80:200, 80:180] = True
    hairs[hair, 60:200] = True
    agreed = ("glasses", "beard", "soft_glasses")
    given = dict.fromkeys(agreed, 0.0) | options
    empty = np.zeros((24, 24), np.float32)
    return Head(lab, skin | hairs, skin, hairs, skin, hairs, layout=empty, share=empty, **given)


def test_figures_of_two_heads():
    photo, same = head_of(50), head_of(50)
    figures = compare_heads(photo, same)
    assert figures["skin_error"] == figures["cheeks"] == 0 and figures["hair_iou"] == 1
    lighter = compare_heads(photo, head_of(60, hair=slice(30, 60)))
    assert lighter["cheeks"] == pytest.approx(10) and lighter["skin_error"] > 5
    assert lighter["hair_iou"] == pytest.approx(0.5)
    assert compare_heads(head_of(50, hair=slice(0, 0)), same).keys() >= {"skin_error", "flat"}
    assert "hair_iou" not in compare_heads(head_of(50, hair=slice(0, 0)), same)


def test_flat_areas():
    rng = np.random.default_rng(0)
    head = head_of(50)
    assert flat_share(head, head.head) == 1
    head.lab[..., 0] += rng.normal(0, 3, head.lab.shape[:2])
    assert flat_share(head, head.head) == 0
    assert flat_share(head, np.zeros((SIDE, SIDE), bool)) is None


def test_agreement_counts_those_that_are_told():
    agreed = agreement([0.9, 0.95, 0.1, 0.5], [0.8, 0.3, 0.2, 0.9])
    assert agreed == {"photos": 3, "agree": pytest.approx(2 / 3), "have": 2, "kept": 0.5}
    assert agreement([0.5], [0.5]) is None
    assert agreement([0.1], [0.1]) == {"photos": 1, "agree": 1, "have": 0}


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """The astronaut's face, and the same in two other lights."""
    folder = tmp_path_factory.mktemp("crops")
    face = Image.open(ASTRONAUT).convert("RGB").crop((150, 20, 300, 170)).resize((256, 256))
    face.save(folder / "a.png")
    face.point(lambda v: v // 2).save(folder / "b.png")
    face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda v: v * 0.7).save(folder / "c.png")
    return folder


def test_a_real_head_is_seen(crops):
    rgb = np.asarray(Image.open(crops / "a.png"))
    head = see_head(rgb, FaceParser())
    assert head.skin[150, 128] and not head.skin[5, 5]
    assert head.hair_map[40, 128] and head.head.mean() > 0.3 and head.glasses < 0.5


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No weights but those that ship."""
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return Probes(offline=True)


def test_any_function_is_evaluated_without_downloads(crops, offline):
    def blurred(photo):
        return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(3)))

    same = evaluate_function(crops, lambda photo: photo, probes=offline)
    assert same["photos"] == 3 and same["lineup"]["color"] == 1
    assert same["lineup"]["chance"] == pytest.approx(1 / 3)
    assert same["likeness"]["skin_error"] == 0 and same["likeness"]["hair_iou"] == 1
    assert [same["likeness"]["thirds"][third]["photos"] for third in ("dark", "light")] == [1, 1]
    soft = evaluate_function(crops, blurred, probes=offline)
    assert soft["likeness"]["flat"] > same["likeness"]["flat"]
    assert soft["likeness"]["skin_error"] < 2
    black = evaluate_function(sorted(crops.iterdir()), lambda photo: photo * 0, probes=offline)
    assert black["lineup"]["color"] == 0 or black["lineup"]["color"] == pytest.approx(1 / 3)
    assert black["likeness"]["cheeks"] < -20
