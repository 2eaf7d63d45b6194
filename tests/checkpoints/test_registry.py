import re

import pytest

from toonify.checkpoints import cache, registry
from toonify.checkpoints.sources import NpmSource, PackageSource
from toonify.errors import ModelError, UsageError


def test_names_and_hashes_are_well_formed():
    entries = registry.entries()
    names = [entry.name for entry in entries]
    assert len(set(names)) == len(names)
    for entry in entries:
        assert entry.files and entry.license and entry.homepage.startswith("https://")
        for file in entry.files:
            assert file.sources
            assert "/" not in file.name
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)


def test_everything_from_a_package_has_a_known_hash():
    files = [file for entry in registry.entries() for file in entry.files]
    packaged = [
        f for f in files if any(isinstance(s, PackageSource | NpmSource) for s in f.sources)
    ]
    assert packaged
    assert all(file.sha256 for file in packaged)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'restyle-psp-ffhq'"):
        registry.get("restyle-psp-fhq")


def test_resolve_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="toonify models pull psp-ffhq"):
        cache.resolve("psp-ffhq")


def test_resolve_gives_file_or_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path))
    for name in ("psp-ffhq", "face-mesh"):
        entry = registry.get(name)
        for file in entry.files:
            path = cache.file_path(entry, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    assert cache.resolve("psp-ffhq") == tmp_path / "checkpoints/psp-ffhq/psp_ffhq_encode.pt"
    assert cache.resolve("face-mesh") == tmp_path / "checkpoints/face-mesh"


def test_verify_tells_changed_missing_and_unverified(tmp_path, monkeypatch):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path))
    entry = registry.get("psp-ffhq")
    assert [check.status for check in cache.verify(entry)] == ["missing"]
    path = cache.file_path(entry, entry.files[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not it")
    assert [check.status for check in cache.verify(entry)] == ["changed"]

    unhashed = registry.get("restyle-psp-ffhq")
    path = cache.file_path(unhashed, unhashed.files[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"by hand")
    check = cache.verify(unhashed)[0]
    assert check.status == "unverified" and check.sha256
    cache.write_record(path, source="somewhere", sha256=check.sha256)
    assert cache.verify(unhashed)[0].status == "ok"
    path.write_bytes(b"rotten")
    assert cache.verify(unhashed)[0].status == "changed"


def test_face_alignment_lives_where_torch_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = cache.entry_folder(registry.get("face-alignment"))
    assert folder == tmp_path / "hub" / "checkpoints"
