"""The character table: what goes in comes out, and what doesn't belong is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from toonify.errors import InputError, ModelError, UsageError
from toonify.lut import Character, CharacterTable


def character(name: str = "mina", **changes) -> Character:
    fields = {
        "name": name,
        "w_plus": torch.randn(8, 16),
        "k": 50,
        "preview": np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
        "provenance": {"drawings": 61, "license": "CC0", "von": "Zoë"},
    }
    return Character(**(fields | changes))


def table(*names: str, generator_hash: str = "a" * 64) -> CharacterTable:
    made = CharacterTable(generator_hash=generator_hash)
    for name in names:
        made.add(character(name))
    return made


def test_round_trip(tmp_path: Path) -> None:
    written = table("zuri", "mina", "Jun_2-b")
    written.add(character("bare", preview=None, provenance={}))
    written.save(tmp_path / "t.safetensors")
    read = CharacterTable.load(tmp_path / "t.safetensors")
    assert read.names == written.names == ("zuri", "mina", "Jun_2-b", "bare"), "the order is kept"
    assert read.generator_hash == "a" * 64
    assert len(read) == 4 and "mina" in read and "otto" not in read
    for there, here in zip(written, read, strict=True):
        assert torch.equal(there.w_plus, here.w_plus) and here.w_plus.dtype == torch.float32
        assert (here.k, here.provenance) == (there.k, there.provenance)
        if there.preview is None:
            assert here.preview is None
        else:
            assert here.preview.dtype == np.uint8 and (here.preview == there.preview).all()


def test_empty_table(tmp_path: Path) -> None:
    table().save(tmp_path / "t.safetensors")
    assert CharacterTable.load(tmp_path / "t.safetensors").names == ()


def test_half_precision_latents_and_cropped_previews(tmp_path: Path) -> None:
    made = table()
    wide = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    made.add(character(w_plus=torch.ones(8, 16).half(), preview=wide[::2, ::-1]))
    made.save(tmp_path / "t")
    read = CharacterTable.load(tmp_path / "t")["mina"]
    assert torch.equal(read.w_plus, torch.ones(8, 16))
    assert (read.preview == wide[::2, ::-1]).all()


def test_the_same_latent_under_two_names(tmp_path: Path) -> None:
    made = table("mina")
    made.add(replace(made["mina"], name="twin"))
    made.save(tmp_path / "t")
    read = CharacterTable.load(tmp_path / "t")
    assert torch.equal(read["mina"].w_plus, read["twin"].w_plus)


def test_add_replaces_in_place() -> None:
    made = table("mina", "otto")
    new = character("mina", k=7)
    made.add(new)
    assert made.names == ("mina", "otto") and made["mina"] is new
    made.remove("mina")
    assert made.names == ("otto",)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "ä", "a.b", "x" * 65, "a\n"])
def test_bad_names(name: str) -> None:
    made = table("mina")
    with pytest.raises(UsageError, match=r"can't name a character.*letters, digits"):
        made.add(character(name))
    assert made.names == ("mina",)


def test_bad_latents() -> None:
    made = table("mina")
    broken = torch.randn(8, 16)
    broken[3, 4] = float("nan")
    with pytest.raises(ModelError, match="otto is not finite"):
        made.add(character("otto", w_plus=broken))
    with pytest.raises(UsageError, match=r"\(18, 16\).*\(8, 16\)"):
        made.add(character("otto", w_plus=torch.randn(18, 16)))
    assert made.names == ("mina",)


def test_a_new_shape_may_replace_the_only_one() -> None:
    made = table("mina")
    made.add(character("mina", w_plus=torch.randn(10, 16)))
    assert made["mina"].w_plus.shape == (10, 16)


def test_unknown_name_lists_and_guesses() -> None:
    made = table("mina", "otto")
    for use in (made.__getitem__, made.remove):
        with pytest.raises(UsageError, match=r"'Minna'.*Did you mean 'mina'\? Known: mina, otto"):
            use("Minna")
    with pytest.raises(UsageError, match=r"'q'\. Known: none"):
        _ = table()["q"]


def test_another_generator() -> None:
    made = table("mina", generator_hash="a" * 64)
    made.check("a" * 64)
    with pytest.raises(ModelError, match=r"aaaaaaaaaaaa.*bbbbbbbbbbbb.*build the table again"):
        made.check("b" * 64)
    with pytest.raises(ModelError):
        made.merge(table("otto", generator_hash="b" * 64))
    assert made.names == ("mina",)


def test_merge() -> None:
    made, other = table("mina", "otto"), table("otto", "ruth")
    made.merge(other)
    assert made.names == ("mina", "otto", "ruth")
    assert made["otto"] is other["otto"] and other.names == ("otto", "ruth")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no character table"):
        CharacterTable.load(tmp_path / "t.safetensors")


@pytest.mark.parametrize("content", [b"", b"short", b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_not_a_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"t\.safetensors can't be read"):
        CharacterTable.load(path)


def test_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "t"
    table("mina").save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="can't be read"):
        CharacterTable.load(path)


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        CharacterTable.load(tmp_path)


def rewritten(tmp_path: Path, about: object) -> Path:
    """A file with a table's tensors and this description."""
    path = tmp_path / "t"
    tensors = {"w_plus.mina": torch.zeros(8, 16)}
    save_file(tensors, path, metadata={"toonify.table": json.dumps(about)})
    return path


GOOD = {"version": 1, "generator_hash": "a", "characters": {"mina": {"k": 1, "provenance": {}}}}


@pytest.mark.parametrize(
    "change",
    [
        {"characters": {"otto": {"k": 1, "provenance": {}}}},
        {"characters": {"mina": {"k": "many", "provenance": {}}}},
        {"characters": {"mina": {}}},
        {"characters": {"mina": None}},
        {"characters": ["mina"]},
        {"characters": None},
    ],
)
def test_damaged_description(tmp_path: Path, change: dict) -> None:
    assert CharacterTable.load(rewritten(tmp_path, GOOD)).names == ("mina",)
    with pytest.raises(ModelError, match="character table"):
        CharacterTable.load(rewritten(tmp_path, GOOD | change))


def test_other_description(tmp_path: Path) -> None:
    for about in ([], 5, "x", {}):
        with pytest.raises(ModelError, match="is not a character table"):
            CharacterTable.load(rewritten(tmp_path, about))


def test_another_safetensors_file(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "g")
    with pytest.raises(ModelError, match=r"is not a character table.*build-lut"):
        CharacterTable.load(tmp_path / "g")


def test_stored_name_that_no_character_can_have(tmp_path: Path) -> None:
    save_file(
        {"w_plus.a b": torch.zeros(8, 16)},
        tmp_path / "t",
        metadata={
            "toonify.table": json.dumps(GOOD | {"characters": {"a b": {"k": 1, "provenance": {}}}})
        },
    )
    with pytest.raises(ModelError):
        CharacterTable.load(tmp_path / "t")


def test_failing_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    table("mina").save(path)
    before = path.read_bytes()

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"can't be written.*No space left"):
        table("otto").save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t"]


def test_others_may_read_the_file(tmp_path: Path) -> None:
    table("mina").save(tmp_path / "t")
    (tmp_path / "plain").touch()
    assert (tmp_path / "t").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_no_temporary_is_left(tmp_path: Path) -> None:
    table("mina").save(tmp_path / "t")
    table("otto").save(tmp_path / "t")
    assert os.listdir(tmp_path) == ["t"]
    assert CharacterTable.load(tmp_path / "t").names == ("otto",)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file")
    with pytest.raises(InputError, match="can't be written"):
        table("mina").save(tmp_path / "no" / "t")
