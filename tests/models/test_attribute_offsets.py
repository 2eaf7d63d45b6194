"""Attributes of a person as offsets of styles: what levels let through, and files."""

from types import SimpleNamespace

import pytest
import torch

from toonify.checkpoints.attributes import load_attribute_offsets
from toonify.checkpoints.loading import save_network
from toonify.errors import ModelError
from toonify.faces.attributes import FaceAttributes
from toonify.models.attribute_offsets import FEATURES, AttributeOffsets, OwnAttributes

PLAIN = OwnAttributes(skin=(90, 6, 8), hair=(20, 10, -20), hairdo="long")
WORN = OwnAttributes(skin=(80, 10, 20), hair=(45, 20, 30), glasses=True, beard=True, moustache=True)
PERSON = FaceAttributes(
    skin=(50, 14, 20), hair=(60, 2, 4), glasses=0.95, sunglasses=0.02, beard=0.9, moustache=0.1,
    hairdo="short",
)  # fmt: skip


def offsets(**changes):
    torch.manual_seed(0)
    made = AttributeOffsets(
        **{
            "characters": {"plain": PLAIN, "worn": WORN},
            "layers": [1, 3],
            "widths": [5, 7],
            "hidden": 4,
        }
        | changes
    )
    for weight in (made.linear, made.outer):
        torch.nn.init.normal_(weight)
    return made.eval()


def vector(person=PERSON):
    return torch.from_numpy(person.vector())[None]


def features(character, level, person=PERSON):
    return offsets().features(vector(person), character, level=level)[0].tolist()


def test_levels_let_through_step_by_step():
    nothing = [0.0] * FEATURES
    assert features("plain", 6) == nothing
    skin = [-1.0, 0.2, 0.3]
    assert features("plain", 7) == pytest.approx([v / 2 for v in skin] + nothing[3:])
    colors = [*skin, 1.0, -0.2, 0.6]
    assert features("plain", 8) == pytest.approx(colors + nothing[6:])
    assert features("plain", 9)[6:9] == [0, 1, 0] and features("plain", 9)[9:] == nothing[9:]
    assert features("plain", 10)[9:13] == [1, 0, 0, 0]
    assert features("plain", 10)[13:] == nothing[13:]
    assert features("plain", 12)[13:] == [1, 0, 1, 0, 0, 0]
    assert features("plain", 16) == features("plain", 12)


def test_only_what_the_character_has_not_is_moved():
    assert features("worn", 12)[6:13] == [0, 0, 0, 0, 0, 0, 1]  # no moustache: its own goes
    bare = FaceAttributes(
        skin=None, hair=None, glasses=0, sunglasses=0, beard=0, moustache=0, hairdo=None
    )
    assert features("worn", 12, bare) == [0] * 6 + [1, 0, 0, 0, 1, 0, 1] + [0] * 6
    assert features("plain", 12, bare) == [0] * FEATURES
    long = FaceAttributes(
        skin=None, hair=None, glasses=0, sunglasses=0, beard=0, moustache=0, hairdo="long"
    )
    assert features("plain", 12, long) == [0] * FEATURES
    assert features("worn", 12, long)[13:] == [1, 0, 0, 0, 0, 1]


def test_doubtful_things_are_not_drawn():
    doubt = FaceAttributes(
        skin=None, hair=None, glasses=0.5, sunglasses=0.3, beard=0.45, moustache=0.6, hairdo=None
    )
    found = features("plain", 12, doubt)
    assert found[7:10] == [0, 0, 0] and 0.4 < found[11] < 0.6


def test_the_same_person_gives_no_offsets_and_layers_get_their_own():
    network = offsets()
    styles = [torch.zeros(1, width) for width in (4, 5, 6, 7)]
    with torch.no_grad():
        still = network(torch.zeros(2, FEATURES), ["plain", "worn"])
        moved = network.steer(styles, vector(), "plain", level=12)
    assert [tuple(part.shape) for part in still] == [(2, 5), (2, 7)]
    assert all(bool((part == 0).all()) for part in still)
    assert [bool((part != 0).any()) for part in moved] == [False, True, False, True]
    assert all(bool((style == 0).all()) for style in styles)


def test_files_hold_everything_and_belong_to_a_generator(tmp_path):
    network, path = offsets(), tmp_path / "a.safetensors"
    save_network(network, path)

    layers = [SimpleNamespace(channels=width) for width in (4, 5, 6, 7)]
    loaded = load_attribute_offsets(path, SimpleNamespace(layers=layers))
    assert loaded.config() == network.config() and loaded.characters == network.characters
    with torch.no_grad():
        found = loaded.features(vector(), "worn", level=10)
        for one, two in zip(loaded(found, ["worn"]), network(found, ["worn"]), strict=True):
            assert torch.equal(one, two)
    with pytest.raises(ModelError, match="not made for this generator"):
        load_attribute_offsets(path, SimpleNamespace(layers=layers[:3]))
