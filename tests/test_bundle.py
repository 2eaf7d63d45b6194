"""Bundles: whole ones load, anything else is refused in one line."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

import toonify.bundle
from tests.tiny_bundle import NAMES, add_frame_parts, tiny_generator, write_bundle, write_table
from tests.tiny_styleganex import tiny_encoder, tiny_stylegan2
from toonify.bundle import (
    EXTRAS,
    FRAMES,
    INVERSION,
    Bundle,
    has_parts,
    load_frame_parts,
    write_manifest,
)
from toonify.checkpoints import file_sha256, save_encoder, save_generator
from toonify.errors import ModelError
from toonify.models.encoders.compact import CompactEncoder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "tiny"))


def change(folder: Path, **entries) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def files_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())["files"]


def rehash(folder: Path) -> None:
    """The manifest as it would be had the bundle been written with its present files."""
    parts = {part: {"file": entry["file"]} for part, entry in files_of(folder).items()}
    write_manifest(folder, about={"name": "tiny"}, files=parts)


def refused(folder: Path | str, pattern: str) -> None:
    with pytest.raises(ModelError, match=pattern) as caught:
        Bundle.load(folder)
    assert "\n" not in str(caught.value)


def test_a_whole_bundle(bundle: Path) -> None:
    loaded = Bundle.load(bundle)
    assert loaded.table.names == NAMES
    assert loaded.generator.num_ws == loaded.encoder.num_ws == 8
    assert loaded.manifest["name"] == "tiny" and loaded.folder == bundle
    for part in ("generator", "encoder", "characters"):
        path = bundle / loaded.manifest["files"][part]["file"]
        assert loaded.manifest["files"][part]["sha256"] == file_sha256(path)
    image = loaded.generator.synthesize(loaded.generator.styles(loaded.table["mina"].w_plus[None]))
    assert torch.isfinite(image).all()


def test_shipped_bundles_are_known_by_name(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toonify.bundle, "_SHIPPED", bundle.parent)
    monkeypatch.chdir("/")
    assert Bundle.load("tiny").folder == bundle
    refused("tinny", r"no bundle 'tinny'.*one of: tiny")


def test_no_such_folder(tmp_path: Path) -> None:
    refused(tmp_path / "no", "no bundle")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "no bundle")


@pytest.mark.parametrize("text", [None, "", "{", "\xff\xfe"])
def test_unreadable_manifest(bundle: Path, text: str | None) -> None:
    manifest = bundle / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text, encoding="latin-1")
    refused(bundle, r"is not a bundle: its manifest\.json can't be read")


@pytest.mark.parametrize("content", [[], "x", {}, {"format": 2}])
def test_unknown_format(bundle: Path, content: object) -> None:
    (bundle / "manifest.json").write_text(json.dumps(content))
    refused(bundle, r"unknown format\. Update toonify")


@pytest.mark.parametrize("part", ["generator", "encoder", "characters"])
def test_each_part_is_verified(bundle: Path, part: str) -> None:
    path = bundle / f"{part}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    refused(bundle, rf"{part}\.safetensors is not the file its manifest describes")
    path.unlink()
    refused(bundle, rf"{part}\.safetensors is missing")


def test_a_manifest_without_hashes(bundle: Path) -> None:
    change(bundle, files={k: {"file": v["file"]} for k, v in files_of(bundle).items()})
    refused(bundle, "SHA-256 differs")
    assert Bundle.load(bundle, verify=False).table.names == NAMES


@pytest.mark.parametrize("files", [{}, None, [], {"generator": "generator.safetensors"}])
def test_a_manifest_without_parts(bundle: Path, files: object) -> None:
    change(bundle, files=files)
    refused(bundle, "names no generator")


@pytest.mark.parametrize("where", ["../outside.safetensors", "/etc/hostname"])
def test_parts_stay_inside(bundle: Path, where: str) -> None:
    shutil.copy(bundle / "generator.safetensors", bundle.parent / "outside.safetensors")
    change(bundle, files=files_of(bundle) | {"generator": {"file": where}})
    refused(bundle, "points outside")


def test_links_stay_inside(bundle: Path) -> None:
    os.replace(bundle / "generator.safetensors", bundle.parent / "moved")
    (bundle / "generator.safetensors").symlink_to(bundle.parent / "moved")
    refused(bundle, "points outside")


def test_encoder_of_another_length(bundle: Path) -> None:
    parts = {"w_dim": 16, "input_size": 32, "widths": (16, 16), "depth": 1}
    save_encoder(CompactEncoder(num_ws=6, **parts), bundle / "encoder.safetensors")
    rehash(bundle)
    refused(bundle, r"gives 6 latents, its generator takes 8\. Use the encoder trained for")
    # one of a larger generator serves: the cut copy's latents are its first ones
    save_encoder(CompactEncoder(num_ws=18, **parts), bundle / "encoder.safetensors")
    rehash(bundle)
    Bundle.load(bundle)


def test_table_of_another_generator(bundle: Path) -> None:
    save_generator(tiny_generator(seed=5), bundle / "generator.safetensors")
    rehash(bundle)
    refused(bundle, "character table belongs to generator")
    write_table(bundle / "generator.safetensors", bundle / "characters.safetensors")
    rehash(bundle)
    Bundle.load(bundle)


def test_parts_in_the_wrong_place(bundle: Path) -> None:
    shutil.copy(bundle / "encoder.safetensors", bundle / "generator.safetensors")
    rehash(bundle)
    refused(bundle, r"generator\.safetensors")


@pytest.fixture(scope="module")
def whole_frames(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("frames") / "tiny"))
    return add_frame_parts(folder)


@pytest.fixture
def frames(whole_frames: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_frames, tmp_path / "frames"))


def refused_frames(folder: Path, parts: tuple[str, str], pattern: str) -> None:
    with pytest.raises(ModelError, match=pattern) as caught:
        load_frame_parts(folder, parts)
    assert "\n" not in str(caught.value)


def test_what_a_bundle_has_beside(bundle: Path, frames: Path) -> None:
    assert not has_parts(bundle, FRAMES) and not has_parts(bundle, INVERSION)
    assert has_parts(frames, FRAMES) and has_parts(frames, EXTRAS)
    assert has_parts(bundle, ("generator", "characters"))
    files = files_of(frames)
    change(frames, files={k: v for k, v in files.items() if k != "frame_encoder"})
    assert not has_parts(frames, FRAMES) and has_parts(frames, INVERSION)
    for nothing in (None, [], "frame_generator frame_encoder"):
        change(frames, files=nothing)
        assert not has_parts(frames, FRAMES)
    with pytest.raises(ModelError, match="no bundle"):
        has_parts(bundle / "gone", FRAMES)


def test_shipped_frame_parts_are_known_by_name(
    frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toonify.bundle, "_SHIPPED", frames.parent)
    assert has_parts("frames", FRAMES)
    assert load_frame_parts("frames", INVERSION)[0].num_ws == 10


@pytest.mark.parametrize(("parts", "seed"), [(FRAMES, 3), (INVERSION, 4)])
def test_frame_parts_are_loaded(frames: Path, parts: tuple[str, str], seed: int) -> None:
    generator, encoder = load_frame_parts(frames, parts)
    assert torch.equal(generator.const, tiny_stylegan2(seed=seed).const)
    assert encoder.num_ws == generator.num_ws == 10
    assert len(encoder.net.fusion) == (3 if parts == FRAMES else 0)
    assert Bundle.load(frames).generator.num_ws == 8, "the others are as they were"


@pytest.mark.parametrize("parts", [FRAMES, INVERSION])
def test_a_bundle_without_frame_parts(bundle: Path, parts: tuple[str, str]) -> None:
    refused_frames(bundle, parts, r"holds no StyleGANEX model of this kind.*train-encoder")


@pytest.mark.parametrize("part", FRAMES)
def test_each_frame_part_is_verified(frames: Path, part: str) -> None:
    path = frames / f"{part}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    refused_frames(frames, FRAMES, rf"{part}\.safetensors is not the file its manifest describes")
    load_frame_parts(frames, FRAMES, verify=False)
    load_frame_parts(frames, INVERSION)
    Bundle.load(frames)
    path.unlink()
    refused_frames(frames, FRAMES, rf"{part}\.safetensors is missing")


def test_frame_parts_of_other_kinds(frames: Path) -> None:
    shutil.copy(frames / "generator.safetensors", frames / "frame_generator.safetensors")
    shutil.copy(frames / "encoder.safetensors", frames / "inversion_encoder.safetensors")
    rehash(frames)
    refused_frames(frames, FRAMES, "frame_generator and frame_encoder of .* are not StyleGANEX's")
    refused_frames(frames, INVERSION, "are not StyleGANEX's")


@pytest.mark.parametrize("changes", [{"num_ws": 8}, {"w_dim": 8}, {"feature_channels": 4}])
def test_frame_parts_that_do_not_belong_together(frames: Path, changes: dict) -> None:
    save_encoder(tiny_encoder(**changes), frames / "inversion_encoder.safetensors")
    rehash(frames)
    refused_frames(frames, INVERSION, "inversion_encoder of .* was not trained for its inversion_g")


def test_frame_parts_stay_inside(frames: Path) -> None:
    shutil.copy(frames / "frame_generator.safetensors", frames.parent / "outside.safetensors")
    change(
        frames,
        files=files_of(frames) | {"frame_generator": {"file": "../outside.safetensors"}},
    )
    refused_frames(frames, FRAMES, "points outside")
