"""Characters that take something of a person: colors, glasses, beard, hairdo."""

import copy

import cv2
import numpy as np
import pytest
import torch

from examples.characters.draw import NAMES, Likeness, Pose, draw
from examples.default_bundle.attribute_offsets import (
    OffsetTrainer,
    attributes_of,
    by_lot,
    let_through,
    own_attributes,
)
from tests.tiny_bundle import tiny_generator
from toonify.models.attribute_offsets import AttributeOffsets

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


def test_people_by_lot_differ_in_everything():
    random = np.random.default_rng(0)
    people = [by_lot(random) for _ in range(60)]
    lightness = [attributes_of(p).skin[0] for p in people]
    assert min(lightness) < 30 and max(lightness) > 78
    assert {p.glasses for p in people} == {"none", "clear", "sun"}
    assert {p.hairdo for p in people} == {"receding", "short", "curly", "cloud", "long"}


def test_what_a_character_has_of_its_own():
    assert own_attributes("bram").beard and own_attributes("bram").hairdo == "receding"
    assert own_attributes("nana").glasses and own_attributes("nana").hairdo is None
    assert not own_attributes("mina").beard


def test_offsets_are_learnt_and_a_resumed_run_goes_on_as_it_was():
    generator = tiny_generator().requires_grad_(False)
    torch.manual_seed(0)
    w_plus = torch.randn(8, generator.num_ws, generator.w_dim)
    table = {name: torch.randn(generator.num_ws, generator.w_dim) for name in ("mina", "nana")}
    # where eyes and mouth are, and a head that looks ahead
    values = {
        "left_x": 0.38, "left_y": 0.47, "right_x": 0.62, "right_y": 0.47, "mouth_x": 0.5,
        "mouth_y": 0.72, "yaw": 0, "pitch": 0, "roll": 0, "gaze_x": 0, "gaze_y": 0,
        "eye_left": 0.3, "eye_right": 0.3, "brow_left": 0.33, "brow_right": 0.33,
        "mouth_open": 0.1, "mouth_width": 1.0, "smile": 0.1,
    }  # fmt: skip

    def trainer():
        torch.manual_seed(1)
        network = AttributeOffsets(
            characters={name: own_attributes(name) for name in table},
            layers=[2, 3],
            widths=[generator.layers[k].channels for k in (2, 3)],
            hidden=4,
        )
        made = OffsetTrainer(network, generator, table, w_plus, [values] * 8, steps=4)
        made.perceptual = lambda one, two: (one - two).square().mean((1, 2, 3))
        return made

    whole = trainer()
    first = [whole.step() for _ in range(2)]
    state = copy.deepcopy(whole.state_dict())
    for _ in range(2):
        whole.step()
    again = trainer()
    again.load_state_dict(state)
    for _ in range(2):
        again.step()
    assert set(first[0]) == {"pixels", "areas", "perceptual"}
    assert whole.network.linear.abs().max() > 0 and whole.finite()
    for name, value in whole.averaged().state_dict().items():
        assert torch.allclose(again.averaged().state_dict()[name], value, atol=1e-6)
    assert whole.preview().shape == (24, 3, 16, 16)
