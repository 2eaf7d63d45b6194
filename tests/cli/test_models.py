import json

import pytest

from tests.tiny_bundle import tiny_generator
from toonify.checkpoints import cache, load_generator, registry, save_generator


def put(name: str, content: bytes = b"content"):
    entry = registry.get(name)
    for file in entry.files:
        path = cache.file_path(entry, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_list(run, home):
    put("psp-ffhq")
    records = {record["name"]: record for record in run("models", "list", "--json").records}
    assert records["psp-ffhq"]["cached"] and not records["e4e-ffhq"]["cached"]
    assert records["e4e-ffhq"]["license"]
    assert "* psp-ffhq" in run("models", "list").out


def test_path_and_pull_of_what_is_there(run, home):
    put("psp-ffhq")
    expected = str(home / "checkpoints/psp-ffhq/psp_ffhq_encode.pt")
    assert run("models", "path", "psp-ffhq").out.strip() == expected
    damaged = run("models", "pull", "psp-ffhq", "--offline")
    assert damaged.status == 3 and "damaged" in damaged.err
    missing = run("models", "path", "e4e-ffhq")
    assert missing.status == 3 and "toonify models pull e4e-ffhq" in missing.err


def test_unknown_name_suggests_the_nearest(run):
    result = run("models", "pull", "psp-fhq")
    assert result.status == 2 and "'psp-ffhq'" in result.err


def test_verify(run, home):
    assert run("models", "verify").status == 0
    put("psp-ffhq")
    result = run("models", "verify")
    assert result.status == 3 and "changed" in result.out and "pull psp-ffhq" in result.err


def test_info_of_a_name_and_of_files(run, bundle, tmp_path):
    about = run("models", "info", "e4e-ffhq", "--json").records[0]
    assert about["homepage"].startswith("https://") and not about["cached"]
    about = run("models", "info", bundle / "generator.safetensors", "--json").records[0]
    assert about["networks"]["generator"]["architecture"] == "mobile"
    about = run("models", "info", bundle / "characters.safetensors", "--json").records[0]
    assert about["characters"] == ["mina", "otto"]
    (tmp_path / "x.pt").write_bytes(b"junk")
    result = run("models", "info", tmp_path / "x.pt")
    assert result.status == 3 and result.err.count("\n") == 1


@pytest.mark.parametrize("store", ["float32", "float16"])
def test_convert(run, tmp_path, store):
    source = tmp_path / "a.safetensors"
    save_generator(tiny_generator(), source)
    target = tmp_path / "deep/b.safetensors"
    assert run("models", "convert", source, "-o", target, "--store", store).status == 0
    assert load_generator(target).config() == tiny_generator().config()
    assert target.stat().st_size < source.stat().st_size * (0.8 if store == "float16" else 1.1)
    wrong = run("models", "convert", source, "-o", tmp_path / "c.safetensors", "--role", "encoder")
    assert wrong.status == 3 and "encoder" in wrong.err
    assert not (tmp_path / "c.safetensors").exists()
    assert run("models", "convert", source, "-o", tmp_path / "c.pt").status == 2


def test_info_without_json_is_readable(run, bundle):
    out = run("models", "info", bundle / "generator.safetensors").out
    assert "format: toonify" in out
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)
