"""Files of strangers: refused with one line, before memory or time is spent on them."""

from __future__ import annotations

import argparse
import json
import pathlib
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
import torch
from safetensors.torch import save, save_file

from toonify.bundle import Bundle
from toonify.checkpoints import load_encoder, load_generator
from toonify.checkpoints.budget import check_config
from toonify.checkpoints.inspection import describe
from toonify.editing.directions import read_directions
from toonify.errors import InputError, ModelError, ToonifyError
from toonify.inversion.latents import Latents
from toonify.lut import CharacterTable
from toonify.models.generators.mobile import MobileGenerator


def refused(load: Callable[[Any], object], path: Path, kind: type = ModelError) -> str:
    with pytest.raises(kind) as caught:
        load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def ours(path: Path, config: object, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors or {"a": torch.zeros(1)}, path, {"toonify.config": text})
    return path


TINY = {"architecture": "stylegan2", "resolution": 8, "channels": {"4": 1, "8": 1}, "w_dim": 1}


@pytest.mark.parametrize(
    "config",
    [
        TINY | {"w_dim": 40_000},
        TINY | {"z_dim": 1, "mapping_layers": 10**9},
        TINY | {"z_dim": 1, "mapping_layers": 64, "w_dim": 4096},
        TINY | {"resolution": 2**30},
        TINY | {"w_dim": -5},
        TINY | {"w_dim": float("nan")},
        TINY | {"channels": [[[[[[1]]]]]]},
        {"architecture": "mobile", "resolution": 4096, "channels": [4] * 10},
        {"architecture": "mobile", "resolution": 64, "channels": [60_000] * 4},
        {"architecture": "hybrid", "resolution": 128, "channels": {"4": 8}, "junction": 2**20},
        {"architecture": [1]},
        {"architecture": {}},
        {"architecture": None},
        '{"architecture": "mobile", "x": ' + "[" * 90_000 + "]" * 90_000 + "}",
    ],
)
def test_generators_larger_than_their_file_are_not_built(tmp_path: Path, config: object) -> None:
    refused(load_generator, ours(tmp_path / "x.safetensors", config))


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "compact", "num_ws": 16, "depth": 10**8, "widths": [8]},
        {"architecture": "compact", "num_ws": 64, "w_dim": 60_000, "widths": [8]},
        {"architecture": "psp", "num_ws": 64, "units": [60_000] * 4},
        {"architecture": "restyle", "num_ws": 18, "steps": 10**9},
        {"architecture": "styleganex", "num_ws": 18, "fusion_channels": [60_000] * 200},
    ],
)
def test_encoders_larger_than_their_file_are_not_built(tmp_path: Path, config: object) -> None:
    refused(load_encoder, ours(tmp_path / "x.safetensors", config))


def test_configurations_of_whole_networks_are_within_the_limits() -> None:
    from toonify.models.encoders.psp import SIZES

    check_config(MobileGenerator(resolution=64, channels=(8, 8, 8, 8), w_dim=8).config())
    check_config({"num_ws": 18, **SIZES["50"], "channels": {"4": 512, "1024": 32}, "steps": 5})


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_weights_of_other_kinds_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    tiny = MobileGenerator(resolution=32, channels=(4, 4, 4), w_dim=4)
    tensors = {name: value.clone() for name, value in tiny.state_dict().items()}
    tensors["conv1.bias"] = torch.zeros(4, dtype=dtype)
    try:
        save({"x": tensors["conv1.bias"]})
    except KeyError:
        pytest.skip(f"this safetensors writes no {dtype}")
    message = refused(load_generator, ours(tmp_path / "x.safetensors", tiny.config(), tensors))
    assert str(dtype).removeprefix("torch.") in message


def test_tensors_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    state = published.rosinality()
    path = tmp_path / "x.pt"
    state["style.1.weight"] = torch.zeros(1).expand(1 << 20, 1 << 20)
    torch.save({"g_ema": state}, path)
    assert "far larger" in refused(load_generator, path)
    assert path.stat().st_size < 1 << 20


def test_an_archive_larger_inside_than_outside_is_refused(tmp_path: Path) -> None:
    torch.save({"g_ema": {"input.input": torch.zeros(1 << 23)}}, tmp_path / "x.pt")
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as whole,
        zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for item in whole.infolist():
            packed.writestr(item.filename, whole.read(item))
    assert "unpacks to" in refused(load_generator, tmp_path / "y.pt")


def test_a_pickle_that_grows_by_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    assert "more memory" in refused(load_generator, tmp_path / "x.pkl")
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02Nr\xff\xff\xff\x7f.")
    assert "more memory" in refused(load_generator, tmp_path / "x.pt")


def test_tensors_of_no_shape_are_one_line(tmp_path: Path) -> None:
    for value in (torch.zeros(()), torch.zeros(0), torch.zeros(1, 0, 4, 4)):
        torch.save({"g_ema": {"input.input": value}}, tmp_path / "z.pt")
        refused(describe, tmp_path / "z.pt")
        refused(load_generator, tmp_path / "z.pt")


@pytest.mark.parametrize("protocol", [2, 4])
def test_harmless_objects_beside_the_weights_become_inert(tmp_path: Path, protocol: int) -> None:
    weights, average = published.rosinality(), torch.randn(8)
    plain: dict[str, Any] = {"g_ema": weights, "latent_avg": average}
    for extra in (
        {"fid": np.float64(12.3)},
        {"args": argparse.Namespace(data=pathlib.PurePosixPath("d"), seed=np.int64(3))},
        {"latent_avg": average.numpy()},
        {"latent_avg": average.double().numpy()},
    ):
        torch.save(plain | extra, tmp_path / "x.pt", pickle_protocol=protocol)
        torch.testing.assert_close(load_generator(tmp_path / "x.pt").w_avg, average)


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    import os

    class System:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch ran",)

    for contents in ({"g_ema": Runs()}, {"g_ema": System()}):
        torch.save(contents, "x.pt")
        refused(load_generator, Path("x.pt"))
        Path("x.pkl").write_bytes(pickle.dumps(contents))
        refused(load_generator, Path("x.pkl"))
    assert not Path("ran").exists()


W = torch.zeros(1, 16, 8)


@pytest.mark.parametrize(
    ("tensors", "size"),
    [
        ({"w_plus": W * float("nan")}, None),
        ({"w_plus": W + float("inf")}, None),
        ({"w_plus": torch.zeros(1, 0, 8)}, None),
        ({"w_plus": torch.zeros(0, 16, 8)}, None),
        ({"w_plus": torch.zeros(1000, 16, 8)}, None),
        ({"w_plus": W.int()}, None),
        ({"w_plus": W[0]}, None),
        ({}, None),
        ({"w_plus": W}, 5),
        ({"w_plus": W}, [8, 8]),
        ({"w_plus": W, "feature": torch.zeros(3)}, [64, 64]),
        ({"w_plus": W, "feature": torch.zeros(1, 4, 8, 8)}, None),
        ({"w_plus": W, "feature": torch.zeros(1, 4, 8, 8)}, [64, -64]),
        ({"w_plus": W, "feature": torch.zeros(1, 4, 8, 8)}, [10**9, 64]),
        ({"w_plus": W, "feature": torch.zeros(1, 4, 8, 8)}, [64.5, 64]),
        ({"w_plus": W, "feature": torch.zeros(1, 4, 8, 8)}, ["a", "b"]),
        ({"w_plus": W, "feature": torch.zeros(1, 1, 300, 300)}, [64, 64]),
        ({"w_plus": W, "noise.conv1": torch.zeros(4)}, None),
    ],
)
def test_latents_that_are_none_are_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], size: object
) -> None:
    config = {"architecture": "inversion", "frame_size": size}
    path = ours(tmp_path / "l.safetensors", config, {**tensors, "note": torch.zeros(1)})
    assert "holds no inversion" in refused(Latents.load, path)


def test_latents_come_back(tmp_path: Path) -> None:
    kept = Latents(W + 1, torch.ones(1, 4, 8, 9), {"conv1": torch.ones(1, 1, 4, 4)}, (60, 70))
    kept.save(tmp_path / "l.safetensors", {})
    again, _ = Latents.load(tmp_path / "l.safetensors")
    assert again.frame_size == (60, 70) and torch.equal(again.w_plus, kept.w_plus)


@pytest.mark.parametrize(
    "change",
    [
        {"k": float("inf")},
        {"k": None},
        {"k": "many"},
        {"provenance": 3},
        {"provenance": [1]},
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    entry = {"k": 1, "provenance": {}} | change
    about = {"version": 1, "generator_hash": "0", "characters": {"mina": entry}}
    path = tmp_path / "t.safetensors"
    save_file({"w_plus.mina": torch.zeros(4, 8)}, path, {"toonify.table": json.dumps(about)})
    refused(CharacterTable.load, path)


@pytest.mark.parametrize(
    "tensors",
    [
        {"w_plus.mina": torch.zeros(4)},
        {"w_plus.mina": torch.zeros(4, 8).int()},
        {"w_plus.mina": torch.full((4, 8), float("nan"))},
        {"w_plus.mina": torch.zeros(4, 8), "preview.mina": torch.zeros(4, 4)},
        {"w_plus.mina": torch.zeros(4, 8), "preview.mina": torch.zeros(4, 4, 3)},
    ],
)
def test_codes_and_previews_of_other_shapes_are_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    about = {"generator_hash": "0", "characters": {"mina": {"k": 1, "provenance": {}}}}
    path = tmp_path / "t.safetensors"
    save_file(tensors, path, {"toonify.table": json.dumps(about)})
    refused(CharacterTable.load, path)


@pytest.mark.parametrize(
    "files",
    [
        None,
        [],
        "x",
        {"generator": None},
        {"generator": {"file": None}},
        {"generator": {"file": 3}},
        {"generator": {"file": ""}},
        {"generator": {"file": "a\0b"}},
        {"generator": {"file": "\ud800"}},
        {"generator": {"file": "x" * 5000}},
        {"generator": {"file": "../x.safetensors"}},
        {"generator": {"file": "/etc/passwd"}},
        {"generator": {"file": "."}},
    ],
)
def test_manifests_that_name_no_files_are_refused(tmp_path: Path, files: object) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
    refused(Bundle.load, tmp_path)


@pytest.mark.parametrize("text", ["", "[" * 200_000, "null", "[]", '{"format": [1]}', "\ufeff{}"])
def test_manifests_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    refused(Bundle.load, tmp_path)


def test_directions_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    header = header.ljust(117) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "a.npy").write_bytes(data)
    np.savez_compressed(tmp_path / "b.npz", a=np.zeros(1 << 25, np.float32))
    torch.save(torch.zeros(1).expand(1 << 30), tmp_path / "c.pt")
    torch.save({"a": 3}, tmp_path / "d.pt")
    (tmp_path / "e.pt").write_bytes(b"PK\x03\x04")
    for name in ("a.npy", "b.npz", "c.pt", "d.pt", "e.pt"):
        refused(read_directions, tmp_path / name, InputError)
    np.save(tmp_path / "f.npy", np.ones(8, np.float32))
    assert read_directions(tmp_path / "f.npy")[""].tolist() == [1.0] * 8


def test_pictures_that_are_not_finite_are_refused() -> None:
    from toonify.utils.tensors import to_arrays, to_rgb

    for value in (float("nan"), float("inf")):
        for draw in (to_arrays, to_rgb):
            with pytest.raises(ToonifyError, match="not finite"):
                draw(torch.full((1, 3, 4, 4), value))
