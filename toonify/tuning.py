"""What is fastest on this machine: measured once, kept in the cache folder, used by "auto".

Records lie in `tuning.json` of toonify's cache folder, by machine (processor, cores, version of
torch) and by bundle. Without a record a check of some milliseconds tells whether the processor
computes in bfloat16 or only emulates it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toonify.bundle import bundle_folder, read_manifest
from toonify.checkpoints.cache import home
from toonify.device import device_name, pick_dtype

if TYPE_CHECKING:
    import torch

GAIN = 1.3  # how much faster than float32 a dtype must be to be chosen
SLOWER = 1.1  # how much slower it must be to be warned of
CHECKS = 15  # runs of a layer in either dtype
ARITHMETIC = "arithmetic"  # what the processor's own record is kept under
WORTH_IT = 1_000_000  # parameters from which on a network's dtype matters for its speed
BATCH = {"cpu": 4, "cuda": 8, "mps": 4}  # pictures drawn together where nothing was measured


def machine() -> str:
    """A name for what speed depends on: processor, cores this process may use, torch's version."""
    from importlib.metadata import version

    return f"{_processor()}, {cores()} cores, torch {version('torch')}"


def choose_dtype(name: str, device: torch.device, *networks: object) -> torch.dtype:
    """The dtype that networks draw in.

    Args:
        name: a dtype's, or "auto": what `pick_dtype` says, but on a CPU that computes bfloat16
            faster than float32, bfloat16. Networks too small to gain from it stay in float32.
        networks: torch modules that will run in it.

    Raises:
        UsageError: as `pick_dtype`.
    """
    import torch

    if name == "auto" and device.type == "cpu":
        parameters = (p for n in networks if isinstance(n, torch.nn.Module) for p in n.parameters())
        if sum(p.numel() for p in parameters) >= WORTH_IT and bfloat16_gain() >= GAIN:
            return torch.bfloat16
    return pick_dtype(name, device)


def gradient_dtype(name: str, device: torch.device, *networks: object) -> torch.dtype:
    """As `choose_dtype`, where gradients are wanted: float16's would underflow, and bfloat16 takes
    its place."""
    import torch

    chosen = choose_dtype(name, device, *networks)
    return torch.bfloat16 if chosen == torch.float16 else chosen


def emulated(dtype: torch.dtype, device: torch.device) -> str | None:
    """One line to say when `dtype` makes this processor slower; None where it doesn't."""
    import torch

    if device.type != "cpu" or dtype != torch.bfloat16:
        return None
    gain = bfloat16_gain()
    if gain * SLOWER > 1:
        return None
    return (
        f"this processor only emulates bfloat16, {1 / gain:.1f} times slower than float32:"
        " `dtype` float32 is faster"
    )


def choose_batch_size(device: torch.device, bundle: str | os.PathLike[str]) -> int:
    """How many pictures to draw together: as measured for a bundle here, else a fair guess."""
    found = recall(bundle_key(device, bundle)) or {}
    kept = found.get("batch_size")
    return kept if isinstance(kept, int) and kept > 0 else BATCH.get(device.type, 4)


def kept_dtype(device: torch.device, bundle: str | os.PathLike[str]) -> str:
    """The dtype measured to be the fastest for a bundle here; "auto" where nothing was."""
    found = recall(bundle_key(device, bundle)) or {}
    return found["dtype"] if found.get("dtype") in ("float32", "bfloat16", "float16") else "auto"


def use_kept_threads(device: torch.device, bundle: str | os.PathLike[str]) -> None:
    """Let torch compute in as many threads as were measured to be the fastest for a bundle here.

    OMP_NUM_THREADS, where set, stays in force.
    """
    import torch

    found = recall(bundle_key(device, bundle)) or {}
    kept = found.get("threads")
    if isinstance(kept, int) and 0 < kept <= cores() and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(kept)


@contextlib.contextmanager
def sharing_cores(works: int) -> Iterator[None]:
    """Let several works at a time have their share of the cores each, in OpenCV, and in torch where
    that is loaded.

    With all cores for each, threads of one wait for those of the other, spinning.
    """
    import cv2

    torch = sys.modules.get("torch")
    threads = cv2.getNumThreads()
    torch_threads = 1 if torch is None else torch.get_num_threads()
    cv2.setNumThreads(max(threads // works, 1))
    if torch is not None:
        torch.set_num_threads(max(torch_threads // works, 1))
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        if torch is not None:
            torch.set_num_threads(torch_threads)


def bundle_key(device: torch.device, bundle: str | os.PathLike[str]) -> str:
    """What records of a bundle's speed on this processor, or on such a GPU, are kept under.

    Raises:
        ModelError: there is no such bundle.
    """
    listed = read_manifest(bundle_folder(bundle)).get("files")
    generator = listed.get("generator") if isinstance(listed, dict) else None
    digest = generator.get("sha256") if isinstance(generator, dict) else None
    return f"{device_name(device)} {digest}"


def bfloat16_gain() -> float:
    """How many times as fast as in float32 a generator's layer in bfloat16 is here.

    Measured on first use (some milliseconds) and kept, so that "auto" decides the same each time.
    """
    kept = (recall(ARITHMETIC) or {}).get("bfloat16_gain")
    if isinstance(kept, float) and 0 < kept < math.inf:
        return kept
    import torch

    from toonify.models.bands import same_convolution

    def layer(dtype: torch.dtype) -> Callable[[], object]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(1, 32, 128, 256, generator=generator).to(dtype).permute(0, 3, 1, 2)
        weight = torch.randn(256, 256, 1, 1, generator=generator).to(dtype)
        return lambda: torch.relu_(same_convolution(x, weight, None).mul_(0.1))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # where others are busy, threads that wait for each other tell nothing
    try:
        with torch.inference_mode():
            plain, half = seconds_in_turns(
                layer(torch.float32), layer(torch.bfloat16), runs=CHECKS, of=min
            )
    finally:
        torch.set_num_threads(threads)
    gain = max(round(plain / half, 2), 0.01)
    remember(ARITHMETIC, {"bfloat16_gain": gain})
    return gain


def seconds_in_turns(
    *works: Callable[[], object],
    runs: int = 5,
    of: Callable[[Sequence[float]], float] = statistics.median,
) -> list[float]:
    """Seconds of each of several works, run in turns so that a busy moment hits all.

    Args:
        of: the runs that count; what is decided for good takes the least, to which other programs
            have added nothing.
    """
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for taken, work in zip(seconds, works, strict=True):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    return [float(of(taken)) for taken in seconds]


def recall(key: str) -> dict[str, Any] | None:
    """What is kept for a key on this machine."""
    kept = _read().get(machine())
    found = kept.get(key) if isinstance(kept, dict) else None
    return found if isinstance(found, dict) else None


def remember(key: str, record: dict[str, Any]) -> None:
    """Keep a record for a key on this machine; nothing is kept where the cache can't be written."""
    kept = _read()
    own = kept.get(machine())
    kept[machine()] = {**(own if isinstance(own, dict) else {}), key: record}
    path = _path()
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()


def _path() -> Path:
    return home() / "tuning.json"


def _read() -> dict[str, Any]:
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _processor() -> str:
    """The processor's name and, where the system tells, which bfloat16 instructions it has."""
    name, flags = platform.processor() or platform.machine(), ""
    if sys.platform == "linux":
        try:
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        for key, _, value in (line.partition(":") for line in reversed(lines)):
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = value
    known = [flag for flag in ("amx_bf16", "avx512_bf16", "bf16") if flag in flags.split()]
    return " ".join([name, *known])


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
