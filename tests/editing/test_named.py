"""Directions with names, and the regression that makes them."""

import numpy as np
import pytest
import torch

from tests.tiny_bundle import tiny_generator
from toonify.checkpoints.safetensors_io import write_safetensors
from toonify.editing.directions import find_direction
from toonify.editing.named import NamedDirection, NamedDirections, shipped_directions
from toonify.editing.regression import regress_directions
from toonify.errors import InputError, ModelError, UsageError


def named(generator, parser=None):
    vector = torch.linspace(-1, 1, generator.w_dim)
    about = {"smile": NamedDirection("1-2", "face", "a little", holds=(-1.0, 2.0), usual=0.5)}
    return NamedDirections(generator.w_avg.clone() + 1, {"smile": vector}, about, parser)


def test_a_file_gives_back_what_was_saved(tmp_path):
    generator = tiny_generator()
    kept = named(generator)
    kept.save(tmp_path / "d.safetensors")
    read = NamedDirections.load(tmp_path / "d.safetensors")
    assert read.about == kept.about
    assert torch.allclose(read.vectors["smile"], kept.vectors["smile"], atol=1e-3)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    write_safetensors({"direction": torch.zeros(4)}, path, config={"architecture": "direction"})
    with pytest.raises(ModelError, match="no named directions"):
        NamedDirections.load(path)


def test_names_come_before_files_and_are_suggested():
    generator = tiny_generator()
    generator.w_avg.fill_(0.5)
    known = named(generator)
    found = find_direction("smile", generator, None, known)
    assert torch.equal(found, known.vectors["smile"])
    with pytest.raises(UsageError, match="smile"):
        find_direction("smlie", generator, None, known)


def test_a_generator_of_another_w_is_refused():
    generator = tiny_generator()
    known = named(generator)
    generator.w_avg.copy_(torch.linspace(-1, 1, generator.w_dim))
    with pytest.raises(UsageError, match="another W"):
        find_direction("smile", generator, None, known)


def test_a_parser_of_another_generator_parses_nothing():
    generator = tiny_generator()
    w_plus = generator.w_avg.view(1, 1, -1).expand(1, generator.num_ws, -1)
    assert named(generator, torch.zeros(513, 4)).parse(generator, w_plus) is None


def test_the_default_bundle_has_directions_with_plain_units():
    shipped = shipped_directions()
    assert {"smile", "mouth-open", "eyes-open", "yaw", "pitch", "age", "glasses", "beard"} <= set(
        shipped.vectors
    )
    assert all(about.unit for about in shipped.about.values())


def test_regression_separates_attributes_that_come_together():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 8))
    first = rng.normal(size=2000)
    second = 0.8 * first + 0.6 * rng.normal(size=2000)  # correlated, as smiles and open mouths
    w = first[:, None] * truth[0] + second[:, None] * truth[1]
    w += 0.1 * rng.normal(size=w.shape)
    first[7] = np.nan
    vectors, deviation = regress_directions(w, {"first": first, "second": 3 * second})
    assert np.allclose(vectors["first"], truth[0], atol=0.1)
    assert np.allclose(vectors["second"], truth[1], atol=0.1)
    assert deviation["second"] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize(
    ("count", "values", "words"),
    [(4, np.arange(4.0), "too few"), (40, np.ones(40), "the same in all")],
)
def test_regression_refuses_what_tells_nothing(count, values, words):
    with pytest.raises(InputError, match=words):
        regress_directions(np.random.default_rng(0).normal(size=(count, 3)), {"x": values})


def test_directions_that_turn_heads_are_told_by_their_likeness_to_those_that_do():
    shipped = shipped_directions()
    turning = {name for name, vector in shipped.vectors.items() if shipped.turns(name, vector)}
    assert turning == {"yaw", "pitch"}
    yaw, smile = shipped.vectors["yaw"], shipped.vectors["smile"]
    assert shipped.turns("sefa-3", smile - 3 * yaw)
    assert not shipped.turns("sefa-1", smile + 0.1 * yaw)
    assert shipped.turns(None, yaw.expand(14, -1)), "a row for each layer"
    assert not shipped.turns("sefa-3", torch.ones(8)), "another W"
