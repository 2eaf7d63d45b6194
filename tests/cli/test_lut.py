import shutil

import numpy as np
import pytest
from PIL import Image

from tests.tiny_bundle import tiny_generator, write_table
from toonify.checkpoints import save_generator
from toonify.lut import CharacterTable


@pytest.fixture
def table(bundle, tmp_path):
    path = tmp_path / "table.safetensors"
    shutil.copy(bundle / "characters.safetensors", path)
    return path


def test_list(run, bundle, table):
    for place in (bundle, table):
        records = run("lut", "list", "--table", place, "--json").records
        assert [record["name"] for record in records] == ["mina", "otto"]
    assert run("lut", "list", "--table", table).out.startswith("mina")


def test_show_writes_previews(run, table, tmp_path):
    result = run("lut", "show", "otto", "--table", table, "-o", tmp_path / "p.png")
    assert result.status == 0 and "drawings: 3" in result.out
    assert np.asarray(Image.open(tmp_path / "p.png")).shape[2] == 3
    result = run("lut", "show", "oto", "--table", table)
    assert result.status == 2 and "'otto'" in result.err


def test_remove(run, table, bundle, tmp_path):
    assert run("lut", "remove", "mina", "--table", table).status == 0
    assert CharacterTable.load(table).names == ("otto",)
    result = run("lut", "remove", "mina", "--table", bundle)
    assert result.status == 2 and "-o" in result.err
    other = tmp_path / "other.safetensors"
    assert run("lut", "remove", "mina", "--table", bundle, "-o", other).status == 0
    assert CharacterTable.load(other).names == ("otto",)


def test_merge(run, bundle, table, tmp_path):
    more = tmp_path / "more.safetensors"
    write_table(bundle / "generator.safetensors", more, names=("ruth",))
    both = tmp_path / "new/both.safetensors"
    assert run("lut", "merge", table, more, "-o", both).status == 0
    assert CharacterTable.load(both).names == ("mina", "otto", "ruth")


def test_merge_refuses_another_generators_table(run, table, tmp_path):
    save_generator(tiny_generator(seed=9), tmp_path / "g.safetensors")
    write_table(tmp_path / "g.safetensors", tmp_path / "alien.safetensors")
    result = run(
        "lut", "merge", table, tmp_path / "alien.safetensors", "-o", tmp_path / "m.safetensors"
    )
    assert result.status == 3 and "generator" in result.err
    assert not (tmp_path / "m.safetensors").exists()


def test_not_a_table(run, bundle, tmp_path):
    assert run("lut", "list", "--table", tmp_path / "no.safetensors").status == 3
    result = run("lut", "list", "--table", bundle / "generator.safetensors")
    assert result.status == 3 and "not a character table" in result.err
