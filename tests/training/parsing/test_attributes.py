"""Attributes of whole faces: regression, notes, activations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toonify.errors import InputError
from toonify.training.parsing.activations import (
    Clusters,
    cluster_distances,
    part_probabilities,
)
from toonify.training.parsing.attributes import REGIONS, AttributeRidge, SeenFaces, pooled

RECIPE = Path(__file__).parents[3] / "recipes" / "parsing"


def test_regression_finds_what_is_told_by_either_kind_of_numbers() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 30)).astype(np.float32)
    w = rng.normal(size=(200, 512)).astype(np.float32)
    values = (features[:, 0] + w[:, 1] > 0).astype(np.float32)
    ridge = AttributeRidge(features[:150], w[:150], values[:150], ridge=0.3)
    known = ridge(features[:150], w[:150])
    assert known[values[:150] > 0].min() > known[values[:150] == 0].max()
    new = ridge(features[150:], w[150:])
    assert new[values[150:] > 0].mean() > new[values[150:] == 0].mean() + 0.1


def test_regions_are_pooled_to_the_same_length() -> None:
    distances = np.random.default_rng(0).uniform(0, 9, (64, 64, 24)).astype(np.float32)
    for name, (_, _, (across, down)) in REGIONS.items():
        assert pooled(distances, name).shape == (across * down * 24,)


def test_clusters_of_the_recipe_name_parts() -> None:
    clusters = Clusters.load(RECIPE / "clusters.npz")
    principal = np.repeat(clusters.centers[None, :1], 64 * 64, 0).reshape(64, 64, 64)
    distances = cluster_distances(principal, clusters)
    assert distances.shape == (64, 64, 24)
    assert (distances.argmin(-1) == 0).all()
    parts = part_probabilities(distances, clusters)
    np.testing.assert_allclose(parts[3, 3], clusters.parts[0], atol=0.1)
    with pytest.raises(InputError, match="no clusters"):
        Clusters.load(RECIPE / "seen.json")


def test_notes_of_the_recipe_are_whole() -> None:
    seen = SeenFaces.load(RECIPE / "seen_w.npy", RECIPE / "seen.json")
    assert seen.w.shape[1] == 512 and len(seen.w) > 400
    assert set(seen.traits) == set(REGIONS)
    for values in seen.traits.values():
        assert len(values) == len(seen.w)
        known = values[~np.isnan(values)]
        assert 0.01 < (known > 0.4).mean() < 0.6


def test_notes_of_faces_beyond_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.zeros((3, 512), np.float16))
    notes = {"seen_wholly": 2, "thick_frames": [], **{name: {} for name in REGIONS}}
    notes["beard"] = {"2": 1}
    path = tmp_path / "seen.json"
    path.write_text(json.dumps(notes))
    beard = SeenFaces.load(tmp_path / "w.npy", path).traits["beard"]
    assert beard.tolist() == [0, 0, 1]
    notes["beard"] = {"7": 1}
    path.write_text(json.dumps(notes))
    with pytest.raises(InputError, match="no notes"):
        SeenFaces.load(tmp_path / "w.npy", path)
