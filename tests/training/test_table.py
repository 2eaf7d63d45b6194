"""A folder of characters becomes a table; finished characters are not projected again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.tiny_training import PixelDistance, tiny_generator
from toonify.checkpoints import generator_hash
from toonify.errors import InputError, ModelError
from toonify.lut import CharacterTable
from toonify.training import table as table_module
from toonify.training.projection import ProjectionSettings
from toonify.training.table import build_table, load_inversion

LOSS = PixelDistance()
SETTINGS = ProjectionSettings(steps=3, batch_size=2)


@pytest.fixture
def characters(tmp_path: Path) -> Path:
    folder = tmp_path / "characters"
    random = np.random.default_rng(0)
    for name in ("bram", "mina"):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def count_inversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    done: list[int] = []
    original = table_module.invert_character

    def counted(*args, **kwargs):
        done.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(table_module, "invert_character", counted)
    return done


def test_builds_a_table_with_previews(characters: Path, tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    calls: list[tuple] = []
    report = build_table(
        characters,
        generator,
        tmp_path / "lut.safetensors",
        loss=LOSS,
        k=2,
        settings=SETTINGS,
        progress=lambda *a: calls.append(a),
    )
    table = CharacterTable.load(tmp_path / "lut.safetensors")
    assert table.names == report.table.names == ("bram", "mina")
    assert table.generator_hash == generator_hash(generator)
    mina = table["mina"]
    assert mina.k == 2 and mina.w_plus.shape == (generator.num_ws, 16)
    assert mina.preview.shape == (32, 32, 3)
    assert mina.provenance["steps"] == 3
    stored = load_inversion(tmp_path / "lut.inversions" / "mina.safetensors")
    assert torch.allclose(stored.w_plus(), mina.w_plus)
    assert torch.allclose(stored.w_plus(1), stored.codes[0])
    assert Image.open(report.sheet).width > 128
    assert ("mina", 0, 2, 0, 3) in [c[:5] for c in calls]


def test_resumes_after_a_crash(
    characters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, out = tiny_generator("mobile"), tmp_path / "lut.safetensors"
    original = table_module.invert_character

    def crash_on_second(*args, **kwargs):
        if (tmp_path / "lut.inversions" / "bram.safetensors").exists():
            raise RuntimeError("power cut")
        return original(*args, **kwargs)

    monkeypatch.setattr(table_module, "invert_character", crash_on_second)
    with pytest.raises(RuntimeError):
        build_table(characters, generator, out, loss=LOSS, settings=SETTINGS)
    assert CharacterTable.load(out).names == ("bram",)
    monkeypatch.undo()
    done = count_inversions(monkeypatch)
    report = build_table(characters, generator, out, loss=LOSS, settings=SETTINGS)
    assert (report.reused, report.built, len(done)) == (["bram"], ["mina"], 1)
    assert CharacterTable.load(out).names == ("bram", "mina")


def test_replaces_what_changed_and_adds(
    characters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, out = tiny_generator("mobile"), tmp_path / "lut.safetensors"
    build_table(characters, generator, out, loss=LOSS, settings=SETTINGS, only=["bram"])
    before = CharacterTable.load(out)["bram"].w_plus
    Image.new("RGB", (32, 32)).save(characters / "bram" / "3.png")
    report = build_table(characters, generator, out, loss=LOSS, settings=SETTINGS)
    assert report.built == ["bram", "mina"]
    assert not torch.equal(CharacterTable.load(out)["bram"].w_plus, before)
    more = replace(SETTINGS, steps=4)
    report = build_table(characters, generator, out, loss=LOSS, settings=more, only=["mina"])
    assert report.built == ["mina"] and report.table.names == ("bram", "mina")


def test_one_bad_character_does_not_stop_the_rest(characters: Path, tmp_path: Path) -> None:
    (characters / "empty").mkdir()
    (characters / "no good name!").mkdir()
    Image.new("RGB", (32, 32)).save(characters / "no good name!" / "0.png")
    out = tmp_path / "lut.safetensors"
    report = build_table(characters, tiny_generator("mobile"), out, loss=LOSS, settings=SETTINGS)
    assert report.table.names == ("bram", "mina")
    assert [name for name, _ in report.failed] == ["empty", "no good name!"]
    assert "no image" in report.failed[0][1]


def test_refuses_another_generator_s_table(characters: Path, tmp_path: Path) -> None:
    out = tmp_path / "lut.safetensors"
    build_table(characters, tiny_generator("mobile"), out, loss=LOSS, settings=SETTINGS)
    with pytest.raises(ModelError, match="belongs to generator"):
        build_table(characters, tiny_generator("mobile", seed=9), out, loss=LOSS, settings=SETTINGS)


def test_empty_inputs(tmp_path: Path) -> None:
    generator, out = tiny_generator("mobile"), tmp_path / "lut.safetensors"
    with pytest.raises(InputError, match="not a folder"):
        build_table(tmp_path / "none", generator, out, loss=LOSS)
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no sub-folder"):
        build_table(tmp_path / "in", generator, out, loss=LOSS)
    (tmp_path / "in" / "mina").mkdir()
    with pytest.raises(InputError, match="no character could be built: mina: no image"):
        build_table(tmp_path / "in", generator, out, loss=LOSS)
    with pytest.raises(InputError, match="no sub-folder zoe"):
        build_table(tmp_path / "in", generator, out, loss=LOSS, only=["zoe"])
    assert not out.exists()
