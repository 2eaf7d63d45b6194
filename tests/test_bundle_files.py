"""Bundles put together: whole ones or none, and what a name on a command line means."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import toonify.bundle
from tests.models.test_drawing import tiny as tiny_drawing_encoder
from tests.models.test_fusion_net import tiny_net
from tests.tiny_bundle import NAMES, add_frame_parts, tiny_generator, write_bundle
from tests.tiny_hfgi import W_DIM, tiny_hfgi, tiny_hybrid
from tests.tiny_styleganex import tiny_encoder, tiny_stylegan2
from toonify.bundle import (
    DRAWING,
    FRAMES,
    FUSION,
    HFGI,
    INVERSION,
    STYLEMAP,
    Bundle,
    has_parts,
    is_bundle,
    load_frame_parts,
    locate,
)
from toonify.bundle import write_bundle as write
from toonify.checkpoints import file_sha256, save_encoder, save_generator
from toonify.checkpoints.fusion import load_fusion_net
from toonify.checkpoints.hfgi import load_compact_hfgi
from toonify.checkpoints.loading import save_network
from toonify.checkpoints.stylemap import load_stylemap
from toonify.editing.local_edits import find_stylemap
from toonify.errors import InputError, ModelError
from toonify.inversion.drawings import DrawingModel
from toonify.models.fusion_net import FusionNet
from toonify.models.generators.stylemap import StyleMapGAN


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose parts are put together anew."""
    return add_frame_parts(write_bundle(tmp_path_factory.mktemp("bundles") / "source"))


def parts_of(source: Path, *extras: str) -> dict:
    return {
        "generator": source / "generator.safetensors",
        "encoder": str(source),
        "table": source / "characters.safetensors",
        "extras": {part: source / f"{part}.safetensors" for part in extras},
    }


def test_what_keeps_details_goes_with_its_generator(source: Path, tmp_path: Path) -> None:
    parts = parts_of(source)
    made = {part: tmp_path / f"{part}.safetensors" for part in (*INVERSION, HFGI)}
    save_generator(tiny_hybrid(), made[INVERSION[0]])
    save_encoder(tiny_encoder(num_ws=14, w_dim=W_DIM), made[INVERSION[1]])
    save_network(tiny_hfgi().networks, made[HFGI])
    write(tmp_path / "mine", **parts | {"extras": made})
    assert load_compact_hfgi(tmp_path / "mine" / "hfgi.safetensors").channels == {64: 8, 128: 8}
    save_network(tiny_net(tiny_hybrid()), made.setdefault(FUSION, tmp_path / "f.safetensors"))
    write(tmp_path / "more", **parts | {"extras": made})
    assert load_fusion_net(tmp_path / "more" / "fusion.safetensors").width == 8
    save_network(FusionNet(width=16, hidden=8, up_to=32), made[FUSION])
    with pytest.raises(ModelError, match="another generator"):
        write(tmp_path / "wrong", **parts | {"extras": made})
    del made[FUSION]
    save_network(tiny_hfgi(128).networks, made[HFGI])
    with pytest.raises(ModelError, match="another generator"):
        write(tmp_path / "wrong", **parts | {"extras": made})
    assert not (tmp_path / "wrong").exists()


def test_what_reads_drawings_is_of_the_inversion_generator(source: Path, tmp_path: Path) -> None:
    made = {part: tmp_path / f"{part}.safetensors" for part in (*INVERSION, DRAWING)}
    save_generator(tiny_stylegan2(), made[INVERSION[0]])
    save_encoder(tiny_encoder(), made[INVERSION[1]])
    save_network(tiny_drawing_encoder(), made[DRAWING])
    write(tmp_path / "mine", **parts_of(source) | {"extras": made})
    assert DrawingModel.load(str(tmp_path / "mine"), device="cpu").encoder.w_dim == 16
    save_generator(tiny_stylegan2(channels={4: 8, 8: 8, 16: 8, 32: 6, 64: 4}), made[INVERSION[0]])
    with pytest.raises(ModelError, match="8 channels at 32x32, not 6"):
        write(tmp_path / "wrong", **parts_of(source) | {"extras": made})


def test_what_mixes_faces_is_stored_in_eight_bits(source: Path, tmp_path: Path) -> None:
    made = tmp_path / "stylemap.safetensors"
    network = StyleMapGAN(size=64, map_size=32, widths={32: 24, 64: 16}, mapping=False)
    save_network(network, made)
    write(tmp_path / "mine", **parts_of(source) | {"extras": {STYLEMAP: made}})
    stored = tmp_path / "mine" / "stylemap.safetensors"
    assert stored.stat().st_size < 0.5 * made.stat().st_size
    assert load_stylemap(stored).config() == network.config()
    assert find_stylemap(tmp_path / "mine") == stored
    with pytest.raises(ModelError, match="holds no StyleMapGAN"):
        find_stylemap(source)


def test_a_bundle_of_three_parts(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mine"
    assert write(folder, **parts_of(source), license="CC0") == NAMES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["name"] == "mine" and manifest["license"] == "CC0"
    assert set(manifest["files"]) == {"generator", "encoder", "characters"}
    assert Bundle.load(folder).table.names == NAMES
    assert not has_parts(folder, FRAMES)


@pytest.mark.parametrize("extras", [FRAMES, INVERSION, FRAMES + INVERSION])
def test_extras_come_along_in_half_precision(
    source: Path, tmp_path: Path, extras: tuple[str, ...]
) -> None:
    folder = tmp_path / "mine"
    write(folder, **parts_of(source, *extras))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(files) == {"generator", "encoder", "characters", *extras}
    for part in extras:
        path = folder / f"{part}.safetensors"
        assert files[part] == {"file": path.name, "sha256": file_sha256(path)}
        assert path.stat().st_size < 0.7 * (source / path.name).stat().st_size
        found, wanted = load_file(path), load_file(source / path.name)
        for name, value in wanted.items():
            torch.testing.assert_close(
                found[name].float(), value.float(), rtol=1e-3, atol=1e-3, msg=name
            )
    for pair in (FRAMES, INVERSION):
        assert has_parts(folder, pair) == set(pair).issubset(extras)
        if pair[0] in extras:
            assert load_frame_parts(folder, pair)[1].num_ws == 10
    Bundle.load(folder)
    os.umask(umask := os.umask(0))
    assert folder.stat().st_mode & 0o777 == 0o777 & ~umask, "as any folder"


@pytest.mark.parametrize("alone", FRAMES + INVERSION)
def test_half_a_pair_is_no_bundle(source: Path, tmp_path: Path, alone: str) -> None:
    with pytest.raises(ModelError, match="holds no StyleGANEX model of this kind"):
        write(tmp_path / "mine", **parts_of(source, alone))
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_extras_that_do_not_fit_are_no_bundle(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_encoder(tiny_encoder(num_ws=8, fusion_channels=(8,)), other)
    parts = parts_of(source, *FRAMES)
    parts["extras"]["frame_encoder"] = other
    with pytest.raises(ModelError, match=r"frame_encoder of .* was not trained for its fr"):
        write(tmp_path / "mine", **parts)
    parts["extras"]["frame_encoder"] = source / "encoder.safetensors"
    with pytest.raises(ModelError, match="are not StyleGANEX's"):
        write(tmp_path / "mine", **parts)
    parts["extras"]["frame_encoder"] = tmp_path / "gone.safetensors"
    with pytest.raises(ModelError, match="gone"):
        write(tmp_path / "mine", **parts)
    assert [path.name for path in tmp_path.iterdir()] == ["other.safetensors"]


def test_parts_of_another_generator_are_no_bundle(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_generator(tiny_generator(seed=5), other)
    with pytest.raises(ModelError, match="character table belongs to generator"):
        write(tmp_path / "mine", **parts_of(source) | {"generator": other})
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_can_not_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "mine", tmp_path / "file"):
        with pytest.raises(InputError, match=r"can't write .*Choose another `output`"):
            write(folder, **parts_of(source))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_a_bundle(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toonify.bundle, "_SHIPPED", source.parent)
    monkeypatch.chdir(tmp_path)
    assert is_bundle("source") and is_bundle(str(source))
    assert not is_bundle("sauce") and not is_bundle(str(tmp_path))
    assert not is_bundle(str(source / "generator.safetensors"))
    Path("source").mkdir()
    assert is_bundle("source"), "a folder without a manifest hides no shipped one"
    Path("source").rmdir()
    Path("source").touch()
    assert not is_bundle("source"), "a file is meant by its name"


def test_which_part_of_a_bundle_is_meant(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = write_bundle(tmp_path / "small")
    wanted = ("inversion_generator", "generator")
    assert locate(str(source), *wanted) == str(source / "inversion_generator.safetensors")
    assert locate(str(small), *wanted) == str(small / "generator.safetensors")
    assert locate(str(source), "generator") == str(source / "generator.safetensors")
    with pytest.raises(ModelError, match="names no frame_encoder"):
        locate(str(small), "frame_encoder", "inversion_encoder")
    assert locate("ffhq-mobile", *wanted) == "ffhq-mobile"
    assert locate("any/file.pt", *wanted) == "any/file.pt"
    monkeypatch.setattr(toonify.bundle, "_SHIPPED", source.parent)
    assert locate("source", "frame_encoder") == str(source / "frame_encoder.safetensors")
