"""What is fastest here: measured, kept, used."""

from __future__ import annotations

import json

import cv2
import pytest
import torch

from toonify import tuning
from toonify.errors import UsageError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def gain(monkeypatch):
    def pretend(value: float) -> None:
        monkeypatch.setattr(tuning, "bfloat16_gain", lambda: value)

    return pretend


def test_auto_takes_bfloat16_where_it_is_faster(gain, monkeypatch):
    network = torch.nn.Linear(100, 100)
    monkeypatch.setattr(tuning, "WORTH_IT", 10_000)
    gain(4.0)
    assert tuning.choose_dtype("auto", CPU, network) == torch.bfloat16
    assert tuning.choose_dtype("float32", CPU, network) == torch.float32
    gain(0.4)
    assert tuning.choose_dtype("auto", CPU, network) == torch.float32
    assert tuning.choose_dtype("bfloat16", CPU, network) == torch.bfloat16
    assert tuning.choose_dtype("auto", CUDA, network) == torch.float16


def test_small_networks_stay_in_float32(gain):
    gain(4.0)
    assert tuning.choose_dtype("auto", CPU, torch.nn.Linear(10, 10)) == torch.float32


def test_unknown_dtype():
    with pytest.raises(UsageError, match="float64"):
        tuning.choose_dtype("float64", CPU)


def test_gradients_are_not_computed_in_float16(gain):
    """On a GPU "auto" is float16."""
    gain(0.4)
    for name in ("auto", "float16", "bfloat16"):
        assert tuning.gradient_dtype(name, CUDA) == torch.bfloat16
    assert tuning.gradient_dtype("float32", CUDA) == torch.float32
    assert tuning.gradient_dtype("auto", CPU) == torch.float32


def test_what_is_fitted_is_not_computed_in_float16():
    from toonify.editing.job import fit_settings

    class Model:
        device, generator = CUDA, torch.nn.Linear(1, 1)

    assert fit_settings(Model(), 3, "auto").dtype == torch.bfloat16


def test_emulation_is_said_in_one_line(gain):
    gain(0.4)
    line = tuning.emulated(torch.bfloat16, CPU)
    assert line and "2.5 times slower" in line and "\n" not in line
    assert tuning.emulated(torch.float32, CPU) is None
    assert tuning.emulated(torch.bfloat16, CUDA) is None
    gain(3.0)
    assert tuning.emulated(torch.bfloat16, CPU) is None


def test_the_check_runs_once_and_is_kept(monkeypatch, home):
    runs = []

    def timed(*works, runs_=runs, **options):
        runs_.append(len(works))
        return [0.4, 0.1]

    monkeypatch.setattr(tuning, "seconds_in_turns", timed)
    assert tuning.bfloat16_gain() == tuning.bfloat16_gain() == 4.0
    assert runs == [2]
    monkeypatch.setattr(tuning, "machine", lambda: "another")
    assert tuning.bfloat16_gain() == 4.0 and runs == [2, 2]
    assert len(json.loads((home / "tuning.json").read_text())) == 2


def test_a_real_check_is_a_number():
    assert 0.01 < tuning.bfloat16_gain() < 1000


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"x": 3}'])
def test_damaged_records_are_made_anew(home, text):
    home.mkdir()
    (home / "tuning.json").write_text(text)
    assert tuning.recall("a") is None
    tuning.remember("a", {"batch_size": 2})
    assert tuning.recall("a") == {"batch_size": 2}


def test_a_cache_that_cannot_be_written_keeps_nothing(home):
    home.write_text("a file where the folder should be")
    tuning.remember("a", {"batch_size": 2})
    assert tuning.recall("a") is None


def test_what_was_measured_for_a_bundle_is_used(monkeypatch):
    assert tuning.choose_batch_size(CUDA, "default") == 8
    assert tuning.choose_batch_size(CPU, "default") == tuning.BATCH["cpu"]
    assert tuning.kept_dtype(CPU, "default") == "auto"
    key = tuning.bundle_key(CPU, "default")
    tuning.remember(key, {"batch_size": 3, "dtype": "float32", "threads": 1})
    assert tuning.choose_batch_size(CPU, "default") == 3
    assert tuning.kept_dtype(CPU, "default") == "float32"
    assert tuning.choose_batch_size(CUDA, "default") == 8
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    tuning.use_kept_threads(CPU, "default")
    monkeypatch.delenv("OMP_NUM_THREADS")
    tuning.use_kept_threads(CPU, "default")
    assert set_to == [1]
    tuning.remember(key, {"batch_size": "many", "dtype": "int8", "threads": 10_000})
    assert tuning.choose_batch_size(CPU, "default") == tuning.BATCH["cpu"]
    assert tuning.kept_dtype(CPU, "default") == "auto"
    tuning.use_kept_threads(CPU, "default")
    assert set_to == [1]


def test_each_kind_of_gpu_has_its_own_record(monkeypatch):
    names = ["small", "large"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index or 0])
    small, large = torch.device("cuda", 0), torch.device("cuda", 1)
    tuning.remember(tuning.bundle_key(large, "default"), {"batch_size": 32})
    assert tuning.choose_batch_size(large, "default") == 32
    assert tuning.choose_batch_size(small, "default") == tuning.BATCH["cuda"]


def test_works_are_timed_in_turns():
    order = []
    times = tuning.seconds_in_turns(lambda: order.append("a"), lambda: order.append("b"), runs=3)
    assert order == ["a", "b"] * 4 and len(times) == 2


def test_a_busy_moment_decides_nothing(monkeypatch):
    """Most runs may take ten times as long, on either side."""
    clock, taken = [0.0], []

    def pretended(seconds):
        def work():
            taken.append(seconds)
            clock[0] += seconds * (10 if len(taken) % 5 < 3 else 1)

        return work

    monkeypatch.setattr(tuning.time, "perf_counter", lambda: clock[0])
    works = pretended(0.3), pretended(0.1)
    plain, half = tuning.seconds_in_turns(*works, runs=tuning.CHECKS, of=min)
    assert plain / half == pytest.approx(3)


@pytest.mark.parametrize("gain", ["NaN", "-1.5", "0.0", "Infinity", "true", '"2"', "null"])
def test_impossible_gains_are_measured_anew(home, monkeypatch, gain):
    monkeypatch.setattr(tuning, "machine", lambda: "here")
    monkeypatch.setattr(tuning, "seconds_in_turns", lambda *works, **options: [0.4, 0.1])
    home.mkdir()
    record = f'{{"here": {{"{tuning.ARITHMETIC}": {{"bfloat16_gain": {gain}}}}}}}'
    (home / "tuning.json").write_text(record)
    assert tuning.bfloat16_gain() == 4.0


def test_works_at_the_same_time_share_the_cores():
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(3)
    torch.set_num_threads(4)
    try:
        with tuning.sharing_cores(2):
            assert cv2.getNumThreads() == 1 and torch.get_num_threads() == 2
        assert cv2.getNumThreads() == 3 and torch.get_num_threads() == 4
        with pytest.raises(ValueError, match="stop"), tuning.sharing_cores(9):
            assert cv2.getNumThreads() == 1 and torch.get_num_threads() == 1
            raise ValueError("stop")
        assert torch.get_num_threads() == 4
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])
