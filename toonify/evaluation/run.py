"""One pass over the photographs: every subject draws each of them, the probes measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from toonify.cdsm import DEFAULT_LEVEL
from toonify.engine import Toonifier
from toonify.engines.base import Engine, aligned_region
from toonify.errors import InputError, ModelError, ToonifyError, UsageError
from toonify.evaluation.heads import measure_head
from toonify.evaluation.metrics import Features
from toonify.evaluation.probes import Look, Probes
from toonify.faces import FaceDetector, align
from toonify.media.images import read_image
from toonify.training.core.runs import interruptible


class Subject(Protocol):
    """What is evaluated: something that draws aligned photographs in several ways.

    Attributes:
        label: how the report calls it.
        characters: what it can draw a photo as.
        resolution: of the crops it is given, and of its drawings.
    """

    label: str
    characters: tuple[str, ...]
    resolution: int

    def encode(self, crop: np.ndarray) -> Any:
        """An aligned (R, R, 3) uint8 photo → whatever `draw` needs of it."""
        ...

    def draw(self, latent: Any, character: str) -> np.ndarray:
        """→ (R, R, 3) uint8."""
        ...


class Finder(Protocol):
    """What photographs' faces are found by: a `Toonifier`, a `PortraitEngine`."""

    @property
    def detector(self) -> FaceDetector: ...


class FunctionSubject:
    """Anything that draws aligned photographs.

    Args:
        draw: (R, R, 3) uint8 photo → drawing of it, square, of any size.
    """

    def __init__(
        self,
        label: str,
        draw: Callable[[np.ndarray], np.ndarray],
        *,
        resolution: int = 512,
    ) -> None:
        self.label, self.resolution = label, resolution
        self.characters: tuple[str, ...] = (label,)
        self._draw = draw

    def encode(self, crop: np.ndarray) -> Any:
        return crop

    def draw(self, latent: Any, character: str) -> np.ndarray:
        return self._draw(latent)


class EngineSubject:
    """Styles that an engine draws, as `stylize` would draw portraits with it."""

    def __init__(self, label: str, engine: Engine, styles: Sequence[str]) -> None:
        self.label, self.engine, self.characters = label, engine, tuple(styles)
        self.resolution = 512

    def encode(self, crop: np.ndarray) -> Any:
        return self.engine.draw_aligned([crop], self.characters)[0]  # measured once for all

    def draw(self, code: Any, character: str) -> np.ndarray:
        return np.asarray(code[self.characters.index(character)])


class CombinedSubject:
    """Two subjects under one label: a bundle's styles beside its characters."""

    def __init__(self, label: str, subjects: Sequence[Subject]) -> None:
        self.label, self._subjects = label, tuple(subjects)
        self.characters = tuple(name for subject in subjects for name in subject.characters)
        self.resolution = max(subject.resolution for subject in subjects)

    def encode(self, crop: np.ndarray) -> Any:
        return [subject.encode(crop) for subject in self._subjects]

    def draw(self, latent: Any, character: str) -> np.ndarray:
        for own, subject in zip(latent, self._subjects, strict=True):
            if character in subject.characters:
                return subject.draw(own, character)
        raise KeyError(character)


class BundleSubject:
    """A bundle with its options, as `stylize` would draw with it."""

    def __init__(
        self,
        label: str,
        engine: Toonifier,
        characters: Sequence[str],
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
    ) -> None:
        self.label, self.engine, self.characters = label, engine, tuple(characters)
        self.resolution = engine.generator.resolution
        self._drawer = engine.engine(level=level, trgb=trgb)

    def encode(self, crop: np.ndarray) -> Any:
        region = aligned_region(crop)
        return region, self._drawer.encode([region])

    def draw(self, latent: Any, character: str) -> np.ndarray:
        region, latents = latent
        return self._drawer.render([region], latents, [character])[0]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a picture is recognized by, as far as it was measured.

    Attributes:
        descriptor: (d,) of its face.
        layout: (24, 24, 3), the colors of its head; `share`: how much of each cell is head.
    """

    descriptor: np.ndarray | None
    layout: np.ndarray | None
    share: np.ndarray | None

    @classmethod
    def of(cls, look: Look) -> Seen:
        """From what the probes saw."""
        head = look.head
        return cls(
            None if look.identity is None else look.identity.reshape(-1).cpu().numpy(),
            None if head is None else head.layout,
            None if head is None else head.share,
        )


@dataclass
class Run:
    """What `evaluate_photos` found.

    Attributes:
        rows: one record a toonified photo: `photo`, `seconds`, `measures` of the photo, and
            `drawings`: subject's label → character → `lpips`, `identity`, `measures`.
        failed: `photo` and `error` of the others.
        features: (subject, character) → (N, d) features of its drawings, in the rows' order.
        photos: what line-ups need of each photograph, in the rows' order.
        lineups: (subject, character) → the same of its drawings.
        interrupted: Ctrl-C ended it early.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    features: dict[tuple[str, str], Features] = field(default_factory=dict)
    photos: list[Seen] = field(default_factory=list)
    lineups: dict[tuple[str, str], list[Seen]] = field(default_factory=dict)
    interrupted: bool = False


# (record of the photo, its crop, subject's label → character → drawing)
OnRow = Callable[[dict[str, Any], np.ndarray, dict[str, dict[str, np.ndarray]]], None]


def evaluate_photos(
    photos: Sequence[Path],
    subjects: Sequence[Subject],
    *,
    probes: Probes,
    finder: Finder,
    aligned: bool = False,
    on_row: OnRow | None = None,
    on_failure: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Draw and measure every photo's largest face.

    A photo that fails is noted and skipped; Ctrl-C ends the run after the photo in hand, a second
    one at once.

    Args:
        finder: finds and aligns the faces, the same for all subjects.
        aligned: photos are square FFHQ crops already.
        on_row: gets each finished photo's pictures, which are not kept.
        on_failure: gets one line for each photo that fails.

    Raises:
        UsageError, ModelError: what no other photo would hint, such as an unknown character.
    """
    run = Run()
    gathered: dict[tuple[str, str], list[Features]] = {}
    with interruptible() as interrupt:
        for done, path in enumerate(photos):
            if interrupt.requested:
                run.interrupted = True
                break
            if progress:
                progress(done, len(photos))
            try:
                record, crop, drawn, seen = _one(path, subjects, probes, finder, aligned)
            except (UsageError, ModelError):
                raise
            except Exception as error:
                expected = isinstance(error, ToonifyError)
                message = str(error) if expected else f"{type(error).__name__}: {error}"
                message = message if str(path) in message else f"{path}: {message}"
                run.failed.append({"photo": str(path), "error": message})
                if on_failure:
                    on_failure(message)
                continue
            if probes.features is not None:
                keys = [(label, name) for label, row in drawn.items() for name in row]
                pictures = [drawn[label][name] for label, name in keys]
                for key, vector in zip(keys, probes.features(pictures), strict=True):
                    gathered.setdefault(key, []).append(vector[None])
            run.rows.append(record)
            run.photos.append(seen.pop(("", "")))
            for key, what in seen.items():
                run.lineups.setdefault(key, []).append(what)
            if on_row:
                on_row(record, crop, drawn)
    if progress and not run.interrupted:
        progress(len(photos), len(photos))
    run.features = {key: np.concatenate(vectors) for key, vectors in gathered.items()}
    return run


def _one(
    path: Path, subjects: Sequence[Subject], probes: Probes, finder: Finder, aligned: bool
) -> tuple[
    dict[str, Any],
    np.ndarray,
    dict[str, dict[str, np.ndarray]],
    dict[tuple[str, str], Seen],
]:
    """The record, the crop, its drawings, and what they (and, without names, the photograph) are
    recognized by."""
    image = read_image(path).flat
    height, width = image.shape[:2]
    if aligned and height != width:
        raise InputError(
            f"{path} is {width}x{height}, an aligned face is square", hint="Leave `aligned` out."
        )
    started = time.perf_counter()
    faces = [] if aligned else finder.detector.detect(image)
    if not aligned and not faces:
        raise InputError(
            f"no face found in {path}", hint="Try a larger or frontal face, or `aligned`."
        )
    found = time.perf_counter() - started
    crops: dict[int, np.ndarray] = {}
    seconds: dict[str, Any] = {}
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for subject in subjects:
        size = subject.resolution
        started = time.perf_counter()
        if size not in crops:
            crops[size] = image if aligned else align(image, faces[0], size).image
        aligning = time.perf_counter() - started
        started = time.perf_counter()
        latent = subject.encode(crops[size])
        encoding = time.perf_counter() - started
        started = time.perf_counter()
        drawn[subject.label] = {name: subject.draw(latent, name) for name in subject.characters}
        drawing = (time.perf_counter() - started) / len(subject.characters)
        seconds[subject.label] = {
            "find": round(found + aligning, 4),
            "encode": round(encoding, 4),
            "draw": round(drawing, 4),
        }
    crop = crops[subjects[0].resolution]
    look = probes.look(crop)
    record: dict[str, Any] = {"photo": str(path), "seconds": seconds}
    if look.measures:
        record["measures"] = look.measures
    if look.head is not None:
        record["head"] = measure_head(look.head)
    seen = {("", ""): Seen.of(look)}
    record["drawings"] = {}
    for label, row in drawn.items():
        record["drawings"][label] = {}
        for name, picture in row.items():
            other = probes.look(picture)
            seen[label, name] = Seen.of(other)
            figures: dict[str, Any] = dict(probes.compare(look, other))
            if other.measures:
                figures["measures"] = other.measures
            record["drawings"][label][name] = figures
    return record, crop, drawn, seen
