"""The engine on tiny networks and given faces."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_bundle import RESOLUTION, tiny_generator, write_bundle
from toonify import Toonifier
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Face, FaceDetector
from toonify.lut import Character, CharacterTable
from toonify.models.encoders.compact import CompactEncoder


def face(x: float, y: float, size: float = 20.0) -> Face:
    """A frontal face whose eyes are `size` px apart, centered on (x, y)."""
    points = [[-0.5, -0.4], [0.5, -0.4], [0, 0], [-0.4, 0.6], [0.4, 0.6]]
    return Face(
        box=np.array([x - size, y - size, x + size, y + size], np.float32),
        score=1.0,
        points5=np.array([x, y], np.float32) + size * np.array(points, np.float32),
    )


class GivenFaces(FaceDetector):
    """A detector that finds the faces given for a photo's width."""

    name = "given"

    def __init__(self, faces: dict[int, list[Face]]) -> None:
        self.faces = faces

    def detect(self, rgb: np.ndarray) -> list[Face]:
        return self.faces.get(rgb.shape[1], [])


WIDE = [face(120, 100, 24.0), face(300, 90)]
FACES = {400: WIDE, 160: [face(80, 80)], 120: []}


def networks() -> tuple:
    generator = tiny_generator()
    for layer in generator.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.25)
    torch.manual_seed(1)
    encoder = CompactEncoder(
        num_ws=generator.num_ws, w_dim=16, input_size=32, widths=(16, 16), depth=1
    )
    torch.nn.init.normal_(encoder.rows.weight, std=0.1)
    table = CharacterTable(generator_hash="a")
    for name in ("mina", "otto"):
        table.add(Character(name=name, w_plus=torch.randn(generator.num_ws, 16), k=1))
    return generator, encoder, table


@pytest.fixture(scope="module")
def toon() -> Toonifier:
    generator, encoder, table = networks()
    return Toonifier(
        generator=generator,
        encoder=encoder,
        table=table,
        detector=GivenFaces(FACES),
        device="cpu",
        dtype="float32",
    )


def photo(width: int, height: int = 200, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return coarse.repeat(20, 0).repeat(20, 1)


def crops(count: int) -> list[np.ndarray]:
    return [photo(160, 160, seed) for seed in range(count)]


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to rounding: the order of float sums may differ between batch sizes."""
    return a.shape == b.shape and np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_one_photo(toon: Toonifier) -> None:
    picture = photo(160)
    before = picture.copy()
    result = toon.stylize(picture, character="mina")
    assert isinstance(result, np.ndarray)
    assert result.shape == (RESOLUTION, RESOLUTION, 3) and result.dtype == np.uint8
    assert (picture == before).all()
    assert (result == toon.stylize(picture, character="mina")).all()
    assert not close(result, toon.stylize(picture, character="otto"))


def test_a_list(toon: Toonifier) -> None:
    pictures = [photo(160), photo(400, seed=1)]
    results = toon.stylize(pictures, character="mina")
    assert isinstance(results, list) and len(results) == 2
    for picture, result in zip(pictures, results, strict=True):
        assert close(result, toon.stylize(picture, character="mina"))
    assert isinstance(toon.stylize([pictures[0]], character="mina"), list)
    assert toon.stylize([], character="mina") == []


def test_no_face(toon: Toonifier) -> None:
    with pytest.raises(InputError, match="no face found"):
        toon.stylize(photo(120), character="mina")
    with pytest.raises(InputError, match="no face found"):
        toon.stylize([photo(160), photo(120)], character="mina", paste=True)


def test_batch_size_changes_nothing(toon: Toonifier) -> None:
    sizes = [toon.stylize_crops(crops(5), ["mina", "otto"], batch_size=n) for n in (1, 2, 5, 64)]
    for rows in sizes:
        assert len(rows) == 5 and all(len(row) == 2 for row in rows)
        for row, first in zip(rows, sizes[0], strict=True):
            assert all(close(a, b) for a, b in zip(row, first, strict=True))


def test_aligned_crops_need_no_detector(toon: Toonifier) -> None:
    crop = crops(1)[0][:120, :120]  # the detector finds nothing at this width
    result = toon.stylize(crop, character="mina", aligned=True)
    assert (result == toon.stylize_crops([crop], ["mina"])[0][0]).all()
    listed = toon.stylize([crop, crop], character="mina", aligned=True)
    assert len(listed) == 2 and all(close(r, result) for r in listed)


def test_the_face_is_what_counts(toon: Toonifier) -> None:
    """Far from the face, the photo has no influence on its portrait."""
    picture = photo(160)
    drawn = toon.stylize(picture, character="mina", level=8)
    crop = toon.align(picture, FACES[160][0]).image
    assert close(drawn, toon.stylize(crop, character="mina", level=8, aligned=True))


def test_paste_keeps_the_rest(toon: Toonifier) -> None:
    picture = photo(400)
    result = toon.stylize(picture, character="mina", paste=True)
    assert result.shape == picture.shape and result.dtype == np.uint8
    changed = (result != picture).any(2)
    for one in WIDE:
        x, y = one.points5[2].astype(int)
        assert changed[y - 5 : y + 5, x - 5 : x + 5].mean() > 0.9, "every face is drawn"
    far = np.ones(changed.shape, bool)
    for one in WIDE:
        x, y = one.points5[2]
        reach = 3.2 * (one.points5[1, 0] - one.points5[0, 0])
        rows, columns = np.ogrid[: far.shape[0], : far.shape[1]]
        far &= (abs(columns - x) > reach) | (abs(rows - y) > reach)
    assert far.any() and not changed[far].any()


def test_the_portrait_is_the_largest_face(toon: Toonifier) -> None:
    picture = photo(400)
    crop = toon.align(picture, WIDE[0]).image
    expected = toon.stylize(crop, character="mina", aligned=True)
    assert close(toon.stylize(picture, character="mina"), expected)


def test_the_larger_face_stays_in_front() -> None:
    generator, encoder, table = networks()
    near, behind = face(80, 80, 24.0), face(92, 80, 16.0)
    pair, alone = (
        Toonifier(
            generator=generator,
            encoder=encoder,
            table=table,
            detector=GivenFaces({160: faces}),
            device="cpu",
        ).stylize(photo(160), character="mina", paste=True)
        for faces in ([near, behind], [near])
    )
    middle = np.s_[60:100, 60:100]
    assert close(pair[middle], alone[middle])


def test_options_reach_the_mixing(toon: Toonifier) -> None:
    crop = crops(1)[0]

    def draw(**options) -> np.ndarray:
        return toon.stylize(crop, character="mina", aligned=True, **options)

    other = crops(2)[1]
    pure = draw(level=0)
    assert close(pure, toon.stylize(other, character="mina", aligned=True, level=0))
    assert not close(draw(level=3), pure)
    assert close(draw(color=0.0), draw(trgb=False))


def test_characters_and_mistakes(toon: Toonifier) -> None:
    assert toon.characters == ("mina", "otto")
    picture = photo(160)
    with pytest.raises(UsageError, match="Did you mean 'mina'"):
        toon.stylize(picture, character="mia")
    with pytest.raises(UsageError, match="level"):
        toon.stylize(picture, character="mina", level=99)
    with pytest.raises(UsageError, match="color"):
        toon.stylize(picture, character="mina", color=2.0)


def test_networks_of_other_shapes_are_refused_at_once() -> None:
    generator, encoder, table = networks()
    short = CompactEncoder(num_ws=4, w_dim=16, input_size=32, widths=(16, 16), depth=1)
    with pytest.raises(ValueError, match=r"takes w\+ of \(8, 16\), the encoder's is \(4, 16\)"):
        Toonifier(generator=generator, encoder=short, table=table)
    other = CharacterTable(generator_hash="b")
    other.add(Character(name="tall", w_plus=torch.zeros(18, 512), k=1))
    with pytest.raises(ValueError, match=r"the table's are \(18, 512\)"):
        Toonifier(generator=generator, encoder=encoder, table=other)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"character": "mina", "level": "6"}, "`level` '6' is no number"),
        ({"character": "mina", "batch_size": 0}, "`batch_size` 0 is out of range"),
        ({"character": "mina", "background": "keep"}, "`background` is of whole pictures"),
        ({"level": 3}, "`level`, `trgb` and `color` are of characters"),
        ({"style": "ink", "trgb": False}, "`level`, `trgb` and `color` are of characters"),
    ],
)
def test_options_are_never_passed_over(toon: Toonifier, options: dict, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        toon.stylize(photo(160), **options)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((32, 32, 3), np.float32),
        np.zeros((32, 32, 4), np.uint8),
        np.zeros((32, 32), np.uint8),
        np.zeros((2, 32, 32, 3), np.uint8),
        np.zeros((0, 32, 3), np.uint8),
        torch.zeros(32, 32, 3, dtype=torch.uint8),
        (np.zeros((32, 32, 3), np.uint8),),
        b"photo.jpg",
        None,
    ],
)
@pytest.mark.parametrize("aligned", [True, False])
def test_wrong_pictures(toon: Toonifier, picture: object, aligned: bool) -> None:
    with pytest.raises(UsageError, match=r"\(H, W, 3\) uint8 RGB"):
        toon.stylize(picture, character="mina", aligned=aligned)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match=r"\(H, W, 3\) uint8 RGB"):
        toon.stylize([picture], character="mina", aligned=aligned)  # type: ignore[list-item]


def test_crops_of_other_sizes(toon: Toonifier) -> None:
    for size in (16, 32, 37, 300):
        result = toon.stylize(photo(300, 300)[:size, :size], character="mina", aligned=True)
        assert result.shape == (RESOLUTION, RESOLUTION, 3)
    read_only = crops(1)[0]
    read_only.flags.writeable = False
    toon.stylize(read_only[:, ::-1], character="mina", aligned=True)


def test_from_a_bundle_in_both_precisions(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    crop = crops(1)[0]
    fine, coarse = (
        Toonifier.from_bundle(folder, device="cpu", dtype=dtype).stylize(
            crop, character="otto", aligned=True
        )
        for dtype in ("float32", "bfloat16")
    )
    assert fine.shape == coarse.shape
    assert np.abs(fine.astype(int) - coarse.astype(int)).mean() < 4
    with pytest.raises(UsageError, match="float16"):
        Toonifier.from_bundle(folder, device="cpu", dtype="float16")


def test_styles_from_arrays_pil_images_and_paths(tmp_path):
    toon = Toonifier.from_bundle("default")
    assert toon.styles[0] == "ink" and "mina" in toon.characters
    path = tmp_path / "astronaut.png"
    with Image.open(Path(__file__).parents[1] / "examples" / "astronaut.png") as picture:
        picture.crop((96, 0, 352, 256)).save(path)
    drawn = toon.stylize(path)
    with Image.open(path) as picture:
        assert np.array_equal(drawn, toon.stylize(picture))
        pixels = np.asarray(picture.convert("RGB"))
    assert drawn.shape == pixels.shape
    clear = toon.stylize([pixels], style="comic", background="transparent")
    assert clear[0].shape == (*pixels.shape[:2], 4)
    named, given = (toon.stylize(pixels[:128], background=c) for c in ("#00ff00", (0, 255, 0)))
    assert np.array_equal(named, given) and (named[0, 0] == (0, 255, 0)).all()
    for wrong in ("clear", (300, 0, 0), (1, 2), 7):
        with pytest.raises(UsageError, match="no background"):
            toon.stylize(pixels, background=wrong)
    with pytest.raises(UsageError, match="character or a style"):
        toon.stylize(pixels, style="ink", character="mina")
    with pytest.raises(InputError):
        toon.stylize(tmp_path / "nothing.jpg")


def test_an_engine_without_a_bundle_has_no_styles(toon):
    assert toon.styles == ()
    with pytest.raises(ModelError, match="styles"):
        toon.stylize(photo(160))


def test_a_bundle_says_how_characters_are_mixed(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    path = folder / "manifest.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**about, "defaults": {"level": 0}}), encoding="utf-8")
    toon = Toonifier.from_bundle(folder, device="cpu", dtype="float32")
    crop = crops(1)[0]
    own, zero, six = (
        toon.stylize(crop, character="mina", aligned=True, level=level) for level in (None, 0, 6)
    )
    assert (own == zero).all() and (own != six).any()


def test_heads_set_into_pictures_have_a_level_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.engines.mixing.get_detector", lambda *_, **__: GivenFaces(FACES))
    folder = write_bundle(tmp_path / "tiny")
    path = folder / "manifest.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    message = {**about, "defaults": {"level": 0, "paste_level": 6}}
    path.write_text(json.dumps(message), encoding="utf-8")
    toon = Toonifier.from_bundle(folder, device="cpu", dtype="float32")
    whole = photo(400)
    own, zero, six = (
        toon.stylize(whole, character="mina", paste=True, level=level) for level in (None, 0, 6)
    )
    assert (own == six).all() and (own != zero).any()
    portrait = toon.stylize(whole, character="mina")
    assert (portrait == toon.stylize(whole, character="mina", level=0)).all()
    path.write_text(json.dumps({**message, "defaults": {"paste_level": True}}), encoding="utf-8")
    with pytest.raises(ModelError, match="paste_level"):
        Toonifier.from_bundle(folder, device="cpu", dtype="float32")
