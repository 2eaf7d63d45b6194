"""Directions from generators, files and photographs."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.tiny_bundle import tiny_generator as tiny_mobile
from tests.tiny_styleganex import NUM_WS, W_DIM, tiny_stylegan2
from toonify.editing.directions import (
    find_direction,
    fit_direction,
    save_direction,
    sefa,
)
from toonify.errors import InputError, ModelError, UsageError


@pytest.mark.parametrize("make", [tiny_stylegan2, tiny_mobile])
def test_sefa_finds_what_the_generator_weighs_most(make):
    generator = make()
    directions = sefa(generator)
    assert directions.shape == (16, 16)
    lengths = directions.norm(dim=1, keepdim=True)
    unit = directions / lengths
    torch.testing.assert_close(unit @ unit.T, torch.eye(16), atol=1e-4, rtol=0)
    zero = torch.zeros(1, generator.num_ws, 16)

    def effect(direction):
        changes = []
        moved = generator.styles(zero + direction)
        for style, base, layer in zip(moved, generator.styles(zero), generator.layers, strict=True):
            if layer.kind == "conv":
                basis = generator.styles(torch.eye(16)[:, None].expand(-1, generator.num_ws, -1))
                rows = basis[generator.layers.index(layer)] - base
                changes.append((style - base)[0] / rows.norm(dim=0))
        return torch.cat(changes).norm()

    effects = [effect(direction) for direction in unit]
    assert effects[0] == max(effects) and effects[-1] == min(effects)
    assert torch.equal(sefa(generator), directions)


def test_sefa_of_some_layers_is_another():
    generator = tiny_stylegan2()
    few = find_direction("sefa-1", generator, range(0, 3))
    assert not torch.allclose(few, find_direction("sefa-1", generator, None))


def test_files_of_every_kind(tmp_path):
    generator = tiny_stylegan2()
    narrow, wide = torch.randn(W_DIM), torch.randn(NUM_WS, W_DIM)
    np.save(tmp_path / "a.npy", narrow[None].numpy())
    np.savez(tmp_path / "a.npz", age=narrow.numpy(), hair=wide.numpy())
    torch.save({"age": narrow, "hair": wide[None]}, tmp_path / "a.pt")
    torch.save(wide, tmp_path / "b.pt")
    save_file({"age": narrow, "hair": wide}, tmp_path / "a.safetensors")
    save_direction(tmp_path / "c.safetensors", wide, positive="smiling")
    for text, expected in (
        ("a.npy", narrow), ("a.npz:hair", wide), ("a.pt:age", narrow), ("a.pt:hair", wide),
        ("b.pt", wide), ("a.safetensors:hair", wide), ("c.safetensors", wide),
    ):  # fmt: skip
        found = find_direction(str(tmp_path / text), generator, None)
        assert torch.equal(found, expected)


def test_what_is_no_direction_is_said_in_a_line(tmp_path, monkeypatch):
    generator = tiny_stylegan2()

    def refused(kind, text, words):
        with pytest.raises(kind, match=words):
            find_direction(text, generator, None)

    refused(UsageError, "sefa-0", "sefa-1 to sefa-16")
    refused(InputError, "nowhere.npy", "no directions at")
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path))
    refused(ModelError, "styleganex-directions:age", "models pull styleganex-directions")
    refused(UsageError, "styleganex-direction", "Did you mean 'styleganex-directions'")
    torch.save({"age": torch.randn(W_DIM), "hair": torch.randn(W_DIM)}, tmp_path / "a.pt")
    refused(UsageError, str(tmp_path / "a.pt"), "Known: age, hair")
    refused(UsageError, f"{tmp_path}/a.pt:aeg", "Did you mean 'age'")
    np.save(tmp_path / "b.npy", np.zeros(7))
    refused(UsageError, str(tmp_path / "b.npy"), r"shape \(7,\)")
    np.save(tmp_path / "c.npy", np.full(W_DIM, np.nan))
    refused(InputError, str(tmp_path / "c.npy"), "no finite")
    np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(InputError, str(tmp_path / "d.npy"), "holds no directions")
    (tmp_path / "e.pt").write_bytes(b"nothing")
    refused(InputError, str(tmp_path / "e.pt"), "holds no directions")


def test_a_fitted_direction_leads_from_one_side_to_the_other():
    true = torch.randn(4, 8)
    true /= true.norm()
    w_plus = 0.3 * torch.randn(180, 4, 8)
    positive, negative = w_plus[:120] + 2 * true, w_plus[120:]
    direction = fit_direction(positive, negative)
    assert torch.cosine_similarity(direction.flatten(), true.flatten(), dim=0) > 0.93
    assert direction.norm() == pytest.approx(2.0, abs=0.3)
    with pytest.raises(UsageError, match="too few"):
        fit_direction(positive[:1], negative)
