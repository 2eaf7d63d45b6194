"""Characters that take something of a person: colors, glasses, beard, hairdo."""

import cv2
import numpy as np
import pytest
import torch

from examples.characters.draw import NAMES, Likeness, Pose, draw
from examples.default_bundle.levels import LEVELS, MixedPairs, let_through

PERSON = Likeness(
    skin=(95, 62, 48), hair=(210, 190, 140), glasses="sun", beard=True, moustache=False,
    hairdo="long",
)  # fmt: skip


def drawn(name: str, likeness: Likeness | None) -> np.ndarray:
    return draw(name, Pose(), size=128, likeness=likeness)


@pytest.mark.parametrize("name", NAMES)
def test_skin_takes_the_persons_color(name):
    cheek = drawn(name, Likeness(skin=PERSON.skin))[70, 52]
    assert np.abs(cheek.astype(int) - PERSON.skin).max() < 40
    assert np.abs(drawn(name, None)[70, 52].astype(int) - PERSON.skin).max() > 20


def test_nothing_taken_is_the_character_itself():
    assert np.array_equal(drawn("nana", None), drawn("nana", Likeness()))


def test_shades_of_blond_are_not_olive():
    picture = drawn("mina", Likeness(hair=(225, 200, 150)))
    hue, saturation, _ = np.moveaxis(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV), 2, 0)
    olive = (hue > 25) & (hue < 45) & (saturation > 60)  # OpenCV's hue is half the angle
    assert olive.mean() < 0.01


def test_glasses_and_beards_come_and_go():
    plain = drawn("jun", None)
    assert not np.array_equal(plain, drawn("jun", Likeness(glasses="clear")))
    dark = drawn("jun", Likeness(glasses="sun"))
    assert dark[54:66, 40:56].mean() < 0.6 * plain[54:66, 40:56].mean()
    assert np.array_equal(plain, drawn("jun", Likeness(glasses="none", beard=False)))
    assert not np.array_equal(drawn("nana", None), drawn("nana", Likeness(glasses="none")))
    shaven = drawn("bram", Likeness(beard=False, moustache=False))
    assert np.abs(shaven.astype(int) - drawn("bram", None)).mean() > 2


def test_another_hairdo_leaves_ornaments_behind():
    picture = drawn("mina", Likeness(hairdo="short"))
    bow = (picture[:30].astype(int) - (255, 111, 159)).__abs__().max(axis=2) < 12
    assert not bow.any()


def test_levels_let_through_step_by_step():
    skin = (250, 230, 220)
    assert let_through(PERSON, skin, 6) == Likeness()
    half = let_through(PERSON, skin, 7)
    assert half.hair is None and half.skin is not None and PERSON.skin is not None
    assert PERSON.skin[0] < half.skin[0] < skin[0]
    assert let_through(PERSON, skin, 8) == Likeness(skin=PERSON.skin, hair=PERSON.hair)
    assert let_through(PERSON, skin, 9).glasses == "sun"
    assert let_through(PERSON, skin, 10).beard and let_through(PERSON, skin, 10).hairdo is None
    assert let_through(PERSON, skin, 12) == PERSON
    assert min(LEVELS) == 6 and 12 in LEVELS


def test_pairs_mix_rows_at_their_level(tmp_path):
    people = torch.arange(2 * 4 * 3).float().view(2, 4, 3)
    (tmp_path / "mina").mkdir()
    cv2.imwrite(str(tmp_path / "mina/0.png"), np.zeros((512, 512, 3), np.uint8))
    torch.save(people.half(), tmp_path / "codes.pt")
    row = '{{"file": "mina/0.png", "character": "mina", "level": {}}}'
    (tmp_path / "pairs.json").write_text(f"[{row.format(1)}, {row.format(3)}]")
    source = MixedPairs(tmp_path, {"mina": torch.full((4, 3), -1.0)}, torch.zeros(3))
    mixed, _, targets = source.batch(torch.tensor([0, 1]))
    assert torch.equal(mixed[0, :1], people[0, :1]) and (mixed[0, 1:] == -1).all()
    assert torch.equal(mixed[1, :3], people[1, :3]) and (mixed[1, 3:] == -1).all()
    assert targets.shape == (2, 3, 512, 512)
