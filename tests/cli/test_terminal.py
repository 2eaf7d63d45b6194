"""Names, tables and metadata of strangers on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

NASTY = "x\x1b]0;owned\x07\x9b2J\u202e"


def clean(text: str) -> bool:
    return not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in text) and (
        "\u202e" not in text
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / f"{NASTY}.png"
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(path)
    return path


@pytest.mark.parametrize("json_too", [(), ("--json",), ("--debug",)])
@pytest.mark.parametrize(
    "command",
    [
        "stylize {photo} -o {out}/a.png --aligned --character mina --bundle {bundle}",
        "stylize {photo} -o {out}/a.png --character {name} --bundle {bundle}",
        "stylize {missing} -o {out}/a.png --bundle {bundle}",
        "stylize {photo} -o {out}/a.png --bundle {missing}",
        "align {folder} -o {out}",
        "check {folder}",
        "invert {missing} -o {out}",
        "edit {missing} -o {out}/a.png",
        "translate {missing} -o {out}/a.png --task toonify",
        "video {photo} -o {out}/a.mp4",
        "swap {missing} {missing} -o {out}/a.safetensors",
        "evaluate --photos {missing} -o {out}",
        "lut show {name} --table {bundle}",
        "lut list --table {table}",
        "lut show --table {table}",
        "models info {network}",
        "models info {missing}",
        "models pull {name}",
        "models convert {network} -o {out}/a.safetensors",
        "bundle {missing}",
        "finetune --data {missing} --base default -o {out}",
        "{name}",
    ],
)
def test_control_characters_never_reach_it(run, bundle, tmp_path, photo, command, json_too):
    about = {"k": 1, "provenance": {"source": NASTY, NASTY: 1}}
    content = {"generator_hash": NASTY, "characters": {"mina": about}}
    table, network = tmp_path / "t.safetensors", tmp_path / "n.safetensors"
    save_file({"w_plus.mina": torch.zeros(2, 4)}, table, {"toonify.table": json.dumps(content)})
    config = json.dumps({"architecture": NASTY})
    save_file({"a": torch.zeros(1)}, network, {"toonify.config": config, "note": NASTY})
    places = {
        "photo": photo,
        "folder": tmp_path,
        "missing": tmp_path / f"no {NASTY}",
        "name": NASTY,
        "out": tmp_path / "out",
        "bundle": bundle,
        "table": table,
        "network": network,
    }
    result = run(*(part.format(**places) for part in command.split()), *json_too)
    assert clean(result.out) and clean(result.err), (result.out + result.err)[-300:]


def test_metadata_is_shown(run, tmp_path):
    path = tmp_path / "n.safetensors"
    config = '{"architecture": "mobile"}'
    save_file({"a": torch.zeros(1)}, path, {"toonify.config": config, "note": NASTY})
    result = run("models", "info", path)
    assert result.status == 0 and "\\x1b]0;owned" in result.out and clean(result.out)


def test_offline_and_download_exclude_each_other(run):
    result = run("doctor", "--offline", "--download")
    assert result.status == 2 and "exclude each other" in result.err
