"""Glasses that a character wears as its person does."""

import cv2
import numpy as np
import pytest
import torch

from toonify.bundle import bundle_folder
from toonify.engines.base import aligned_region
from toonify.engines.cdsm import CdsmEngine
from toonify.engines.own_glasses import with_glasses
from toonify.lut import CharacterTable
from toonify.models.attribute_vector import GLASSES_WORN
from toonify.portrait.engine import load_mesh


@pytest.fixture(scope="module")
def mesh():
    return load_mesh("default")


@pytest.fixture(scope="module")
def drawing():
    table = CharacterTable.load(bundle_folder("default") / "characters.safetensors")
    return cv2.resize(table["kit"].preview, (256, 256), interpolation=cv2.INTER_CUBIC)


def test_rims_are_around_the_eyes_and_dark_lenses_cover_them(drawing, mesh):
    clear = with_glasses(drawing, mesh, worn=1, dark=0)
    moved = np.abs(clear.astype(int) - drawing).max(2) > 40
    rows, columns = np.nonzero(moved)
    assert 0.01 < moved.mean() < 0.08
    assert rows.min() > 90 and rows.max() < 175 and columns.min() < 90 and columns.max() > 160
    dark = with_glasses(drawing, mesh, worn=1, dark=1)
    covered = (dark.max(2) < 140) & (np.abs(dark.astype(int) - clear).max(2) > 20)
    assert covered.mean() > 2 * moved.mean()
    faint = with_glasses(drawing, mesh, worn=0.5, dark=0)
    assert (np.abs(faint.astype(int) - drawing).max(2) > 40).mean() < moved.mean()
    assert np.array_equal(with_glasses(drawing, mesh, worn=0, dark=1), drawing)


def test_characters_without_glasses_of_their_own_get_the_persons(drawing, monkeypatch):
    engine = CdsmEngine.from_bundle("default", level=12)
    region, known = aligned_region(drawing), []

    def start(w_plus, character, *, attributes, **options):
        known.append(attributes[0, GLASSES_WORN].tolist())
        return lambda: [drawing]

    monkeypatch.setattr(engine.model, "start", start)
    person = torch.zeros(1, 17)
    person[0, GLASSES_WORN] = torch.tensor([1.0, 0.0])
    monkeypatch.setattr(engine, "_attributes", lambda faces: person)
    latents = np.zeros((1, engine.model.num_ws, 512), np.float32)
    ((kit,), (nana,)) = (engine.render([region], latents, [name]) for name in ("kit", "nana"))
    assert 0.01 < (np.abs(kit.astype(int) - nana).max(2) > 40).mean() < 0.08
    assert known == [[0, 0], [1, 0]]  # nana has some, and the network lets her keep them
    person[0, GLASSES_WORN] = 0
    assert np.array_equal(engine.render([region], latents, ["kit"])[0], nana)
