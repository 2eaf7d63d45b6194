"""How long each step of drawing a photograph takes on this machine, and what is fastest here."""

from __future__ import annotations

import importlib
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toonify import tuning
from toonify.device import arithmetic, finish
from toonify.engines.registry import load_engine, load_style_engine
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.media.images import encode_image, read_image
from toonify.portrait.catalog import program_styles

if TYPE_CHECKING:
    import torch

    from toonify.engine import Toonifier
    from toonify.models.base import Generator

Draw = Callable[["torch.Tensor"], "torch.Tensor"]
"""w+ (B, num_ws, w_dim) → images (B, 3, R, R) in about [-1, 1]."""

Statistic = Callable[[Sequence[float]], float]

NEAR = 1.05  # settings this near to the fastest are as good: the smaller batch is taken


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One step's time.

    Attributes:
        stage: start, read, detect, align, encode, mix, draw, paste, write, what `measure_portrait`
            names, or the name of what `compare` was given.
        dtype: what it computed in; empty where no network of torch's runs.
        batch: pictures at once.
        threads: torch's.
        cold: seconds of the first run.
        warm: median seconds of the later ones; None where only the first counts.
    """

    stage: str
    dtype: str = ""
    batch: int = 1
    threads: int = 1
    cold: float
    warm: float | None = None

    @property
    def per_picture(self) -> float:
        """Seconds a picture, warm where that was measured."""
        return (self.cold if self.warm is None else self.warm) / self.batch

    def record(self) -> dict[str, Any]:
        """JSON-able; seconds to the microsecond."""
        rounded = {
            key: round(value, 6) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }
        return rounded | {"per_picture": round(self.per_picture, 6)}


def measure_start(photo: Path, bundle: str, *, device: str = "auto", dtype: str = "auto") -> Timing:
    """A whole `toonify stylize` of one photograph in a process of its own.

    Args:
        device, dtype: as the command's options.

    Raises:
        InputError: the photograph can't be drawn.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "drawn.png")
        command = [sys.executable, "-m", "toonify", "stylize", str(photo), "-o", str(target)]
        command += ["--bundle", bundle, "--device", device, "--dtype", dtype, "--quiet"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise InputError(done.stderr.strip().removeprefix("toonify: ") or "no drawing came")
    return Timing(stage="start", cold=seconds)


def measure_photo(engine: Toonifier, photo: Path, character: str, *, runs: int) -> Iterator[Timing]:
    """The steps around the networks: read, detect, align, paste, write.

    Raises:
        InputError: the file is no picture, or shows no face.
    """
    rgb = read_image(photo).rgb
    yield _timing("read", lambda: read_image(photo), runs)
    faces = engine.detect(rgb)
    if not faces:
        raise InputError(f"no face found in {photo}", hint="Give a photo of a person.")
    yield _timing("detect", lambda: engine.detect(rgb), runs)
    yield _timing("align", lambda: engine.align(rgb, faces[0]), runs)
    alignment = engine.align(rgb, faces[0])
    drawn = engine.stylize_crops([alignment.image], [character], batch_size=1)[0][0]
    yield _timing("paste", lambda: engine.paste(rgb, drawn, alignment), runs)
    yield _timing("write", lambda: encode_image(drawn, "png"), runs)


def measure_portrait(
    bundle: str, photo: Path, *, runs: int, device: str = "auto", dtype: str = "auto"
) -> Iterator[Timing]:
    """The portrait program's steps, and those of what the bundle's default draws a photograph with;
    nothing where the bundle offers no styles.

    Args:
        device, dtype: of networks, as of `load_style_engine`.

    Yields:
        analyze, portrait; mattes, network, crisp, surroundings; all of a drawing as style, and its
        file as write style.
    """
    if not program_styles(bundle):
        return
    program = load_engine("portrait", bundle)
    default = load_style_engine(
        bundle=bundle, detector=program.detector, device=device, dtype=dtype
    )
    rgb = read_image(photo).rgb
    faces = program.detect(rgb)
    for engine in (program, default) if default.name != program.name else (program,):
        for name, work in engine.steps(rgb, engine.characters[0], faces=faces):
            yield _timing(name, work, runs)
    style = default.characters[0]
    yield _timing("style", lambda: default.draw_image(rgb, [style], faces=faces), runs)
    (drawn,) = default.draw_image(rgb, [style], faces=faces)
    if not isinstance(drawn, bytes):
        yield _timing("write style", lambda: encode_image(drawn, "png"), runs)


def measure_networks(
    engine: Toonifier,
    character: str,
    *,
    dtypes: Sequence[torch.dtype],
    batch_sizes: Sequence[int],
    runs: int,
    of: Statistic = statistics.median,
) -> Iterator[Timing]:
    """Encoder, style mixing and generator, for every dtype and batch.

    They run on noise of the crops' size: their time does not depend on what the crops show.

    Args:
        of: what counts of the later runs.
    """
    from toonify.cdsm import DEFAULT_LEVEL, cross_domain_styles

    side = engine.generator.resolution
    noise = np.random.default_rng(0)
    latent = engine.table[character].w_plus[None].to(engine.device)
    kept = engine.model.dtype
    try:
        for dtype, batch in itertools.product(dtypes, batch_sizes):
            engine.model.dtype = dtype
            crops = list(noise.integers(0, 255, (batch, side, side, 3), np.uint8))
            w_plus = engine.model.encode(crops)

            def encode(crops: list[np.ndarray] = crops) -> None:
                engine.model.encode(crops)
                finish(engine.device)

            def mix(w_plus: torch.Tensor = w_plus) -> None:
                cross_domain_styles(engine.generator, w_plus, latent, level=DEFAULT_LEVEL)
                finish(engine.device)

            def draw(w_plus: torch.Tensor = w_plus) -> None:
                engine.model.render(w_plus, character)

            for name, work in (("encode", encode), ("mix", mix), ("draw", draw)):
                yield _timing(
                    name, work, runs, dtype=_name(dtype), batch=batch, device=engine.device, of=of
                )
    finally:
        engine.model.dtype = kept


def tune(engine: Toonifier, bundle: str, character: str, *, runs: int) -> dict[str, Any]:
    """Find the threads, dtype and batch that draw fastest, and keep them for "auto".

    Returns:
        the record kept: dtype, batch_size, threads and seconds a picture.
    """
    import torch

    torch_threads = torch.get_num_threads()
    choices, batches = [torch.float32, torch.bfloat16], [1, 2, 4, 8]
    if engine.device.type != "cpu":
        choices.append(torch.float16)
        batches = [1, 4, 8, 16, 32]
    counts = sorted({1, max(1, torch_threads // 2), torch_threads})
    tried: list[Timing] = []
    try:
        for threads in counts if engine.device.type == "cpu" else [torch_threads]:
            torch.set_num_threads(threads)
            found = measure_networks(
                engine,
                character,
                dtypes=choices,
                batch_sizes=batches,
                runs=runs,
                of=min,  # to which other programs have added nothing
            )
            tried += [timing for timing in found if timing.stage == "draw"]
    finally:
        torch.set_num_threads(torch_threads)
    best = fastest(tried)
    record = {
        "dtype": best.dtype,
        "batch_size": best.batch,
        "threads": best.threads,
        "seconds": round(best.per_picture, 4),
    }
    tuning.remember(tuning.bundle_key(engine.device, bundle), record)
    return record


def fastest(timings: Sequence[Timing]) -> Timing:
    """The one with the least time a picture; of nearly equal ones float32 first, then the
    smallest batch, then the fewest threads."""
    exact = [t for t in timings if t.dtype == "float32"]
    best = min(timings, key=lambda t: t.per_picture)
    if exact:
        best_exact = min(exact, key=lambda t: t.per_picture)
        if best_exact.per_picture < best.per_picture * tuning.GAIN:
            best = best_exact
    near = [
        t for t in timings if t.dtype == best.dtype and t.per_picture <= best.per_picture * NEAR
    ]
    return min(near, key=lambda t: (t.batch, t.threads))


def compare(
    engine: Toonifier, name: str, *, batch_sizes: Sequence[int], runs: int
) -> Iterator[tuple[Timing, Timing, float | None]]:
    """Another drawing function beside the engine's generator, in turns, in float32.

    Args:
        name: MODULE:CALLABLE; it is called with the generator and gives a `Draw`.

    Yields:
        ours, the other's, and the largest difference of their images (None: of another shape),
        for every batch.

    Raises:
        UsageError: there is no such callable, it fails, or gives no function from w+ to images.
    """
    import torch

    with _of_callers(name):
        other = load_callable(name)(engine.generator)
    if not callable(other):
        raise UsageError(
            f"{name} gives no function but {type(other).__name__}",
            hint="Called with the generator, it gives what draws w+ (B, num_ws, w_dim).",
        )
    for batch in batch_sizes:
        z = torch.randn(batch, engine.generator.z_dim, generator=torch.Generator().manual_seed(0))
        w = engine.generator.mapping(z.to(engine.device), truncation_psi=0.7)
        w_plus = w[:, None].repeat(1, engine.generator.num_ws, 1)
        yield _side_by_side(engine.generator, other, name, w_plus, runs)


def load_callable(name: str) -> Callable[[Generator], Draw]:
    """What MODULE:CALLABLE names; modules of the working folder count.

    Raises:
        UsageError: there is no such callable.
    """
    module, _, attribute = name.partition(":")
    hint = "Give MODULE:CALLABLE, such as mine:make; called with a generator, it gives a function."
    if not module or not attribute:
        raise UsageError(f"{name!r} names no callable", hint=hint)
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever its module does
        raise UsageError(f"{name!r} can't be imported ({error})", hint=hint) from error
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise UsageError(f"{name!r} is no callable", hint=hint)
    return found


@contextmanager
def _of_callers(name: str) -> Iterator[None]:
    """Errors of what a caller has named, as its own."""
    try:
        yield
    except ToonifyError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(". ")
        raise UsageError(f"{name} fails: {reason}", hint="`debug` shows where.") from error


def peak_memory() -> int | None:
    """The most memory this process has held, in MiB; None where the system doesn't tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // (1 << 20 if sys.platform == "darwin" else 1 << 10)


def peak_gpu_memory(device: torch.device) -> int | None:
    """The most memory that tensors have taken on a CUDA device, in MiB; None on others."""
    import torch

    return torch.cuda.max_memory_allocated(device) >> 20 if device.type == "cuda" else None


def _side_by_side(
    generator: Generator, other: Draw, name: str, w_plus: torch.Tensor, runs: int
) -> tuple[Timing, Timing, float | None]:
    import torch

    def own() -> torch.Tensor:
        drawn = generator.synthesize(generator.styles(w_plus))
        finish(w_plus.device)
        return drawn

    def others() -> torch.Tensor:
        with _of_callers(name):
            drawn = other(w_plus)
        if not isinstance(drawn, torch.Tensor):
            raise UsageError(f"{name} draws no images but {type(drawn).__name__}")
        finish(w_plus.device)
        return drawn

    works = (own, others)
    with torch.inference_mode(), arithmetic(w_plus.device, torch.float32):
        cold = [_seconds(work) for work in works]
        images = [work() for work in works]
        warm = tuning.seconds_in_turns(*works, runs=runs)
    same = images[0].shape == images[1].shape
    difference = float((images[0] - images[1].to(images[0])).abs().max()) if same else None
    ours, theirs = (
        Timing(
            stage=stage,
            dtype="float32",
            batch=len(w_plus),
            threads=torch.get_num_threads(),
            cold=first,
            warm=later,
        )
        for stage, first, later in zip(("draw", name), cold, warm, strict=True)
    )
    return ours, theirs, difference


def _timing(
    stage: str,
    work: Callable[[], object],
    runs: int,
    *,
    dtype: str = "",
    batch: int = 1,
    device: torch.device | None = None,
    of: Statistic = statistics.median,
) -> Timing:
    import torch

    from toonify.models.replay import WORTH_IT

    cold = _seconds(work)
    if device is not None and device.type == "cuda":
        for _ in range(WORTH_IT):  # until a graph is replayed
            work()
    warm = float(of([_seconds(work) for _ in range(runs)]))
    threads = torch.get_num_threads()
    return Timing(stage=stage, dtype=dtype, batch=batch, threads=threads, cold=cold, warm=warm)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
