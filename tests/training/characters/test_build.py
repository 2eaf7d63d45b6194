"""A folder of characters becomes a table; finished characters are not projected again."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from tests.training import table_job
from tests.training.tiny_training import PixelDistance, tiny_generator
from toonify.checkpoints import generator_hash
from toonify.errors import InputError, ModelError
from toonify.inversion.projector import ProjectionSettings
from toonify.lut import CharacterTable
from toonify.training.characters import jobs as table_jobs
from toonify.training.characters.build import build_table, load_inversion
from toonify.training.characters.sheet import sampled_faces

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
    original = table_jobs.invert_character

    def counted(*args, **kwargs):
        done.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(table_jobs, "invert_character", counted)
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
    assert torch.allclose(stored.w_plus(1), stored.latents[0])
    former = tmp_path / "former.safetensors"  # whose latents have the name they once had
    with safe_open(tmp_path / "lut.inversions" / "mina.safetensors", "pt") as file:
        names = file.keys()
        arrays = {name.replace("latents", "codes"): file.get_tensor(name) for name in names}
        save_file(arrays, former, file.metadata())
    assert torch.equal(load_inversion(former).latents, stored.latents)
    losses = json.loads((tmp_path / "lut.inversions" / "mina.json").read_text())
    assert [d["started_from"] for d in losses["drawings"]] == ["average", "average"]
    assert losses["drawings"][1]["loss"] == pytest.approx(float(stored.losses[1]), abs=1e-5)
    assert Image.open(tmp_path / "lut.inversions" / "mina.png").width > 4 * 128
    assert ("mina", 0, 2, 0, 3) in [c[:5] for c in calls]


def test_resumes_after_a_crash(
    characters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, out = tiny_generator("mobile"), tmp_path / "lut.safetensors"
    original = table_jobs.invert_character

    def crash_on_second(*args, **kwargs):
        if (tmp_path / "lut.inversions" / "bram.safetensors").exists():
            raise RuntimeError("power cut")
        return original(*args, **kwargs)

    monkeypatch.setattr(table_jobs, "invert_character", crash_on_second)
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
    assert not (tmp_path / "lut.inversions" / "no good name!.safetensors").exists()
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


def test_sheets_show_the_whole_table(characters: Path, tmp_path: Path) -> None:
    generator, out = tiny_generator("stylegan2"), tmp_path / "lut.safetensors"
    samples = sampled_faces(generator, count=3)
    assert [s.picture.shape for s in samples] == [(32, 32, 3)] * 3
    (characters / "mina" / "broken.png").write_bytes(b"no picture")
    for name in ("bram", "mina"):
        report = build_table(
            characters,
            generator,
            out,
            loss=LOSS,
            settings=SETTINGS,
            only=[name],
            samples=samples,
        )
    assert [file for file, _ in report.skipped] == ["mina/broken.png"]
    image = Image.open(report.sheet)
    assert image.size == (10 * 132 + 4, 28 + 3 * 132)  # the samples, then two characters
    text = out.with_suffix(".html").read_text()
    assert text.index("<h2>bram") < text.index("<h2>mina") and "mina/broken.png is left" in text
    assert text.count("<img") == 3 + 2 * (4 + 3)


def test_a_full_disk_stops_at_once(
    characters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = count_inversions(monkeypatch)
    (tmp_path / "lut.inversions").write_text("in the way")
    with pytest.raises(InputError, match=r"Make room and run again"):
        build_table(
            characters,
            tiny_generator("mobile"),
            tmp_path / "lut.safetensors",
            loss=LOSS,
            settings=SETTINGS,
        )
    assert len(done) == 1


@pytest.mark.slow  # of one that only crashes: test_resumes_after_a_crash
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_run_again(characters: Path, tmp_path: Path, workers: int) -> None:
    """What was finished when the process was killed is not projected again."""
    out = tmp_path / "lut.safetensors"
    first = subprocess.Popen(
        [sys.executable, "-m", "tests.training.table_job", characters, out, str(workers)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ".:tests"},
    )
    deadline = time.monotonic() + 300
    while not (tmp_path / "lut.inversions" / "bram.safetensors").exists():
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = table_job.build(characters, out, workers=workers)
    assert "bram" in second.reused and not second.failed
    if workers == 1:  # of two, the other may have finished mina
        assert second.built == ["mina"]
    assert CharacterTable.load(out).names == ("bram", "mina")
    assert not list(tmp_path.glob("**/.*"))
    alone = build_table(
        characters,
        tiny_generator("mobile"),
        tmp_path / "alone.safetensors",
        loss=LOSS,
        settings=SETTINGS,
    )
    for name in ("bram", "mina"):
        assert torch.allclose(CharacterTable.load(out)[name].w_plus, alone.table[name].w_plus)


def test_a_worker_s_failures(characters: Path, tmp_path: Path) -> None:
    """One dies of its drawing, the others' characters are there; a bad folder is named."""
    (characters / "died").mkdir()
    Image.new("RGB", (32, 32)).save(characters / "died" / "0.png")
    (characters / "empty").mkdir()
    report = table_job.build(characters, tmp_path / "lut.safetensors", workers=2)
    assert report.built == ["bram", "mina"]
    failed = dict(report.failed)
    assert "its process died" in failed["died"] and "no image" in failed["empty"]
