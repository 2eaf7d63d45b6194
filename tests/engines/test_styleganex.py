"""The StyleGANEX engine's regions, latents, drawings and mattes, with a pretended network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
import torch

from toonify.engines.styleganex import LIFT, REACH, StyleGANEXEngine
from toonify.errors import InputError
from toonify.faces import Alignment, Face, FaceDetector, align
from toonify.faces.types import RGB, f32
from toonify.video.assignment import CharacterAssignment
from toonify.video.stills import draw_still

SIDE = 384  # px of a region
PAINT = {"mina": (40, 200, 40), "jun": (230, 40, 230)}
POINTS = np.float32([[-1, 0], [1, 0], [0, 1], [-0.8, 2], [0.8, 2]])


def face_in(center: tuple[float, float], unit: float, turn: float = 0.0) -> Face:
    """Its eyes are two units apart, their middle at `center`; turned by degrees."""
    angle = np.radians(turn)
    rotation = np.float32([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = POINTS @ rotation.T * unit + np.float32(center)
    box = np.concatenate([points.min(0) - unit, points.max(0) + unit])
    return Face(f32(box), 1.0, f32(points))


class Network:
    """Draws a disc around the middle of each frame; takes a crop's mean for its latent."""

    characters = tuple(PAINT)
    device = torch.device("cpu")
    crop = 256

    def __init__(self, scale: float = 1.0, radius: float = 0.25) -> None:
        self.scale, self.radius = scale, radius
        self.crops: list[RGB] = []
        self.calls: list[tuple[int, str, dict]] = []

    def encode(self, crops: Sequence[RGB]) -> torch.Tensor:
        self.crops += crops
        return torch.tensor([[[float(crop.mean())]] for crop in crops])

    def start(
        self, frames: Sequence[RGB], w: torch.Tensor, name: str, **options
    ) -> Callable[[], list[RGB]]:
        assert len(frames) == len(w)
        self.calls.append((len(frames), name, options))
        size = round(SIDE * self.scale)
        drawn = []
        for frame in frames:
            toon = cv2.resize(frame, (size, size), interpolation=cv2.INTER_CUBIC)
            center = (size // 2, size // 2)
            cv2.circle(toon, center, round(self.radius * size), PAINT[name], -1, cv2.LINE_AA)
            drawn.append(np.asarray(toon))
        return lambda: drawn


class Detector(FaceDetector):
    name = "known"

    def __init__(self, faces: list[Face]) -> None:
        self.faces = faces

    def detect(self, rgb: RGB, *, quick: bool = False) -> list[Face]:
        return sorted(self.faces, key=lambda face: -face.size)

    def follow(self, rgb: RGB, face: Face) -> Face | None:
        return face


def engine_of(*faces: Face, network: Network | None = None, **options) -> StyleGANEXEngine:
    return StyleGANEXEngine(network or Network(), detector=Detector(list(faces)), **options)  # type: ignore[arg-type]


def photo(size: tuple[int, int] = (480, 640)) -> RGB:
    """Soft and colored everywhere."""
    random = np.random.default_rng(0)
    coarse = random.integers(60, 200, (12, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def middle_of(region: Alignment) -> np.ndarray:
    half = (SIDE - 1) / 2
    return region.to_photo(f32([[half, half]]))[0]


@pytest.mark.parametrize("unit", [8.0, 16.0, 30.0])
@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_a_region_is_upright_with_the_face_at_its_training_size(unit: float, turn: float) -> None:
    rgb, face = photo(), face_in((310, 200), unit, turn)
    region = engine_of().region(rgb, face)
    assert region.image.shape == (SIDE, SIDE, 3) and round(256 * REACH) == SIDE
    assert region.matrix[0, 1] == region.matrix[1, 0] == 0, "not turned"
    eyes = region.to_crop(face.points5[:2])
    assert np.hypot(*(eyes[1] - eyes[0])) == pytest.approx(64, rel=0.02)
    up = np.array([np.sin(np.radians(turn)), -np.cos(np.radians(turn))])
    # an FFHQ crop's middle is a tenth of the way down from the eyes to the mouth
    wanted = np.float32([310, 200]) - 0.1 * 2 * unit * up + LIFT * 8 * unit * up
    assert np.abs(middle_of(region) - wanted).max() < 0.02 * 8 * unit


def test_an_encoder_of_smaller_faces_gets_smaller_regions() -> None:
    network = Network()
    network.crop = 192
    region = engine_of(network=network).region(photo(), face_in((310, 200), 16.0))
    assert region.image.shape == (288, 288, 3)
    eyes = region.to_crop(region.face.points5[:2])
    assert np.hypot(*(eyes[1] - eyes[0])) == pytest.approx(48, rel=0.02)


def test_a_region_shows_the_picture_as_it_is() -> None:
    rgb = photo()
    region = engine_of().region(rgb, face_in((320, 240), 32.0))  # its pixels are the photo's
    assert region.matrix[0, 0] == pytest.approx(1, abs=0.02)
    x0, y0 = np.rint(middle_of(region)).astype(int) - 50
    there = region.image[SIDE // 2 - 50 : SIDE // 2 + 50, SIDE // 2 - 50 : SIDE // 2 + 50]
    assert np.abs(there.astype(int) - rgb[y0 : y0 + 100, x0 : x0 + 100]).max() < 8
    for unit in (9.0, 100.0):  # enlarged, averaged
        other = engine_of().region(rgb, face_in((320, 240), unit))
        x, y = middle_of(other)
        near = rgb[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].mean((0, 1))
        assert np.abs(other.image[188:196, 188:196].mean((0, 1)) - near).max() < 8


def test_large_faces_are_averaged_not_sampled() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 200
    region = engine_of().region(stripes, face_in((400, 400), 90.0))
    assert np.abs(region.image.astype(int) - 100).mean() < 20


def test_beyond_the_picture_it_is_mirrored_and_outside_it_is_refused() -> None:
    rgb = photo()
    region = engine_of().region(rgb, face_in((20, 15), 16.0))
    left = round(float(-region.matrix[0, 2] / region.matrix[0, 0]))
    assert left > 40
    row = region.image[200].astype(int)
    assert np.abs(row[left - 30 : left - 2] - row[left + 2 : left + 30][::-1]).max() < 12
    with pytest.raises(InputError, match="outside the picture"):
        engine_of().region(rgb, face_in((900, 240), 16.0))
    with pytest.raises(InputError, match="outside the picture"):
        engine_of().region(rgb, face_in((300, -200), 16.0))
    with pytest.raises(InputError, match="eyes and mouth"):
        engine_of().region(rgb, face_in((300, 200), 0.1))


@pytest.mark.parametrize("turn", [0.0, 25.0])
def test_latents_are_read_from_aligned_faces(turn: float) -> None:
    rgb, face = photo(), face_in((310, 230), 30.0, turn)
    engine = engine_of()
    latents = engine.encode([engine.region(rgb, face)])
    assert latents.shape == (1, 1, 1) and latents.dtype == np.float32
    (crop,) = engine.model.crops
    wanted = align(rgb, face, 256).image
    assert crop.shape == (256, 256, 3)
    assert np.abs(crop.astype(int) - wanted)[32:-32, 32:-32].mean() < 3


def test_drawings_come_back_in_order_each_in_its_characters_batch() -> None:
    rgb = photo()
    engine = engine_of(batch_size=2, level=4, trgb=False, color=0.5)
    regions = [engine.region(rgb, face_in((200 + 40 * n, 240), 20.0)) for n in range(5)]
    names = ["mina", "jun", "mina", "mina", "jun"]
    latents = np.zeros((5, 1, 1), np.float32)
    drawn = engine.render(regions, latents, names)
    for region, name, toon in zip(regions, names, drawn, strict=True):
        assert toon[SIDE // 2, SIDE // 2].tolist() == list(PAINT[name])
        assert np.array_equal(toon[:40], region.image[:40])
    options = {"level": 4, "trgb": False, "color": 0.5}
    assert engine.model.calls == [
        (2, "jun", options),
        (2, "mina", options),
        (1, "mina", options),
    ]


def disc(size: int, radius: float, center: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2


def region_and_toon() -> tuple[Alignment, np.ndarray]:
    engine = engine_of()
    region = engine.region(photo(), face_in((320, 240), 30.0))
    return region, region.image.copy()


def test_where_nothing_is_drawn_nothing_is_laid_in() -> None:
    region, toon = region_and_toon()
    assert not engine_of().matte(region, toon).any()
    faint = np.clip(toon.astype(int) + 6, 0, 255).astype(np.uint8)
    assert not engine_of().matte(region, faint).any(), "nor where it is hardly another color"


def test_a_matte_is_the_drawing_without_holes() -> None:
    region, toon = region_and_toon()
    toon[disc(SIDE, 0.3)] = PAINT["mina"]
    toon[disc(SIDE, 0.05)] = region.image[disc(SIDE, 0.05)]
    matte = engine_of().matte(region, toon)
    assert matte.shape == (SIDE, SIDE) and matte.dtype == np.float32
    larger = cv2.resize(toon, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_CUBIC)
    assert engine_of().matte(region, larger).shape == (2 * SIDE, 2 * SIDE), "as the drawing"
    assert matte[disc(SIDE, 0.29)].min() > 0.95, "an eye of the frame's own color is no hole"
    assert matte[~disc(SIDE, 0.33)].max() < 0.05
    area = (matte > 0.5).sum() / disc(SIDE, 0.3).sum()
    assert 1 <= area < 1.12


def test_only_the_faces_own_piece_is_drawn() -> None:
    region, toon = region_and_toon()
    toon[disc(SIDE, 0.2)] = PAINT["mina"]
    aside = disc(SIDE, 0.08, (0.85, 0.85))
    toon[aside] = PAINT["jun"]
    matte = engine_of().matte(region, toon)
    assert matte[disc(SIDE, 0.18)].min() > 0.9 and not matte[aside].any()
    toon[disc(SIDE, 0.21)] = region.image[disc(SIDE, 0.21)]
    assert not engine_of().matte(region, toon).any(), "what is drawn elsewhere is nobody's face"


def test_gaps_are_closed() -> None:
    region, toon = region_and_toon()
    toon[disc(SIDE, 0.25)] = PAINT["mina"]
    toon[SIDE // 2 : SIDE // 2 + 6] = region.image[SIDE // 2 : SIDE // 2 + 6]
    matte = engine_of().matte(region, toon)
    assert matte[disc(SIDE, 0.23)].min() > 0.9


def test_the_mask_fades_towards_the_regions_edges() -> None:
    mask = engine_of().mask(np.ones((100, 100), np.float32))
    assert mask[50, 50] == 1 and mask[20:80, 20:80].min() == 1
    assert mask[0].max() < 0.02 and mask[:, -1].max() < 0.02
    assert (np.diff(mask[50, :12]) >= 0).all()
    half = engine_of().mask(np.full((100, 100), 0.5, np.float32))
    assert np.array_equal(half, mask / 2)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("unit", [10.0, 34.0, 80.0])
def test_a_drawing_of_any_size_is_laid_in_where_the_face_is(scale: float, unit: float) -> None:
    """Generators give the region at a quarter of its size up to four times."""
    rgb, face = photo((720, 960)), face_in((450, 330), unit)
    engine = engine_of(face, network=Network(scale))
    drawn, count = draw_still(rgb, engine, CharacterAssignment(["jun"], tuple(PAINT)))
    assert count == 1
    painted = (np.abs(drawn.astype(int) - PAINT["jun"]).max(2) < 40) & (drawn != rgb).any(2)
    y, x = np.nonzero(painted)
    center = middle_of(engine.region(rgb, face))
    assert np.abs([x.mean() - center[0], y.mean() - center[1]]).max() < 0.05 * 8 * unit
    radius = np.sqrt(painted.sum() / np.pi)
    assert radius == pytest.approx(0.25 * REACH * 8 * unit, rel=0.12)
    away = np.hypot(*(np.mgrid[:720, :960][::-1] - center[:, None, None])) > 1.25 * radius + 8
    assert np.array_equal(drawn[away], rgb[away]), "the frame's own pixels stay"


def test_people_are_drawn_from_left_to_right() -> None:
    rgb = photo()
    faces = [face_in((460, 240), 20.0), face_in((160, 240), 16.0)]
    engine = engine_of(*faces)
    drawn, count = draw_still(rgb, engine, CharacterAssignment(["mina,jun"], tuple(PAINT)))
    assert count == 2
    for (x, _), name in zip(((160, 0), (460, 0)), PAINT, strict=True):
        assert drawn[235, x].tolist() == list(PAINT[name])
    _, count = draw_still(rgb, engine, CharacterAssignment(["1=jun,2=mina"], tuple(PAINT)))
    assert [call[1] for call in engine.model.calls[-2:]] == ["jun", "mina"]
    before = rgb.copy()
    alone, count = draw_still(rgb, engine, CharacterAssignment([], tuple(PAINT)), largest=True)
    assert count == 1 and alone[235, 460].tolist() == list(PAINT["mina"])
    assert np.array_equal(alone[:, :250], rgb[:, :250]) and np.array_equal(rgb, before)


def test_nobody_there_is_the_picture_itself() -> None:
    rgb = photo()
    drawn, count = draw_still(rgb, engine_of(), CharacterAssignment([], tuple(PAINT)))
    assert count == 0 and np.array_equal(drawn, rgb)
