"""Devices and precisions by name."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from toonify.device import arithmetic, pick_device, pick_dtype, training_dtype
from toonify.errors import UsageError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def pretend(*, cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


def test_auto_takes_the_fastest_there_is(machine) -> None:
    machine()
    assert pick_device("auto") == CPU
    machine(mps=True)
    assert pick_device("auto").type == "mps"
    machine(cuda=1, mps=True)
    assert pick_device("auto").type == "cuda"


def test_named_devices(machine) -> None:
    machine(cuda=2)
    assert pick_device("cpu") == CPU
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert pick_device(torch.device("meta")) == torch.device("meta"), "taken as it is"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "meta"])
def test_absent_device(machine, name: str) -> None:
    machine()
    with pytest.raises(UsageError, match=rf"no device '{name}' here.*auto"):
        pick_device(name)


def test_absent_second_gpu(machine) -> None:
    machine(cuda=1)
    with pytest.raises(UsageError, match="cuda:1"):
        pick_device("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu0"])
def test_unknown_device(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown device.*auto, cpu, cuda"):
        pick_device(name)


def test_float32_has_all_of_its_bits_on_a_gpu() -> None:
    before = torch.backends.cudnn.allow_tf32
    with arithmetic(CPU, torch.float32):
        assert torch.backends.cudnn.allow_tf32 == before
    with arithmetic(CUDA, torch.float32):
        with ThreadPoolExecutor(1) as pool:  # another thread comes and goes
            assert not pool.submit(_exactly).result()
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
    with arithmetic(CPU, torch.bfloat16):
        assert torch.is_autocast_enabled("cpu")


def _exactly() -> bool:
    with arithmetic(CUDA, torch.float32):
        return torch.backends.cudnn.allow_tf32


def test_dtypes() -> None:
    assert pick_dtype("auto", CPU) == torch.float32
    assert pick_dtype("auto", CUDA) == torch.float16
    assert pick_dtype("bfloat16", CPU) == torch.bfloat16
    assert pick_dtype("float16", CUDA) == torch.float16
    with pytest.raises(UsageError, match=r"float16.*bfloat16"):
        pick_dtype("float16", CPU)
    with pytest.raises(UsageError, match=r"'double'.*float32"):
        pick_dtype("double", CPU)


def test_trainings_compute_in_bfloat16_or_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.tuning.bfloat16_gain", lambda: 3.0)
    found = [training_dtype(name, CPU) for name in ("auto", "bfloat16", "float32")]
    assert found == [torch.bfloat16, torch.bfloat16, torch.float32]
    monkeypatch.setattr("toonify.tuning.bfloat16_gain", lambda: 0.4)
    found = [training_dtype(name, CPU) for name in ("auto", "bfloat16")]
    assert found == [torch.float32, torch.bfloat16]
    assert training_dtype("auto", CUDA) == torch.bfloat16
    with pytest.raises(UsageError, match="float16 is too coarse to train in"):
        training_dtype("float16", CPU)
    with pytest.raises(UsageError, match="unknown dtype 'half'"):
        training_dtype("half", CPU)
