"""One character's drawings → its stored inversion; in this process, or in several of them."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import torch

from toonify.checkpoints import generator_hash
from toonify.errors import InputError, ToonifyError
from toonify.inversion.projector import Encode, ProjectionSettings, Start, invert_character
from toonify.lut import check_name
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.training.characters.sheet import write_reconstructions
from toonify.training.characters.store import (
    StoredInversion,
    StoreError,
    load_inversion,
    save_inversion,
    store_inversion,
)
from toonify.training.data.drawings import Drawings, load_drawings

# (character, images finished, images in all, step, steps, loss of the running batch)
TableProgress = Callable[[str, int, int, int, int, float], None]


@dataclass(frozen=True, kw_only=True)
class Projector:
    """Networks and options of a projection.

    Attributes:
        encoder: see `invert_character`.
        encoder_hash: tells encoders apart when deciding whether an inversion can be reused.
        start: where projections start; the encoder where there is one when None.
        k: drawings of a character at most.
    """

    generator: Generator
    loss: PerceptualLoss
    settings: ProjectionSettings
    encoder: Encode | None = None
    encoder_hash: str = ""
    start: Start | None = None
    k: int = 50

    @property
    def starts(self) -> Start:
        return self.start or ("average" if self.encoder is None else "encoder")


@dataclass(frozen=True)
class Projected:
    """What came of one character.

    Attributes:
        fresh: projected now, not found finished.
        skipped: (drawing, reason) of the ones that were left out.
        error: why there is nothing else here, or "".
    """

    name: str
    fresh: bool = False
    skipped: tuple[tuple[str, str], ...] = ()
    error: str = ""


def fingerprint(projector: Projector, drawings: Drawings, identity: str) -> str:
    """Of everything an inversion depends on; `identity` is the generator's hash."""
    settings = projector.settings
    options: dict[str, Any] = {**asdict(settings), "dtype": str(settings.dtype), "k": projector.k}
    if projector.starts == "both":
        options["start"] = "both"
    encoder = "" if projector.starts == "average" else projector.encoder_hash
    text = json.dumps([identity, encoder, options], sort_keys=True)
    digest = hashlib.sha256(text.encode())
    digest.update(drawings.images.numpy().tobytes())
    return digest.hexdigest()


def project_drawings(
    projector: Projector,
    name: str,
    drawings: Drawings,
    store: Path,
    *,
    identity: str = "",
    progress: TableProgress | None = None,
) -> tuple[StoredInversion, bool]:
    """The inversion in `store/NAME.safetensors`, projected and written there unless it is it.

    Beside it lie each drawing's loss (NAME.json) and reconstruction (NAME.png).

    Args:
        identity: the generator's hash, where it is known already.

    Returns:
        the inversion, and whether it was projected now.

    Raises:
        StoreError: it can't be written.
        InputError: the memory doesn't suffice.
    """
    identity = identity or generator_hash(projector.generator)
    key = fingerprint(projector, drawings, identity)
    path = store / f"{name}.safetensors"
    stored = load_inversion(path)
    if stored is not None and stored.fingerprint == key:
        return stored, False
    passes = 2 if projector.starts == "both" else 1
    count = passes * min(projector.k, len(drawings.names))

    def report(done: int, step: int, steps: int, value: float) -> None:
        if progress:
            progress(name, done, count, step, steps, value)

    try:
        inversion = invert_character(
            drawings.images,
            projector.generator,
            loss=projector.loss,
            k=projector.k,
            settings=projector.settings,
            encoder=projector.encoder,
            start=projector.starts,
            progress=report,
        )
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"{projector.settings.batch_size} drawings at once are too many for the memory",
            hint="Lower `batch_size`, or `workers`.",
        ) from error
    stored = store_inversion(inversion, drawings.images, drawings.names, key)
    write_reconstructions(name, stored, store)
    save_inversion(stored, path)  # last: from now on the character is finished
    return stored, True


def project_folders(
    projector: Projector | None,
    folder: Path,
    names: list[str],
    store: Path,
    *,
    workers: int = 1,
    load: Callable[[], Projector] | None = None,
    progress: TableProgress | None = None,
) -> Iterator[Projected]:
    """Project the characters `folder/NAME`, each result as it is there.

    Args:
        projector: of this process; not needed with several workers.
        workers: processes that work on different characters.
        load: module-level function (or partial of one) that gives each process its projector.

    Raises:
        StoreError: results can't be kept; the other characters are not begun.
    """
    if workers <= 1 or len(names) <= 1:
        projector = projector or cast(Callable[[], Projector], load)()
        identity = generator_hash(projector.generator)
        for name in names:
            yield _project(projector, identity, name, folder, store, progress)
        return
    if load is None:
        raise ValueError("several workers need a function that loads their networks")
    yield from _project_in_processes(load, folder, names, store, workers, progress)


def _project(
    projector: Projector,
    identity: str,
    name: str,
    folder: Path,
    store: Path,
    progress: TableProgress | None,
) -> Projected:
    try:
        check_name(name)
        drawings = load_drawings(folder / name, projector.generator.resolution)
        _, fresh = project_drawings(
            projector, name, drawings, store, identity=identity, progress=progress
        )
        return Projected(name, fresh, tuple(drawings.skipped))
    except StoreError:
        raise
    except ToonifyError as error:
        return Projected(name, error=str(error))


def _project_in_processes(
    load: Callable[[], Projector],
    folder: Path,
    names: list[str],
    store: Path,
    workers: int,
    progress: TableProgress | None,
) -> Iterator[Projected]:
    context = multiprocessing.get_context("spawn")  # a fork would break CUDA and threads
    waiting, processes, running = deque(names), [], {}
    threads = max(1, (os.cpu_count() or 1) // workers)
    try:
        for _ in range(min(workers, len(names))):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_worker, args=(theirs, load, folder, store, threads), daemon=True
            )
            process.start()
            theirs.close()  # so that its end is noticed here
            processes.append(process)
            running[ours] = ""
        while running:
            for ready in wait(list(running)):
                pipe = cast(Connection, ready)
                try:
                    kind, content = pipe.recv()
                except EOFError:  # killed, for its memory most likely
                    if name := running.pop(pipe):
                        why = "its process died; fewer `workers` need less memory"
                        yield Projected(name, error=why)
                    if not running and waiting:
                        raise InputError(
                            "every worker process died",
                            hint="Fewer `workers` need less memory; finished characters are kept.",
                        ) from None
                    continue
                if kind == "progress":
                    if progress:
                        progress(*content)
                    continue
                if kind == "error":
                    raise content
                name = waiting.popleft() if waiting else ""
                with suppress(BrokenPipeError):  # its death shows in the next round
                    pipe.send(name)
                running[pipe] = name
                if not name:
                    del running[pipe]
                if kind == "done":
                    yield content
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _worker(
    pipe: Connection, load: Callable[[], Projector], folder: Path, store: Path, threads: int
) -> None:
    """Ask for names until there are none. The parent's death shows in the pipe, at each step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            projector = load()
            identity = generator_hash(projector.generator)
            pipe.send(("ready", None))
            while name := pipe.recv():
                done = _project(
                    projector, identity, name, folder, store, lambda *a: pipe.send(("progress", a))
                )
                pipe.send(("done", done))
        except ToonifyError as error:
            pipe.send(("error", error))
        except (EOFError, OSError):
            raise
        except Exception as error:
            pipe.send(("error", RuntimeError(f"{type(error).__name__}: {error}")))
